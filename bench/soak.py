r"""Ten minutes of random work, every answer verified, memory watched: ``python -m bench.soak``.

    seed -> case -> deed -> right?     a trial; the next has the next seed
                      \-> memory held -> does its floor rise, and rise, and rise?

A trial hangs on its seed alone, so that ``--seed`` plays it again. The seed is on stderr before
its trial begins: where the process dies or hangs, it is the last one there.
"""

import argparse
import ctypes
import faulthandler
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np
import psutil
from numba.core.dispatcher import Dispatcher

from bench import deeds
from meanshift_fast import warm_up
from meanshift_fast._jit.compiler import Parallel

HANGS = 300.0  # seconds of one trial; most take milliseconds, the longest of 22,306 took a minute
FEWEST = 200  # trials since the last load before memory is judged
LEAK = 16 << 20  # bytes that the floor rises by, from the second fifth of the trials to the last
M_MMAP_THRESHOLD, LARGE = -3, 1 << 16  # mallopt's name for it; bytes that have pages of their own


def attempt(seed: int) -> bool:
    """Make one trial.

    Returns
    -------
    answered : bool
        False where a documented error refused the case.

    Raises
    ------
    AssertionError
        Where an answer is wrong, or an error is not a documented one; it tells deed and case.
    """
    rng = np.random.default_rng(seed)
    deed = str(rng.choice(list(deeds.DEEDS)))
    case = deeds.drawn(rng)
    try:
        deeds.DEEDS[deed](case, rng)
    except Exception as error:
        if isinstance(error, ValueError) and re.search(deeds.hostile.DOCUMENTED, str(error)):
            return False
        raise AssertionError(f"{deed}: {case}") from error
    return True


def loaded() -> int:
    """Tell how many kernels and modules the process has loaded; none of them ever goes."""
    modules = dict(sys.modules)
    ours = [vars(modules[name]) for name in modules if name.startswith("meanshift_fast.")]
    values = [value for names in ours for value in names.values()]
    for kernel in values.copy():
        if isinstance(kernel, Parallel):
            values += vars(kernel).values()
    kernels = {value for value in values if isinstance(value, Dispatcher)}
    return len(modules) + sum(len(kernel.overloads) for kernel in kernels)


def _frugal() -> Callable[[int], Any]:
    """Let freed memory go back at once, where the allocator has ways to be asked for that.

    glibc raises the size from which a block has pages of its own with each such block that is
    freed, to 32 MB: tables come to lie among all else and leave holes. The same 8,000 trials held
    893 MB after 166 s and 938 after 400; so they held 771 and 774.

    Returns
    -------
    callable
        What gives back the rest.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        return libc.malloc_trim
    return lambda spare: None


def growth(held: Sequence[int]) -> int:
    """Tell by how much memory grows without a way back, in bytes; 0 if there are too few trials.

    What a process holds jumps up and down with its tables, so its floor counts: the least of each
    fifth of the trials. The first fifth is the warm-up. A floor below the one before ends it.
    """
    if len(held) < FEWEST:
        return 0
    floors = [int(part.min()) for part in np.array_split(np.array(held), 5)[1:]]
    return floors[-1] - floors[0] if floors == sorted(floors) else 0


def soak(minutes: float, first: int) -> str | None:
    """Make trials for some minutes, at least one.

    Memory is judged by the trials since the last that loaded something: a deed that wants one more
    kernel may come after a thousand others, and the 200 MB that the kernels of all deeds take are
    no leak. Nor is what was freed and waits to be used again, 5 MB more each minute.

    Returns
    -------
    fault : str or None
        What went wrong, with the seed.
    """
    process, trim, refused = psutil.Process(), _frugal(), 0
    held: list[int] = []
    known = loaded()
    began = told = time.perf_counter()
    for seed in count(first):
        print(f"\rseed {seed} ", end="", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(HANGS, exit=True, file=2)
        try:
            refused += not attempt(seed)
        except AssertionError as error:
            return f"seed {seed}: {error}: {error.__cause__!r}"
        finally:
            faulthandler.cancel_dump_traceback_later()
        before, known = known, loaded()
        if known != before:
            held.clear()
        trim(0)
        held.append(process.memory_info().rss)
        now = time.perf_counter()
        over = now - began >= 60 * minutes
        if over or now - told >= 30:
            told = now
            print(
                f"{now - began:.0f} s, seeds {first} to {seed}: {seed - first + 1:,} trials, "
                f"{refused:,} refused, {held[-1] / 1e6:.0f} MB, "
                f"nothing loaded for {len(held):,} trials",
                flush=True,
            )
        if over:
            break
    grown = growth(held)
    if grown > LEAK:
        return f"seeds from {first}: memory grows, {grown / 1e6:.0f} MB in {len(held)} trials"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; 1 on any fault."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="0 makes one trial")
    parser.add_argument("--seed", type=int, help="of the first trial; otherwise drawn")
    options = parser.parse_args(arguments)
    first = options.seed
    if first is None:
        first = int(np.random.default_rng().integers(1 << 31))
    warm_up()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Binning data failed", UserWarning)
        fault = soak(options.minutes, first)
    if fault is not None:
        print(f"FAULT, {fault}")
        print("To see one trial again: python -m bench.soak --minutes 0 --seed SEED")
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
