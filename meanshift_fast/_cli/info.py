"""The command `info`: versions, threads and the cache folder."""

import importlib.metadata
import json
import platform
from argparse import Namespace

import meanshift_fast
from meanshift_fast._cli.output import print_line
from meanshift_fast.warmup import cache_folders, threads_and_layer

PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "scikit-learn",
    "pyarrow",
    "psutil",
    "tqdm",
    "matplotlib",
    "pillow",
)


def info(arguments: Namespace) -> None:
    """Print versions, threads and the cache folder, in lines or as one line of JSON."""
    versions = {name: _version(name) for name in PACKAGES}
    n_allowed, n_all, layer = threads_and_layer()
    caches = {str(folder): len(list(folder.glob("*.nbi"))) for folder in cache_folders()}
    system = platform.platform(terse=True)
    if arguments.json:
        facts = {
            "meanshift_fast": meanshift_fast.__version__,
            "python": platform.python_version(),
            "platform": system,
            "packages": versions,
            "threads": n_allowed,
            "all_threads": n_all,
            "threading_layer": layer,
            "cache_folders": caches,
        }
        print_line(json.dumps(facts))
        return
    lines = {
        "meanshift_fast": meanshift_fast.__version__,
        "python": f"{platform.python_version()} on {system}",
        **{name: version or "not installed" for name, version in versions.items()},
        "threads": f"{n_allowed} of {n_all}",
        "threading layer": layer,
    }
    for name, value in lines.items():
        print_line(f"{name:<16} {value}")
    for folder, n_kernels in caches.items():
        print_line(f"cache folder     {folder} ({n_kernels} kernels)")
    if not caches:
        print_line("cache folder     none: every process compiles for itself")


def _version(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
