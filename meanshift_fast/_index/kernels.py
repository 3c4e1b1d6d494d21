"""The kernels by their names: a new one is a module with a class as `base.Kernel`, and a line."""

from meanshift_fast._index.base import Kernel
from meanshift_fast._index.flat_kernel import FlatKernel
from meanshift_fast._index.gaussian_kernel import GaussianKernel

KERNELS: dict[str, Kernel] = {"flat": FlatKernel(), "gaussian": GaussianKernel()}
