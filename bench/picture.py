"""The README's picture: why a row's own climb matters. ``python -m bench.picture`` draws it.

Two moons, each fullest in its middle, clustered twice with the same bandwidth and so with the same
two centres. The nearest centre cuts both moons; a climb follows the moon that it is on. Drawn
once for light pages and once for dark ones.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from meanshift_fast import MeanShift
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
        for ax in panels:
            ax.get_legend().remove()
        figure.legend(handles=entries[2:], loc="outside lower center", ncols=4, frameon=False)
    return figure


if __name__ == "__main__":
    for page in PAGES:
        drawn = BytesIO()
        draw(page).savefig(drawn, dpi=120)
        # 64 colours are enough, and a quarter of the bytes.
        picture = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
        picture.save(FOLDER / f"nearest_and_basin_{page}.png", optimize=True)
