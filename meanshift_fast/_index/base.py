"""The protocols of an index, the mean that each position shifts to and its support, and a kernel.

    positions --shift--> means, support, moves            one step of each, in place
    positions --walk---> some steps of each, with the same fields for each step

An index arranges the rows for one kernel and one bandwidth. The ascent, the modes and the basins
use nothing else of it, and never its class. `choice.py` builds one.

A kernel is a class in a module of its own, as `flat_kernel.py`, and a line of `kernels.py`: nothing
else looks for it by name.
"""

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._input.weights import UNWEIGHTED


class Walk(NamedTuple):
    """Some steps of some positions.

    Attributes
    ----------
    places : float64 array of shape (n_positions, n_taken, n_features)
        Where each step led; undefined after a step that is the last of its trajectory.
    support : float64 array of shape (n_positions, n_taken)
        The weight in the neighbourhood that each step was computed from.
    moves : float64 array of shape (n_positions, n_taken)
        The length of each step.
    """

    places: NDArray[np.float64]
    support: NDArray[np.float64]
    moves: NDArray[np.float64]

    def part(self, start: int, stop: int) -> "Walk":
        """Views of what belongs to positions start:stop."""
        return Walk(self.places[start:stop], self.support[start:stop], self.moves[start:stop])


def empty_walk(positions: NDArray[np.float64], n_steps: int) -> Walk:
    """Room for some steps of each position."""
    (n_positions, n_features), shape = positions.shape, (len(positions), n_steps)
    places = np.empty((n_positions, n_steps, n_features))
    return Walk(places, np.empty(shape), np.empty(shape))


class Index(Protocol):
    """Rows arranged for one kernel and one bandwidth; a base class with defaults.

    Attributes
    ----------
    radius : float
        The bandwidth, in the unit of the positions.
    order : int array of shape (n_samples,)
        Its rows in an order in which neighbours in space follow one another.
    depends_on_position_alone : bool
        Whether a shift is a function of the position, to the last bit: steps can be memoised.
    is_smooth : bool
        Whether the density is smooth. Then modes are polished, and trajectories may rest on a
        saddle: those are walked on by the `refined` index.
    """

    radius: float
    depends_on_position_alone: bool = False
    is_smooth: bool = False

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in an order of neighbourhood."""
        ...

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to its mean, in place.

        Parameters
        ----------
        positions : C-ordered float64 array of shape (n_positions, n_features)
            Overwritten; a position with an empty neighbourhood stays where it is.

        Returns
        -------
        support, moves : float64 arrays of shape (n_positions,)
            The weight that pulled each position, 0 for none, and how far it moved. Bit-equal for
            every number of threads.
        """
        ...

    def walk(self, positions: NDArray[np.float64], n_steps: int, rest: float) -> Walk:
        """Take at most ``n_steps`` steps of each position; by default one.

        Parameters
        ----------
        positions : C-ordered float64 array of shape (n_positions, n_features)
            Overwritten.
        n_steps : int
            At least 1.
        rest : float
            A position rests after a move of at most this, or where its neighbourhood is empty.

        Returns
        -------
        Walk
        """
        support, moves = self.shift(positions)
        return Walk(positions[:, None], support[:, None], moves[:, None])

    def sorts(self, *, scattered: bool, coalescing: bool) -> bool:
        """Whether shifts gain by sorting the positions anew after each round.

        Parameters
        ----------
        scattered : bool
            Whether the trajectories are few of many and lie apart.
        coalescing : bool
            Whether trajectories that meet go on as one.
        """
        return False

    def with_accuracy(self, accuracy: float) -> Self:
        """The same with shifts off by at most so many bandwidths; itself where exact."""
        return self

    def refined(self) -> Self:
        """The same with a hundredth of the error; itself where exact."""
        return self

    def polish(self, modes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move modes to the stationary points next to them; for a smooth density.

        Returns
        -------
        modes : float64 array of shape (n_modes, n_features)
        density : float64 array of shape (n_modes,)
        """
        raise TypeError("modes of a density that is not smooth need no polish")

    @property
    def reach(self) -> float:
        """How far apart rows may be whose densities have to do with each other: two radii."""
        return 2.0 * self.radius

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure the density whose modes trajectories converge to, at some places.

        Parameters
        ----------
        places : C-ordered float64 array of shape (n_places, n_features)
            Fastest where neighbours in space follow one another.

        Returns
        -------
        float64 array of shape (n_places,)
            A row at the place counts its weight.
        """
        ...

    def boxes(self) -> MomentTree | None:
        """The tree of the table's rows without its sums, which labelling by boxes can use."""
        return None


class TreeIndex(Index):
    """An index on the tree of its rows."""

    tree: MomentTree

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in the order of the tree."""
        return self.tree.order

    def boxes(self) -> MomentTree:
        """The tree without its sums: 16 MB less of 10M x 2 rows."""
        no_weight, no_sum = self.tree.weight[:0].copy(), self.tree.weighted_sum[:0].copy()
        return self.tree._replace(weight=no_weight, weighted_sum=no_sum)


class Request(NamedTuple):
    """What an index is built for; the attributes are the parameters of `choice.build`."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    radius: float
    accuracy: float = 1e-3
    n_seeds: int = 0
    widths: NDArray[np.float64] = UNWEIGHTED


class Kernel(Protocol):
    """How rows count, and all that the rest of the package uses of it.

    Attributes
    ----------
    is_ball : bool
        Whether the rows within the bandwidth count the same, and no others: bins, projections and
        soft cells rest on that.
    in_bandwidths : bool
        Whether its index measures in bandwidths, whatever the columns share.
    picture_bandwidths : float
        The bandwidths around rows that a picture of the density shows.
    neighbour_bandwidths : float
        The bandwidths within which a trace shows rows as neighbours.
    neighbours : str
        These in words, of a number of rows.
    title : str
        The button of the explorer.
    """

    is_ball: bool
    in_bandwidths: bool
    picture_bandwidths: float
    neighbour_bandwidths: float
    neighbours: str
    title: str

    def index(self, tree: MomentTree, request: Request) -> tuple[Index, str]:
        """The index on a tree of rows, and why this one: the radius is more than 0."""
        ...

    def mean(
        self,
        points: NDArray[np.float64],
        weights: NDArray[np.float64],
        bandwidth: float,
        position: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], float]:
        """The mean of a position's neighbours in plain NumPy, for traces, and their weight."""
        ...

    def bandwidth_of(self, radius: float, n_features: int) -> float:
        """The bandwidth as wide as a ball: with the variance that a coordinate has in the ball."""
        ...

    def image_reach(
        self, radius: float, period: NDArray[np.float64]
    ) -> float | NDArray[np.float64]:
        """How far from the seams images of rows count, where columns wrap."""
        ...

    def log_norm(self, n_features: int) -> float:
        """The logarithm of the integral of the density of a row, which is 1 at the row."""
        ...

    def variance_share(self, n_features: int) -> float:
        """The variance of a sum of that density over rows, as a share of the sum: ∫K² / ∫K."""
        ...
