"""The tables of points that several suites share, each small, each from a fixed seed."""

import numpy as np
from sklearn.datasets import load_digits, load_sample_image


def blobs(n_samples, n_features, *, n_blobs=4, spread=0.4, box=10.0, seed=0):
    """Gaussian blobs about centres drawn in a box: generic, no two sums alike."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(0, box, (n_blobs, n_features))
    which = rng.integers(0, n_blobs, n_samples)
    return centers[which] + spread * rng.standard_normal((n_samples, n_features))


def lattice(*shape):
    """Every integer point of a box: for a whole bandwidth, rows exactly on the sphere."""
    return np.indices(shape).reshape(len(shape), -1).T.astype(float)


def scattered(n_samples, n_features, *, side=6, step=1.0, seed=0):
    """Random lattice points, with duplicates and gaps. Their sums are exact in float64."""
    rng = np.random.default_rng(seed)
    return step * rng.integers(0, side, (n_samples, n_features)).astype(float)


def rounded(points, step=1 / 64):
    """The same points on a fine lattice, so that sums are exact, in float32 too."""
    return np.round(points / step) * step


def directions(n_samples, n_features, *, k=8, noise=0.7, seed=0):
    """Unit rows about some directions, with isotropic noise."""
    rng = np.random.default_rng(seed)
    axes = rng.standard_normal((k, n_features))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    rows = axes[rng.integers(k, size=n_samples)]
    rows = rows + noise * rng.standard_normal(rows.shape) / np.sqrt(n_features)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pixels(every):
    """Every so many-th pixel of scikit-learn's photograph, rows of uint8 RGB."""
    return load_sample_image("china.jpg")[::every, ::every].reshape(-1, 3)


def digits(n_samples):
    """Handwritten digits, 64 grey values each."""
    return load_digits().data[:n_samples]
