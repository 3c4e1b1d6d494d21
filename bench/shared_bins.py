"""Whether the limits of `_cluster/shared_bins.py` find the fits whose bins miss clusters.

    python -m bench.shared_bins

Blobs and unit rows in 2 to 128 columns at growing bandwidths are fitted from bins and from every
row. Bins have missed clusters where the adjusted Rand index of the two labellings is below 0.9.
For each limit, with the others as they are, the table has how many of these fits would go without
a warning, and how many of the others would be warned of.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from meanshift_fast import MeanShift, get_bin_seeds
from meanshift_fast._cluster import shared_bins

N_ROWS = 600
MIN_ARI = 0.9
COLUMNS = (2, 4, 5, 8, 32, 128)
WIDTHS = (0.7, 1.0, 1.4, 2.0)  # bandwidths of blobs, in distances of a row to its centre
SPHERE_WIDTHS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)  # of unit rows
LIMITS = {
    "MIN_FEATURES": (1, 3, 4, 5, 6, 8, 16),
    "MAX_BINS": (1, 4, 16, 64, 256, 600),
    "MANY_ROWS": (32, 64, 128, 256),
    "MIN_STRAY_SHARE": (0.05, 0.1, 0.15, 0.25, 0.4, 0.6),
}
# With these all fits are tried, and none is cleared before its rows have ascended.
OPENED = {
    "MIN_FEATURES": 1, "MAX_BINS": N_ROWS, "MIN_STRAY_SHARE": 0.0,
    "MIN_NEAR_ROWS": shared_bins.TRIED_ROWS + 1,
}  # fmt: skip


class Trial(NamedTuple):
    """A fit from bins: whether they missed clusters, and what the limits are compared with."""

    is_wrong: bool
    n_features: int
    n_bins: int
    shares: dict[int, float]  # of rows that stray, by how many were tried


def tables() -> Iterator[tuple[NDArray[np.float64], float]]:
    """Yield tables with their bandwidths."""
    for n_features in COLUMNS:
        for n_clusters in (3, 20):
            rng = np.random.default_rng(n_features)
            centers = rng.standard_normal((n_clusters, n_features))
            to_center = rng.standard_normal((N_ROWS, n_features))
            X = centers[rng.integers(n_clusters, size=N_ROWS)]
            for width in WIDTHS:
                yield 3.0 * X + to_center, width * np.sqrt(n_features)
            X = X + 0.4 * to_center
            for bandwidth in SPHERE_WIDTHS:
                yield X / np.linalg.norm(X, axis=1, keepdims=True), bandwidth


def tried(X: NDArray[np.float64], bandwidth: float) -> Trial:
    """Fit a table from bins and from every row, and let rows ascend whatever the limits say."""
    shares: dict[int, float] = {}
    stray = shared_bins._stray

    def counted(ascent: Any, *others: Any) -> int:
        n_stray = stray(ascent, *others)
        shares[len(ascent.endpoints)] = n_stray / len(ascent.endpoints)
        return 0

    rows = MeanShift(bandwidth=bandwidth).fit(X)
    before = {name: getattr(shared_bins, name) for name in (*OPENED, *LIMITS)}
    try:
        shared_bins._stray = counted  # type: ignore[assignment]
        for n_rows in LIMITS["MANY_ROWS"]:
            for name, value in (OPENED | {"MANY_ROWS": n_rows}).items():
                setattr(shared_bins, name, value)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bins = MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    finally:
        shared_bins._stray = stray
        for name, value in before.items():
            setattr(shared_bins, name, value)
    is_wrong = adjusted_rand_score(rows.labels_, bins.labels_) < MIN_ARI
    return Trial(is_wrong, X.shape[1], len(get_bin_seeds(X, bandwidth)), shares)


def warns(trial: Trial, limits: dict[str, float]) -> bool:
    """Whether a fit is warned of."""
    return (
        trial.n_features >= limits["MIN_FEATURES"]
        and trial.n_bins <= limits["MAX_BINS"]
        and all(
            trial.shares.get(int(n_rows), 0.0) >= limits["MIN_STRAY_SHARE"]
            for n_rows in (16, limits["MANY_ROWS"])
        )
    )


def main() -> None:
    """Print the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trials = [tried(X, bandwidth) for X, bandwidth in tables()]
    n_wrong = sum(trial.is_wrong for trial in trials)
    print(f"{len(trials)} fits from bins, {n_wrong} of which miss clusters")
    print("| limit | missed, no warning | warned without cause |\n| --- | ---: | ---: |")
    usual = {name: getattr(shared_bins, name) for name in LIMITS}
    for name, values in LIMITS.items():
        for value in values:
            said = [warns(trial, usual | {name: value}) for trial in trials]
            pairs = list(zip(trials, said, strict=True))
            missed = sum(trial.is_wrong and not is_said for trial, is_said in pairs)
            false = sum(is_said and not trial.is_wrong for trial, is_said in pairs)
            mark = " (as it is)" if value == usual[name] else ""
            print(f"| {name} {value:g}{mark} | {missed} | {false} |")


if __name__ == "__main__":
    main()
