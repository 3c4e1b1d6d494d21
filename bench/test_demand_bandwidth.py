"""The bandwidth: at least 100 times scikit-learn's speed, and no shape of rows a cliff."""

import numpy as np
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


def test_no_shape_in_few_columns_takes_five_times_as_long_as_uniform_rows() -> None:
    rng, n_rows = np.random.default_rng(0), 40_000
    uniform = rng.uniform(size=(n_rows, 2))
    speck = np.vstack([uniform[::2], 0.5 + 1e-6 * rng.standard_normal((n_rows // 2, 2))])
    shapes = {
        "half of the rows in a speck": speck,
        "a geometric series": np.exp(np.linspace(0, 300, n_rows))[:, None],
        "heavy tails": rng.pareto(0.3, (n_rows, 2)),
        "ten binary columns": rng.integers(0, 2, (n_rows, 10)).astype(float),
    }
    usual = median_seconds(estimate_bandwidth, uniform)
    times = {name: median_seconds(estimate_bandwidth, X) / usual for name, X in shapes.items()}
    assert max(times.values()) <= 5, times
