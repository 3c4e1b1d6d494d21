"""Tables that are hard on a fit, and what every fit must hold whatever the table."""

import numpy as np

import naive

DOCUMENTED = (
    r"NaN|infinity|No point was within bandwidth=|min_bin_freq=\d+ leaves no seed"
    r"|bandwidth=.* is too small for X|sample_weight must"
)
SHAPES = (
    "lattice", "noise", "blobs", "duplicates", "line", "geometric", "one heavy cell", "constant",
)  # fmt: skip


def shaped(shape, n_samples, n_features, rng):
    """A table of some shape on the scale of 1."""
    noise = rng.standard_normal((n_samples, n_features))
    if shape == "lattice":
        return rng.integers(-4, 5, noise.shape).astype(float)
    if shape == "blobs":
        return rng.uniform(-8, 8, (9, n_features))[rng.integers(9, size=n_samples)] + noise / 4
    if shape == "duplicates":
        return noise[rng.integers(0, max(n_samples // 5, 1), n_samples)]
    if shape == "line":
        return rng.uniform(0, 5, (n_samples, 1)) * noise[0]
    if shape == "geometric":
        return 2.0 ** rng.uniform(-30, 4, noise.shape) * np.sign(noise)
    if shape == "one heavy cell":
        return np.where(np.arange(n_samples)[:, None] % 9 == 0, 40 * noise, 1e-9 * noise)
    if shape == "constant":
        return np.full(noise.shape, noise[0, 0])
    return noise


def as_whole(X, dtype):
    """The same shape in whole numbers of an integer type, none of them beyond its ends."""
    ends = np.iinfo(dtype)
    return np.clip(np.round(8 * X), max(ends.min, -1000), min(ends.max, 1000)).astype(dtype)


def reach(X):
    """The median distance of the rows from the first; never 0, nor infinite."""
    rows = X.astype(float)
    unit = np.abs(rows).max()
    if unit == 0 or not np.isfinite(unit):
        return 1.0
    rows /= unit
    return float(np.sqrt(np.median(naive.distances_sq(rows, rows[0])))) * unit or unit


def check_answer(model, X, weights):
    """What holds of any fit of a table, its rows' weights given; labels come from predict, too."""
    assert np.isfinite(X).all()
    centers, labels, support = model.cluster_centers_, model.labels_, model.mode_weight_
    n_modes = len(centers)
    assert n_modes >= 1
    assert centers.shape == (n_modes, X.shape[1])
    assert np.isfinite(centers).all()
    assert labels.shape == (len(X),)
    assert labels.dtype == np.int64
    assert labels.min() >= (0 if model.cluster_all else -1)
    assert labels.max() < n_modes
    assert support.shape == (n_modes,)
    assert (support > 0).all()
    assert (np.diff(support) <= 0).all()
    assert 0 <= model.n_iter_ <= model.max_iter
    assert len(model.history_) == model.n_iter_ + 1
    np.testing.assert_array_equal(model.predict(X), labels)
    _, group = np.unique(X, axis=0, return_inverse=True)
    first = np.unique(group.ravel(), return_index=True)[1]
    np.testing.assert_array_equal(labels, labels[first][group.ravel()])
    if model.kernel == "flat" and model.n_iter_ < model.max_iter and np.all(model.bandwidth_ > 0):
        check_balls(model, X, weights)


def check_balls(model, X, weights):
    """Each centre is the mean of the ball about a place at most ``tol`` bandwidths away."""
    rows = X.astype(float) / model.bandwidth_
    centers = model.cluster_centers_.astype(float) / model.bandwidth_
    # What rounding takes: of the rows, and of the centre where that is float32.
    slack = 1e-9 + 8 * np.finfo(model.cluster_centers_.dtype).eps * np.abs(rows).max()
    for center, support in zip(centers, model.mode_weight_, strict=True):
        away = np.sqrt(naive.distances_sq(rows, center))
        surely = (away < 1 - model.tol - slack) & (weights > 0)
        maybe = (away < 1 + model.tol + slack) & (weights > 0)
        least, most = weights[surely].sum(), weights[maybe].sum()
        assert least * (1 - 1e-9) <= support <= most * (1 + 1e-9)
        if (surely == maybe).all():
            share = weights[surely] / least
            # from the centre, so that a sum of many rows rounds to no more than slack
            np.testing.assert_allclose(share @ (rows[surely] - center), 0, rtol=0, atol=slack)
