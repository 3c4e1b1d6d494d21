"""Fixed points of shifts, found in few of them: Anderson's acceleration.

    positions --shift--> images        residuals: how far the images are from the positions
        ^                  |
        `-- the combination of the last ones whose residuals nearly cancel, brought to the space

Near a mode each shift leaves a nearly constant fraction of the distance, often nine tenths. The
last few residuals give the combination of images whose residual is least [1]_: in one dimension
that is a secant method. It finds saddles as well, from which shifts lead away. So the shift itself
is taken where residuals grow along the way, where the combination lies behind, and where the
density falls.

References
----------
.. [1] H. F. Walker and P. Ni, "Anderson acceleration for fixed-point iterations", SIAM Journal on
   Numerical Analysis 49 (4), 2011, pp. 1715-1735, :doi:`10.1137/10078356X`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

MAX_REMEMBERED = 6  # positions of each
MAX_STEPS = 1000
TOLERANCE = 1e-11  # of a residual, in bandwidths
NOISE = 1e-11  # of a density, relative: a fall by less is none
MAX_STEP = 1.0  # bandwidths
MIN_GROWTH = 1e-3  # of residuals along the way, relative to their fall: less may be rounding
MAX_HELD_VALUES = 1 << 21  # of the positions that are remembered at once: 16 MB

_Floats = NDArray[np.float64]
Shift = Callable[[_Floats], tuple[_Floats, _Floats]]


class _Trajectory:
    """The last positions of one trajectory, and where it goes next."""

    def __init__(self) -> None:
        self.begin()
        self.highest = -np.inf
        self.safe: _Floats | None = None  # the shift from the highest position

    def begin(self) -> None:
        """Drop the stored positions and residuals."""
        self.images: list[_Floats] = []
        self.residuals: list[_Floats] = []

    def next(self, position: _Floats, image: _Floats, density: float) -> _Floats:
        """Where to go on from a position whose shift and density are known."""
        if self.safe is not None and density < self.highest * (1.0 - NOISE) and self.images:
            self.begin()
            return self.safe
        self.highest, self.safe = max(self.highest, density), image
        self.images = [*self.images, image][-MAX_REMEMBERED:]
        self.residuals = [*self.residuals, image - position][-MAX_REMEMBERED:]
        if len(self.images) == 1:
            return image
        falls = np.diff(self.residuals, axis=0).T
        if _grow(np.diff(np.subtract(self.images, self.residuals), axis=0) @ falls):
            self.begin()
            return image
        shares = np.linalg.lstsq(falls, self.residuals[-1], rcond=1e-10)[0]
        ahead: _Floats = image - np.diff(self.images, axis=0).T @ shares
        step, shifted = ahead - position, image - position
        if step @ shifted <= 0.0 or step @ step > MAX_STEP * MAX_STEP:
            self.begin()
            return image
        return ahead


def _grow(changes: _Floats) -> bool:
    """Whether residuals grow along some direction of the way.

    The Jacobian of a shift is symmetric, so a fixed point is a mode where it has no growing
    direction. ``changes`` are the products of steps and changes of residuals.
    """
    growth = np.linalg.eigvalsh(changes + changes.T)
    return bool(growth[-1] > MIN_GROWTH * np.abs(growth).max())


def fixed_points(
    shift: Shift,
    modes: _Floats,
    on_space: Callable[[_Floats], _Floats],
    *,
    tolerance: float = TOLERANCE,
) -> tuple[_Floats, _Floats]:
    """Move modes to where a shift leaves them; the fixed points, and the densities there.

    ``shift`` moves positions in place and returns their densities and the lengths of the moves;
    ``on_space`` brings positions back to the space, `np.asarray` where that is all of the columns'.
    Modes and ``tolerance``, the longest shift of a fixed point, are in bandwidths.

    Some modes at a time, as each remembers up to 13 positions while it moves.
    """
    positions, density = np.array(modes), np.empty(len(modes))
    size = max(MAX_HELD_VALUES // ((2 * MAX_REMEMBERED + 1) * modes.shape[1]), 1)
    for start in range(0, len(modes), size):
        part = slice(start, start + size)
        _move(shift, positions[part], density[part], on_space, tolerance)
    return positions, density


def _move(
    shift: Shift,
    positions: _Floats,
    density: _Floats,
    on_space: Callable[[_Floats], _Floats],
    tolerance: float,
) -> None:
    """Move some positions to their fixed points, in place."""
    trajectories = {i: _Trajectory() for i in range(len(positions))}
    live = np.arange(len(positions))
    for _ in range(MAX_STEPS):
        images = positions[live]
        density[live], moves = shift(images)
        going = moves > tolerance
        for i in live[~going].tolist():
            del trajectories[i]
        live = live[going]
        if not live.size:
            break
        for i, image in zip(live.tolist(), images[going], strict=True):
            positions[i] = trajectories[i].next(positions[i].copy(), image.copy(), density[i])
        positions[live] = on_space(positions[live])
