"""Clusters of any shape: one setting on generated families, beside HDBSCAN and Tomato.

``python -m bench.shapes [FAMILY ...] [--public] [--seeds N] [--picture FILE]`` prints the mean
adjusted Rand index of each family, or of each kind of public table (`shape_tables.py`); rows of
noise are not counted. ``--write`` puts the table into the manual. ``pip install gudhi`` for the
column of Tomato.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from bench.shape_tables import NOISY_KINDS, PUBLIC_KINDS
from meanshift_fast import MeanShift
from meanshift_fast._input.messages import counted

Floats = NDArray[np.float64]
Table = tuple[Floats, NDArray[np.int64]]
NOISE = -1
PICTURE_WIDTH = 1050  # pixels
MARKERS = "<!-- shapes:begin -->", "<!-- shapes:end -->"

SETTING: dict[str, Any] = {
    "kernel": "gaussian",
    "bandwidth": "fine",
    "assign": "basin",
    "coalesce": 0.01,
    "min_prominence": "auto",
}


def _arc(
    rng: Any, n: int, radius: float, width: float, middle: Any = (0, 0), turn: Any = (0, 2)
) -> Floats:
    angle = np.pi * rng.uniform(*turn, n)
    circle = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(circle + rng.normal(0, width, (n, 2)) + middle)


def _box(rng: Any, n: int, low: Any, high: Any) -> Floats:
    return np.asarray(rng.uniform(low, high, (n, 2)))


def _blobs(rng: Any, sizes: Any, widths: Any, d: int, apart: float, room: float) -> list[Floats]:
    """Normal clouds no nearer to each other than some distance."""
    centers: list[Floats] = []
    while len(centers) < len(sizes):
        center = rng.uniform(0, room, d)
        if all(np.linalg.norm(center - other) > apart for other in centers):
            centers.append(center)
        room *= 1.001
    parts = zip(sizes, widths, centers, strict=True)
    return [rng.normal(center, width, (n, d)) for n, width, center in parts]


def _moons(rng: Any) -> list[Floats]:
    n, width = rng.integers(150, 1500), rng.uniform(0.05, 0.12)
    return [_arc(rng, n, 1, width, turn=(0, 1)), _arc(rng, n, 1, width, (1, 0.5), (1, 2))]


def _moons_of_two_densities(rng: Any) -> list[Floats]:
    return [_arc(rng, 97, 11, 1.2, turn=(0, 1)), _arc(rng, 276, 11, 1.2, (12, 2), (1, 2))]


def _rings(rng: Any) -> list[Floats]:
    n, width = rng.integers(200, 600), rng.uniform(0.02, 0.1)
    return [_arc(rng, k * n, k, width) for k in (1, 2, 3)]


def _ring_and_disc(rng: Any) -> list[Floats]:
    n = rng.integers(200, 1000)
    return [_arc(rng, n, 2, 0.12), rng.normal(0, 0.35, (n // 2, 2))]


def _spirals(rng: Any) -> list[Floats]:
    n, width, k, parts = rng.integers(100, 800), rng.uniform(0.05, 0.25), rng.integers(2, 4), []
    for turn in 2 * np.pi * np.arange(k) / k:
        angle = rng.uniform(0.15, 1, n) ** 0.7 * 2.2 * np.pi
        radius = 1 + 4 * angle / np.pi
        place = np.column_stack([np.cos(angle + turn), np.sin(angle + turn)])
        parts.append(radius[:, None] * place + rng.normal(0, width, (n, 2)))
    return parts


def _stripes(rng: Any) -> list[Floats]:
    return [_box(rng, 700, (0, 2 * i), (10, 2 * i + 1.2)) for i in range(3)]


def _touching_squares(rng: Any) -> list[Floats]:
    turn = np.array([[1, 1], [-1, 1]]) / 2
    return [_box(rng, 400, -1, 1) @ turn + [side * 1.02, 0] for side in (-1, 1)]


def _touching_ellipses(rng: Any) -> list[Floats]:
    return [rng.normal((0, y), (1.3, 0.35), (300, 2)) for y in (0, 1.6)]


def _square_in_a_frame(rng: Any) -> list[Floats]:
    rows = _box(rng, 1900, -3, 3)
    away = np.abs(rows).max(axis=1)
    return [rows[away > 2.1], rows[away < 1.55]]


def _links_of_a_chain(rng: Any) -> list[Floats]:
    one, other = (
        np.column_stack([_arc(rng, 500, 1, 0.08), rng.normal(0, 0.08, 500)]) for _ in range(2)
    )
    return [one, other[:, [0, 2, 1]] + [1, 0, 0]]


def _core_in_a_shell(rng: Any) -> list[Floats]:
    way = rng.normal(size=(400, 3))
    shell = 50 * way / np.linalg.norm(way, axis=1)[:, None]
    return [rng.normal(0, 4, (400, 3)), shell + rng.normal(0, 1, (400, 3))]


def _uneven_blobs(rng: Any) -> list[Floats]:
    k = rng.integers(3, 9)
    return _blobs(rng, rng.integers(50, 800, k), rng.uniform(0.2, 1, k), 2, 2.6, 10)


def _many_blobs(rng: Any) -> list[Floats]:
    return _blobs(rng, [100] * 31, [0.42] * 31, 2, 1.9, 14)


def _overlapping_grid(rng: Any) -> list[Floats]:
    return [rng.normal((i, j), 0.25, (150, 2)) for i in range(7) for j in range(7)]


def _clouds_of_two_widths(rng: Any) -> list[Floats]:
    return [rng.normal(0, 1, (2000, 2)), rng.normal(3, 1.4, (2000, 2))]


def _blobs_in(d: int) -> Callable[[Any], list[Floats]]:
    def blobs(rng: Any) -> list[Floats]:
        k = rng.integers(3, 8)
        apart = max(4.2, 1.65 * d**0.5)
        return _blobs(rng, rng.integers(60, 500, k), rng.uniform(0.5, 1, k), d, apart, 8)

    return blobs


def _with_noise(family: Callable[[Any], list[Floats]]) -> Callable[[Any], list[Floats]]:
    """The same with 40 % uniform rows, the last part."""

    def noisy(rng: Any) -> list[Floats]:
        parts = family(rng)
        rows = np.concatenate(parts)
        low, high = rows.min(axis=0), rows.max(axis=0)
        return [*parts, rng.uniform(low, high, (len(rows) * 2 // 3, rows.shape[1]))]

    return noisy


FAMILIES: dict[str, Callable[[Any], list[Floats]]] = {
    family.__name__.strip("_"): family
    for family in (
        _moons, _moons_of_two_densities, _rings, _ring_and_disc, _spirals, _stripes,
        _touching_squares, _touching_ellipses, _square_in_a_frame, _links_of_a_chain,
        _core_in_a_shell, _uneven_blobs, _many_blobs, _overlapping_grid, _clouds_of_two_widths,
    )
}  # fmt: skip
FAMILIES |= {f"blobs_in_{d}": _blobs_in(d) for d in (3, 5, 8, 12, 20)}
NOISY = ("moons", "rings", "uneven_blobs", "blobs_in_3")
FAMILIES |= {f"{name}, 40 % noise": _with_noise(FAMILIES[name]) for name in NOISY}


def table_of(name: str, seed: int) -> Table:
    """Draw a table of a family."""
    rng = np.random.default_rng([seed, *name.encode()])
    parts = (FAMILIES | PUBLIC_KINDS)[name](rng)
    truth = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    if "noise" in name or name in NOISY_KINDS:
        truth[truth == len(parts) - 1] = NOISE
    return np.ascontiguousarray(np.concatenate(parts)), truth


def _tomato(rows: Floats) -> NDArray[np.int64] | None:
    try:
        tomato: Any = import_module("gudhi.clustering.tomato")
    except ImportError:
        return None
    return np.asarray(tomato.Tomato().fit_predict(rows))


def labels_of(name: str, rows: Floats) -> NDArray[np.int64]:
    """Cluster a table of a family by the one setting; among noise with ``min_support``."""
    least = 0.1 if "noise" in name else 0.0
    return MeanShift(**SETTING, min_support=least, progress=False).fit_predict(rows)


def scores_of(name: str, seed: int) -> tuple[float, float, float]:
    """The adjusted Rand indices of ours, HDBSCAN and Tomato; NaN without gudhi."""
    rows, truth = table_of(name, seed)
    counts = truth != NOISE
    found = [
        labels_of(name, rows),
        HDBSCAN(min_cluster_size=max(5, len(rows) // 100), copy=True).fit_predict(rows),
        _tomato(rows),
    ]
    scores = [
        np.nan if labels is None else float(adjusted_rand_score(truth[counts], labels[counts]))
        for labels in found
    ]
    return scores[0], scores[1], scores[2]


def table_lines(scores: dict[str, Any]) -> Iterator[str]:
    """Write the manual's part: how often each family was drawn, and its mean scores.

    ``scores`` has for each family the scores of each table.
    """
    n_tables = len(next(iter(scores.values())))
    yield (
        f"The mean of {counted(n_tables, 'table')} of each family, by `python -m bench.shapes "
        f"--write --seeds {n_tables}`."
    )
    yield ""
    yield "| family | meanshift_fast | HDBSCAN | Tomato |"
    yield "| --- | ---: | ---: | ---: |"
    for name, found in scores.items():
        yield row_of(name, found)
    every = np.mean([np.mean(found, axis=0) for found in scores.values()], axis=0)
    yield f"| mean | {' | '.join(f'{score:.3f}' for score in every)} |"


def row_of(name: str, found: Any) -> str:
    """Write the mean scores of a family's tables."""
    return f"| {name} | {' | '.join(f'{score:.2f}' for score in np.mean(found, axis=0))} |"


def draw(names: list[str], path: str) -> None:
    """Draw a table of each family, with the clusters that are found."""
    from matplotlib.figure import Figure

    n_rows = -(-len(names) // 6)
    figure = Figure(figsize=(15, 2.6 * n_rows), layout="constrained")
    for place, name in enumerate(names):
        rows, _ = table_of(name, 0)
        ax = figure.add_subplot(n_rows, 6, place + 1)
        ax.scatter(rows[:, 0], rows[:, 1], c=labels_of(name, rows), s=1, cmap="tab20")
        ax.set(title=name, xticks=[], yticks=[])
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    picture = Image.open(drawn).convert("RGB")
    size = PICTURE_WIDTH, PICTURE_WIDTH * picture.height // picture.width
    # A palette that covers all colours: one of the most frequent mixes those of small clusters.
    picture.resize(size, Image.Resampling.LANCZOS).quantize(
        method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    ).save(path, optimize=True)


def main() -> None:
    """Print the table, and draw the picture where one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    every_name = [*FAMILIES, *PUBLIC_KINDS]
    parser.add_argument("families", nargs="*", choices=[[], *every_name], metavar="FAMILY")
    parser.add_argument("--public", action="store_true", help="the kinds of public suites")
    parser.add_argument(
        "--seeds", type=int, default=3, help="tables of each (default: %(default)s)"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the families' table in the manual"
    )
    parser.add_argument("--picture", metavar="FILE", help="draw the first table of each")
    asked = parser.parse_args()
    if asked.write and (asked.public or asked.families):
        parser.error("--write is of all families; leave out --public and names")
    names = asked.families or list(PUBLIC_KINDS if asked.public else FAMILIES)
    warnings.simplefilter("ignore")
    scores = {}
    for name in names:
        scores[name] = [scores_of(name, seed) for seed in range(asked.seeds)]
        print(row_of(name, scores[name]), flush=True)
    lines = list(table_lines(scores))
    print(lines[-1])
    if asked.write:
        from bench.report import MANUAL, rewritten

        MANUAL.write_text(rewritten(MANUAL.read_text(), "\n".join(lines), *MARKERS))
    if asked.picture:
        draw(names, asked.picture)


if __name__ == "__main__":
    main()
