"""The stopping rule: when a trajectory is at rest. Ascents, memo, walks and traces share it.

A trajectory ends with a move of at most ``rest``, and where its neighbourhood is empty. The filter
of images has a rule of its own, over pixels and colours (`_image/ascent.py`).
"""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.compiler import inlined


def rest_of(tol: float, radius: float) -> float:
    """The longest move that is the last of a trajectory: ``tol`` bandwidths."""
    return tol * radius


@inlined
def is_at_rest(move, support, rest):
    """Whether a move was the last of its trajectory."""
    return move <= rest or support == 0.0


def are_at_rest(
    moves: NDArray[np.float64], support: NDArray[np.float64], rest: float
) -> NDArray[np.bool_]:
    """The same of many trajectories, outside of kernels."""
    at_rest: NDArray[np.bool_] = (moves <= rest) | (support == 0.0)
    return at_rest
