"""Models in files: they predict as before, and what is no model is refused."""

import json
import pickle
import tracemalloc
import zipfile
from fractions import Fraction
from io import BytesIO

import numpy as np
import pandas
import pytest
from sklearn import cluster
from sklearn.exceptions import NotFittedError

from meanshift_fast import MeanShift
from meanshift_fast._cluster.model import kept_of
from meanshift_fast.models import VERSION, load_model, save_model
from meanshift_fast.stream import fit_batches
from samples import blobs

X = blobs(400, 2)
NEW = blobs(300, 2, seed=1) + 0.1


@pytest.mark.parametrize(
    "parameters",
    [
        {"bandwidth": 1.0},
        {"bandwidth": 1.0, "cluster_all": False, "bin_seeding": True},
        {"bandwidth": [1.0, 2.0], "seeds": X[:50], "tol": 1e-4},
        {"bandwidth": "scott", "min_bin_freq": 2, "max_iter": 50},
        {"bandwidth": None, "n_jobs": 1},
        {"bandwidth": 0.7, "assign": "basin"},
        {"bandwidth": 0.5, "kernel": "gaussian", "accuracy": 1e-4, "assign": "basin"},
        {"bandwidth": [0.7, 1.0], "assign": "basin", "cluster_all": False, "coalesce": 0.01},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_loaded_model_is_the_saved_one(parameters, weighted, dtype, tmp_path):
    weights = np.arange(400) % 3 if weighted else None
    saved = MeanShift(**parameters).fit(X.astype(dtype), sample_weight=weights)
    save_model(saved, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    for rows in (X.astype(dtype), NEW.astype(dtype)):
        np.testing.assert_array_equal(loaded.predict(rows), saved.predict(rows))
    for name in ("cluster_centers_", "bandwidth_", "mode_weight_", "history_", "n_iter_"):
        before, after = getattr(saved, name), getattr(loaded, name)
        assert np.asarray(after).dtype == np.asarray(before).dtype
        np.testing.assert_array_equal(after, before)
    for name, value in saved.get_params().items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
    assert hasattr(loaded, "labels_") == (saved.assign == "basin")
    again = loaded.fit(X.astype(dtype), sample_weight=weights)
    np.testing.assert_array_equal(again.labels_, saved.labels_)


@pytest.mark.parametrize("n_fine", [1, 1 << 19])
@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_a_model_of_a_stream_is_one_too(assign, n_fine, tmp_path):
    saved = fit_batches(
        [X[:150], X[150:]], bandwidth=[0.7, 1.0], assign=assign, bin_seeding=True, n_fine=n_fine
    )
    save_model(saved, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    for rows in (X, NEW):
        np.testing.assert_array_equal(loaded.predict(rows), saved.predict(rows))
    assert not hasattr(loaded, "labels_")
    if assign == "basin":
        np.testing.assert_array_equal(kept_of(loaded).widths, kept_of(saved).widths)
        np.testing.assert_array_equal(kept_of(loaded).mixed, kept_of(saved).mixed)


def test_basins_that_were_saved_without_a_grid_of_cells_are_read(tmp_path):
    def older(words, entries):
        del words["labelled"]["n_parts"], entries["labelled/sizes.npy"]
        del entries["labelled/widths.npy"], entries["labelled/mixed.npy"]

    loaded = load_model(rewritten(tmp_path / "m.model", older))
    model = MeanShift(bandwidth=0.7, assign="basin").fit(X)
    np.testing.assert_array_equal(loaded.predict(NEW), model.predict(NEW))


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (cluster.MeanShift(bandwidth=1.0).fit(X[:9]), "sklearn.cluster._mean_shift.MeanShift"),
        (MeanShift, "the class meanshift_fast.estimator.MeanShift"),
        ({"cluster_centers_": X}, "builtins.dict"),
    ],
    ids=["scikit-learn's", "a class", "a dict"],
)
def test_only_models_of_ours_are_saved(model, got, tmp_path):
    complaint = f"model must be a fitted meanshift_fast.MeanShift, got {got};"
    with pytest.raises(TypeError, match=complaint):
        save_model(model, tmp_path / "m.model")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_missing_file_are_reported(tmp_path):
    model, path = MeanShift(bandwidth=1.0).fit(X), tmp_path / "none" / "m.model"
    with pytest.raises(NotADirectoryError, match=r"cannot write .*: there is no folder .*; create"):
        save_model(model, path)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*m\.model"):
        load_model(path)


def test_names_of_features_come_back(tmp_path):
    frame = pandas.DataFrame(X, columns=["x", "h\u00f6he"])
    model = MeanShift(bandwidth=1.0, progress=lambda *_: None).fit(frame)
    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    np.testing.assert_array_equal(loaded.predict(frame), model.labels_)
    assert loaded.progress is False
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame.rename(columns={"x": "z"}))


def test_only_fitted_models_are_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(MeanShift(), tmp_path / "m.model")
    assert list(tmp_path.iterdir()) == []


def test_centres_that_were_set_by_hand_are_not_saved_and_the_error_says_why(tmp_path):
    model = MeanShift(bandwidth=1.0)
    model.cluster_centers_ = X[:3]
    with pytest.raises(NotFittedError, match=r"has no bandwidth_, mode_weight_.* set by hand; fit"):
        save_model(model, tmp_path / "m.model")
    assert list(tmp_path.iterdir()) == []


class Narrower(MeanShift):
    """A subclass with parameters of its own, and without some."""

    def __init__(self, bandwidth=None, extra=1):
        super().__init__(bandwidth=bandwidth)
        self.extra = extra


class Wider(MeanShift):
    """A subclass that hands its parameters on."""

    def __init__(self, extra=1, **parameters):
        super().__init__(**parameters)
        self.extra = extra


WORDINGS = {
    "a narrower class": lambda: Narrower(1.0).fit(X),
    "a wider class": lambda: Wider(bandwidth=1.0, assign="basin").fit(X),
    "longdouble": lambda: MeanShift(bandwidth=np.longdouble(1), tol=np.longdouble(1e-3)).fit(X),
    "float16": lambda: MeanShift(bandwidth=np.float16(1), min_support=np.float32(2)).fit(X),
    "fractions": lambda: MeanShift(bandwidth=[Fraction(1, 2), 1]).fit(X),
    "objects": lambda: MeanShift(bandwidth=np.array([1, 2], dtype=object)).fit(X),
    "longdoubles": lambda: MeanShift(bandwidth=np.array([1, 2], dtype=np.longdouble)).fit(X),
    "a series": lambda: MeanShift(bandwidth=pandas.Series([1.0, 2.0])).fit(X),
    "other byte order": lambda: MeanShift(bandwidth=np.array([1, 2], dtype=">f8")).fit(X),
    "seeds that are objects": lambda: MeanShift(bandwidth=1.0, seeds=X[:9].astype(object)).fit(X),
    "seeds in a frame": lambda: MeanShift(bandwidth=1.0, seeds=pandas.DataFrame(X[:9])).fit(X),
    "NumPy's whole numbers": lambda: MeanShift(
        bandwidth=np.int64(1), min_bin_freq=np.uint8(2), max_iter=np.int16(9), n_jobs=np.int64(1)
    ).fit(X),
    "NumPy's booleans": lambda: MeanShift(
        bandwidth=1.0, bin_seeding=np.bool_(True), cluster_all=np.bool_(False), progress=np.False_
    ).fit(X),
    "NumPy's strings": lambda: MeanShift(bandwidth=np.str_("scott"), kernel=np.str_("flat")).fit(X),
    "periods": lambda: MeanShift(bandwidth=1.0, period=np.array([None, Fraction(99)])).fit(X),
    "prominence": lambda: MeanShift(bandwidth=0.5, min_prominence=np.float32(0.25)).fit(X),
    "rows that are no longer used": lambda: (
        MeanShift(bandwidth=1.0, assign="basin").fit(X).set_params(assign="nearest")
    ),
    "parameters of another fit": lambda: (
        MeanShift(bandwidth=1.0).fit(X).set_params(bandwidth=[1, 2, 3], kernel="gaussian")
    ),
    "a table of longdouble": lambda: MeanShift(bandwidth=1.0).fit(X.astype(np.longdouble)),
    "a stream of another byte order": lambda: fit_batches([X.astype(">f4")], bandwidth=1.0),
}


@pytest.mark.parametrize("name", WORDINGS)
def test_whatever_is_saved_can_be_loaded(name, tmp_path):
    saved = WORDINGS[name]()
    save_model(saved, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    assert type(loaded) is MeanShift
    np.testing.assert_array_equal(loaded.predict(NEW), saved.predict(NEW))
    for parameter, value in loaded.get_params().items():
        expected = getattr(saved, parameter)
        if np.ndim(expected) and parameter != "period":
            expected = np.asarray(expected, dtype=np.float64)
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda m: m.set_params(assign="basin"),
            'model must have the rows .* set assign="nearest"',
        ),
        (lambda m: m.set_params(tol=-1.0), "model must be as its fit left it.*'tol' parameter"),
        (lambda m: m.set_params(cluster_all="no"), "model must be.*'cluster_all' parameter"),
        (lambda m: setattr(m, "cluster_centers_", X[:1]), "model must be.*supports of a wrong"),
        (lambda m: setattr(m, "bandwidth_", np.nan), "model must be.*no bandwidth"),
        (lambda m: setattr(m, "n_features_in_", 3), "model must be.*centres of a wrong shape"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved_and_the_error_says_why(change, complaint, tmp_path):
    model = MeanShift(bandwidth=1.0).fit(X)
    change(model)
    with pytest.raises(ValueError, match=complaint):
        save_model(model, tmp_path / "m.model")
    assert list(tmp_path.iterdir()) == []


def rewritten(path, change):
    """Save a model whose words and arrays were changed on the way."""
    save_model(MeanShift(bandwidth=0.7, assign="basin").fit(X), path)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    words = json.loads(entries["model.json"])
    change(words, entries)
    if "model.json" in entries:
        entries["model.json"] = json.dumps(words).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def array(values):
    """The bytes of an npy file."""
    file = BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


def changed(entries, support):
    """The bytes of as many supports as there are, all of one value."""
    n_modes = np.load(BytesIO(entries["state/mode_weight_.npy"])).shape
    return array(np.full(n_modes, support))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda w, e: w.update(version=VERSION + 1), "of version 2, .* reads up to 1; install"),
        (lambda w, e: w["labelled"].update(n_parts=1), "damaged model: sizes of no cells"),
        (lambda w, e: w["labelled"].update(n_parts=-1), "damaged model: cells without"),
        (
            lambda w, e: (
                w["labelled"].update(n_parts=1),
                e.update({"labelled/sizes.npy": array([0.0])}),
            ),
            "damaged model: sizes must be",
        ),
        (
            lambda w, e: e.update({"labelled/widths.npy": array([1.0])}),
            "damaged model: widths of other cells",
        ),
        (
            lambda w, e: e.update({"labelled/widths.npy": array(np.full(400, np.nan))}),
            "damaged model: widths are not numbers",
        ),
        (
            lambda w, e: e.update({"labelled/mixed.npy": array(np.ones(400, dtype=bool))}),
            "damaged model: mixed cells of a wrong shape",
        ),
        (lambda w, e: w.update(format="other"), "is not a model: it is a 'other'"),
        (lambda w, e: w.pop("version"), "is not a model: 'version'"),
        (lambda w, e: e.pop("model.json"), "is not a model: .*model.json"),
        (lambda w, e: e.update({"labelled/points.npy": array([None])}), "is not a model: .*pickle"),
        (lambda w, e: e.update({"labelled/points.npy": b"\x93NUMPY"}), "is not a model: "),
        (
            lambda w, e: e.update({"other/points.npy": array([1])}),
            "is not a model: .*'other/points'",
        ),
        (lambda w, e: e.update({"state/../a.npy": array([1])}), "is not a model: .*entry"),
        (lambda w, e: e.update({"/state/a.npy": array([1])}), "is not a model: .*entry"),
        (lambda w, e: w.update(version=-1), "is not a model: its version is -1"),
        (lambda w, e: w.update(version="1"), "is not a model: its version is '1'"),
        (lambda w, e: w.update(state=[]), "is not a model: "),
        (lambda w, e: w["state"].update(n_iter_="abc"), "damaged model: rounds"),
        (lambda w, e: w["state"].update(n_features_in_=2.0), "damaged model: features"),
        (
            lambda w, e: w["state"].update(bandwidth_=True),
            "damaged model: no bandwidth of at least 0",
        ),
        (lambda w, e: w.update(feature_names=[1, 2]), "damaged model: names are no text"),
        (
            lambda w, e: [
                w.update(labelled={}),
                *[e.pop(name) for name in list(e) if name.startswith("labelled")],
            ],
            "damaged model: rows of another",
        ),
        (lambda w, e: w["parameters"].update(assign="nearest"), "damaged model: rows of another"),
        (
            lambda w, e: e.update({"state/mode_weight_.npy": changed(e, np.nan)}),
            "damaged model: supports are not numbers",
        ),
        (
            lambda w, e: e.update({"state/mode_weight_.npy": changed(e, -1.0)}),
            "damaged model: supports below 0",
        ),
        (
            lambda w, e: e.update({"state/mode_weight_.npy": changed(e, "many")}),
            "damaged model: supports are not numbers",
        ),
        (
            lambda w, e: e.update({"state/history_.npy": array([1.0])}),
            "damaged model: history is none",
        ),
        (lambda w, e: w["parameters"].update(kind=1), "is a damaged model: .*'kind'"),
        (lambda w, e: w["parameters"].update(tol=-1), "is a damaged model: .*'tol' parameter"),
        (lambda w, e: w["state"].pop("n_iter_"), "is a damaged model: 'n_iter_'"),
        (
            lambda w, e: w["state"].update(bandwidth_=-1.0),
            "damaged model: no bandwidth of at least 0",
        ),
        (lambda w, e: w["state"].update(bandwidth_="1"), "damaged model: "),
        (lambda w, e: w["state"].update(n_features_in_=3), "damaged model: centres of a wrong"),
        (lambda w, e: w.update(feature_names=["x"]), "damaged model: names of other features"),
        (
            lambda w, e: e.update({"state/cluster_centers_.npy": array([[np.nan, 1.0]])}),
            "damaged model: centres are not numbers",
        ),
        (
            lambda w, e: e.update({"labelled/labels.npy": array(np.full(400, 99))}),
            "damaged model: labels of other centres",
        ),
        (
            lambda w, e: e.update({"labelled/points.npy": array(X[:9])}),
            "damaged model: labels of other rows",
        ),
        (
            lambda w, e: e.update({"labelled/weights.npy": array(-np.ones(400))}),
            "damaged model: sample_weight must be finite and at least 0",
        ),
    ],
)
def test_a_changed_model_is_refused_with_the_reason(change, complaint, tmp_path):
    path = rewritten(tmp_path / "m.model", change)
    with pytest.raises(ValueError, match=rf"m\.model is .*{complaint.removeprefix('is ')}"):
        load_model(path)


def test_other_files_are_no_models(tmp_path):
    path = tmp_path / "m.model"
    with pytest.raises(FileNotFoundError, match=r"m\.model"):
        load_model(path)
    model = MeanShift(bandwidth=1.0).fit(X)
    np.savez(tmp_path / "a.npz", X)
    save_model(model, path)
    for content in (b"", b"x,y\n", pickle.dumps(model), (tmp_path / "a.npz").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"m\.model is not a model: "):
            load_model(path)


def test_a_damaged_byte_or_a_cut_never_gives_another_error(tmp_path):
    path = tmp_path / "m.model"
    save_model(MeanShift(bandwidth=1.0).fit(X), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged[: rng.integers(len(whole) // 2, len(whole) + 1)])
        try:
            load_model(path).predict(X)
        except (ValueError, OSError):
            n_refused += 1
    assert n_refused > 200


@pytest.mark.parametrize("turn", [np.asfortranarray, lambda a: a.astype(a.dtype.newbyteorder(">"))])
def test_a_model_whose_arrays_lie_otherwise_predicts_the_same(turn, tmp_path):
    def lie_otherwise(words, entries):
        for name in entries.keys() - {"model.json"}:
            entries[name] = array(turn(np.load(BytesIO(entries[name]))))

    loaded = load_model(rewritten(tmp_path / "m.model", lie_otherwise))
    model = MeanShift(bandwidth=0.7, assign="basin").fit(X)
    np.testing.assert_array_equal(loaded.predict(NEW), model.predict(NEW))
    np.testing.assert_array_equal(loaded.cluster_centers_, model.cluster_centers_)


def declaring(shape, dtype="<f8", n_bytes=16):
    """The bytes of an npy file that declares a shape and holds so many bytes."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + bytes(n_bytes)


def bomb(path, content, **how):
    """A model with one more entry."""
    save_model(MeanShift(bandwidth=1.0).fit(X), path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("state/more.npy", content, **how)
    return path


def declared_larger(path):
    """A model whose last entry declares four gigabytes, in the directory and before its bytes."""
    size = len(declaring((2,)))
    old, new = (2 * n.to_bytes(4, "little") for n in (size, 0xFFFFFFF0))  # packed and unpacked
    content = bomb(path, declaring((2,))).read_bytes()
    at = content.rindex(old)
    path.write_bytes(content[:at] + new + content[at + 8 :])
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: bomb(path, declaring((1 << 40,))),
        lambda path: bomb(path, declaring((1 << 20, 1 << 40))),
        lambda path: bomb(path, declaring((-1, -2))),
        lambda path: bomb(path, declaring((1 << 40,), "|V0", 0)),
        lambda path: bomb(path, bytes(50_000_000), compress_type=zipfile.ZIP_DEFLATED),
        lambda path: bomb(path, bytes(10_000_000), compress_type=zipfile.ZIP_LZMA),
        lambda path: rewritten(path, lambda w, e: w.update(more="x" * (70 << 20))),
        declared_larger,
    ],
    ids=[
        "a huge shape", "a huger one", "a negative one", "items of no bytes", "zeros, deflated",
        "zeros, lzma", "words without end", "a huge entry",
    ],
)  # fmt: skip
def test_what_declares_more_than_it_holds_is_refused_before_memory_is_taken(make, tmp_path):
    path = make(tmp_path / "m.model")
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"m\.model is not a model: "):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_model_of_one_name_twice_is_refused(tmp_path):
    path = tmp_path / "m.model"
    save_model(MeanShift(bandwidth=1.0).fit(X), path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("model.json", "{}")
    with pytest.raises(ValueError, match=r"m\.model is not a model: two of its entries"):
        load_model(path)
