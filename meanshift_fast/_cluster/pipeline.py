"""The pipeline of a fit, from input to labels, in the order in which the rows take it.

    rows -> bandwidth -> seeds -> index -> ascent -> modes -> labels (nearest or basin)

Each stage takes values and returns values. `fit` returns all that it finds at once; what is done
with it (attributes of an estimator, a model of a stream) is the caller's part.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster import shared_bins, small_tables
from meanshift_fast._cluster.ascent import Ascent
from meanshift_fast._cluster.bandwidth_rules import Found, find_bandwidth
from meanshift_fast._cluster.basins import Labelled, MergedEndpoints
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings, takes_one_thread
from meanshift_fast._cluster.labelling import ascending, label_by_nearest, label_rows_by_basin
from meanshift_fast._cluster.modes import count_supported
from meanshift_fast._cluster.seams import merge_in
from meanshift_fast._cluster.seeding import Seeds, find_seeds, warn_of_bins, whole_rows_once
from meanshift_fast._cluster.shapes import Shapes, cut, find_tree
from meanshift_fast._cluster.stages import Stages
from meanshift_fast._index import choice
from meanshift_fast._index.base import Index
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.moment_tree import order_of
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._input.extent import extremes
from meanshift_fast._input.messages import bandwidth_text, no_point_error, no_support_error
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.progress import Report, is_silent
from meanshift_fast._input.scaling import Units, is_rule, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.threads import borrowed_threads

_NO_LABELS = np.empty(0, dtype=np.int64)


class Modes(NamedTuple):
    """What merging finds.

    Attributes
    ----------
    centers : array of shape (n_modes, n_features)
        In the unit and the dtype of the rows.
    support : float64 array of shape (n_modes,)
        The weight that each was computed from.
    merged : MergedEndpoints
        In the unit of the index.
    """

    centers: NDArray[Any]
    support: NDArray[np.float64]
    merged: MergedEndpoints


class Fit(NamedTuple):
    """All that a fit finds: the attributes of an estimator, and what it keeps to label by basin."""

    bandwidth: Bandwidth
    centers: NDArray[Any]
    support: NDArray[np.float64]
    history: NDArray[np.void]
    labels: NDArray[np.int64]
    kept: Labelled | None
    shapes: Shapes | None = None


def fit(
    table: NDArray[Any],
    settings: Settings,
    *,
    weights: NDArray[np.float64] = UNWEIGHTED,
    widths: NDArray[np.float64] = UNWEIGHTED,
    entered: bool = False,
    trees: choice.Trees | None = None,
    report: Report,
) -> Fit:
    """Find the modes of a table and label its rows.

    Parameters
    ----------
    table : numeric array of shape (n_samples, n_features)
        The rows, checked; at least one that weighs anything.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights; empty where all are 1.
    widths : float64 array of shape (n_samples,) or (0,), default=empty
        For points of cells, how many bandwidths wide the cells are.
    entered : bool, default=False
        Whether the table is in the engine's columns already.
    trees : dict, optional
        Where trees of this table are kept for other bandwidths; see `choice.build`.

    Raises
    ------
    ValueError
        As :meth:`meanshift_fast.MeanShift.fit`, where X or the parameters do not serve.

    Notes
    -----
    Threads are borrowed by what may use them: a small table in one call does not.
    """
    dtype = table.dtype
    table = table if entered else settings.metric.enter(table)
    rows = Rows.of(table, weights, widths, trees)
    stages = Stages(report)
    found = _bandwidth(rows, settings, stages)
    bandwidth = found.bandwidth
    if is_silent(report) and small_tables.serves(rows, bandwidth, settings):
        small = small_tables.fit(rows, bandwidth, settings)
        if len(small.centers):
            if small.may_miss_modes:
                _warn_of_bins_of_small(rows, bandwidth, small, settings)
            found.warn_of(len(small.centers))
            stages.end("small table of %d rows in one call", len(table))
            return Fit(bandwidth, small.centers, small.support, small.history, small.labels, None)
    with borrowed_threads(settings.n_jobs, alone=settings.fit_takes_one_thread(table)):
        if not is_rule(settings.bandwidth):
            stages.begin("bandwidth")
        stages.end("%s of %d rows", lambda: bandwidth_text(bandwidth), len(rows.points))
        fit_of_rows = _fit_by_stages(rows, dtype, bandwidth, settings, stages)
    found.warn_of(len(fit_of_rows.centers))
    return fit_of_rows


def _fit_by_stages(
    rows: Rows, dtype: np.dtype[Any], bandwidth: Bandwidth, settings: Settings, stages: Stages
) -> Fit:
    """Find the modes of rows by a bandwidth, and label the rows; centres in the users' dtype."""
    stages.begin("seeds")
    in_bins = settings.bin_seeding and settings.seeds is None
    units = settings.units(bandwidth, extremes(rows.points), in_bins=in_bins)
    seeds = find_seeds(rows, bandwidth, settings)
    stages.end("%d %s", len(seeds.table), seeds.kind)

    stages.begin("tree")
    points = units.enter(rows.points)
    index = _arrange(points, rows, seeds, units, settings)
    stages.end("%s of %d rows", type(index).__name__, len(index.order))

    ascent, seeds = _ascend(index, points, seeds, units, bandwidth, settings, stages)

    stages.begin("modes")
    if not ascent.support.any():
        raise no_point_error(bandwidth, rows.points)
    modes = _merge(ascent, index, units, dtype, settings.metric)
    if seeds.are_bins:
        places, n_bins = modes.merged.modes, len(seeds.table)
        if shared_bins.may_miss_modes(rows, points, places, units, n_bins, settings):
            shared_bins.warn_of_missed_modes(
                index, points, places, units, n_bins, bandwidth, settings
            )
    history = _history_in(units, ascent.history)
    if settings.min_prominence:
        if settings.assign == "basin" and not seeds.are_rows:
            ascent = _ascend_rows(index, points, settings, stages)
        by_mode = Fit(bandwidth, modes.centers, modes.support, history, _NO_LABELS, None)
        return _merge_by_prominence(
            by_mode, rows, points, index, ascent, modes.merged, units, settings, stages
        )
    modes = _with_support(modes, settings.min_support, units)
    stages.end("%d modes of %d endpoints", len(modes.centers), len(ascent.endpoints))

    stages.begin("labels")
    if settings.assign == "nearest":
        boxes = index.boxes() if len(index.order) == len(rows.table) else None
        del ascent, index  # frees the sums before labelling, where memory is largest
        labels = label_by_nearest(rows, points, modes.centers, units, settings, boxes)
        stages.end("nearest")
        return Fit(bandwidth, modes.centers, modes.support, history, labels, None)
    if not seeds.are_rows:
        ascent = _ascend_rows(index, points, settings, stages)
    kept = label_rows_by_basin(
        rows, points, index, ascent, modes.merged, units, settings, stages.report
    )
    stages.end("by basin")
    return Fit(bandwidth, modes.centers, modes.support, history, kept.labels, kept)


# Stages, in their order.


def _bandwidth(rows: Rows, settings: Settings, stages: Stages) -> Found:
    """The bandwidth as given, or as found."""
    given = settings.bandwidth
    if is_rule(given):
        from_rows = settings.seeds is None and not settings.bin_seeding
        alone = takes_one_thread(rows.points)
        with borrowed_threads(settings.n_jobs, alone=alone):
            stages.begin("bandwidth")
            found = find_bandwidth(
                given, settings.kernel, rows.points, rows.heavy_weights,
                every_row=from_rows and KERNELS[settings.kernel].is_ball,
                coalesce=settings.coalesce, min_support=settings.min_support,
                metric=settings.metric,
            )  # fmt: skip
        if found.bandwidth > 0.0:
            settings.metric.checked_bandwidth(found.bandwidth, rows.points.shape[1])
        return found
    return Found(settings.metric.checked_bandwidth(given, rows.points.shape[1]))


def _arrange(
    points: NDArray[np.float64], rows: Rows, seeds: Seeds, units: Units, settings: Settings
) -> Index:
    """Choose and build the index. Equal rows count as one where no row is a seed."""
    weights = rows.heavy_weights
    if not seeds.are_rows and settings.assign == "nearest" and not rows.widths.size:
        points, weights = whole_rows_once(points, weights)
    return settings.arrange(
        points, weights, units, widths=rows.heavy_widths, n_seeds=len(seeds.table), trees=rows.trees
    )


def _ascend(
    index: Index,
    points: NDArray[np.float64],
    seeds: Seeds,
    units: Units,
    bandwidth: Bandwidth,
    settings: Settings,
    stages: Stages,
) -> tuple[Ascent, Seeds]:
    """Follow the seeds to their endpoints, or the rows where no bin is near one; and which."""
    if seeds.are_rows:
        return _ascend_rows(index, points, settings, stages), seeds
    starts = units.enter(readonly_table(seeds.table))
    ascent = ascending(index, settings, stages.report)(
        starts, order=order_of(starts), coalesce=settings.coalesce
    )
    stages.end("ascent of %d seeds in %d rounds", len(starts), len(ascent.history))
    if seeds.are_bins and not np.count_nonzero(ascent.support):
        # In 30 columns a bin's centre may be far from all rows, its own included.
        warn_of_bins(bandwidth)
        return _ascend_rows(index, points, settings, stages), Seeds("rows", points)
    return ascent, seeds


def _ascend_rows(
    index: Index, points: NDArray[np.float64], settings: Settings, stages: Stages
) -> Ascent:
    """Follow every row to its endpoint."""
    order = index.order if len(index.order) == len(points) else None
    ascent = ascending(index, settings, stages.report)(
        points, order=order, coalesce=settings.coalesce
    )
    stages.end("ascent of %d rows in %d rounds", len(points), len(ascent.history))
    return ascent


def _merge(
    ascent: Ascent, index: Index, units: Units, dtype: np.dtype[Any], metric: Metric
) -> Modes:
    """Merge endpoints within a bandwidth; of a smooth density, polish what is left and merge."""
    endpoints, support = ascent.endpoints, ascent.support
    if not support.all():
        endpoints, support = endpoints[support > 0.0], support[support > 0.0]
    dtype = dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)
    held = dtype if metric.is_plain else np.dtype(np.float64)
    modes, support = merge_in(units, _rounded(endpoints, units, held), support)
    places = readonly_table(modes)
    merged = MergedEndpoints(places, np.arange(len(modes)), places)
    if index.is_smooth:
        polished, density = index.polish(places)
        polished = _rounded(polished, units, held)
        modes, support = merge_in(units, polished, density)
        nearest = nearest_labels(polished, modes, period=units.period)
        merged = MergedEndpoints(places, nearest, readonly_table(modes))
    return Modes(metric.leave(units.leave(modes), dtype), support, merged)


def _with_support(modes: Modes, min_support: float, units: Units) -> Modes:
    """Drop the modes of too little support; their basins become those of the nearest left."""
    if min_support == 0.0:
        return modes
    n_kept = count_supported(modes.support, min_support)
    if n_kept == 0:
        raise no_support_error(min_support, modes.support[0])
    return Modes(
        modes.centers[:n_kept], modes.support[:n_kept], modes.merged.without(n_kept, units.period)
    )


def _warn_of_bins_of_small(
    rows: Rows, bandwidth: Bandwidth, small: small_tables.SmallFit, settings: Settings
) -> None:
    """Warn where bins of a small table, which has no index yet, hold rows of several clusters."""
    n_bins, units = int(small.history["n_active"][0]), Units(1.0, float(bandwidth))
    with borrowed_threads(settings.n_jobs, alone=settings.fit_takes_one_thread(rows.points)):
        index = settings.arrange(rows.points, UNWEIGHTED, units, n_seeds=shared_bins.MANY_ROWS)
        shared_bins.warn_of_missed_modes(
            index, rows.points, small.centers, units, n_bins, bandwidth, settings
        )


def _merge_by_prominence(
    by_mode: Fit,
    rows: Rows,
    points: NDArray[np.float64],
    index: Index,
    ascent: Ascent,
    merged: MergedEndpoints,
    units: Units,
    settings: Settings,
    stages: Stages,
) -> Fit:
    """Label rows by mode, merge modes by prominence, and drop clusters of too little support."""
    kept = None
    if settings.assign == "basin":
        kept = label_rows_by_basin(
            rows, points, index, ascent, merged, units, settings, stages.report
        )
        of_rows = kept.labels
    else:
        stays = settings._replace(cluster_all=True)
        of_rows = label_by_nearest(rows, points, by_mode.centers, units, stays, None)
    stages.end("labels by mode")
    heavy = of_rows if rows.all_weigh else of_rows[rows.weights > 0.0]
    tree = find_tree(index, points, heavy, merged.modes, units.period)
    clusters = cut(tree, by_mode.support, merged.modes, settings, units.period)
    stages.end("%d clusters of %d modes", len(clusters.heads), len(merged.modes))
    if kept is None and not settings.cluster_all:
        within = label_by_nearest(rows, points, by_mode.centers, units, settings, None) >= 0
        of_rows = np.where(within, of_rows, -1)
    of_modes = clusters.labels(every=settings.cluster_all)
    labels = np.append(of_modes, -1)[of_rows]
    shapes = Shapes(
        by_mode.centers, tree.density, tree.prominence, of_modes, tree.linkage(), by_mode.support,
        tree.across, of_rows,
    )  # fmt: skip
    return by_mode._replace(
        centers=by_mode.centers[clusters.heads], support=by_mode.support[clusters.heads],
        labels=labels, kept=clusters.relabelled(kept, labels) if kept else None, shapes=shapes,
    )  # fmt: skip


# Units.


def _history_in(units: Units, history: NDArray[np.void]) -> NDArray[np.void]:
    """The history with its moves in the unit of the columns, where they share one."""
    if isinstance(units.divisor, float):
        for name in ("mean_shift", "max_shift"):
            history[name] = units.leave(history[name])
    return history


def _rounded(
    places: NDArray[np.float64], units: Units, dtype: np.dtype[Any]
) -> NDArray[np.float64]:
    """Places in the engine's unit as the dtype of the centres holds them."""
    return units.enter(readonly_table(units.leave(places).astype(dtype, copy=False)))
