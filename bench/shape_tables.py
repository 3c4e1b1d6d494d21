"""Tables of the kinds that public suites of clustering hold, drawn anew from their descriptions.

The Fundamental Clustering Problems Suite [1]_, tables of the School of Computing in Joensuu [2]_,
of Graves and Pedrycz [3]_, of Chameleon [4]_ and others drawn by hand; and three of scikit-learn's
own. No row is a public table's, those three apart.

References
----------
.. [1] A. Ultsch, "Clustering with SOM: U*C", Workshop on Self-Organizing Maps, 2005.
.. [2] P. Fränti and S. Sieranoja, "K-means properties on six clustering benchmark datasets",
   Applied Intelligence 48, 2018, :doi:`10.1007/s10489-018-1238-7`.
.. [3] D. Graves and W. Pedrycz, "Kernel-based fuzzy clustering and fuzzy clustering: a comparative
   experimental study", Fuzzy Sets and Systems 161 (4), 2010, :doi:`10.1016/j.fss.2009.10.021`.
.. [4] G. Karypis, E.-H. Han and V. Kumar, "Chameleon: hierarchical clustering using dynamic
   modeling", Computer 32 (8), 1999, :doi:`10.1109/2.781637`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.shape_drawings import DRAWINGS, few_clouds, three_clouds
from bench.shape_parts import (
    Parts,
    arc,
    ball,
    box,
    cloud,
    mixed,
    spaced,
    stroke,
)

# The Fundamental Clustering Problems Suite.


def _atom(rng: Any) -> Parts:
    return [ball(rng, 400, (0, 0, 0), 10), ball(rng, 400, (0, 0, 0), 52, 48)]


def _chainlink(rng: Any) -> Parts:
    one, other = (
        np.column_stack([arc(rng, 500, 1, 0.07), rng.normal(0, 0.07, 500)]) for _ in range(2)
    )
    return [one, other[:, [0, 2, 1]] + [1, 0, 0]]


def _engytime(rng: Any) -> Parts:
    return [cloud(rng, 2048, (0, 0), (0.8, 1)), cloud(rng, 2048, (3, 3), (1.4, 1))]


def _golfball(rng: Any) -> Parts:
    return [ball(rng, 4002, (0, 0, 0), 1.0, 0.999)]


def _hepta(rng: Any) -> Parts:
    ways = np.vstack([np.zeros(3), np.eye(3), -np.eye(3)]) * 3
    return [cloud(rng, 30, way, 0.2 if i == 0 else 0.5) for i, way in enumerate(ways)]


def _lsun(rng: Any) -> Parts:
    return [
        box(rng, 200, (0, 0), (0.9, 4.8)), box(rng, 100, (1.5, 0), (5, 0.9)),
        ball(rng, 100, (3.7, 3), 0.9),
    ]  # fmt: skip


def _target(rng: Any) -> Parts:
    few = [cloud(rng, 3, (x, y), 0.1) for x in (-3.2, 3.2) for y in (-3.2, 3.2)]
    return [ball(rng, 365, (0, 0), 0.8), ball(rng, 395, (0, 0), 2.4, 2.0), *few]


def _tetra(rng: Any) -> Parts:
    ways = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return [ball(rng, 100, way, 1.2) for way in ways]


def _twodiamonds(rng: Any) -> Parts:
    turn = np.array([[1, 1], [-1, 1]]) / 2
    return [box(rng, 400, (-1, -1), (1, 1)) @ turn + [side * 1.03, 0] for side in (-1, 1)]


def _wingnut(rng: Any) -> Parts:
    one = np.column_stack([2 * rng.beta(1, 1.8, 508), 1.5 * rng.beta(1.6, 1, 508)])
    return [one * [1, 1] + [0.15, -1.6], -(one * [1, 1] + [0.15, -1.6])]


# Graves and Pedrycz.


def _dense(rng: Any) -> Parts:
    return [cloud(rng, 100, (0, 0), 0.15), cloud(rng, 100, (2, 0.3), (0.6, 0.6))]


def _fuzzyx(rng: Any) -> Parts:
    return [
        rng.normal(0, (2.2, 0.35), (500, 2)) @ np.array([[1, 1], [-1, 1]]) * side + [0, 0.0]
        for side in ([1, 1], [1, -1])
    ]


def _line(rng: Any) -> Parts:
    return [stroke(rng, 100, [(0, 0), (0, 10)], 0.05), cloud(rng, 150, (3, 5), 0.8)]


def _parabolic(rng: Any) -> Parts:
    x, parts = rng.uniform(-2, 2, (2, 500)), []
    for side, at in zip((1, -1), x, strict=True):
        parts.append(
            np.column_stack([at + side, side * (at**2 - 1.7)]) + rng.normal(0, 0.3, (500, 2))
        )
    return parts


def _ring(rng: Any) -> Parts:
    return [ball(rng, 700, (0, 0), 4.5, 3.3), cloud(rng, 300, (0, 0), 0.6)]


def _ring_noisy(rng: Any) -> Parts:
    return [*_ring(rng), box(rng, 50, (-5, -5), (5, 5))]


def _ring_outliers(rng: Any) -> Parts:
    return [*_ring(rng), box(rng, 15, (6, 6), (8, 8)), box(rng, 15, (-8, -8), (-6, -6))]


def _zigzag(rng: Any) -> Parts:
    return [
        stroke(rng, 75, [(0, 0), (1, 2), (2, 0), (3, 2)], 0.05),
        stroke(rng, 75, [(0, 1), (1, 3), (2, 1), (3, 3)], 0.05),
        cloud(rng, 100, (4.5, 1.5), 0.3),
    ]


def _zigzag_noisy(rng: Any) -> Parts:
    return [*_zigzag(rng), box(rng, 50, (-0.5, -0.5), (5.5, 3.5))]


def _zigzag_outliers(rng: Any) -> Parts:
    return [*_zigzag(rng), box(rng, 15, (-3, 4), (-1, 6)), box(rng, 15, (7, -3), (9, -1))]


# Joensuu.


def _grid_of_clouds(k: int, each: int, overlap: float) -> Callable[[Any], Parts]:
    """As a1 to a3 and s1 to s4: that many clouds, with a width as a share of their distance."""

    def clouds(rng: Any) -> Parts:
        middles = spaced(rng, k, 2, 1.0, 1.15 * k**0.5)
        widths = rng.uniform(0.7, 1.2, (k, 2)) * overlap
        return [
            cloud(rng, each, middle, width) for middle, width in zip(middles, widths, strict=True)
        ]

    return clouds


def _aggregation(rng: Any) -> Parts:
    return [
        ball(rng, 170, (9, 23), 4), ball(rng, 34, (7, 10), 1.8), ball(rng, 273, (20, 7), 5.2),
        ball(rng, 102, (21, 23), 3.2), ball(rng, 130, (32.6, 22), 3.6),
        ball(rng, 45, (33, 8.5), 2.2), ball(rng, 34, (11.9, 5.8), 1.6),
    ]  # fmt: skip


def _compound(rng: Any) -> Parts:
    return [
        cloud(rng, 50, (12, 19), 1.2), cloud(rng, 92, (19, 19), (1.1, 1.3)),
        ball(rng, 16, (13, 9), 1), ball(rng, 45, (13, 9), 5, 4.3),
        cloud(rng, 38, (34, 13), (1.5, 3.5)), stroke(rng, 158, [(30, 7), (32, 13), (31, 20)], 0.7),
    ]  # fmt: skip


def _flame(rng: Any) -> Parts:
    cap = arc(rng, 153, 5.2, 0.75, (0, -1.5), (-0.08, 1.08))
    return [cap, ball(rng, 87, (0, -1.2), 2.8) * [1.15, 0.8]]


def _jain(rng: Any) -> Parts:
    return [arc(rng, 97, 11, 1.3, turn=(0, 1)), arc(rng, 276, 11, 1.1, (12, 2), (1, 2))]


def _pathbased(rng: Any) -> Parts:
    return [
        arc(rng, 110, 13, 0.8, turn=(-0.25, 1.25)), cloud(rng, 97, (-5, -2), 1.9),
        cloud(rng, 93, (5, -2), 1.9),
    ]  # fmt: skip


def _r15(rng: Any) -> Parts:
    rings = [(0.0, 1), (2.4, 7), (6.5, 7)]
    return [
        cloud(rng, 40, (r * np.cos(2 * np.pi * i / n), r * np.sin(2 * np.pi * i / n)), 0.33)
        for r, n in rings
        for i in range(n)
    ]


def _spiral(rng: Any) -> Parts:
    parts = []
    for turn in 2 * np.pi * np.arange(3) / 3:
        t = np.linspace(0.7, 4.4, 105)
        rows = np.column_stack([t * np.cos(1.45 * t + turn), t * np.sin(1.45 * t + turn)])
        parts.append(rows + rng.normal(0, 0.04, rows.shape))
    return parts


def _unbalance(rng: Any) -> Parts:
    dense = [cloud(rng, 2000, (x, y), 0.25) for x, y in ((0, 0), (1.6, 1.4), (0.2, 2.6))]
    return dense + [cloud(rng, 100, (9 + 2 * (i % 2), 1.6 * (i // 2)), 0.3) for i in range(5)]


def _dim(d: int) -> Callable[[Any], Parts]:
    def clouds(rng: Any) -> Parts:
        return [cloud(rng, 64, middle, 4) for middle in rng.uniform(20, 230, (16, d))]

    return clouds


def _birch1(rng: Any) -> Parts:
    return [cloud(rng, 200, (i, j), 0.19) for i in range(10) for j in range(10)]


def _birch2(rng: Any) -> Parts:
    return [cloud(rng, 200, (i, 3 * np.sin(i / 6)), 0.17) for i in range(100)]


def _worms(rng: Any) -> Parts:
    parts = []
    for middle in spaced(rng, 12, 2, 2.6, 12):
        turn, bend, size = rng.uniform(0, 6.3), rng.uniform(-1, 1), rng.integers(600, 1400)
        angles = turn + bend * np.linspace(0, 2, 50)
        track = middle + np.cumsum(np.column_stack([np.cos(angles), np.sin(angles)]), axis=0) * 0.05
        parts.append(stroke(rng, size, track, 0.22))
    return parts


# Of the repository of machine learning in Irvine, in kind.


def _ecoli(rng: Any) -> Parts:
    return mixed(rng, [143, 77, 52, 35, 20, 5, 2, 2], 7, 4.0, 0.5)


def _glass(rng: Any) -> Parts:
    parts = mixed(rng, [70, 76, 17, 13, 9, 29], 9, 2.2, 0.7)
    return [np.sign(part) * np.abs(part) ** 1.3 for part in parts]


def _yeast(rng: Any) -> Parts:
    return mixed(rng, [463, 429, 244, 163, 51, 44, 35, 30, 20, 5], 8, 2.0, 0.4)


def _statlog(rng: Any) -> Parts:
    parts = mixed(rng, [330] * 7, 6, 4.5, 0.6)
    mix = np.random.default_rng(5).normal(size=(6, 19))
    return [part @ mix + rng.normal(0, 0.3, (len(part), 19)) for part in parts]


def _shipped(name: str, share: float = 0.9) -> Callable[[Any], Parts]:
    def rows(rng: Any) -> Parts:
        from sklearn import datasets

        table, truth = getattr(datasets, f"load_{name}")(return_X_y=True)
        kept = rng.random(len(table)) < share
        return [table[kept & (truth == label)] for label in np.unique(truth)]

    return rows


PUBLIC_KINDS: dict[str, Callable[[Any], Parts]] = {
    kind.__name__.strip("_"): kind
    for kind in (
        _atom, _chainlink, _engytime, _golfball, _hepta, _lsun, _target, _tetra,
        _twodiamonds, _wingnut, _dense, _fuzzyx, _line, _parabolic, _ring, _ring_noisy,
        _ring_outliers, _zigzag, _zigzag_noisy, _zigzag_outliers, _aggregation, _compound,
        _flame, _jain, _pathbased, _r15, _spiral, _unbalance, _birch1, _birch2, _worms,
        _ecoli, _glass, _yeast, _statlog,
    )
} | DRAWINGS  # fmt: skip
PUBLIC_KINDS |= {
    "a1": _grid_of_clouds(20, 150, 0.2), "a2": _grid_of_clouds(35, 150, 0.2),
    "a3": _grid_of_clouds(50, 150, 0.2), "s1": _grid_of_clouds(15, 333, 0.17),
    "s2": _grid_of_clouds(15, 333, 0.23), "s3": _grid_of_clouds(15, 333, 0.31),
    "s4": _grid_of_clouds(15, 333, 0.36), "d31": _grid_of_clouds(31, 100, 0.22),
    "dim8": _dim(8), "dim15": _dim(15), "mk1": three_clouds(2, 100, 3.5),
    "mk3": three_clouds(3, 200, 3.0), "x1": few_clouds([40, 40, 40], 0.15),
    "x2": few_clouds([60, 40, 20], 0.2), "x3": few_clouds([90, 60, 25, 10], 0.15),
    "z1": few_clouds([64, 64, 64], 0.28), "iris": _shipped("iris"),
    "wine": _shipped("wine"),
    "breast_cancer": _shipped("breast_cancer"),
}  # fmt: skip
NOISY_KINDS = ("ring_noisy", "zigzag_noisy", "t4", "t5", "t7", "t8", "moons_and_blobs")
