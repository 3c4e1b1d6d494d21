"""The kernels: by their names, what the rest of the package needs to know of them.

A new kernel is a line here, a class beside `flat.py` that `choice.py` builds, its norm and variance
in `density.py`, and for traces a mean in plain NumPy, in `_cluster/trajectory.py`.
"""

import math
from typing import NamedTuple


class Kernel(NamedTuple):
    """What differs between kernels outside of their indexes.

    Attributes
    ----------
    is_ball : bool
        Whether the rows within the bandwidth count the same, and no others: bins, projections and
        soft cells rest on that.
    in_bandwidths : bool
        Whether its index measures in bandwidths, whatever the columns share.
    reach : float
        The bandwidths around rows that a picture of the density shows.
    """

    is_ball: bool
    in_bandwidths: bool
    reach: float

    def bandwidth_of(self, radius: float, n_features: int) -> float:
        """The bandwidth as wide as a ball: with the variance that a coordinate has in the ball."""
        return radius if self.is_ball else radius / math.sqrt(n_features + 2)


KERNELS = {
    "flat": Kernel(is_ball=True, in_bandwidths=False, reach=1.05),
    "gaussian": Kernel(is_ball=False, in_bandwidths=True, reach=2.5),
}
