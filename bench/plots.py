"""The curves of a run as pictures that read on a light page and on a dark one."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# No background, and colours of middling lightness: each keeps a contrast of at least 3 to white
# and to GitHub's dark page, the greys of the text one of 4.
INK = "#7d8590"
_COLOURS = {"meanshift_fast": "#2f81f7", "scikit-learn": "#db6d28", "mlpack": "#8957e5"}
STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "meanshift_fast",  # the same figures draw the same bytes
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw_curves(curves: dict[str, dict[str, float]], path: Path, *, title: str, axis: str) -> None:
    """Draw the seconds of each library against a size, on logarithmic axes.

    Where the seconds lie within a factor of ten, theirs is linear and begins at 0.

    Parameters
    ----------
    curves : dict
        Library -> size (as text) -> seconds.
    path : Path
        The SVG to write.
    title, axis : str
        Above the picture and below its x axis.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes: Any = figure.subplots()
        for name, curve in curves.items():
            axes.loglog(
                [int(size) for size in curve],
                list(curve.values()),
                "o-",
                color=_COLOURS[name],
                label=name,
            )
        sizes = sorted({int(size) for curve in curves.values() for size in curve})
        if max(sizes) < 1000:
            axes.set_xticks(sizes, [str(size) for size in sizes])
            axes.minorticks_off()
        seconds = [second for curve in curves.values() for second in curve.values()]
        if max(seconds) < 10 * min(seconds):  # there may be no power of ten to put a number to
            axes.set_yscale("linear")
            axes.set_ylim(bottom=0)
        axes.set(title=title, xlabel=axis, ylabel="seconds")
        axes.grid(True)
        if len(curves) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
