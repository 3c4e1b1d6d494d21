"""Twenty thousand seeds: at least 300 times scikit-learn's speed on all its processes."""

from collections.abc import Callable

from bench.workloads import WORKLOADS, Workload


def test_every_row_of_twenty_thousand_a_seed(race: Callable[[Workload], dict[str, float]]) -> None:
    assert race(WORKLOADS["rows-20k"])["scikit-learn"] >= 300
