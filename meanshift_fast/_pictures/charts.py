"""Charts: the rounds of a fit, and the number of clusters at each bandwidth."""

from typing import TYPE_CHECKING, Any

import numpy as np

from meanshift_fast._index.stopping import rest_of
from meanshift_fast._input.messages import counted
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._pictures.axes import finish, key, new_axes
from meanshift_fast._pictures.colours import COLOURS, GREY, ink_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_history(estimator: Any, ax: "Axes | None" = None, *, legend: bool = True) -> "Axes":
    """Draw how far trajectories moved, and how many did, round by round.

    Where no layout makes room on the right of given axes, the bars' scale is left out, and the
    legend says how high the highest is.
    """
    is_new, ax = ax is None, new_axes() if ax is None else ax
    from matplotlib.patches import Patch

    history, each = estimator.history_, np.ndim(estimator.bandwidth_) == 1
    metric = metric_of(estimator.metric, estimator.period)
    length = 1.0 if each else metric.length_of(estimator.bandwidth_)
    rest = rest_of(estimator.tol, length)
    unit = "bandwidths" if each else metric.move_unit
    bars = ax.twinx()
    bars.bar(history["round"], history["n_active"], width=0.7, color=GREY, alpha=0.3)
    still = "still moving"
    if ax.figure.get_layout_engine() is None:
        bars.set_yticks([])
        still += f", of {history['n_active'].max():,}"
    else:
        bars.set_ylabel("trajectories still moving")
        bars.yaxis.set_major_formatter("{x:,.0f}")
    ax.set_zorder(bars.get_zorder() + 1)
    ax.patch.set_visible(False)
    for name, colour in (("max_shift", COLOURS[1]), ("mean_shift", COLOURS[0])):
        moved = history[history[name] > 0]
        ax.plot(moved["round"], moved[name], marker="o", color=colour)
    if rest > 0:
        ax.axhline(rest, color=ink_of(ax)[0], linestyle="--", linewidth=1)
    resting, last = history["n_converged"][-1], history[-1]
    moving = "" if last["max_shift"] <= rest else ", others move"
    ax.set(
        yscale="log",
        xlabel="round",
        ylabel=f"length of a step, in {unit}",
        title=f"{resting:,} at rest after {counted(len(history), 'round')}{moving}",
    )
    ax.locator_params(axis="x", integer=True)
    entries = [
        key("largest step", color=COLOURS[1], marker="o"),
        key("mean step", color=COLOURS[0], marker="o"),
        key("a step this short is rest", color=ink_of(ax)[0], linestyle="--", linewidth=1),
        Patch(label=still, color=GREY, alpha=0.3, linewidth=0),
    ]
    finish(ax, entries, is_new=is_new, legend=legend, away=1.2)
    return ax


def draw_curve(curve: Any, ax: "Axes | None" = None, *, legend: bool = True) -> "Axes":
    """Draw a `BandwidthCurve`, its longest plateau marked."""
    is_new, ax = ax is None, new_axes() if ax is None else ax
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ink, paper = ink_of(ax)
    low, high, count = (curve.stable[name] for name in ("low", "high", "n_clusters"))
    title = f"{counted(count, 'cluster')} {'lasts' if count == 1 else 'last'} longest"
    if curve.n_centers != count:
        title += f"; a fit has {counted(curve.n_centers, 'centre')}"
    ax.axvspan(low, high, color=COLOURS[1], alpha=0.15, linewidth=0)
    ax.step(curve.bandwidths, curve.n_clusters, where="post", color=ink, linewidth=1.5)
    ax.plot([low, high], [count, count], color=COLOURS[1], linewidth=4)
    ax.axvline(curve.bandwidth, color=ink, linestyle="--", linewidth=1)
    ax.set(xlabel="bandwidth", ylabel="clusters", title=title, yscale="log")
    scales: list[Any] = [ax.yaxis]
    if curve.bandwidths[0] > 0.0:
        ax.set_xscale("log")
        scales = [ax.xaxis, ax.yaxis]
    for axis in scales:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())
    entries = [key("clusters at each bandwidth", color=ink, linewidth=1.5)]
    numbers = [(low, count)]
    for plateau in curve.runners_up:
        level, start, end = (plateau[name] for name in ("n_clusters", "low", "high"))
        ax.plot([start, end], [level, level], color=COLOURS[2], linewidth=4)
        text = f"{counted(level, 'cluster')}, {start:.3g} to {end:.3g}"
        entries.append(key(text, color=COLOURS[2], linewidth=4))
        numbers.append((start, level))
    n_spare = len(entries)
    entries += [
        key(f"longest plateau, {low:.3g} to {high:.3g}", color=COLOURS[1], linewidth=4),
        key(f"bandwidth to use, {curve.bandwidth:.3g}", color=ink, linestyle="--"),
    ]
    box = {"facecolor": paper, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    for start, level in numbers:
        is_high = level * level > curve.n_clusters.max()  # half way up a logarithmic scale
        ax.annotate(
            f"{level:,}", (start, level), xytext=(3, -5 if is_high else 5), color=ink, bbox=box,
            textcoords="offset points", va="top" if is_high else "bottom", zorder=4,
        )  # fmt: skip
    finish(ax, entries, is_new=is_new, legend=legend, n_spare=n_spare)
    return ax
