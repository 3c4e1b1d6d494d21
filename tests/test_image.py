"""Images: kernels and their plain twin agree; threads, masks, axes and colours; bad input."""

import sys
import tracemalloc

import dask.array as da
import numpy as np
import pytest

import naive_image
from meanshift_fast import MeanShift
from meanshift_fast.image import mean_shift_filter, mean_shift_segment


def steps_and_noise(shape, n_bands, dtype, seed=0):
    """Two flat halves with noise, so that windows have rims and pixels lie on them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 40, (*shape, n_bands)) + 60 * (np.arange(shape[-1]) > 9)[:, None]
    if np.dtype(dtype).kind == "f":
        image = image + rng.normal(size=image.shape)
    return image.astype(dtype)


def hole_in(shape):
    mask = np.ones(shape, bool)
    mask[..., 3:6, 8:13] = False
    mask[(0,) * len(shape)] = False
    return mask


# Image, spatial radius, range radius, and how.
CASES = {
    "uint8, three bands": (steps_and_noise((14, 19), 3, np.uint8), 4, 20, {}),
    "uint8, joint": (steps_and_noise((14, 19), 3, np.uint8), 4, 32, {"window": "joint"}),
    "one band": (steps_and_noise((12, 23), 1, np.int16), 3.5, 9.5, {}),
    "ten bands": (steps_and_noise((9, 16), 10, np.float32), 3, 45.0, {}),
    "ten bands, joint": (steps_and_noise((9, 16), 10, np.float64), 4, 50.0, {"window": "joint"}),
    "wide": (steps_and_noise((4, 55), 2, np.float64), 20.3, 25, {}),
    "masked": (steps_and_noise((11, 17), 3, np.float64), 3, 25, {"mask": hole_in((11, 17))}),
    "masked, joint": (
        steps_and_noise((11, 17), 3, np.uint8), 4, 32,
        {"mask": hole_in((11, 17)), "window": "joint"},
    ),
    "spacing": (steps_and_noise((10, 18), 3, np.uint16), 3.0, 22, {"spacing": (1.0, 0.7)}),
    "a volume": (steps_and_noise((4, 7, 12), 2, np.uint8), 2.5, 18, {"spacing": (2.0, 1.0, 0.5)}),
    "a masked volume, joint": (
        steps_and_noise((4, 7, 14), 1, np.float32), 3.0, 18,
        {"mask": hole_in((4, 7, 14)), "window": "joint"},
    ),
    "spacing, joint": (
        steps_and_noise((9, 14), 2, np.uint8), 3.0, 26.5,
        {"spacing": (1.0, 0.7), "window": "joint"},
    ),
    "bytes, wide": (steps_and_noise((12, 44), 3, np.uint8), 17, 23.7, {"mask": hole_in((12, 44))}),
    "bytes with signs, joint": (
        (steps_and_noise((11, 18), 3, np.int16) - 100).astype(np.int8), 4, 31.3,
        {"mask": hole_in((11, 18)), "window": "joint"},
    ),
    "one band of bytes": (steps_and_noise((10, 23), 1, np.uint8), 4, 6, {}),
    "a volume of bytes": (steps_and_noise((3, 6, 13), 3, np.uint8), 3, 22, {"spacing": (2, 1, 1)}),
    "three moves": (steps_and_noise((10, 15), 3, np.uint8), 5, 22, {"max_iter": 3}),
    "loose": (steps_and_noise((10, 15), 3, np.uint8), 5, 22, {"tol": 0.1}),
}  # fmt: skip
cases = pytest.mark.parametrize(("image", "space", "band", "how"), CASES.values(), ids=CASES)


@cases
def test_filter_and_twin_agree(image, space, band, how):
    ends = naive_image.endpoints(image, space, band, **how)
    n_space = image.ndim - 1
    filtered, positions = mean_shift_filter(
        image, space, band, convert2lab=False, return_positions=True, **how
    )
    np.testing.assert_allclose(filtered, ends[..., n_space:], rtol=0, atol=1e-9)
    np.testing.assert_allclose(positions, ends[..., :n_space], rtol=0, atol=1e-9)


# The float32 filter decides little or nothing here: the bands are far from 0, or out of its range,
# or lie on the rim of the window to the last bit of float64.
ON_THE_RIM = np.cumsum(np.nextafter(1.0, np.tile([0.0, 2.0], 110))).reshape(11, 20, 1)


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize(
    ("image", "band"),
    [
        (steps_and_noise((9, 17), 2, np.float64) + 1e7, 25.0),
        (steps_and_noise((9, 17), 2, np.float64) * 1e30, 25e30),
        (steps_and_noise((9, 17), 2, np.float64) * 1e-100, 25e-100),
        (np.where(steps_and_noise((9, 17), 1, np.float64) > 90, 1e100, 0.0), 1e-3),
        (ON_THE_RIM, 1.0),
        (ON_THE_RIM, 20.0),
    ],
    ids=["far", "huge", "tiny", "out of range", "on the rim", "on the next rim"],
)
def test_the_filter_in_float32_decides_nothing_that_float64_would_not(image, band, window):
    how = {"window": window, "max_iter": 4}
    ends = naive_image.endpoints(image, 3.0, band, **how)
    filtered = mean_shift_filter(image, 3.0, band, convert2lab=False, **how)
    np.testing.assert_allclose(filtered, ends[..., 2:], rtol=1e-12, atol=1e-9 * band)


@pytest.mark.parametrize("radius", [1e-3, 0.05, 0.5, 250.0, 251.0, 2e4])
@pytest.mark.parametrize("window", ["product", "joint"])
def test_bytes_are_filtered_with_any_range_radius(window, radius):
    image, mask = steps_and_noise((9, 17), 3, np.uint8), hole_in((9, 17))
    image[::3] = image[0, 0]  # so that some are equal
    how = {"window": window, "mask": mask, "max_iter": 4}
    ends = naive_image.endpoints(image, 3.0, radius, **how)
    filtered = mean_shift_filter(image, 3.0, radius, convert2lab=False, **how)
    np.testing.assert_allclose(filtered, ends[..., 2:], rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", ["product", "joint"])
def test_bytes_on_the_sphere_of_a_window_fall_on_the_side_that_the_twin_says(window):
    # A quarter of the range: a grey as bright as black, and beside pixels that do not count, whose
    # values are those of black. Of 255 and 0 nothing lies between: distances of 255 sqrt(3).
    image = np.random.default_rng(5).choice([0, 1, 16, 17, 255], size=(13, 21, 3)).astype(np.uint8)
    mask = np.random.default_rng(6).random((13, 21)) > 0.2
    for radius in (1.0, np.sqrt(2.0), 16.0, 16.0 * np.sqrt(3.0), np.nextafter(16.0, 0.0), 249.9):
        how = {"window": window, "mask": mask, "max_iter": 1}
        ends = naive_image.endpoints(image, 2.5, radius, **how)
        filtered = mean_shift_filter(image, 2.5, radius, convert2lab=False, **how)
        np.testing.assert_allclose(filtered[mask], ends[..., 2:][mask], rtol=0, atol=1e-9)


@pytest.mark.parametrize("value", [0, 255])
def test_the_sums_of_bytes_hold_the_widest_windows(value):
    image = np.full((150, 170, 3), value, dtype=np.uint8)
    image[::7, ::5, 1] ^= 1  # blocks are cut nowhere but at the disk, or all are
    for radius in (0.5, 3.0):
        how = {"convert2lab": False, "max_iter": 1}
        bytes_ = mean_shift_filter(image, 70, radius, **how)
        floats = mean_shift_filter(image.astype(float), 70, radius, **how)
        np.testing.assert_array_equal(bytes_, floats)


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize("base", [0.0, 1e10])
def test_radii_without_bounds_mean_all_and_nothing(window, base):
    image = np.arange(180.0).reshape(3, 60) + base  # wider than a window of eight blocks
    how = {"channel_axis": None, "window": window, "max_iter": 4}
    everything = mean_shift_filter(image, 1e200, 1e200, **how)
    np.testing.assert_allclose(everything, base + 89.5, rtol=1e-15)
    nothing = mean_shift_filter(image, 2, 1e-300, **how)
    np.testing.assert_allclose(nothing, image, rtol=1e-15, atol=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("window", ["product", "joint"])
def test_a_window_as_wide_as_numbers_go_holds_the_whole_image(window, dtype):
    image = np.arange(180).reshape(3, 60).astype(dtype)
    how = {"channel_axis": None, "window": window, "max_iter": 4}
    found = [mean_shift_filter(image, radius, 240, **how) for radius in (1e17, 1e19, 1e150)]
    for each in found:
        np.testing.assert_allclose(each, 89.5, rtol=1e-15)


def test_bytes_and_the_same_values_in_float64_are_filtered_alike():
    image = steps_and_noise((30, 70), 3, np.uint8)
    found = [
        mean_shift_filter(array, 9, 24, convert2lab=False, return_positions=True)
        for array in (image, image.astype(float))
    ]
    for bytes_, floats in zip(*found, strict=True):
        np.testing.assert_array_equal(bytes_, floats)  # whole numbers are summed exactly


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize("shape", [(12, 16), (17, 8), (9, 17)])
def test_nothing_beyond_the_image_pulls_where_float32_has_no_digits(shape, window):
    image = np.zeros((*shape, 1))
    image[0, 0] = 1e100
    how = {"window": window, "max_iter": 4}
    ends = naive_image.endpoints(image, 3.0, 1e-3, **how)
    filtered, positions = mean_shift_filter(
        image, 3.0, 1e-3, convert2lab=False, return_positions=True, **how
    )
    np.testing.assert_allclose(filtered, ends[..., 2:], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(positions, ends[..., :2], rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize(
    "shape", [(12, 16), (17, 8), (9, 17), (2, 9, 17)], ids=lambda shape: str(len(shape))
)
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_or_columns_of_bytes_that_are_far_apart_pull_none_of_another(axis, shape, window):
    image = np.random.default_rng(0).integers(200, 256, (*shape, 3)).astype(np.uint8)
    spacing = [1.0] * len(shape)
    spacing[axis] = 1e9
    how = {"window": window, "max_iter": 4, "spacing": tuple(spacing)}
    ends = naive_image.endpoints(image, 3.0, 250.0, **how)
    filtered = mean_shift_filter(image, 3.0, 250.0, convert2lab=False, **how)
    np.testing.assert_allclose(filtered, ends[..., len(shape) :], rtol=0, atol=1e-9)


def step_with_an_island(base):
    """Two halves ten apart, and a small region that is nearer to the right one."""
    image = np.full((40, 40), base)
    image[:, 20:] += 10.0
    image[18:20, 19:22] = base + 7.0
    return image


@pytest.mark.parametrize("base", [0.0, 1e6, -1e9])
def test_means_of_large_values_are_compared_exactly(base):
    labels = mean_shift_segment(step_with_an_island(base), 2, 1.0, channel_axis=None)
    np.testing.assert_array_equal(np.unique(labels[18:20, 19:22]), labels[0, 39])
    assert labels.max() == 2


@pytest.mark.parametrize("chunks", [None, (40, 10)], ids=["in memory", "tiles"])
def test_values_too_large_for_sums_are_refused_with_the_remedy(chunks):
    image = step_with_an_island(1.7e9 if chunks is None else 2.6e9)
    if chunks:
        image[:, :10] = -image[:, :10]  # no tile is too large alone
        image = da.from_array(image, chunks=chunks)
    with pytest.raises(ValueError, match=r"must be at most 4.4e\+12 range_radius.*subtract"):
        np.asarray(mean_shift_segment(image, 2, 1.0 / 1.7, channel_axis=None))


@cases
def test_labels_and_twin_agree(image, space, band, how):
    rules = {"min_size": 5, "merge": 0.4, "connectivity": 2}
    labels = mean_shift_segment(image, space, band, convert2lab=False, **rules, **how)
    twin = naive_image.segments(image, space, band, **rules, **how)
    np.testing.assert_array_equal(labels, twin)
    assert labels.dtype == np.int32


@cases
def test_labels_merged_by_prominence_and_twin_agree(image, space, band, how):
    rules = {"min_size": 3, "merge": 0.3, "connectivity": 2}
    twin = naive_image.segments(image, space, band, min_prominence=0.3, **rules, **how)
    rules |= {"convert2lab": False} | how
    labels = mean_shift_segment(image, space, band, min_prominence=0.3, **rules)
    np.testing.assert_array_equal(labels, twin)
    assert labels.dtype == np.int32


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize("connectivity", [1, 2])
def test_densities_and_saddles_that_are_equal_are_merged_as_the_twin_does(connectivity, window):
    rng, changed = np.random.default_rng(0), 0
    for _ in range(8):
        image, mask = rng.integers(0, 4, (9, 11, 1)), rng.random((9, 11)) > 0.1
        how = {
            "min_size": 0, "merge": 0.2, "connectivity": connectivity, "mask": mask,
            "window": window,
        }  # fmt: skip
        plain = mean_shift_segment(image, 2.5, 1.5, **how)
        for least in (0.1, 0.25, 0.5):
            labels = mean_shift_segment(image, 2.5, 1.5, min_prominence=least, **how)
            twin = naive_image.segments(image, 2.5, 1.5, min_prominence=least, **how)
            np.testing.assert_array_equal(labels, twin)
            changed += labels.max() < plain.max()
    assert changed > 8


def test_halves_that_noise_cuts_into_hundreds_of_regions_are_two_by_prominence():
    halves = np.broadcast_to(np.where(np.arange(48) < 20, 0.0, 100.0), (32, 48))
    image = halves + np.random.default_rng(0).normal(0, 8, halves.shape)
    how = {"min_size": 0, "merge": 0.2, "channel_axis": None}
    assert mean_shift_segment(image, 4, 32, **how).max() > 300
    labels = mean_shift_segment(image, 4, 32, min_prominence=0.3, **how)
    np.testing.assert_array_equal(labels, np.where(halves > 0, 2, 1))


def test_a_line_one_pixel_wide_keeps_apart_from_what_its_windows_do_not_reach():
    image = np.zeros((9, 12))
    image[:, 5] = 100
    labels = mean_shift_segment(image, 3, 4, min_size=0, min_prominence=0.9, channel_axis=None)
    assert labels[0].tolist() == [1] * 5 + [2] + [3] * 6


def test_without_prominence_nothing_changes_and_more_of_it_only_merges():
    image, how = steps_and_noise((40, 50), 2, np.float64), {"min_size": 0, "merge": 0.3}
    before = mean_shift_segment(image, 4, 25, min_prominence=0, **how)
    np.testing.assert_array_equal(before, mean_shift_segment(image, 4, 25, **how))
    for least in (0.05, 0.1, 0.2, 0.3, 0.4):
        labels = mean_shift_segment(image, 4, 25, min_prominence=least, **how)
        pairs = np.unique(np.stack([before, labels]).reshape(2, -1), axis=1)
        assert pairs.shape[1] == before.max()  # each region is in one of these
        assert labels.max() < before.max()
        assert (np.diff(np.unique(labels, return_index=True)[1]) > 0).all()  # raster order
        before = labels


@pytest.mark.parametrize("connectivity", [1, 2])
def test_pixels_of_a_checkerboard_touch_at_their_corners(connectivity):
    image = np.indices((6, 6)).sum(axis=0) % 2 * 100
    labels = mean_shift_segment(
        image, 9, 10, min_size=1, merge=1, connectivity=connectivity, channel_axis=None
    )
    assert labels.max() == (36 if connectivity == 1 else 2)


@pytest.mark.parametrize("connectivity", [1, 3])
def test_regions_of_a_volume_are_connected(connectivity):
    from skimage.measure import label

    image = steps_and_noise((5, 9, 13), 1, np.uint8)[..., 0]
    labels = mean_shift_segment(
        image, 2, 12, min_size=4, connectivity=connectivity, channel_axis=None
    )
    pieces = label(labels, connectivity=connectivity)
    assert pieces.max() == labels.max()
    firsts = np.unique(labels, return_index=True)[1]
    assert (np.diff(firsts) > 0).all()  # raster order
    assert np.bincount(labels.ravel())[1:].min() >= 4


def test_a_small_region_that_nothing_touches_stays():
    mask = np.ones((6, 9), bool)
    mask[:, 2] = False
    mask[2:, :2] = False
    labels = mean_shift_segment(np.zeros((6, 9)), 2, 1, min_size=20, mask=mask, channel_axis=None)
    assert np.bincount(labels.ravel()).tolist() == [14, 4, 36]


def test_joint_windows_find_the_basins_of_mean_shift():
    image = steps_and_noise((20, 24), 3, np.float64)
    filtered, positions = mean_shift_filter(
        image, 8, 32, window="joint", return_positions=True, max_iter=300
    )
    table = np.concatenate([np.moveaxis(np.indices((20, 24)), 0, -1), image], axis=-1)
    bandwidth = [8, 8, 32, 32, 32]
    model = MeanShift(bandwidth=bandwidth, assign="basin").fit(table.reshape(-1, 5))
    ends = np.concatenate([positions, filtered], axis=-1).reshape(-1, 5) / bandwidth
    centers = model.cluster_centers_ / bandwidth
    nearest = ((ends[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    assert len(centers) > 1
    np.testing.assert_array_equal(nearest, model.labels_)


# Four by four pixels, of which 255 are masked; found by a search among a million.
CYCLES = {
    "of (2, 2)": (
        [[0, 255, 1, 255], [255, 20, 255, 11], [10, 255, 21, 23], [31, 22, 10, 32]], 2**0.5, (2, 2)
    ),
    "of (2, 1)": (
        [[11, 10, 11, 255], [11, 0, 0, 11], [255, 1, 2, 0], [11, 0, 255, 1]], 1.0, (2, 1)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("codes", "radius", "pixel"), CYCLES.values(), ids=CYCLES)
def test_a_cycle_ends_at_its_smallest_position(codes, radius, pixel):
    codes = np.array(codes)
    image, mask = np.stack([codes // 10, codes % 10], axis=-1), codes < 255
    ends = naive_image.endpoints(image, radius, 1, mask=mask)
    values, places = image[mask].astype(float), np.argwhere(mask).astype(float)
    away, apart = places - ends[pixel][:2], values - ends[pixel][2:]
    inside = ((away**2).sum(axis=1) <= radius**2) & ((apart**2).sum(axis=1) <= 1)
    assert np.abs(places[inside].mean(axis=0) - ends[pixel][:2]).max() > 0.1  # it does not rest
    for max_iter in (1, 2, 3, 4, 5, 30, 31):
        twin = naive_image.endpoints(image, radius, 1, mask=mask, max_iter=max_iter)
        filtered, positions = mean_shift_filter(
            image, radius, 1, mask=mask, max_iter=max_iter, return_positions=True
        )
        np.testing.assert_array_equal(np.concatenate([positions, filtered], axis=-1), twin)


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize(("dtype", "least"), [(np.uint8, 0.0), (np.float64, 0.3)])
def test_threads_change_no_bit(window, dtype, least):
    image = steps_and_noise((70, 90), 3, dtype)
    how = {"convert2lab": False, "return_filtered": True, "min_prominence": least}
    one, two = (
        mean_shift_segment(image, 6, 24, window=window, n_jobs=n_jobs, **how) for n_jobs in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_memo_that_is_full_begins_anew_and_changes_no_bit(monkeypatch):
    from meanshift_fast._image import ascent

    image = steps_and_noise((40, 50), 3, np.float64)
    whole = mean_shift_filter(image, 5, 24)
    monkeypatch.setattr(ascent, "MIN_MEMO_POSITIONS", 256)
    assert mean_shift_filter(image, 5, 24).tobytes() == whole.tobytes()


# Axes, dtypes, masks, colours.


def test_bands_may_be_on_any_axis():
    image = steps_and_noise((9, 12), 4, np.float64)
    last = mean_shift_filter(image, 3, 25)
    for axis in (0, 1, -3, -2):
        moved = mean_shift_filter(np.moveaxis(image, -1, axis), 3, 25, channel_axis=axis)
        np.testing.assert_array_equal(np.moveaxis(moved, axis, -1), last)


def test_masked_pixels_keep_what_they_are_and_may_be_nan():
    image = steps_and_noise((9, 12), 3, np.float64)
    image[3:6, 8:11] = np.nan
    mask = hole_in((9, 12))
    filtered, positions = mean_shift_filter(image, 3, 25, mask=mask, return_positions=True)
    np.testing.assert_array_equal(filtered[~mask], image[~mask])
    np.testing.assert_array_equal(positions[~mask], np.argwhere(~mask))
    assert np.isfinite(filtered[mask]).all()
    assert (mean_shift_segment(image, 3, 25, mask=mask) > 0).tolist() == mask.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_colours_are_compared_in_lab_and_come_back(dtype):
    from skimage.color import lab2rgb, rgb2lab

    most = 255 if dtype == np.uint8 else 1
    image = (steps_and_noise((12, 16), 3, np.uint8) * most / 255).astype(dtype)
    lab = mean_shift_filter(rgb2lab(image), 4, 12, convert2lab=False)
    np.testing.assert_allclose(mean_shift_filter(image, 4, 12), lab2rgb(lab) * most, atol=1e-9)


def test_one_pixel_of_colour_is_filtered():
    image = np.array([[[10, 200, 30]]], np.uint8)
    np.testing.assert_allclose(mean_shift_filter(image, 2, 2), image, atol=0.05)
    assert mean_shift_segment(image, 2, 2).tolist() == [[1]]


def test_without_scikit_image_colours_are_an_error_that_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.color", None)
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ImportError, match=r"mean_shift_filter .*meanshift_fast\[image\].*convert"):
        mean_shift_filter(image, 2, 2)
    assert not mean_shift_filter(image, 2, 2, convert2lab=False).any()


def test_progress_hears_the_climb_and_the_labels():
    heard = []
    mean_shift_segment(
        np.zeros((8, 8)), 2, 2, channel_axis=None, progress=lambda *x: heard.append(x)
    )
    assert heard[0] == (0, 64, "climb")
    assert (64, 64, "climb") in heard
    assert heard[-1] == (1, 1, "labels")


def test_memory_beside_the_image_is_at_most_80_bytes_a_pixel():
    image = np.zeros((800, 900, 3), np.uint8)
    image[:, 450:] = 200
    mean_shift_segment(image[:9, :9], 1.5, 9, convert2lab=False, n_jobs=1)
    tracemalloc.start()
    found = mean_shift_segment(
        image, 1.5, 9, merge=1, convert2lab=False, n_jobs=1, return_filtered=True,
        return_positions=True,
    )  # fmt: skip
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    memo = 8.5e6  # for each thread
    assert found[0].max() == 2
    assert most <= 80 * found[0].size + memo


# Bad input.

GREY = np.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    ("image", "how", "match"),
    [
        (GREY, {"spatial_radius": 0}, "spatial_radius.*Got 0"),
        (GREY, {"range_radius": -1.0}, "range_radius.*Got -1.0"),
        (GREY, {"spatial_radius": np.inf}, "spatial_radius.*Got inf"),
        (GREY, {"window": "cone"}, "window.*Got 'cone'"),
        (GREY, {"max_iter": 0}, "max_iter.*Got 0"),
        (GREY, {"max_iter": 1 << 20}, "max_iter.*Got 1048576"),
        (GREY, {"channel_axis": -1}, "two or three axes.*got 1 in shape.*channel_axis=None"),
        (GREY[0], {}, "two or three axes in space, got 1"),
        (np.zeros((2, 2, 2, 2)), {}, "two or three axes in space, got 4"),
        (GREY, {"channel_axis": 5}, r"axis of the image, got 5 for shape \(4, 6\)"),
        (np.zeros((0, 3)), {}, "at least one pixel"),
        (np.broadcast_to(np.uint8(1), (1 << 16, 1 << 16)), {}, "at most 4,294,967,295 pixels"),
        (GREY + 1j, {}, "real numbers, got dtype complex128"),
        (GREY.astype(str), {}, "real numbers, got dtype <U"),
        (np.where(GREY == 8, np.nan, GREY), {}, r"finite.*nan at pixel \(1, 2\)"),
        (np.where(GREY == 8, np.inf, GREY), {}, r"finite.*inf at pixel \(1, 2\)"),
        (
            np.where(GREY == 8, -2e300, GREY),
            {},
            r"at most 1e\+300 .* got -2e\+300 at pixel \(1, 2\)",
        ),
        ([[1, 2], [3]], {}, "rows must be equally long"),
        (np.ma.masked_equal(GREY, 8), {}, "masked values.*mask=~image.mask"),
        (GREY, {"mask": np.zeros((4, 6), bool)}, "at least one pixel, got all 24 pixels masked"),
        (GREY, {"mask": np.ones((4, 5), bool)}, r"shape of the image in space, \(4, 6\).*\(4, 5\)"),
        (GREY, {"spacing": (1, 2, 3)}, "one number or 2.*got"),
        (GREY, {"spacing": (1, 0)}, r"positive and finite, got \(1, 0\)"),
        (GREY, {"convert2lab": True}, "three bands of red, green and blue.*got 1 of dtype float64"),
    ],
)
def test_bad_input_is_an_error_that_names_it(image, how, match):
    settings = {"spatial_radius": 2, "range_radius": 3, "channel_axis": None} | how
    with pytest.raises(ValueError, match=match):
        mean_shift_filter(image, **settings)


@pytest.mark.parametrize("least", ["auto", -0.1, 1, np.nan, None])
def test_a_prominence_that_is_no_share_is_an_error_that_names_it(least):
    with pytest.raises(ValueError, match=rf"min_prominence.*range \[0.0, 1.0\).*Got '?{least}"):
        mean_shift_segment(GREY, 2, 3, min_prominence=least, channel_axis=None)


def test_connectivity_is_at_most_the_number_of_axes():
    with pytest.raises(ValueError, match="number of axes in space, 2, got 3"):
        mean_shift_segment(GREY, 2, 3, connectivity=3, channel_axis=None)


@pytest.mark.parametrize(
    ("function", "how", "most"),
    [
        (mean_shift_filter, {"convert2lab": False}, 42),
        (mean_shift_filter, {"convert2lab": True}, 73.75),
        (mean_shift_segment, {"convert2lab": False}, 46),
        (mean_shift_segment, {"convert2lab": True}, 77.75),
        (mean_shift_segment, {"convert2lab": False, "mask": np.tri(1000) < 0.5}, 46),
        (mean_shift_segment, {"convert2lab": False, "min_prominence": 0.2}, 48),
        (mean_shift_segment, {"convert2lab": True, "min_prominence": 0.2}, 80),
    ],
)
def test_at_most_80_bytes_a_pixel_beside_the_image(function, how, most):
    rows, columns = np.mgrid[:1000, :1000]
    image = np.stack([rows // 100, columns // 100, rows * columns // 90_000], axis=-1)
    image = (10 * image % 255).astype(np.uint8)
    few = how | ({"mask": how["mask"][:40, :40]} if "mask" in how else {})
    function(image[:40, :40], 2.5, 4, n_jobs=1, **few)  # what the compiler needs is not counted
    tracemalloc.start()
    try:
        function(image, 2.5, 4, n_jobs=1, **how)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / rows.size < most


def test_at_most_80_bytes_a_pixel_where_each_is_a_region_before_small_ones_merge():
    image = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), dtype=np.uint8)
    tracemalloc.start()
    try:
        labels = mean_shift_segment(image, 0.6, 1, convert2lab=False, n_jobs=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert labels.max() > 20_000
    assert peak / labels.size < 80
