"""Tables drawn by hand, in kind: strokes, rings, waves and boxes, some among noise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.shape_parts import Parts, arc, ball, box, cloud, curve, sine, spaced, stroke

# Chameleon, and others with noise.


def _noisy(rng: Any, parts: Parts, share: float) -> Parts:
    rows = np.concatenate(parts)
    low, high = rows.min(axis=0), rows.max(axis=0)
    edge = 0.03 * (high - low)
    return [*parts, rng.uniform(low - edge, high + edge, (int(share * len(rows)), rows.shape[1]))]


def _t4(rng: Any) -> Parts:
    wave = curve(rng, 700, lambda t: (t, 160 + 60 * np.sin(t / 25)), 20, 600, 4)
    parts = [
        stroke(rng, 1600, [(60, 60), (180, 60), (180, 280)], 13, even=True),
        stroke(rng, 1300, [(250, 290), (330, 290), (330, 200), (400, 200)], 12, even=True),
        ball(rng, 1000, (130, 210), 42), arc(rng, 1300, 75, 8, (480, 90), (0, 1.4)),
        box(rng, 1000, (450, 230), (600, 300)), wave,
    ]  # fmt: skip
    return _noisy(rng, parts, 0.1)


def _t5(rng: Any) -> Parts:
    parts = []
    for i in range(6):
        x, y = 90 * i, 30 * (i % 2)
        slant = 30 if i % 3 else -25
        parts.append(
            stroke(rng, 1200, [(x, y), (x + slant, y + 150), (x + 45, y + 150)], 9, even=True)
        )
    bar = stroke(rng, 350, [(-30, 90), (530, 80)], 2)
    return _noisy(rng, [*parts, bar], 0.05)


def _t7(rng: Any) -> Parts:
    parts = [
        arc(rng, 1300, 60, 7, (90, 380), (0.2, 1.8)), ball(rng, 400, (90, 380), 22),
        arc(rng, 1100, 70, 7, (280, 400), (1, 2)), arc(rng, 1100, 70, 7, (350, 360), (0, 1)),
        stroke(rng, 1500, [(40, 60), (300, 60), (300, 130), (120, 130)], 10, even=True),
        stroke(rng, 1300, [(420, 40), (420, 200), (520, 200), (520, 40)], 11, even=True),
        ball(rng, 700, (600, 330), 45), box(rng, 1100, (490, 250), (540, 430)),
        stroke(rng, 700, [(60, 230), (380, 250)], 7, even=True),
    ]  # fmt: skip
    return _noisy(rng, parts, 0.08)


def _t8(rng: Any) -> Parts:
    parts = []
    for i, (x, y, turn) in enumerate(
        [(80, 80, 0.4), (230, 100, 2.1), (400, 80, 1.2), (560, 120, 0.2), (110, 280, 1.7),
         (290, 290, 0.9), (450, 280, 2.6), (590, 300, 1.5)]
    ):  # fmt: skip
        length = 90 - 6 * i
        way = length * np.array([np.cos(turn), np.sin(turn)])
        middle = np.array([x, y])
        bent = middle + 20 * np.array([-np.sin(turn), np.cos(turn)])
        parts.append(stroke(rng, 400 + 130 * i, [middle - way, bent, middle + way], 13, even=True))
    return _noisy(rng, parts, 0.06)


def _moons_and_blobs(rng: Any) -> Parts:
    parts = [
        arc(rng, 400, 0.25, 0.03, (-0.1, 0.1), (0, 1)),
        arc(rng, 400, 0.25, 0.03, (0.15, 0.2), (1, 2)),
        cloud(rng, 400, (0.35, -0.3), 0.05), cloud(rng, 300, (-0.3, -0.25), 0.04),
        cloud(rng, 300, (-0.1, 0.5), 0.05), cloud(rng, 250, (0.45, 0.35), 0.03),
    ]  # fmt: skip
    return _noisy(rng, parts, 0.12)


def _square(rng: Any) -> Parts:
    return [box(rng, 500, (0, 0), (1, 1)), box(rng, 500, (1.15, 0), (2.15, 1))]


# Drawn by hand.


def _circles(rng: Any) -> Parts:
    return [arc(rng, 1000, r, 0.12) for r in (1, 2, 3, 4)]


def _cross(rng: Any) -> Parts:
    arms = [stroke(rng, 400, [(0.9 * x, 0.9 * y), (4 * x, 4 * y)], 0.25) for x, y in
            ((1, 0), (0, 1), (-1, 0), (0, -1))]  # fmt: skip
    return [*arms, box(rng, 400, (2.2, 2.2), (3.5, 3.5))]


def _graph(rng: Any) -> Parts:
    middles = spaced(rng, 10, 2, 2.2, 8)
    nodes = [cloud(rng, 200, middle, 0.3) for middle in middles]
    for i in range(10):
        edge = stroke(rng, 50, [middles[i], middles[(i + 1) % 10]], 0.03)
        nodes[i] = np.concatenate([nodes[i], edge])
    return nodes


def _isolation(rng: Any) -> Parts:
    return [
        ball(rng, 3000, (0, 0), 1.0), ball(rng, 3000, (0, 0), 2.2, 1.5),
        ball(rng, 3000, (0, 0), 3.6, 2.7),
    ]  # fmt: skip


def _labirynth(rng: Any) -> Parts:
    return [
        stroke(rng, 700, [(0, 0), (0, 8), (8, 8), (8, 3)], 0.3, even=True),
        stroke(rng, 600, [(1.5, 0), (1.5, 6.5), (6.5, 6.5)], 0.3, even=True),
        stroke(rng, 500, [(3, 0), (3, 5), (6.5, 5), (6.5, 1)], 0.3, even=True),
        stroke(rng, 300, [(4.7, 0), (4.7, 3.5)], 0.3, even=True),
        stroke(rng, 400, [(10, 0), (10, 8)], 0.3, even=True),
        ball(rng, 500, (12.5, 6), 1.2), box(rng, 500, (11.5, 0), (14, 3)),
    ]  # fmt: skip


def three_clouds(d: int, each: int, apart: float) -> Callable[[Any], Parts]:
    """Three clouds, some widths apart."""

    def clouds(rng: Any) -> Parts:
        return [cloud(rng, each, middle, 1) for middle in apart * np.eye(3)[:, :d]]

    return clouds


def _two_waves(rng: Any) -> Parts:
    return [curve(rng, 500, sine(1, 0, level), 0, 9, 0.16) for level in (0, 1.3)]


def _three_strings(rng: Any) -> Parts:
    parts = []
    for turn in range(3):
        t = np.linspace(0, 7, 400)
        track = np.column_stack([np.cos(t + 2.1 * turn), np.sin(t + 2.1 * turn), t / 2])
        parts.append(stroke(rng, 500, track, 0.15))
    return parts


def _olympic(rng: Any) -> Parts:
    middles = [(0, 0), (2.4, 0), (4.8, 0), (1.2, -1.1), (3.6, -1.1)]
    return [arc(rng, 1000, 1, 0.05, middle) for middle in middles]


def _smile(rng: Any) -> Parts:
    return [
        arc(rng, 400, 4, 0.12), arc(rng, 200, 2.2, 0.12, turn=(1.15, 1.85)),
        cloud(rng, 150, (-1.4, 1.4), 0.2), cloud(rng, 150, (1.4, 1.4), 0.2),
        box(rng, 100, (-0.2, -0.7), (0.2, 0.6)),
    ]  # fmt: skip


def _two_stripes(rng: Any) -> Parts:
    return [1.5 * curve(rng, 2500, sine(1, 0, level), 0, 8, 0.12) for level in (0, 1.07)]


def _trajectories(rng: Any) -> Parts:
    return [
        curve(rng, 2500, sine(a, b, c), 0, 6, 0.09)
        for a, b, c in ((1, 0, 0), (0.6, 1, 2.5), (0.3, 2, 4.2), (0.8, 0.5, -2.4))
    ]


def _trapped(rng: Any) -> Parts:
    t = np.linspace(0, 12, 600)
    cage = np.column_stack([np.cos(t), np.sin(t), t / 6 - 1])
    return [
        stroke(rng, 3000, cage, 0.07), cloud(rng, 1000, (0.25, 0, 0.4), 0.14),
        cloud(rng, 1000, (-0.25, 0, -0.4), 0.14),
    ]  # fmt: skip


def _splashes(rng: Any) -> Parts:
    return [cloud(rng, 200, (0, 0), (0.5, 1)), cloud(rng, 200, (2.1, 0), (0.5, 1))]


def _windows(rng: Any) -> Parts:

    def frame(side: float) -> Any:
        return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * side

    return [
        stroke(rng, 1200, frame(10), 0.4, even=True), stroke(rng, 700, frame(5), 0.4, even=True),
        stroke(rng, 400, frame(2.4), 0.3, even=True), ball(rng, 200, (0, 0), 0.8),
        box(rng, 450, (6, 6), (8.5, 8.5)),
    ]  # fmt: skip


def few_clouds(sizes: Any, width: float) -> Callable[[Any], Parts]:
    """A few clouds of few rows."""

    def clouds(rng: Any) -> Parts:
        return [
            cloud(rng, n, middle, width)
            for n, middle in zip(sizes, spaced(rng, len(sizes), 2, 1, 1.5), strict=True)
        ]

    return clouds


def _two_lines_and_discs(rng: Any) -> Parts:
    return [
        stroke(rng, 200, [(0, 0), (5, 0.5)], 0.15), stroke(rng, 200, [(0, 1.2), (5, 1.7)], 0.15),
        ball(rng, 200, (1.5, 4), 1), ball(rng, 100, (4.2, 4), 0.5), cloud(rng, 200, (8, 2), 0.7),
    ]  # fmt: skip


def _half_moons_in_a_box(rng: Any) -> Parts:
    return [
        arc(rng, 300, 2, 0.2, turn=(0, 1)), arc(rng, 300, 2, 0.2, (2, 0.8), (1, 2)),
        ball(rng, 200, (0, -2.2), 0.8), box(rng, 200, (3.5, 1.6), (5, 3)),
    ]  # fmt: skip


DRAWINGS: dict[str, Callable[[Any], Parts]] = {
    drawing.__name__.strip("_"): drawing
    for drawing in (
        _t4, _t5, _t7, _t8, _moons_and_blobs, _square, _circles, _cross, _graph, _isolation,
        _labirynth, _two_waves, _three_strings, _olympic, _smile, _two_stripes,
        _trajectories, _trapped, _splashes, _windows, _two_lines_and_discs,
        _half_moons_in_a_box,
    )
}  # fmt: skip
