"""Columns that wrap around: rows repeat across the seams, and positions come back over them.

    -reach        0                          period     period + reach
      . o o . . . | o o . . . . . . . . o o . | o o . . .
        images            the rows                images

A position between 0 and the period has all of its ball, so any index of the rows and their images
finds its mean; the mean is wrapped. The flat kernel reaches a bandwidth far. Of the Gaussian all
images count, as a wrapped normal's do, but those that weigh nothing beside the nearest: `Kernel`
says how far images matter.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.base import Index
from meanshift_fast._index.equal_rows import distinct_rows, equal_rows
from meanshift_fast._input.scaling import readonly, readonly_table
from meanshift_fast._input.wrapping import wrapped

MARGIN = 1.0 + 1e-9  # times the reach: an image may be rounded
# More values than these 2 GB, and more images of each row on average, are refused: each column
# multiplies the images, by 2 where the kernel reaches half of its period.
MAX_IMAGE_VALUES, MAX_IMAGES_A_ROW = 1 << 28, 16


class Repeated(NamedTuple):
    """Rows and their images.

    Attributes
    ----------
    points : read-only C-ordered float64 array of shape (n_images, n_features)
        The rows first, in their order.
    rows : int64 array of shape (n_images,)
        The row that each is an image of.
    """

    points: NDArray[np.float64]
    rows: NDArray[np.int64]

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What belongs to each image, of what belongs to each row; empty stays empty."""
        return readonly(values[self.rows]) if values.size else values


def repeated(
    points: NDArray[np.float64], period: NDArray[np.float64], reach: float | NDArray[np.float64]
) -> Repeated:
    """Repeat rows across the seams, as far as a kernel reaches; an error where there are too many.

    Columns that wrap are between 0 and their period, which is infinite for the others. ``reach`` is
    in the unit of the rows, for all columns or for each.
    """
    table, rows = points, np.arange(len(points))
    reaches = np.broadcast_to(np.asarray(reach) * MARGIN, len(period))
    wrapping = np.flatnonzero(period < math.inf)
    _check_room(points, period, reaches, wrapping)
    for column in wrapping:
        tables, numbers = [table], [rows]
        for values, some in _images_along(table[:, column], period[column], reaches[column]):
            image = table.take(some, axis=0)
            image[:, column] = values[some]
            tables.append(image)
            numbers.append(rows[some])
        table, rows = np.concatenate(tables), np.concatenate(numbers)
    return Repeated(readonly_table(table), rows)


def _images_along(
    values: NDArray[np.float64], length: float, reach: float
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """The values of one column a turn or more away, and which of them a kernel reaches."""
    for turn in range(1, math.ceil(reach / length) + 1):
        for away in (turn * length, -turn * length):
            images = values + away
            yield images, np.flatnonzero((images >= -reach) & (images <= length + reach))


def _check_room(
    points: NDArray[np.float64],
    period: NDArray[np.float64],
    reaches: NDArray[np.float64],
    wrapping: NDArray[np.intp],
) -> None:
    """Count the images of rows, where they may be too many, and refuse them."""
    with np.errstate(over="ignore"):
        most = np.prod(1.0 + 2.0 * np.ceil(reaches[wrapping] / period[wrapping]))
        if most * points.size <= MAX_IMAGE_VALUES:
            return
        n_images = np.ones(len(points))
        for column in wrapping:
            n_along = np.ones(len(points))
            for _, some in _images_along(points[:, column], period[column], reaches[column]):
                n_along[some] += 1.0
            n_images *= n_along
        total = float(n_images.sum())
    if total > MAX_IMAGES_A_ROW * len(points) and total * points.shape[1] > MAX_IMAGE_VALUES:
        raise ValueError(
            f"period must leave room for the images of rows across the seams, got {total:.3g} of "
            f"{len(points)} rows in {len(wrapping)} columns that wrap; give a smaller bandwidth, "
            "fewer rows, or None for some of the columns"
        )


class _Opposite(NamedTuple):
    """The distinct rows and their weights; and the columns half of whose period is the bandwidth.

    Such a ball holds two images of a row that is exactly opposite.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    columns: NDArray[np.int64]


@dataclass(frozen=True)
class TorusIndex(Index):
    """Rows among their images, in another index.

    Attributes
    ----------
    inner : Index
        Of the rows and their images.
    period : float64 array of shape (n_features,)
        In the unit of the positions; infinite for columns that do not wrap.
    n_rows : int
        How many of the inner index's rows are no images.
    opposite : _Opposite or None
        For the flat kernel, where a bandwidth is half of a period.
    """

    inner: Index
    period: NDArray[np.float64]
    n_rows: int
    radius: float
    opposite: _Opposite | None
    depends_on_position_alone: bool = False
    is_smooth: bool = False

    @classmethod
    def of(
        cls,
        inner: Index,
        period: NDArray[np.float64],
        points: NDArray[np.float64],
        weights: NDArray[np.float64],
        *,
        whole: bool,
    ) -> Self:
        """The index of rows, from that of their images; ``whole`` where they count or do not."""
        halves = np.flatnonzero(2.0 * inner.radius >= period)
        opposite = (
            _Opposite(*distinct_rows(points, weights), halves) if whole and halves.size else None
        )
        return cls(
            inner, period, len(points), inner.radius, opposite, inner.depends_on_position_alone,
            inner.is_smooth,
        )  # fmt: skip

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in an order of neighbourhood, without their images."""
        order: NDArray[np.signedinteger] = self.inner.order
        return order[order < self.n_rows]

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the rows about it, the short way round."""
        begun = positions.copy() if self.opposite else positions
        support, moves = self.inner.shift(positions)
        if self.opposite:
            self._count_opposite_once(begun, positions, support, moves)
        wrapped(positions, self.period)
        return support, moves

    def _count_opposite_once(
        self,
        begun: NDArray[np.float64],
        means: NDArray[np.float64],
        support: NDArray[np.float64],
        moves: NDArray[np.float64],
    ) -> None:
        """Take one of two images of a row out of the means: the one across the seam."""
        assert self.opposite is not None
        for column in self.opposite.columns:
            length, own = self.period[column], begun[:, column]
            across = np.where(own < 0.5 * length, 0.5, -0.5) * length
            rows = begun.copy()
            rows[:, column] += across
            image = rows[:, column] - np.sign(across) * length
            is_twice = np.maximum(np.abs(rows[:, column] - own), np.abs(image - own)) <= self.radius
            found = equal_rows(readonly(rows), self.opposite.points)
            some = np.flatnonzero((found >= 0) & is_twice)
            weight = self.opposite.weights[found[some]]
            rows[:, column] = image
            sums = means[some] * support[some, None] - rows[some] * weight[:, None]
            support[some] -= weight
            means[some] = sums / support[some, None]
            moves[some] = np.linalg.norm(means[some] - begun[some], axis=1)

    def sorts(self, *, scattered: bool, coalescing: bool) -> bool:
        """As the inner index does."""
        return self.inner.sorts(scattered=scattered, coalescing=coalescing)

    @property
    def reach(self) -> float:
        """That of the inner index."""
        return self.inner.reach

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the rows and their images, at the places brought between the seams."""
        return self.inner.density(wrapped(places.copy(), self.period))

    def with_accuracy(self, accuracy: float) -> Self:
        """The same with another error."""
        return replace(self, inner=self.inner.with_accuracy(accuracy))

    def refined(self) -> Self:
        """The same with a stricter bound on the error."""
        return replace(self, inner=self.inner.refined())

    def polish(self, modes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move modes to the stationary points next to them."""
        polished, density = self.inner.polish(modes)
        return wrapped(polished, self.period), density
