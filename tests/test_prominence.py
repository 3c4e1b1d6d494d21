"""Merging by prominence: saddles, the tree, its cuts, and what a fit makes of them."""

import copy
import pickle

import dask.array as da
import numpy as np
import pytest
from scipy.cluster.hierarchy import dendrogram, fcluster, is_monotonic, is_valid_linkage
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KernelDensity

import naive
from meanshift_fast import MeanShift, mean_shift
from meanshift_fast._cli.main import main
from meanshift_fast._cluster.prominence import N_NEIGHBOURS, find_saddles
from meanshift_fast._cluster.shapes import SHAPE_ATTRIBUTES
from meanshift_fast._index import choice
from meanshift_fast._input.scaling import Units, readonly_table
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.io import open_table
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches
from test_io import named, save

pytestmark = pytest.mark.usefixtures("small_fits_on_threads")

RNG = np.random.default_rng(11)
ONE_SETTING = {
    "kernel": "gaussian",
    "bandwidth": "fine",
    "assign": "basin",
    "coalesce": 0.01,
    "min_prominence": "auto",
}


def moons(n_rows=600, noise=0.09, seed=0):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, (2, n_rows))
    upper = np.column_stack([np.cos(angle[0]), np.sin(angle[0])])
    lower = np.column_stack([1 - np.cos(angle[1]), 0.5 - np.sin(angle[1])])
    rows = np.concatenate([upper, lower]) + rng.normal(0, noise, (2 * n_rows, 2))
    return rows, np.repeat([0, 1], n_rows)


MOONS, OF_MOONS = moons()
SMALL = RNG.normal(size=(90, 2)) + RNG.integers(0, 3, (90, 1)) * 2.0
LATTICE = RNG.integers(0, 7, (120, 2)).astype(float)
CLOUD = RNG.normal(size=(70, 5))
WEIGHTS = RNG.choice([0.5, 1.0, 2.0, 4.0], 120)

tables = pytest.mark.parametrize("rows", [SMALL, LATTICE, CLOUD], ids=["rows", "ties", "5-d"])
kernels = pytest.mark.parametrize("kernel", ["flat", "gaussian"])
assignments = pytest.mark.parametrize("assign", ["nearest", "basin"])


def bandwidth_of(kernel, rows):
    return {2: 0.9, 5: 2.0}[rows.shape[1]] * (1.0 if kernel == "flat" else 0.35)


def same_partition(labels, others):
    return adjusted_rand_score(labels, others) == 1.0


@tables
@kernels
@assignments
@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
def test_densities_prominences_and_clusters_are_those_of_the_definition(
    rows, kernel, assign, weighted
):
    bandwidth, weights = bandwidth_of(kernel, rows), WEIGHTS[: len(rows)] if weighted else None
    words = {"kernel": kernel, "bandwidth": bandwidth, "assign": assign, "accuracy": 1e-9}
    plain = MeanShift(**words).fit(rows, sample_weight=weights)
    each = np.ones(len(rows)) if weights is None else weights
    measure = naive.flat_density if kernel == "flat" else naive.gaussian_density
    density = measure(rows, each, plain.cluster_centers_, bandwidth)
    reach = 2 * bandwidth * (1.0 if kernel == "flat" else np.sqrt(rows.shape[1] + 2))
    found = naive.saddles(
        rows, plain.labels_, measure(rows, each, rows, bandwidth), N_NEIGHBOURS, reach
    )
    assert len(found) > 1
    model = MeanShift(**words, min_prominence=0.3).fit(rows, sample_weight=weights)
    np.testing.assert_array_equal(model.modes_, plain.cluster_centers_)
    np.testing.assert_allclose(model.mode_density_, density, rtol=1e-8)
    expected = naive.prominences(density, found)
    np.testing.assert_allclose(model.mode_prominence_, expected, atol=1e-7)
    for least in (0.05, 0.3, 0.62, 0.95):
        assert np.abs(expected - least).min() > 1e-6
        heads = naive.merge_by_prominence(density, found, least)
        assert same_partition(model.labels_at(least), heads[plain.labels_])
    heads = np.unique(naive.merge_by_prominence(density, found, 0.3))
    np.testing.assert_array_equal(model.cluster_centers_, plain.cluster_centers_[heads])
    np.testing.assert_array_equal(model.mode_weight_, plain.mode_weight_[heads])


@kernels
@assignments
@pytest.mark.parametrize("cluster_all", [True, False])
@pytest.mark.parametrize("min_support", [0.0, 0.4])
def test_a_cut_equals_a_fit_and_predict_equals_both(kernel, assign, cluster_all, min_support):
    words = {
        "kernel": kernel,
        "bandwidth": 0.5 if kernel == "flat" else 0.25,
        "assign": assign,
        "cluster_all": cluster_all,
        "min_support": min_support,
        "bin_seeding": True,
    }
    rows = np.concatenate([MOONS[::3], RNG.uniform(-3, 4, (60, 2))])
    model = MeanShift(**words, min_prominence="auto").fit(rows)
    np.testing.assert_array_equal(model.labels_at("auto"), model.labels_)
    for least in (0.0, 0.2, 0.6):
        fit = MeanShift(**words, min_prominence=least or 1e-300).fit(rows)
        np.testing.assert_array_equal(model.labels_at(least or 1e-300), fit.labels_)
        np.testing.assert_array_equal(fit.predict(rows), fit.labels_)
        assert fit.labels_.max() == len(fit.cluster_centers_) - 1


def test_at_0_rows_of_a_dropped_mode_have_its_label():
    X = np.array([[3.5], [1.8], [1.2], [3.4], [2.6], [2.7]])
    words = {"bandwidth": 1.0, "min_support": 0.5, "cluster_all": False}
    model = MeanShift(**words, min_prominence=0.1).fit(X)
    assert model.labels_at(0.0).tolist() == [0, -1, -1, 0, 0, 0]
    assert MeanShift(**words).fit(X).labels_.tolist() == [0, 0, -1, 0, 0, 0]


@kernels
def test_larger_values_only_merge(kernel):
    model = MeanShift(kernel=kernel, bandwidth=0.2, assign="basin", min_prominence=0.5).fit(MOONS)
    before = model.labels_at(0.0)
    for least in np.linspace(0.02, 0.98, 25):
        labels = model.labels_at(least)
        assert len(np.unique(np.stack([before, labels]), axis=1).T) == len(np.unique(before))
        before = labels


def test_the_merge_tree_is_a_linkage_that_scipy_cuts_alike():
    model = MeanShift(bandwidth=0.3, assign="basin", min_prominence=0.5).fit(MOONS)
    tree = model.merge_tree_
    assert is_valid_linkage(tree)
    assert is_monotonic(tree)
    assert len(tree) == len(model.modes_) - 1
    assert tree[-1, 3] == len(model.modes_)
    assert len(dendrogram(tree, no_plot=True)["leaves"]) == len(model.modes_)
    for least in (0.1, 0.5, 0.9):
        cut = fcluster(tree, np.nextafter(least, 0.0), "distance")
        assert same_partition(cut[model._row_modes], model.labels_at(least))


def test_zero_merges_nothing_and_keeps_nothing():
    plain = MeanShift(bandwidth=0.3, assign="basin").fit(MOONS)
    model = MeanShift(bandwidth=0.3, assign="basin", min_prominence=0).fit(MOONS)
    assert vars(model).keys() == vars(plain).keys()
    np.testing.assert_array_equal(model.cluster_centers_, plain.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, plain.labels_)
    merged = MeanShift(bandwidth=0.3, assign="basin", min_prominence=0.5).fit(MOONS)
    merged.set_params(min_prominence=0.0).fit(MOONS)
    assert not hasattr(merged, "modes_")
    with pytest.raises(ValueError, match="no merge tree; fit again"):
        merged.labels_at(0.5)


@pytest.mark.parametrize("gone", ["modes_", "merge_tree_", "_row_modes"])
def test_a_plain_fit_leaves_no_attribute_of_merging_where_one_is_gone(gone):
    model = MeanShift(bandwidth=0.3, assign="basin", min_prominence=0.5).fit(MOONS)
    delattr(model, gone)  # by hand, or as a fit removed it that was interrupted
    model.set_params(min_prominence=0.0).fit(MOONS)
    assert vars(model).keys().isdisjoint(SHAPE_ATTRIBUTES)


@kernels
def test_order_scale_and_turns_change_no_partition(kernel):
    words = ONE_SETTING | {"kernel": kernel, "coalesce": 0.0}
    labels = MeanShift(**words).fit(MOONS).labels_
    order = RNG.permutation(len(MOONS))
    assert same_partition(MeanShift(**words).fit(MOONS[order]).labels_, labels[order])
    for rows in (MOONS * 2.0**40, MOONS * 2.0**-40, MOONS[:, ::-1] * [1.0, -1.0]):
        assert same_partition(MeanShift(**words).fit(rows).labels_, labels)


@kernels
@assignments
def test_threads_change_nothing(kernel, assign):
    words = ONE_SETTING | {"kernel": kernel, "assign": assign}
    one, two = (MeanShift(**words, n_jobs=n).fit(MOONS) for n in (1, 2))
    for name in ("labels_", "mode_density_", "mode_prominence_", "merge_tree_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_one_setting_finds_moons_rings_and_blobs():
    assert adjusted_rand_score(MeanShift(**ONE_SETTING).fit(MOONS).labels_, OF_MOONS) > 0.95
    angle, radius = RNG.uniform(0, 2 * np.pi, 1200), np.repeat([1.0, 3.0, 3.0, 3.0], 300)
    rings = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    rings += RNG.normal(0, 0.2, (1200, 2))
    assert len(MeanShift(**ONE_SETTING).fit(rings).cluster_centers_) == 2
    blobs = RNG.normal(np.repeat(RNG.uniform(-9, 9, (3, 8)), 200, axis=0))
    assert len(MeanShift(**ONE_SETTING).fit(blobs).cluster_centers_) == 3


def test_too_little_support_is_dropped_after_merging():
    words = {"bandwidth": 0.25, "assign": "basin", "min_prominence": 0.6}
    rows = np.concatenate([MOONS, RNG.normal(9.0, 0.05, (4, 2))])
    every = MeanShift(**words).fit(rows)
    left = MeanShift(**words, min_support=6, cluster_all=False).fit(rows)
    assert len(every.cluster_centers_) == len(left.cluster_centers_) + 1
    assert (left.labels_[-4:] == -1).all()
    assert (left.mode_labels_ == -1).sum() == 1
    filled = MeanShift(**words, min_support=6).fit(rows)
    assert (filled.labels_ >= 0).all()


def test_the_function_takes_it_too():
    centers, labels = mean_shift(MOONS, **ONE_SETTING)
    model = MeanShift(**ONE_SETTING).fit(MOONS)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)


@pytest.mark.parametrize("bad", [-0.1, 1, 1.0, np.nan, "few", None])
@pytest.mark.parametrize("validates", [True, False])
def test_what_is_no_prominence_is_refused(bad, validates):
    import sklearn

    with (
        sklearn.config_context(skip_parameter_validation=not validates),
        pytest.raises(ValueError, match="min_prominence"),
    ):
        MeanShift(bandwidth=1.0, min_prominence=bad).fit(MOONS)


def test_a_cut_out_of_range_is_refused():
    model = MeanShift(**ONE_SETTING).fit(MOONS)
    with pytest.raises(ValueError, match="min_prominence must be at least 0 and below 1"):
        model.labels_at(1.0)
    with pytest.raises(ValueError, match="min_prominence must be at least 0 and below 1"):
        model.labels_at(np.array([0.2, 0.3]))


@pytest.mark.parametrize("rows", [MOONS[:1], np.zeros((5, 3)), MOONS[:2], LATTICE[:, :1]])
@kernels
@assignments
def test_few_and_equal_rows_have_clusters(rows, kernel, assign):
    for bandwidth in ("fine", 0.5):
        model = MeanShift(
            kernel=kernel, bandwidth=bandwidth, assign=assign, min_prominence="auto"
        ).fit(rows)
        np.testing.assert_array_equal(model.predict(rows), model.labels_)
        assert len(model.merge_tree_) == len(model.modes_) - 1


# The density.


@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@assignments
@kernels
def test_log_densities_are_those_of_kernel_density(kernel, assign, shift, weighted):
    rows = CLOUD[:, :3] + shift
    weights = WEIGHTS[: len(rows)] if weighted else None
    model = MeanShift(kernel=kernel, bandwidth=0.8, assign=assign, accuracy=1e-6)
    model.fit(rows, sample_weight=weights)
    name = "epanechnikov" if kernel == "flat" else "gaussian"
    twin = KernelDensity(kernel=name, bandwidth=0.8, rtol=1e-12).fit(rows, sample_weight=weights)
    places = np.concatenate([rows, rows + 0.3, rows + (50.0 if kernel == "flat" else 5.0)])
    np.testing.assert_allclose(
        model.score_samples(places), twin.score_samples(places), rtol=0.0,
        atol=1e-9 if kernel == "flat" else 1e-6,
    )  # fmt: skip


def test_features_with_a_bandwidth_each_have_densities_per_volume():
    scales = np.array([1.0, 10.0])
    one = MeanShift(bandwidth=0.5, assign="basin").fit(SMALL).score_samples(SMALL)
    each = MeanShift(bandwidth=0.5 * scales, assign="basin").fit(SMALL * scales)
    np.testing.assert_allclose(each.score_samples(SMALL * scales), one - np.log(10.0))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_rows_that_a_fit_refers_to_have_the_density_of_those_that_it_keeps(dtype):
    rows = (10.0 * SMALL).astype(dtype)
    weights = np.where(np.arange(len(rows)) % 5, WEIGHTS[: len(rows)], 0.0)
    words = {"bandwidth": 5.0, "period": [50.0, None]}
    nearest = MeanShift(**words).fit(rows, sample_weight=weights)
    basin = MeanShift(assign="basin", **words).fit(rows, sample_weight=weights)
    np.testing.assert_array_equal(nearest.score_samples(rows), basin.score_samples(rows))


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy,
          "pickle": lambda model: pickle.loads(pickle.dumps(model))}  # fmt: skip


@pytest.mark.parametrize("of", COPIES)
def test_copies_have_rows_only_where_basins_need_them(of):
    basin = MeanShift(bandwidth=0.5, assign="basin").fit(SMALL)
    density = basin.score_samples(SMALL)
    np.testing.assert_array_equal(COPIES[of](basin).score_samples(SMALL), density)
    model = MeanShift(bandwidth=0.5).fit(SMALL)
    with pytest.raises(ValueError, match="no copy, pickle or file of it"):
        COPIES[of](model).score_samples(SMALL)
    np.testing.assert_array_equal(model.score_samples(SMALL), density)


def test_the_density_is_of_the_last_fit():
    model = MeanShift(bandwidth=0.5).fit(SMALL)
    before = model.score_samples(SMALL)
    assert not np.array_equal(model.fit(SMALL * 2.0).score_samples(SMALL), before)
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[np.nan]])
    model.cluster_centers_, model.n_features_in_ = np.zeros((1, 1)), 1  # by hand
    with pytest.raises(ValueError, match="needs the rows of the fit"):
        model.score_samples([[0.0]])


def test_after_a_refit_that_failed_no_rows_of_basins_are_left():
    model = MeanShift(bandwidth=0.5, assign="basin").fit(SMALL)
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[np.nan] * 5])
    model.cluster_centers_, model.n_features_in_ = np.zeros((1, 5)), 5  # by hand
    for call in (model.predict, model.score_samples):
        with pytest.raises(ValueError, match="rows of the fit"):
            call(np.zeros((1, 5)))


def test_after_a_refit_that_failed_centres_set_by_hand_label_alone():
    model = MeanShift(bandwidth=0.5, min_prominence=0.3).fit(SMALL)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((3, 2), np.nan))
    model.cluster_centers_ = np.array([[0.0, 0.0], [4.0, 4.0]])  # by hand
    assert model.predict([[0.1, 0.0], [3.0, 3.5]]).tolist() == [0, 1]
    assert not hasattr(model, "modes_")


def test_models_of_streams_and_files_have_densities_where_basins_need_rows(tmp_path):
    words = {"bandwidth": 0.5, "assign": "basin"}
    path = tmp_path / "a.model"
    model = MeanShift(**words).fit(SMALL)
    save_model(model, path)
    density = model.score_samples(SMALL)
    np.testing.assert_array_equal(load_model(path).score_samples(SMALL), density)
    stream = fit_batches(lambda: [SMALL], **words)
    np.testing.assert_allclose(stream.score_samples(SMALL), density, atol=0.02)
    save_model(MeanShift(bandwidth=0.5).fit(SMALL), path)
    with pytest.raises(ValueError, match="or file of it"):
        load_model(path).score_samples(SMALL)


def test_a_density_needs_a_bandwidth():
    with pytest.raises(ValueError, match="above 0"):
        MeanShift().fit(np.zeros((5, 2))).score_samples(SMALL)


# Files, streams, Dask, the command line.


@assignments
def test_a_model_in_a_file_predicts_the_same(assign, tmp_path):
    words = ONE_SETTING | {"assign": assign}
    model = MeanShift(**words).fit(MOONS)
    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    new = MOONS + 0.01
    np.testing.assert_array_equal(loaded.predict(new), model.predict(new))
    for name in ("modes_", "mode_density_", "mode_prominence_", "mode_labels_", "merge_tree_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))


@assignments
@kernels
def test_streams_and_dask_merge_alike(assign, kernel):
    bandwidth = 0.25 if kernel == "flat" else 0.12
    words = ONE_SETTING | {"bandwidth": bandwidth, "kernel": kernel, "assign": assign}
    inside = MeanShift(**words).fit(MOONS)
    streamed = fit_batches([MOONS[:500], MOONS[500:]], **words)
    spread = DaskMeanShift(**words).fit(da.from_array(MOONS, chunks=(400, 2)))
    for model in (streamed, spread):
        assert len(model.cluster_centers_) == len(inside.cluster_centers_)
        assert adjusted_rand_score(model.predict(MOONS), inside.labels_) > 0.97
        assert len(model.modes_) > len(model.cluster_centers_)
        with pytest.raises(ValueError, match="no rows of the fit"):
            model.labels_at(0.5)


def test_a_stream_finds_the_fine_bandwidth():
    model = fit_batches([MOONS[:500], MOONS[500:]], **ONE_SETTING)
    assert model.bandwidth_ == pytest.approx(MeanShift(**ONE_SETTING).fit(MOONS).bandwidth_)
    assert adjusted_rand_score(model.predict(MOONS), OF_MOONS) > 0.95


def test_the_command_line_merges_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "t.csv", named(MOONS))
    command = (
        "cluster t.csv --bandwidth fine --kernel gaussian --assign basin --coalesce 0.01 "
        "--min-prominence auto -o o.csv"
    )
    assert main(command.split()) == 0
    labels = open_table("o.csv", columns=["label"]).read().X[:, 0]
    np.testing.assert_array_equal(labels, MeanShift(**ONE_SETTING).fit(MOONS).labels_)
    assert main([*command.split(), "--min-prominence", "0.4"]) == 0


# Spheres and columns that wrap.


@pytest.mark.parametrize("seed", range(6))
def test_saddles_across_seams_are_those_of_all_pairs(seed):
    rng = np.random.default_rng(seed + 12)
    n_features, radius = 1 + seed % 2, float(rng.uniform(0.3, 4.9))
    period = np.full(n_features, 10.0)
    points = readonly_table(rng.uniform(0.0, 10.0, (int(rng.integers(20, 200)), n_features)))
    basins = (points[:, 0] // 2.0).astype(np.int64)
    index = choice.build(points, radius=radius, space=Units(1.0, radius, period=period))
    found = find_saddles(index, points, basins, 5, period)
    away = np.abs(points[:, None] - points)
    away = np.sqrt((np.minimum(away, 10.0 - away) ** 2).sum(axis=2))
    np.fill_diagonal(away, np.inf)
    nearest = np.partition(away, N_NEIGHBOURS - 1, axis=1)[:, [N_NEIGHBOURS - 1]] * (1.0 + 1e-12)
    density, expected = index.density(points.copy()), {}
    for i, j in np.argwhere((away <= nearest) & (away <= min(2.0 * radius, 5.0))):
        pair = tuple(sorted((basins[i], basins[j])))
        if pair[0] < pair[1]:
            expected[pair] = max(expected.get(pair, 0.0), min(density[i], density[j]))
    saddles = dict(zip(zip(found.first, found.second, strict=True), found.density, strict=True))
    assert saddles == pytest.approx(expected, rel=1e-9)


def test_a_ring_across_a_seam_is_one_cluster():
    hours = np.column_stack([RNG.normal(0, 1.5, 400) % 24, RNG.normal(0, 0.5, 400)])
    others = np.column_stack([RNG.normal(12, 1.5, 400), RNG.normal(0, 0.5, 400)])
    rows = np.concatenate([hours, others])
    model = MeanShift(bandwidth=0.6, period=(24, None), assign="basin", min_prominence=0.7)
    model.fit(rows)
    assert adjusted_rand_score(model.labels_, np.repeat([0, 1], 400)) > 0.95
    np.testing.assert_array_equal(model.labels_at(0.7), model.labels_)


@kernels
def test_places_on_the_globe_merge_as_unit_vectors_do(kernel):
    latitude, longitude = MOONS.T * 0.1
    places = np.column_stack([latitude, longitude + np.pi])  # across the antimeridian
    words = {"kernel": kernel, "bandwidth": 0.02 if kernel == "flat" else 0.01, "assign": "basin"}
    model = MeanShift(metric="haversine", min_prominence="auto", **words).fit(places)
    assert 1 <= len(model.cluster_centers_) < len(model.modes_)
    assert adjusted_rand_score(model.labels_, OF_MOONS) > 0.5
    np.testing.assert_array_equal(model.predict(places), model.labels_)
    with pytest.raises(ValueError, match="on a sphere"):
        model.score_samples(places)


# Pictures.


def test_pictures_show_which_modes_were_merged():
    pytest.importorskip("matplotlib").use("agg")
    from meanshift_fast.plot import MeanShiftDisplay

    for least in (0.5, "auto"):
        model = MeanShift(**ONE_SETTING | {"min_prominence": least}).fit(MOONS)
        ax = MeanShiftDisplay.plot_prominence(model)
        n_modes, n_clusters = len(model.modes_), len(model.cluster_centers_)
        assert ax.get_title().startswith(f"{n_clusters} cluster")
        merged, left = (points.get_offsets() for points in ax.collections)
        assert (len(merged), len(left)) == (n_modes - n_clusters, n_clusters)
        display = MeanShiftDisplay.from_estimator(model, MOONS)
        assert len(display.lesser) == n_modes - n_clusters
        assert len(display.centers) == n_clusters
    with pytest.raises(ValueError, match="plot_prominence needs a model"):
        MeanShiftDisplay.plot_prominence(MeanShift(bandwidth=1.0).fit(MOONS))


@pytest.mark.parametrize("cluster_all", [True, False])
def test_pictures_tell_modes_of_too_little_support_from_merged_ones(cluster_all):
    pytest.importorskip("matplotlib").use("agg")
    from meanshift_fast.plot import MeanShiftDisplay

    rng = np.random.default_rng(3)
    rows = np.concatenate([MOONS, rng.uniform(-4, 5, (80, 2))])
    model = MeanShift(**ONE_SETTING, min_support=0.3, cluster_all=cluster_all).fit(rows)
    n_clusters, n_modes = len(model.cluster_centers_), len(model.modes_)
    ax = MeanShiftDisplay.plot_prominence(model)
    assert ax.get_title() == f"{n_clusters} clusters of {n_modes} modes"
    merged, left, dropped = (points.get_offsets() for points in ax.collections)
    assert min(len(merged), len(left), len(dropped)) > 1
    assert len(merged) + len(left) + len(dropped) == n_modes
    if not cluster_all:
        np.testing.assert_array_equal(dropped[:, 1], model.mode_density_[model.mode_labels_ < 0])
    is_center = (model.modes_[:, None] == model.cluster_centers_).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(left[:, 1], model.mode_density_[is_center])
    assert "too little support" in [text.get_text() for text in ax.get_legend().get_texts()]
    display = MeanShiftDisplay.from_estimator(model, rows)
    assert len(display.lesser) == len(merged)


@assignments
@pytest.mark.parametrize("least", [0.3, "auto"])
def test_the_order_of_equal_rows_changes_no_cluster(assign, least):
    rng = np.random.default_rng(11)
    middles = ((0.0, 0.0), (2.0, 0.0), (1.0, 1.7))
    rows = np.vstack([rng.normal(middle, 0.5, (1400, 2)) for middle in middles])[:4096]
    model = MeanShift(bandwidth=0.2, bin_seeding=True, assign=assign, min_prominence=least)
    model.fit(rows, sample_weight=np.full(len(rows), 2.0))
    prominence, labels = model.mode_prominence_, model.labels_
    side_by_side = clone(model).fit(np.repeat(rows, 2, axis=0))
    np.testing.assert_allclose(side_by_side.mode_prominence_, prominence, atol=1e-12)
    np.testing.assert_array_equal(side_by_side.labels_[::2], labels)
    halves = clone(model).fit(np.tile(rows, (2, 1)))
    np.testing.assert_allclose(halves.mode_prominence_, prominence, atol=1e-12)
    np.testing.assert_array_equal(halves.labels_[: len(rows)], labels)
