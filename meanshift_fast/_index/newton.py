"""Modes of the Gaussian density: Newton's steps to where it is stationary.

    shift s, covariance K of y  -->  (1 - K) step = s  -->  a step of at most a bandwidth
                                          |
                  1 - K not positive definite, or the step led down: the shift itself

The Hessian of the log density is K - 1. Trajectories only come near a mode: the last move of a
slow one is a small part of the way that is left.
"""

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.error_bounds import Workspace
from meanshift_fast._index.gaussian_sums import sum_about
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.sigma_points import SigmaPoints, nodes_of
from meanshift_fast._index.traversal import STACK_BLOCKS
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import LANES, flat, item, load, put, total

MAX_NEWTON_FEATURES = 64  # above, the Hessian costs more than the shifts it saves
ACCURACY = 1e-10  # bandwidths, of a shift
TOLERANCE = 1e-7  # bandwidths: the length of the Newton step that is not taken any more
SHIFT_TOLERANCE = 1e-2 * TOLERANCE  # that of a plain shift, a part of the way that is left
MAX_STEPS = 1000


@step
def _write_hessian(sums, n_features, matrix, shift):
    """Write the lower triangle of 1 - K, and the shift."""
    weight = total(load(sums, n_features))
    for f in range(n_features):
        put(shift, f, total(load(sums, f)) / weight)
    pair = n_features + 1
    for f in range(n_features):
        for g in range(f, n_features):
            value = item(shift, f) * item(shift, g) - total(load(sums, pair)) / weight
            put(matrix, g * n_features + f, value + (1.0 if g == f else 0.0))
            pair += 1


@step
def _factorise(matrix, n_features):
    """Replace a lower triangle by its Cholesky factor; whether it is positive definite."""
    for f in range(n_features):
        for g in range(f, n_features):
            value = item(matrix, g * n_features + f)
            for j in range(f):
                value -= item(matrix, g * n_features + j) * item(matrix, f * n_features + j)
            if g > f:
                value /= item(matrix, f * n_features + f)
            elif value > 1e-12:
                value = math.sqrt(value)
            else:
                return False
            put(matrix, g * n_features + f, value)
    return True


@step
def _solve(factor, n_features, vector):
    """Divide a vector by a matrix, given its Cholesky factor; returns the result's length."""
    for f in range(n_features):
        value = item(vector, f)
        for j in range(f):
            value -= item(factor, f * n_features + j) * item(vector, j)
        put(vector, f, value / item(factor, f * n_features + f))
    length_sq = 0.0
    for back in range(n_features):
        f = n_features - 1 - back
        value = item(vector, f)
        for g in range(f + 1, n_features):
            value -= item(factor, g * n_features + f) * item(vector, g)
        value /= item(factor, f * n_features + f)
        put(vector, f, value)
        length_sq += value * value
    return math.sqrt(length_sq)


@step
def _newton_step(sums, n_features, factor, move):
    """Write Newton's step; returns its length, or -1 where it would not lead up."""
    if n_features > MAX_NEWTON_FEATURES:
        return -1.0
    _write_hessian(sums, n_features, factor, move)
    return _solve(factor, n_features, move) if _factorise(factor, n_features) else -1.0


@step
def _polish_one(tree, sigma, modes, i, sums, memory, stack):
    """Move a mode to where the density is stationary; returns the density there."""
    nodes = nodes_of(tree, sigma)
    n_features, depth = nodes.n_features, np.int64(nodes.n_features <= MAX_NEWTON_FEATURES)
    work = Workspace(
        flat(stack), flat(memory[0]), flat(sums), flat(memory[1]), flat(memory[2]), flat(memory[3])
    )
    shifted, move, factor = flat(memory[4]), flat(memory[5]), flat(memory[6])
    position = work.position
    for f in range(n_features):
        put(position, f, modes[i, f])
    highest, density, tried = -np.inf, 0.0, False
    for _ in range(MAX_STEPS):
        reference_sq = sum_about(nodes, work, 0.0, ACCURACY, depth)
        weight = total(load(work.sums, n_features))
        height = math.log(weight) - 0.5 * reference_sq
        if tried and height < highest - 1e-12:
            # Newton's step went down: take the shift that it replaced, which cannot.
            tried = False
            for f in range(n_features):
                put(position, f, item(shifted, f))
            continue
        highest, density, shift_sq = height, math.exp(height), 0.0
        for f in range(n_features):
            shift = total(load(work.sums, f)) / weight
            shift_sq += shift * shift
            modes[i, f] = item(position, f)
            put(shifted, f, item(position, f) + shift)
        length = _newton_step(work.sums, n_features, factor, move)
        tried = 0.0 <= length <= 1.0
        if 0.0 <= length <= TOLERANCE or shift_sq <= SHIFT_TOLERANCE * SHIFT_TOLERANCE:
            break
        for f in range(n_features):
            put(position, f, item(position, f) + item(move, f) if tried else item(shifted, f))
    return density


@parallel
def _polish_all(tree, sigma, modes, density):
    for i in prange(modes.shape[0]):
        n = modes.shape[1]
        n_squares = n * n if n <= MAX_NEWTON_FEATURES else 0
        sums = np.empty((n + 1 + (n_squares + n) // 2, LANES))
        memory = np.empty((7, n + 2 + n_squares // LANES, LANES))
        stack = np.empty(STACK_BLOCKS, np.int64)
        at = np.int64(i)  # prange counts unsigned, which would compile the step twice
        density[at] = _polish_one(tree, sigma, modes, at, sums, memory, stack)


def polish(
    tree: MomentTree, sigma: SigmaPoints, modes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move modes to where the density is stationary, which trajectories only come near.

    Returns the modes and the density at each. Rows and modes are in bandwidths, and modes are
    stationary to 1e-7: so long is the next Newton step.

    Newton steps of at most a bandwidth where the Hessian of the log density is negative definite,
    plain shifts elsewhere and where a Newton step would lead down, so that the density never
    falls. Some five passes over the rows near each mode. Above 64 features all are plain shifts.
    """
    polished = modes.copy()
    density = np.empty(len(modes))
    for start, stop in chunks(len(modes), first=1):
        _polish_all(tree, sigma, polished[start:stop], density[start:stop])
    return polished, density
