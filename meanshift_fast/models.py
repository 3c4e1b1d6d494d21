"""Models in files: the parameters and attributes of a fitted `MeanShift`.

A file is a zip of npy files, as `numpy.savez` writes it, one for each array, and of `model.json`
for the rest. Nothing in it is pickled: reading a file runs no code from it.
"""

from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from meanshift_fast._cluster.basins import Labelled
from meanshift_fast._cluster.history import HISTORY_DTYPE
from meanshift_fast._cluster.model import keep, keep_shapes, kept_of, shapes_of
from meanshift_fast._cluster.shapes import Shapes
from meanshift_fast._files.archive import read_archive, write_archive
from meanshift_fast._files.atomic import check_source, check_target, write_whole
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.metrics import EUCLIDEAN, metric_of
from meanshift_fast._input.scaling import checked_lengths
from meanshift_fast._input.weights import UNWEIGHTED, checked_weights
from meanshift_fast.estimator import MeanShift

FORMAT = "meanshift_fast model"
VERSION = 1
WORDS = "model.json"

# What values that are no model's raise where one is made of them.
_DAMAGES = (AttributeError, KeyError, OverflowError, TypeError, ValueError)

_GROUPS = ("parameters", "state", "labelled", "shapes")

# What `predict` needs, and the record of the fit. Rows and their labels are saved only where
# `predict` looks rows up.
_STATE = ("cluster_centers_", "bandwidth_", "mode_weight_", "history_", "n_iter_", "n_features_in_")


def save_model(model: MeanShift, path: str | Path) -> None:
    """Write a fitted model to a file, whole or not at all.

    Read more in :doc:`/guides/models`.

    Parameters
    ----------
    model : MeanShift
        Fitted.
    path : str or Path
        The file; what is there is replaced.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted, or its centres were set by hand.
    TypeError
        If it is another kind of model.
    ValueError
        If it could not be loaded: its parameters or attributes are no longer those of a fit.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : The way back.

    Notes
    -----
    Some kilobytes; with ``assign="basin"`` the rows of the fit as well. A ``progress`` that is a
    callable is left out, and so is what a subclass adds: a model of Dask comes back as a plain
    `MeanShift`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meanshift_fast.models import load_model, save_model
    >>> with TemporaryDirectory() as folder:
    ...     save_model(MeanShift(bandwidth=2).fit([[1], [2], [9]]), f"{folder}/a.model")
    ...     load_model(f"{folder}/a.model").predict([[0], [8]]).tolist()
    [0, 1]
    """
    if not isinstance(model, MeanShift):
        kind = model if isinstance(model, type) else type(model)
        raise TypeError(
            "model must be a fitted meanshift_fast.MeanShift, got "
            f"{'the class ' if kind is model else ''}{kind.__module__}.{kind.__qualname__}; "
            "joblib.dump writes other models"
        )
    check_is_fitted(model, "cluster_centers_")
    if missing := [name for name in _STATE if not hasattr(model, name)]:
        raise NotFittedError(
            f"model must be fitted, and has no {', '.join(missing)}: its centres were set by hand; "
            "fit, or write it with joblib.dump"
        )
    if model.assign == "basin" and kept_of(model) is None:
        raise ValueError(
            'model must have the rows of its fit to label by with assign="basin", which '
            'assign="nearest" did not keep; fit again, or set assign="nearest"'
        )
    check_target(Path(path))
    write_whole({Path(path): lambda part: write_model(model, part)})


def write_model(model: MeanShift, part: Path) -> None:
    """Write a fitted model to a file; for `write_whole`."""
    words, arrays = _contents(model)
    try:
        _restored(_joined(words, arrays))
    except _DAMAGES as error:
        raise ValueError(
            f"model must be as its fit left it, got what could not be loaded: {error}; fit again, "
            "or write it with joblib.dump"
        ) from error
    write_archive(part, WORDS, words, arrays)


def _contents(model: MeanShift) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The words and arrays of a model, of a Dask model or another subclass as of `MeanShift`."""
    parameters = {name: getattr(model, name) for name in MeanShift._get_param_names()}
    if callable(parameters["progress"]):
        parameters["progress"] = False
    if metric_of(model.metric, model.period) is EUCLIDEAN:  # which versions before 0.4 read too
        del parameters["metric"], parameters["period"]
    kept = kept_of(model) if model.assign == "basin" else None
    groups = {
        "parameters": parameters,
        "state": {name: getattr(model, name) for name in _STATE},
        "labelled": kept._asdict() if kept else {},
        "shapes": shapes._replace(of_rows=None)._asdict() if (shapes := shapes_of(model)) else {},
    }
    words: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "feature_names": [str(name) for name in getattr(model, "feature_names_in_", ())],
    }
    arrays: dict[str, NDArray[Any]] = {}
    for group, values in groups.items():
        words[group] = {}
        for name, value in values.items():
            if np.ndim(value) == 0:
                words[group][name] = _plain(value)
            elif name == "period":
                words[group][name] = [None if each is None else float(each) for each in value]
            else:
                arrays[f"{group}/{name}"] = _portable(np.asarray(value))
    return words, arrays


def _plain(value: Any) -> str | bool | int | float | None:
    """A single value as JSON has it."""
    value = np.asarray(value).item()
    if isinstance(value, str | bool | None):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _portable(array: NDArray[Any]) -> NDArray[Any]:
    """An array as npy files have it: fractions and wide floats are float64."""
    is_portable = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
    return array if is_portable or array.dtype.names else array.astype(np.float64)


def load_model(path: str | Path) -> MeanShift:
    """Read a model that `save_model` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    MeanShift
        Fitted: it predicts what the saved one did. ``labels_`` is there only with
        ``assign="basin"``.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds no model, or one of a later version of the format.

    See Also
    --------
    save_model : The way there.

    Examples
    --------
    See :func:`save_model`.
    """
    path = Path(path)
    check_source(path)
    try:
        words = _joined(*read_archive(path, WORDS))
        if words["format"] != FORMAT:
            raise ValueError(f"it is a {quoted(words['format'])}")
        version = words["version"]
        _require(_is_whole(version, 1), f"its version is {quoted(version)}")
    except OSError:
        raise
    except Exception as error:  # whatever foreign bytes make of zipfile, json and NumPy
        raise ValueError(
            f"{path} is not a model: {error}; `cluster --model` and save_model write models"
        ) from error
    if version > VERSION:
        raise ValueError(
            f"{path} is a model of version {version}, and this meanshift_fast reads up to "
            f"{VERSION}; install a later one"
        )
    try:
        return _restored(words)
    except _DAMAGES as error:
        raise ValueError(f"{path} is a damaged model: {error}") from error


def _joined(words: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The words, with the arrays in their places among them."""
    joined = words | {group: words[group].copy() for group in _GROUPS if group in words}
    for entry, array in arrays.items():
        group, _, name = entry.partition("/")
        _require(group in _GROUPS and name.isidentifier(), f"it has an entry {quoted(entry)}")
        joined[group][name] = array
    return joined


def _restored(words: dict[str, Any]) -> MeanShift:
    """Make a model of what was read, if it can be one."""
    model = MeanShift(**words["parameters"])
    model._validate_params()
    state, feature_names = words["state"], words["feature_names"]
    centers, bandwidth, n_features = (
        state[name] for name in ("cluster_centers_", "bandwidth_", "n_features_in_")
    )
    n_modes = len(centers)
    _require(_is_whole(n_features, 1), "features without a number")
    _require(centers.shape == (n_modes, n_features) and n_modes > 0, "centres of a wrong shape")
    _require(centers.dtype in (np.float16, np.float32, np.float64), "centres are not numbers")
    _require(np.isfinite(centers).all(), "centres are not numbers")
    _require(np.shape(bandwidth) in ((), (n_features,)), "bandwidth of a wrong shape")
    _require(np.asarray(bandwidth).dtype in (np.float64, np.int64), "no bandwidth of at least 0")
    _require(
        (np.isfinite(bandwidth) & (np.asarray(bandwidth) >= 0)).all(), "no bandwidth of at least 0"
    )
    _check_record(state, n_modes)
    _require(len(feature_names) in (0, n_features), "names of other features")
    _require(all(isinstance(name, str) for name in feature_names), "names are no text")
    _require(bool(words["labelled"]) == (model.assign == "basin"), "rows of another assignment")
    for name in _STATE:
        setattr(model, name, state[name])
    if shapes := words.get("shapes"):  # which files have from the merging by prominence on
        keep_shapes(model, _restored_shapes(shapes, n_modes, n_features, centers.dtype))
    if feature_names:
        model.feature_names_in_ = np.array(feature_names, dtype=object)
    if words["labelled"]:
        n_columns = metric_of(model.metric, model.period).n_columns(n_features)
        known = _restored_rows(words["labelled"], n_modes, n_columns)
        keep(model, known)
        if known.grid is None:
            model.labels_ = known.labels
    return model


def _check_record(state: dict[str, Any], n_modes: int) -> None:
    """Check the record of a fit, which `predict` does not need."""
    support, history = state["mode_weight_"], state["history_"]
    _require_numbers(support, (n_modes,), "supports")
    _require((support >= 0.0).all(), "supports below 0")
    _require(_is_whole(state["n_iter_"], 0), "rounds without a number")
    _require(history.dtype == HISTORY_DTYPE and history.ndim == 1, "history is none")


def _restored_shapes(
    arrays: dict[str, Any], n_clusters: int, n_features: int, dtype: np.dtype[Any]
) -> Shapes:
    """Check the modes that were merged by prominence."""
    shapes = Shapes(**arrays)
    n_modes = len(shapes.modes)
    _require(shapes.modes.shape == (n_modes, n_features), "modes of a wrong shape")
    _require(n_modes >= n_clusters, "fewer modes than clusters")
    _require(shapes.modes.dtype == dtype, "modes are not numbers")
    _require(shapes.linkage.shape == (n_modes - 1, 4), "a merge tree of other modes")
    for values in (shapes.density, shapes.prominence, shapes.support):
        _require(values.shape == (n_modes,), "densities of other modes")
    for values in (*shapes[:3], shapes.support, shapes.linkage):
        _require(values.dtype.kind == "f" and np.isfinite(values).all(), "modes are not numbers")
    for numbers, most in ((shapes.labels, n_clusters), (shapes.across, n_modes)):
        _require(numbers.shape == (n_modes,) and numbers.dtype == np.int64, "labels of other modes")
        _require(((numbers >= -1) & (numbers < most)).all(), "modes of other clusters")
    _require(shapes.of_rows is None, "rows of a model in a file")
    return shapes


def _restored_rows(arrays: dict[str, Any], n_modes: int, n_features: int) -> Labelled:
    """Check the rows that a model labels others by; or the points of cells."""
    points, weights, labels = (arrays[name] for name in ("points", "weights", "labels"))
    _require_numbers(points, (len(points), n_features), "rows")
    _require(labels.shape == (len(points),) and labels.dtype == np.int64, "labels of other rows")
    _require(((labels >= -1) & (labels < n_modes)).all(), "labels of other centres")
    places, modes, peaks = (arrays[name] for name in ("places", "modes", "peaks"))
    _require_numbers(places, (len(modes), n_features), "endpoints")
    _require_numbers(peaks, (len(peaks), n_features), "modes")
    _require(len(peaks) >= n_modes, "fewer modes than centres")
    _require(modes.dtype == np.int64 and modes.size > 0, "endpoints without modes")
    _require(((modes >= 0) & (modes < n_modes)).all(), "endpoints of modes that it lacks")
    weights = checked_weights(weights, len(points)) if weights.size else UNWEIGHTED
    # Files that were written before models kept them flat name them for cells only.
    sizes, n_parts = arrays.get("sizes", np.empty(0)), arrays.get("n_parts", 0)
    _require(_is_whole(n_parts, 0), "cells without a number")
    _require((n_parts > 0) == (sizes.size > 0), "sizes of no cells")
    # Those before centres could be dropped lack this, and those before cells had a width the next.
    dropped = arrays.get("dropped", np.empty(0, bool))
    _require(
        dropped.shape in ((0,), modes.shape) and dropped.dtype == np.bool_,
        "dropped endpoints of a wrong shape",
    )
    widths, mixed = (
        arrays.get(name, np.empty(0, dtype)) for name, dtype in (("widths", float), ("mixed", bool))
    )
    _require(widths.shape in ((0,), (len(points),)), "widths of other cells")
    _require(widths.dtype == np.float64 and np.isfinite(widths).all(), "widths are not numbers")
    _require((widths >= 0.0).all(), "widths below 0")
    _require(
        mixed.shape in ((0,), widths.shape) and mixed.dtype == np.bool_,
        "mixed cells of a wrong shape",
    )
    if n_parts:
        sizes = checked_lengths("sizes", sizes, n_features)
    return Labelled(
        points, weights, labels, places, modes, peaks, sizes, n_parts, widths, mixed, dropped
    )


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require_numbers(values: NDArray[Any], shape: tuple[int, ...], what: str) -> None:
    _require(values.shape == shape, f"{what} of a wrong shape")
    _require(values.dtype == np.float64 and np.isfinite(values).all(), f"{what} are not numbers")


def _require(is_so: Any, otherwise: str) -> None:
    if not is_so:
        raise ValueError(otherwise)
