"""The command line: ``meanshift-fast demo | warmup | info``.

Exit codes: 0 for success, 1 for bad data, a missing optional package or a reader that left, 2 for
wrong usage, 130 for Ctrl-C. Errors are one line on the standard error, never a traceback.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from numba.np.ufunc import threading_layer

import meanshift_fast
from meanshift_fast import demo
from meanshift_fast.threads import thread_count

_PACKAGES = ("numpy", "numba", "llvmlite", "scikit-learn", "matplotlib", "pillow")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        The arguments after the program's name; None takes the process's own.

    Returns
    -------
    code : int
        0, 1 or 130, for `sys.exit`.

    Raises
    ------
    SystemExit
        With code 2 on wrong usage, with 0 after ``--help`` and ``--version``.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except BrokenPipeError:
        # The reader has left. What Python still holds back would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\nmeanshift-fast: interrupted", file=sys.stderr)
        return 130
    except (ValueError, ImportError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"meanshift-fast: {message}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meanshift-fast", description="Mean shift clustering with scikit-learn's own answer."
    )
    parser.add_argument(
        "--version", action="version", version=f"meanshift-fast {meanshift_fast.__version__}"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    show = commands.add_parser(
        "demo", help="show the pipeline on a small table, then cluster a photograph by colour"
    )
    show.add_argument(
        "--compare",
        action="store_true",
        help="run scikit-learn on the same pixels too (about half a minute)",
    )
    show.add_argument(
        "--output",
        type=_png,
        default=Path("meanshift_fast_demo.png"),
        metavar="PNG",
        help="where the picture goes (default: %(default)s)",
    )
    show.add_argument(
        "--n-jobs", type=_n_jobs, metavar="N", help="threads; -1 and the default: all of them"
    )
    show.set_defaults(command=_demo)

    warmup = commands.add_parser("warmup", help="compile the kernels, or load them from the cache")
    warmup.set_defaults(command=_warmup)

    info = commands.add_parser("info", help="show versions, threads and the cache folder")
    info.set_defaults(command=_info)
    return parser


def _png(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"the picture is a PNG file, got {text!r}; name it *.png")
    return path


def _n_jobs(text: str) -> int:
    try:
        n_jobs = int(text)
    except ValueError:
        n_jobs = 0
    if n_jobs == 0:
        raise argparse.ArgumentTypeError(
            f"n_jobs must be a whole number other than 0, got {text!r}; -1 means all threads"
        )
    return n_jobs


def _demo(arguments: argparse.Namespace) -> None:
    demo.run(arguments.output, compare=arguments.compare, n_jobs=arguments.n_jobs)


def _warmup(arguments: argparse.Namespace) -> None:
    demo.warm_up()


def _info(arguments: argparse.Namespace) -> None:
    demo.say(f"meanshift_fast   {meanshift_fast.__version__}")
    demo.say(f"python           {platform.python_version()} on {platform.platform(terse=True)}")
    for package in _PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        demo.say(f"{package:<16} {version}")
    # Asking for the number of threads starts them, and only then has the layer a name.
    demo.say(f"threads          {thread_count(None)} of {thread_count(-1)}")
    demo.say(f"threading layer  {threading_layer()}")
    folders = demo.cache_folders()
    for folder in folders:
        demo.say(f"cache folder     {folder} ({len(list(folder.glob('*.nbi')))} kernels)")
    if not folders:
        demo.say("cache folder     none: every process compiles for itself")
