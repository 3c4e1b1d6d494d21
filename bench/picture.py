"""The pictures of the README and the manual. ``python -m bench.picture`` draws them.

Two moons, each fullest in its middle, clustered twice with the same bandwidth and so with the same
two centres. The nearest centre cuts both moons; a trajectory follows the moon that it is on. Drawn
once for light pages and once for dark ones.

The index: the boxes of a small tree, and what one ball does with each.

Two moons and the diagram of the prominences of their modes.

A photograph, of skimage.data (public domain), and its regions in their mean colours.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from PIL import Image
from skimage import data
from skimage.segmentation import mark_boundaries

from bench.plots import INK, STYLE
from meanshift_fast import MeanShift
from meanshift_fast.image import mean_shift_segment
from meanshift_fast.plot import MeanShiftDisplay

FOLDER = Path(__file__).parent / "plots"
BANDWIDTH = 0.35
TITLES = {
    "nearest": 'assign="nearest": a row goes to the nearest centre',
    "basin": 'assign="basin": a row goes where it climbs',
}
TIPS = np.array([[-0.05, 0.45], [0.12, 0.42], [0.92, -0.02], [1.08, 0.0]])  # of both moons, inner
PAGES = {"light": ("white", "#1f2328"), "dark": ("#0d1117", "#e6edf3")}  # paper and ink


def moons(n_samples: int = 6000) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Draw rows about two half circles that reach into each other, and tell whose each row is."""
    rng = np.random.default_rng(0)
    upper = rng.random(n_samples) < 0.5
    angle = np.pi / 2 + (0.7 * rng.standard_normal(n_samples)).clip(-1.6, 1.6)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    rows = np.where(upper[:, None], circle, (1.0, 0.4) - circle)
    return rows + 0.1 * rng.standard_normal((n_samples, 2)), upper


def draw(page: str) -> Figure:
    """Draw both labellings of the moons, side by side."""
    paper, ink = PAGES[page]
    style: dict[Any, Any] = dict.fromkeys(("figure.facecolor", "axes.facecolor"), paper)
    style |= dict.fromkeys(("axes.edgecolor", "axes.titlecolor", "text.color"), ink)
    points, _ = moons()
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        panels: Any = figure.subplots(1, 2, sharey=True)
        for ax, (assign, title) in zip(panels, TITLES.items(), strict=True):
            model = MeanShift(bandwidth=BANDWIDTH, assign=assign).fit(points)
            MeanShiftDisplay.from_estimator(model, points, contours=True, starts=TIPS, ax=ax)
            ax.set(title=title, xlabel="", ylabel="", xticks=[], yticks=[])
        entries = panels[0].get_legend().legend_handles
        shared = [entry for entry in entries if "cluster" not in entry.get_label()]
        for ax in panels:
            ax.get_legend().remove()
            ax.set_anchor("C")
        figure.legend(handles=shared, loc="outside lower center", ncols=4, frameon=False)
    return figure


class Box(NamedTuple):
    """A node of a small tree at which a ball's traversal ends."""

    rows: npt.NDArray[np.float64]
    case: str  # "added whole", "skipped" or "its rows are tested"

    @property
    def corners(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The lowest and the highest corner."""
        return self.rows.min(axis=0), self.rows.max(axis=0)


def boxes(
    rows: npt.NDArray[np.float64], position: tuple[float, float], radius: float, leaf: int = 6
) -> Iterator[Box]:
    """Walk down a tree of medians as the index does for one position."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    nearest = np.linalg.norm(np.clip(position, low, high) - position)
    farthest = np.linalg.norm(np.maximum(position - low, high - position))
    if farthest <= radius:
        yield Box(rows, "added whole")
    elif nearest > radius:
        yield Box(rows, "skipped")
    elif len(rows) <= leaf:
        yield Box(rows, "its rows are tested")
    else:
        ordered = rows[rows[:, np.ptp(rows, axis=0).argmax()].argsort()]
        for half in np.array_split(ordered, 2):
            yield from boxes(half, position, radius, leaf)


CASES = {"added whole": "#2f81f7", "its rows are tested": "#db6d28", "skipped": INK}
POSITION, RADIUS = (0.2, 0.1), 1.0


def draw_index() -> Figure:
    """Draw what a ball does with the boxes of 600 rows."""
    rows = np.random.default_rng(0).standard_normal((600, 2))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        ax: Any = figure.subplots()
        for box in boxes(rows, POSITION, RADIUS):
            low, high = box.corners
            ax.add_patch(
                Rectangle(
                    (low[0], low[1]), *(high - low), lw=0.8, ec=CASES[box.case],
                    fc=CASES[box.case] if box.case == "added whole" else "none",
                    alpha=0.45 if box.case == "added whole" else 1.0,
                )
            )  # fmt: skip
            if box.case == "its rows are tested":
                ax.plot(*box.rows.T, ".", ms=4, color=CASES[box.case])
        ax.add_patch(Circle(POSITION, RADIUS, fill=False, lw=1.5, ec=INK))
        for case, colour in CASES.items():
            ax.plot([], [], "s", color=colour, label=case)
        ax.set(xlim=(-2.2, 2.4), ylim=(-1.9, 2.0), aspect="equal", xticks=[], yticks=[])
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def draw_prominence() -> Figure:
    """Draw two moons of one cluster each, and the diagram of the prominences of their modes."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 600)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    rows = np.concatenate([upper, [1, 0.5] - upper]) + rng.normal(0, 0.09, (1200, 2))
    model = MeanShift(
        kernel="gaussian", bandwidth="fine", assign="basin", coalesce=0.01, min_prominence="auto"
    ).fit(rows)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels: Any = figure.subplots(1, 2)
    MeanShiftDisplay.from_estimator(model, rows, ax=panels[0])
    MeanShiftDisplay.plot_prominence(model, ax=panels[1])
    return figure


def draw_photograph() -> Image.Image:
    """Segment a photograph: as it is, outlined, and in its regions' mean colours."""
    photograph = data.coffee()
    labels = mean_shift_segment(photograph, spatial_radius=8, range_radius=9, min_size=200)
    counts = np.bincount(labels.ravel())[:, None]
    sums = np.column_stack(
        [np.bincount(labels.ravel(), band.ravel()) for band in photograph.T.swapaxes(1, 2)]
    )
    means = (sums / np.maximum(counts, 1))[labels] / 255
    outlined = mark_boundaries(photograph, labels, color=(1, 1, 0))
    panels = np.hstack([photograph / 255, outlined, means])
    picture = Image.fromarray((255 * panels).round().astype(np.uint8))
    return picture.resize((1200, 1200 * picture.height // picture.width))


if __name__ == "__main__":
    for page in PAGES:
        drawn = BytesIO()
        draw(page).savefig(drawn, dpi=120)
        # 64 colours are enough, and a quarter of the bytes.
        picture = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
        picture.save(FOLDER / f"nearest_and_basin_{page}.png", optimize=True)
    with mpl.rc_context(STYLE):
        draw_index().savefig(FOLDER / "index.svg", metadata={"Date": None})
    draw_prominence().savefig(FOLDER / "prominence.png", dpi=90)
    draw_photograph().save(FOLDER / "photograph.jpg", quality=80, optimize=True)
