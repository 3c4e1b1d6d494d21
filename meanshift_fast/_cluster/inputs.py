"""What a fit takes: its rows, and its settings."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._index import choice, thresholds
from meanshift_fast._index.base import Index
from meanshift_fast._index.choice import Trees
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.metrics import EUCLIDEAN, Metric
from meanshift_fast._input.scaling import Units, is_number, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED, without_weightless
from meanshift_fast._jit.threads import no_threads_error

BANDWIDTH_RULES = ("scott", "silverman", "stable", "fine")
CHOICES = {"kernel": tuple(KERNELS), "assign": ("nearest", "basin")}

Bandwidth = float | NDArray[np.float64]


def takes_one_thread(points: NDArray[Any], n_positions: int = 0) -> bool:
    """Whether a table, and so many positions in it, are too small to wake other threads."""
    return points.size * max(len(points), n_positions) <= thresholds.MAX_ONE_THREAD_ROW_VALUES


class Settings(NamedTuple):
    """The parameters of a fit, as :class:`meanshift_fast.MeanShift` documents them."""

    bandwidth: float | str | ArrayLike | None
    kernel: str
    seeds: ArrayLike | None
    bin_seeding: bool
    min_bin_freq: int
    cluster_all: bool
    assign: str
    tol: float
    max_iter: int
    coalesce: float
    accuracy: float
    min_support: float = 0.0
    n_jobs: int | None = None
    metric: Metric = EUCLIDEAN
    min_prominence: float | str = 0.0

    @property
    def are_plain(self) -> bool:
        """Whether a fit is the flat kernel's from bins, with labels by the nearest of all modes."""
        return (
            self.metric.is_plain
            and self.bin_seeding
            and self.seeds is None
            and KERNELS[self.kernel].is_ball
            and self.assign == "nearest"
            and self.min_support == 0.0
            and self.min_prominence == 0.0
        )

    def fit_takes_one_thread(self, points: NDArray[Any]) -> bool:
        """Whether a fit of a table is too small to wake other threads."""
        is_small = points.size <= thresholds.MAX_ONE_THREAD_VALUES
        if is_small and self.are_plain and is_number(self.bandwidth):
            return True
        return self.seeds is None and takes_one_thread(points)

    def checked(self) -> "Settings":
        """Refuse what would give a wrong answer; scikit-learn's validation can be switched off."""
        for name, choices in CHOICES.items():
            word = getattr(self, name)
            if word not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {quoted(word)}")
        self._check_bandwidth()
        for name in ("tol", "coalesce", "accuracy", "max_iter", "min_support"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")
        least = self.min_prominence
        is_auto = isinstance(least, str) and least == "auto"
        if not is_auto and not (is_number(least) and 0.0 <= least < 1.0):
            raise ValueError(
                'min_prominence must be at least 0 and below 1, or "auto", got '
                f"{quoted(self.min_prominence)}"
            )
        if self.min_bin_freq < 1:
            raise ValueError(f"min_bin_freq must be at least 1, got {self.min_bin_freq}")
        if self.n_jobs == 0:
            raise no_threads_error()
        return self

    def _check_bandwidth(self) -> None:
        """Refuse a bandwidth that is neither a length nor a rule; arrays are checked with X."""
        if isinstance(self.bandwidth, str) and self.bandwidth not in BANDWIDTH_RULES:
            raise ValueError(
                f"bandwidth must be a number, one for each feature, or one of {BANDWIDTH_RULES}, "
                f"got {quoted(self.bandwidth)}"
            )
        if is_number(self.bandwidth) and not 0.0 < self.bandwidth < math.inf:
            raise ValueError(f"bandwidth must be positive and finite, got {self.bandwidth}")

    def units(
        self, bandwidth: Bandwidth, *tables: NDArray[np.float64], in_bins: bool = False
    ) -> Units:
        """The engine's unit for some tables in its columns."""
        in_bandwidths = KERNELS[self.kernel].in_bandwidths
        return self.metric.units(bandwidth, *tables, in_bandwidths=in_bandwidths, in_bins=in_bins)

    def arrange(
        self,
        points: NDArray[np.float64],
        weights: NDArray[np.float64],
        units: Units,
        *,
        widths: NDArray[np.float64] = UNWEIGHTED,
        n_seeds: int = 0,
        trees: Trees | None = None,
    ) -> Index:
        """Arrange rows, in the engine's unit, as `choice.build` does."""
        return choice.build(
            points, weights, radius=units.radius, kernel=self.kernel, accuracy=self.accuracy,
            n_seeds=n_seeds, widths=widths, space=units, trees=trees,
        )  # fmt: skip

    def limit(self, radius: float) -> float | None:
        """How far from a mode a row may be labelled; None where it does not matter."""
        return None if self.cluster_all else radius


class Rows(NamedTuple):
    """The rows of a fit.

    Attributes
    ----------
    table : array of shape (n_samples, n_features)
        The rows as they came, in their own dtype.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    widths : float64 array of shape (n_samples,) or (0,)
        How many bandwidths wide they are, where they are points of cells.
    heavy : array of shape (n_heavy, n_features)
        The rows that weigh anything; the others take part in nothing but the labels.
    points : read-only C-ordered float64 array of shape (n_heavy, n_features)
        The same as the kernels take them.
    heavy_weights, heavy_widths : float64 arrays of shape (n_heavy,) or (0,)
        Theirs.
    trees : dict, or None
        Where their trees are kept for other bandwidths; see `choice.build`.
    """

    table: NDArray[Any]
    weights: NDArray[np.float64]
    widths: NDArray[np.float64]
    heavy: NDArray[Any]
    points: NDArray[np.float64]
    heavy_weights: NDArray[np.float64]
    heavy_widths: NDArray[np.float64]
    trees: Trees | None = None

    @classmethod
    def of(
        cls,
        table: NDArray[Any],
        weights: NDArray[np.float64],
        widths: NDArray[np.float64],
        trees: Trees | None = None,
    ) -> "Rows":
        """Set the rows of weight 0 aside."""
        heavy, heavy_weights = without_weightless(table, weights)
        heavy_widths = widths[weights > 0.0] if widths.size and weights.size else widths
        points = readonly_table(heavy)
        return cls(table, weights, widths, heavy, points, heavy_weights, heavy_widths, trees)

    @property
    def all_weigh(self) -> bool:
        """Whether no row has weight 0."""
        return len(self.points) == len(self.table)

    @property
    def are_bare(self) -> bool:
        """Whether they are rows, each of weight 1."""
        return not self.weights.size and not self.widths.size
