"""The clusters' colours, kept from answer to answer: small changes alter few of them."""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._pictures.colours import COLOURS, farthest_colour, lengths

MAX_COLOURED_APART = 200  # centres with colours unlike their neighbours'; the others cycle


def coloured(
    centers: NDArray[np.float64],
    before: tuple[NDArray[np.float64], NDArray[np.uint8]] | None = None,
    reach: float = 0.0,
) -> NDArray[np.uint8]:
    """Choose a colour for each centre: that of a former centre near it, else one used far away.

    The centres are by falling support; ``before`` has those of the answer before and their colours,
    and ``reach`` says how far from a former one a centre keeps its colour. Returns numbers in
    `COLOURS`.
    """
    n_apart = min(len(centers), MAX_COLOURED_APART)
    chosen = np.arange(len(centers)) % len(COLOURS)
    taken = np.full(n_apart, -1)
    if before is not None:
        former, colours = (part[:MAX_COLOURED_APART] for part in before)
        away = lengths(centers[:n_apart, None] - former[None])
        nearest = away.argmin(axis=1)
        # Of the centres nearest to a former one, the first and heaviest keeps its colour.
        keeps = np.zeros(n_apart, dtype=np.bool_)
        keeps[np.unique(nearest, return_index=True)[1]] = True
        keeps &= away[np.arange(n_apart), nearest] <= reach
        taken[keeps] = colours[nearest[keeps]]
    for i in np.flatnonzero(taken < 0):
        others = np.flatnonzero(taken >= 0)
        taken[i] = farthest_colour(taken[others], centers[others] - centers[i])
    chosen[:n_apart] = taken
    return chosen.astype(np.uint8)
