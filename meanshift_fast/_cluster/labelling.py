"""Labels: of the rows of a fit and of others, by the nearest mode or by basin.

rows --nearest--> labels
rows --ascend, or look up--> endpoints --> labels       what a fit keeps for others: `Labelled`
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import Ascent, ascend
from meanshift_fast._cluster.basins import (
    Ascend,
    Labelled,
    MergedEndpoints,
    label_endpoints,
    label_rows_of_fit,
)
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._index.base import Index
from meanshift_fast._index.moment_tree import order_of
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._input.progress import Report
from meanshift_fast._input.scaling import Units, readonly_table


def ascending(
    index: Index, settings: Settings, report: Report, *, scattered: bool = False
) -> Ascend:
    """The ascent on an index, with all of a fit's settings but how the seeds lie."""
    sorts_anew = index.sorts(scattered=scattered, coalescing=settings.coalesce > 0.0)
    return partial(
        ascend, index, tol=settings.tol, max_iter=settings.max_iter, report=report,
        sorts_anew=sorts_anew,
    )  # fmt: skip


def refining(index: Index, settings: Settings, report: Report) -> Ascend | None:
    """The stricter ascent from endpoints that may lie on a saddle; None where none can."""
    if not index.is_smooth:
        return None
    return ascending(index.refined(), settings._replace(tol=settings.tol / 100.0), report)


def label_by_nearest(
    rows: Rows,
    points: NDArray[np.float64],
    centers: NDArray[Any],
    units: Units,
    settings: Settings,
    boxes: Any,
) -> NDArray[np.int64]:
    """Label every row by its nearest centre."""
    every = points if rows.all_weigh else units.enter(readonly_table(rows.table))
    modes = units.enter(readonly_table(settings.metric.enter(centers)))
    limit = settings.limit(units.radius)
    return nearest_labels(every, modes, limit=limit, tree=boxes, period=units.period)


def label_rows_by_basin(
    rows: Rows,
    points: NDArray[np.float64],
    index: Index,
    ascent: Ascent,
    merged: MergedEndpoints,
    units: Units,
    settings: Settings,
    report: Report,
) -> Labelled:
    """Label every row by the mode that it ascends to, with what labels other rows later."""
    labels = label_rows_of_fit(
        ascent, points, merged, order=index.order, limit=settings.limit(units.radius),
        side=settings.coalesce * units.radius,
        ascend=ascending(index, settings, report, scattered=True),
        refine=refining(index, settings, report), period=units.period,
    )  # fmt: skip
    own = merged.in_unit(units.leave)
    kept = Labelled(
        rows.points, rows.heavy_weights, labels, widths=rows.heavy_widths,
        places=own.endpoints, modes=own.mode_numbers, peaks=own.modes, dropped=own.dropped,
    )  # fmt: skip
    if not rows.all_weigh:
        every = readonly_table(rows.table)
        labels = _label_with(kept, every, lambda: index, units, settings, report)
        kept = kept._replace(points=every, weights=rows.weights, labels=labels, widths=rows.widths)
    if np.may_share_memory(kept.points, rows.table):  # the caller may write to its table
        kept = kept._replace(points=kept.points.copy())
    return kept


def label_by_basin(
    kept: Labelled,
    points: NDArray[np.float64],
    bandwidth: Bandwidth,
    settings: Settings,
    report: Report,
) -> NDArray[np.int64]:
    """Look up the labels of rows of the fit; let all others ascend.

    The rows are in the engine's columns, and the bandwidth is that of the fit.
    """
    rows = Rows.of(kept.points, kept.weights, kept.widths)
    units = settings.units(bandwidth, rows.points, kept.places)

    def index() -> Index:
        """Build the index, where rows are not found."""
        entered = units.enter(rows.points)
        return settings.arrange(entered, rows.heavy_weights, units, widths=rows.heavy_widths)

    return _label_with(kept, points, index, units, settings, report)


def _label_with(
    kept: Labelled,
    points: NDArray[np.float64],
    index: Callable[[], Index],
    units: Units,
    settings: Settings,
    report: Report,
) -> NDArray[np.int64]:
    """Look up rows, and let the new ones ascend in an index that is built for them alone."""
    found = kept.find(points)
    labels = kept.labels[found]
    new = np.flatnonzero(found < 0)
    if new.size:
        arranged = index()
        seeds = units.enter(readonly_table(points[new]))
        ascent = ascending(arranged, settings, report)(seeds, order=order_of(seeds))
        labels[new] = label_endpoints(
            ascent, kept.merged.in_unit(units.enter), limit=settings.limit(units.radius),
            refine=refining(arranged, settings, report), period=units.period,
        )  # fmt: skip
    return labels
