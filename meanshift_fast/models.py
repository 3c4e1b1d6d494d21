"""Models in files: what a fitted `MeanShift` knows, as plain numbers and words.

A file is a zip of npy files, as `numpy.savez` writes it, one for each array, and of `model.json`
for the rest. Nothing in it is pickled: reading a stranger's model runs none of his code.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from meanshift_fast.estimator import MeanShift
from meanshift_fast.io import write_whole
from meanshift_fast.units import readonly_table
from meanshift_fast.weights import UNWEIGHTED, checked_weights

FORMAT = "meanshift_fast model"
VERSION = 1

# What predict needs, and what says how the fit went. Labels and rows are as long as the data:
# they are saved where predict looks rows up.
_STATE = ("cluster_centers_", "bandwidth_", "mode_weight_", "history_", "n_iter_", "n_features_in_")
_ROWS = ("_rows", "_row_weights", "labels_")


def save_model(model: MeanShift, path: str | Path) -> None:
    """Write a fitted model to a file, whole or not at all.

    Parameters
    ----------
    model : MeanShift
        Fitted.
    path : str or Path
        The file; what is there is replaced.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : The way back.

    Notes
    -----
    Some kilobytes; with ``assign="basin"`` the rows of the fit as well. A ``progress`` that is a
    callable is left out.
    """
    write_whole({Path(path): lambda part: write_model(model, part)})


def write_model(model: MeanShift, part: Path) -> None:
    """Write a model to a file; for `write_whole`."""
    check_is_fitted(model, "cluster_centers_")
    parameters = model.get_params()
    if callable(parameters["progress"]):
        parameters["progress"] = False
    state = {name: getattr(model, name) for name in _STATE}
    if model._rows is not None:
        state |= {name: getattr(model, name) for name in _ROWS}
    words: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "feature_names": [str(name) for name in getattr(model, "feature_names_in_", ())],
    }
    arrays: dict[str, NDArray[Any]] = {}
    for group, values in (("parameters", parameters), ("state", state)):
        words[group] = {}
        for name, value in values.items():
            if isinstance(value, str | bool | int | float | None):
                words[group][name] = value
            elif np.ndim(value) == 0:
                words[group][name] = np.asarray(value).item()
            else:
                arrays[f"{group}/{name}"] = np.asarray(value)
    with zipfile.ZipFile(part, "w") as file:
        file.writestr("model.json", json.dumps(words, indent=1))
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


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
    """
    path = Path(path)
    try:
        words = _read(path)
        if words["format"] != FORMAT:
            raise ValueError(f"it is a {words['format']!r}")
        version = int(words["version"])
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
        return _restored(words["parameters"], words["state"], words["feature_names"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is a damaged model: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    """Read the words, with the arrays in their places among them."""
    with zipfile.ZipFile(path) as file:
        words: dict[str, Any] = json.loads(file.read("model.json"))
        for entry in file.namelist():
            if entry != "model.json":
                group, name = entry.removesuffix(".npy").split("/")
                with file.open(entry) as opened:
                    words[group][name] = np.lib.format.read_array(opened, allow_pickle=False)
    return words


def _restored(
    parameters: dict[str, Any], state: dict[str, Any], feature_names: list[str]
) -> MeanShift:
    """Make a model of what was read, if it can be one."""
    model = MeanShift(**parameters)
    model._validate_params()
    centers, bandwidth, n_features = (
        state[name] for name in ("cluster_centers_", "bandwidth_", "n_features_in_")
    )
    n_modes = len(centers)
    _require(centers.shape == (n_modes, n_features) and n_modes > 0, "centres of a wrong shape")
    _require(centers.dtype.kind == "f" and np.isfinite(centers).all(), "centres are not numbers")
    _require(np.shape(bandwidth) in ((), (n_features,)), "bandwidth of a wrong shape")
    _require((np.isfinite(bandwidth) & (np.asarray(bandwidth) >= 0)).all(), "bandwidth is none")
    _require(state["mode_weight_"].shape == (n_modes,), "supports of a wrong shape")
    _require(len(feature_names) in (0, n_features), "names of other features")
    model._rows, model._row_weights = None, UNWEIGHTED
    if "_rows" in state:
        rows, weights, labels = (state[name] for name in _ROWS)
        _require(rows.ndim == 2 and rows.shape[1] == n_features, "rows of a wrong shape")
        _require(rows.dtype == np.float64 and np.isfinite(rows).all(), "rows are not numbers")
        _require(labels.shape == (len(rows),) and labels.dtype == np.int64, "labels of other rows")
        _require(((labels >= -1) & (labels < n_modes)).all(), "labels of other centres")
        model._rows, model.labels_ = readonly_table(rows), labels
        if weights.size:
            model._row_weights = checked_weights(weights, len(rows))
    for name in _STATE:
        setattr(model, name, state[name])
    if feature_names:
        model.feature_names_in_ = np.array(feature_names, dtype=object)
    return model


def _require(is_so: Any, otherwise: str) -> None:
    if not is_so:
        raise ValueError(otherwise)
