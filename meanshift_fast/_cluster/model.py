"""A model: any object with the parameters and attributes of MeanShift, to and from values.

    parameters --settings_of--> Settings --fitted--> Fit --adopt--> attributes
    attributes --kept_of--> Labelled, what labels other rows by basin
    attributes --rows_of--> Rows, what the density is of

The estimator, streams, Dask and model files share these; none of them is known here.
"""

from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster import pipeline
from meanshift_fast._cluster.basins import Labelled
from meanshift_fast._cluster.inputs import Rows, Settings
from meanshift_fast._cluster.pipeline import Fit
from meanshift_fast._cluster.shapes import SHAPE_ATTRIBUTES, Shapes
from meanshift_fast._index.choice import Trees
from meanshift_fast._input.checks import are_plain
from meanshift_fast._input.metrics import Metric, metric_of
from meanshift_fast._input.progress import reporting
from meanshift_fast._input.scaling import checked_lengths, is_number, is_rule, readonly
from meanshift_fast._input.weights import UNWEIGHTED

# The attributes of every fit, besides those that `keep` and `keep_shapes` set.
FITTED = ("cluster_centers_", "bandwidth_", "mode_weight_", "n_iter_", "history_", "labels_")
# Parameters that become numbers of Python.
_CONVERTED: dict[str, type] = {
    "bin_seeding": bool, "min_bin_freq": int, "cluster_all": bool, "tol": float, "max_iter": int,
    "coalesce": float, "accuracy": float, "min_support": float,
}  # fmt: skip
_KEPT = tuple(f"_kept_{name}" for name in Labelled._fields)
_parameters_of = attrgetter(*Settings._fields, "period")
# Attributes of a fit in memory: its table and weights, by reference. Copies and files hold neither.
REFERENCES = ("_fitted_table", "_fitted_weights")


def settings_of(model: Any) -> Settings:
    """The parameters of a model, as the pipeline takes them; plain ones are converted once."""
    values = _parameters_of(model)
    return _settings(*values) if are_plain(values) else _settings.__wrapped__(*values)


@lru_cache(maxsize=256, typed=True)  # 12 us; typed, as True is 1 and another word
def _settings(*values: Any) -> Settings:
    """Convert and check the parameters."""
    given = dict(zip((*Settings._fields, "period"), values, strict=True))
    converted = {name: kind(given[name]) for name, kind in _CONVERTED.items()}
    metric = metric_of(given["metric"], given.pop("period"))
    return Settings(**given | converted | {"metric": metric}).checked()


def bandwidth_of(model: Any) -> Any:
    """The bandwidth that a model's labels are measured by.

    ``bandwidth_`` of a fit; where centres were set by hand, the parameter ``bandwidth``. Without
    either, 0 serves the nearest of all centres, and there is no limit to honour.
    """
    if "bandwidth_" in vars(model):
        return model.bandwidth_
    if is_rule(model.bandwidth):
        if not model.cluster_all:
            raise ValueError(
                "cluster_all=False labels within the bandwidth, but neither the attribute "
                f"bandwidth_ nor a number as parameter bandwidth is set, got {model.bandwidth!r}; "
                "fit, or set one of them"
            )
        return 0.0
    if is_number(model.bandwidth):
        return model.bandwidth
    return checked_lengths("bandwidth", model.bandwidth, np.shape(model.cluster_centers_)[1])


def fitted(
    model: Any,
    table: NDArray[Any],
    weights: NDArray[np.float64],
    widths: NDArray[np.float64] = UNWEIGHTED,
    *,
    bandwidth: Any = None,
    entered: bool = False,
    trees: Trees | None = None,
) -> Fit:
    """Fit a checked table by a model's parameters; the model stays as it is.

    The arrays are those of `pipeline.fit`; a bandwidth is taken in place of the model's.
    """
    settings = settings_of(model)
    if bandwidth is not None:
        settings = settings._replace(bandwidth=bandwidth)
    with reporting(model.progress) as report:
        return pipeline.fit(
            table, settings, weights=weights, widths=widths, entered=entered, trees=trees,
            report=report,
        )  # fmt: skip


def adopt(model: Any, found: Fit) -> None:
    """Set a model's attributes to what a fit has found."""
    bandwidth = found.bandwidth
    model.cluster_centers_ = found.centers
    model.bandwidth_ = bandwidth if isinstance(bandwidth, np.ndarray) else float(bandwidth)
    model.mode_weight_ = found.support
    model.n_iter_ = len(found.history) - 1
    model.history_ = found.history
    model.labels_ = found.labels
    keep(model, found.kept)
    keep_shapes(model, found.shapes)
    drop_references(model)


def _set_all(model: Any, names: tuple[str, ...], values: tuple[Any, ...] | None) -> None:
    """Set attributes to values, or remove all that are there."""
    attributes = vars(model)
    if not attributes.keys().isdisjoint(names):
        for name in names:
            attributes.pop(name, None)
    if values:
        attributes |= dict(zip(names, values, strict=True))


def keep_shapes(model: Any, shapes: Shapes | None) -> None:
    """Set what is known of merging by prominence, if anything."""
    _set_all(model, SHAPE_ATTRIBUTES, shapes)


def shapes_of(model: Any) -> Shapes | None:
    """What a model knows of merging by prominence; None where it was fitted without."""
    attributes = vars(model)
    if "modes_" not in attributes:
        return None
    return Shapes(*(attributes.get(name) for name in SHAPE_ATTRIBUTES))


def keep(model: Any, kept: Labelled | None) -> None:
    """Keep what labels other rows, if anything: arrays and a number, as every format can.

    The labels are a copy, because the array of ``labels_`` may be written to.
    """
    _set_all(model, _KEPT, kept and kept._replace(labels=kept.labels.copy()))


def kept_of(model: Any) -> Labelled | None:
    """What a model keeps, as the kernels take it: formats forget that an array is read-only."""
    attributes = vars(model)
    if "_kept_points" not in attributes:
        return None
    names = zip(Labelled._fields, _KEPT, strict=True)
    kept = Labelled(**{name: attributes[of] for name, of in names if of in attributes})
    return kept._replace(
        points=readonly(kept.points),
        weights=readonly(kept.weights),
        places=readonly(kept.places),
        peaks=readonly(kept.peaks),
        sizes=readonly(kept.sizes),
    )


def refer_to(model: Any, table: NDArray[Any], weights: NDArray[np.float64]) -> None:
    """Refer to the rows of a fit, without a copy, where the model keeps none to label by basin."""
    attributes = vars(model)
    if "_kept_points" not in attributes:
        attributes["_fitted_table"], attributes["_fitted_weights"] = table, weights


def forget(model: Any) -> None:
    """Leave no fit: of other columns than X now has, it would be read beyond its end."""
    _set_all(model, (*FITTED, *_KEPT, *SHAPE_ATTRIBUTES, *REFERENCES), None)


def drop_references(model: Any) -> None:
    """Let go of the table of an earlier fit."""
    _set_all(model, REFERENCES, None)


def rows_of(model: Any, metric: Metric) -> Rows | None:
    """The rows of a model's fit in the engine's columns; None where it has none."""
    if kept := kept_of(model):
        return Rows.of(kept.points, kept.weights, kept.widths)
    if REFERENCES[0] not in vars(model):
        return None
    table, weights = (vars(model)[name] for name in REFERENCES)
    return Rows.of(metric.enter(table), weights, UNWEIGHTED)
