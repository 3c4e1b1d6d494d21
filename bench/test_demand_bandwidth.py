"""The bandwidth of twenty thousand rows: at least 100 times scikit-learn's speed."""

import pytest
import sklearn.cluster

from bench.clock import median_seconds
from bench.workloads import BANDWIDTH_ROWS, blobs
from meanshift_fast import estimate_bandwidth


def test_the_bandwidth_of_twenty_thousand_rows() -> None:
    points = blobs(BANDWIDTH_ROWS)
    expected = sklearn.cluster.estimate_bandwidth(points)
    assert estimate_bandwidth(points) == pytest.approx(expected, rel=1e-9, abs=0)
    theirs = median_seconds(sklearn.cluster.estimate_bandwidth, points, budget=60, most=3)
    assert theirs / median_seconds(estimate_bandwidth, points) >= 100
