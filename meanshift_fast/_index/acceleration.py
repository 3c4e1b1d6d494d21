"""Fixed points of shifts, found in few of them: Anderson's acceleration.

    positions --shift--> images        residuals: how far the images are from the positions
        ^                  |
        `-- the combination of the last ones whose residuals nearly cancel, brought to the space

Near a mode each shift leaves a nearly constant fraction of the distance, often nine tenths. The
last few residuals give the combination of images whose residual is least [1]_: in two dimensions
that is a secant method. Where the density falls, the shift itself is taken, which cannot
lead down.

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
        shares = np.linalg.lstsq(falls, self.residuals[-1], rcond=1e-10)[0]
        ahead: _Floats = image - np.diff(self.images, axis=0).T @ shares
        if np.linalg.norm(ahead - position) > MAX_STEP:
            self.begin()
            return image
        return ahead


def fixed_points(
    shift: Shift,
    modes: _Floats,
    on_space: Callable[[_Floats], _Floats],
    *,
    tolerance: float = TOLERANCE,
) -> tuple[_Floats, _Floats]:
    """Move modes to where a shift leaves them.

    Parameters
    ----------
    shift : callable
        Moves positions in place; returns their densities and the lengths of the moves.
    modes : float64 array of shape (n_modes, n_features)
        Near the fixed points, in bandwidths.
    on_space : callable
        Brings positions beside the space back to it; ``np.asarray`` where there is none beside it.
    tolerance : float, default=1e-11
        The longest shift of a fixed point, in bandwidths.

    Returns
    -------
    modes : float64 array of shape (n_modes, n_features)
        The fixed points.
    density : float64 array of shape (n_modes,)
        That of the kernel there.
    """
    positions, density = np.array(modes), np.empty(len(modes))
    trajectories = [_Trajectory() for _ in range(len(modes))]
    live = np.arange(len(modes))
    for _ in range(MAX_STEPS):
        images = positions[live]
        density[live], moves = shift(images)
        going = moves > tolerance
        for i, image in zip(live[going], images[going], strict=True):
            positions[i] = trajectories[i].next(positions[i], image, density[i])
        live = live[going]
        if not live.size:
            break
        positions[live] = on_space(positions[live])
    return positions, density
