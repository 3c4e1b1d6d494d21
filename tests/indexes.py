"""Indexes for tests: the flat one step by step, and any function that moves positions."""

from dataclasses import dataclass

from meanshift_fast._index.base import Index
from meanshift_fast._index.flat import FlatIndex
from meanshift_fast._index.moment_tree import build
from meanshift_fast._input.scaling import readonly
from meanshift_fast._input.weights import UNWEIGHTED


def built_tree(points, weights=UNWEIGHTED):
    """The moment tree of arrays; kernels are compiled anew for those that could be written to."""
    return build(readonly(points), readonly(weights))


@dataclass(frozen=True)
class SteppedIndex(FlatIndex):
    """The flat index, whose steps are not memoised."""

    depends_on_position_alone = False


@dataclass(frozen=True)
class FunctionIndex(Index):
    """An index whose shift is a function of positions: moves them, returns support and moves."""

    move: object
    radius: float = 1.0
    depends_on_position_alone: bool = False

    def shift(self, positions):
        return self.move(positions)


@dataclass(frozen=True)
class CountedIndex(FlatIndex):
    """The flat index, which lists how many positions each call is given."""

    calls: list = None
    depends_on_position_alone: bool = True

    def shift(self, positions):
        self.calls.append(len(positions))
        return super().shift(positions)

    def walk(self, positions, n_steps, rest):
        self.calls.append(len(positions))
        return super().walk(positions, n_steps, rest)
