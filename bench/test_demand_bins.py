"""A million rows with bins: at least 100 times scikit-learn's speed, 25 times mlpack's."""

from collections.abc import Callable

from bench.workloads import WORKLOADS, Workload


def test_a_million_rows_with_bins(race: Callable[[Workload], dict[str, float]]) -> None:
    ratios = race(WORKLOADS["bins-1m"])
    assert ratios["scikit-learn"] >= 100
    assert ratios["mlpack"] >= 25
