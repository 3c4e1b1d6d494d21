"""The types of simd.py in Numba, and the registers that hold them.

    Vector    <16 x double>        Narrow    <16 x float>        Mask    <16 x i1>
    Pairs     <16 x i32>           Flat      a bare pointer to numbers

Importing this file registers them with Numba.
"""

from llvmlite import ir
from numba import types
from numba.extending import models, register_model, type_callable

from meanshift_fast._jit.simd import LANES

I32, I64 = ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(ir.DoubleType(), LANES)
NARROW = ir.VectorType(ir.FloatType(), LANES)
PAIRS = ir.VectorType(I32, LANES)
MASK_BITS = ir.VectorType(ir.IntType(1), LANES)


def constant(value, kind=VECTOR):
    """A constant vector of one number."""
    return ir.Constant(kind, [value] * kind.count)


def typed(function, rule):
    """Register the type of what a function returns, by a rule on those of its arguments.

    The rule returns None for arguments that the function does not take.
    """
    type_callable(function)(lambda context: rule)


class _RegisterType(types.Type):
    """A Numba type of sixteen values in registers."""

    def __init__(self):
        super().__init__(type(self).__name__)


class VectorType(_RegisterType):
    """Sixteen float64 values."""


class NarrowType(_RegisterType):
    """Sixteen float32 values."""


class PairsType(_RegisterType):
    """Sixteen pairs of int16 values."""


class MaskType(_RegisterType):
    """Sixteen truth values, the result of comparing vectors."""


class FlatType(types.Type):
    """The Numba type of a bare pointer to numbers."""

    def __init__(self, dtype):
        super().__init__(f"Flat({dtype})")
        self.dtype = dtype


VECTOR_TYPE = VectorType()
NARROW_TYPE = NarrowType()
PAIRS_TYPE = PairsType()
MASK_TYPE = MaskType()
LANES_OF = {VectorType: (types.float64, VECTOR), NarrowType: (types.float32, NARROW)}


def _hold(kind, registers):
    """Register the registers that hold a type."""

    @register_model(kind)
    class _Model(models.PrimitiveModel):
        def __init__(self, manager, fe_type):
            super().__init__(manager, fe_type, registers)


_hold(VectorType, VECTOR)
_hold(NarrowType, NARROW)
_hold(PairsType, PAIRS)
_hold(MaskType, MASK_BITS)


@register_model(FlatType)
class _FlatModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, manager[fe_type.dtype].get_data_type().as_pointer())
