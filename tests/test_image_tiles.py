"""Images of Dask: equal to the last bit to the image in one piece, however it is cut."""

from functools import cache, partial

import dask
import dask.array as da
import numpy as np
import pytest

from meanshift_fast.image import mean_shift_filter, mean_shift_segment
from test_image import hole_in, steps_and_noise

PICTURE = steps_and_noise((104, 150), 3, np.float64)
CHUNKS = {"37 x 41": (37, 41), "100 x 130": (100, 130), "one row": (1, 150), "whole": (104, 150)}
EVERYTHING = {"return_filtered": True, "return_positions": True}


def assert_same_bits(found, expected):
    for lazy, array in zip(found, expected, strict=True):
        assert isinstance(lazy, da.Array)
        computed = lazy.compute()
        assert computed.dtype == array.dtype == lazy.dtype
        assert computed.shape == array.shape == lazy.shape
        np.testing.assert_array_equal(computed, array)
        assert computed.tobytes() == array.tobytes()


@cache
def segmented(n_rows, *, radius=24, **how):
    """The segments of so many rows of the picture in one piece."""
    return mean_shift_segment(PICTURE[:n_rows], 4, radius, connectivity=2, **how)


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_and_threads_change_no_bit(name, window):
    chunks = CHUNKS[name]
    image = PICTURE if chunks[0] > 1 else PICTURE[:15]
    # One thread and two by turns: each with all chunks, each with both windows.
    n_jobs = 1 + ([*CHUNKS].index(name) + (window == "joint")) % 2
    how = {"window": window, "min_size": 9, **EVERYTHING}
    whole = segmented(len(image), n_jobs=1, **how)
    how["connectivity"] = 2
    assert_same_bits(
        mean_shift_segment(da.from_array(image, (*chunks, 2)), 4, 24, n_jobs=n_jobs, **how), whole
    )


@pytest.mark.parametrize("window", ["product", "joint"])
def test_threads_change_no_bit_of_an_image_in_one_piece(window):
    how = {"window": window, "min_size": 9, **EVERYTHING}
    one, two = (segmented(len(PICTURE), n_jobs=n_jobs, **how) for n_jobs in (1, 2))
    for found, array in zip(two, one, strict=True):
        assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("window", ["product", "joint"])
def test_chunks_and_threads_change_no_bit_of_bytes(window):
    image = PICTURE.astype(np.uint8)
    how = {"window": window, "convert2lab": False, "min_size": 9, **EVERYTHING}
    whole = mean_shift_segment(image, 6, 23.3, n_jobs=1, **how)
    for chunks, n_jobs in (((37, 41), 2), ((104, 19), 1)):
        lazy = da.from_array(image, (*chunks, 3))
        assert_same_bits(mean_shift_segment(lazy, 6, 23.3, n_jobs=n_jobs, **how), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_chunks_of_colours_change_no_bit(dtype):
    image = (PICTURE[:40, :60] / PICTURE[:40, :60].max()).clip(0, 1)
    image = (255 * image).astype(np.uint8) if dtype == np.uint8 else image
    lazy = da.from_array(image, chunks=(17, 19, 3))
    assert_same_bits(
        mean_shift_segment(lazy, 3, 12, **EVERYTHING),
        mean_shift_segment(image, 3, 12, **EVERYTHING),
    )


@pytest.mark.parametrize("window", ["product", "joint"])
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_chunks_change_no_region_merged_by_prominence(chunks, window):
    image = PICTURE if chunks[0] > 1 else PICTURE[:15]
    how = {"window": window, "min_size": 5, "merge": 0.3}
    labels, plain = (
        segmented(len(image), radius=30, min_prominence=least, **how) for least in (0.2, 0.0)
    )
    how["connectivity"] = 2
    lazy = mean_shift_segment(da.from_array(image, (*chunks, 2)), 4, 30, min_prominence=0.2, **how)
    np.testing.assert_array_equal(lazy.compute(), labels)
    assert labels.max() < plain.max()


def test_a_masked_volume_cut_into_chunks_is_merged_by_prominence():
    image, mask = steps_and_noise((6, 9, 17), 1, np.uint8)[..., 0], hole_in((6, 9, 17))
    mask[:2, :4, 5:10] = False  # all of a tile
    how = {
        "mask": mask, "channel_axis": None, "min_size": 2, "merge": 0.2, "connectivity": 3,
        "min_prominence": 0.2,
    }  # fmt: skip
    found = mean_shift_segment(da.from_array(image, (2, 4, 5)), 2, 12, **how)
    np.testing.assert_array_equal(found.compute(), mean_shift_segment(image, 2, 12, **how))


@pytest.mark.parametrize("lazy_mask", [False, True])
def test_masks_are_cut_with_the_image(lazy_mask):
    image, mask = PICTURE[:30, :50].copy(), hole_in((30, 50))
    image[~mask] = np.nan
    how = {"convert2lab": False, **EVERYTHING}
    cut = da.from_array(mask, chunks=(7, 50)) if lazy_mask else mask
    lazy = da.from_array(image, chunks=(9, 20, 3))
    found = mean_shift_segment(lazy, 3, 24, mask=cut, **how)
    assert_same_bits(found, mean_shift_segment(image, 3, 24, mask=mask, **how))


def test_volumes_and_bands_on_other_axes_are_cut():
    image = steps_and_noise((6, 9, 17), 2, np.uint8)
    how = {"spacing": (2, 1, 1), "connectivity": 3, "channel_axis": 0, **EVERYTHING}
    moved = np.moveaxis(image, -1, 0)
    lazy = da.from_array(moved, chunks=(1, 4, 5, 6))
    assert_same_bits(
        mean_shift_segment(lazy, 3, 18, **how), mean_shift_segment(moved, 3, 18, **how)
    )


def test_a_trajectory_that_leaves_its_halo_is_followed_with_more(monkeypatch):
    from meanshift_fast._image import tiles

    image, followed = PICTURE[:24, :40], []

    def follow(lattice, window, pixels, *args, **how):
        followed.append(len(pixels))
        return plain_follow(lattice, window, pixels, *args, **how)

    plain_follow = tiles.follow
    monkeypatch.setattr(tiles, "follow", follow)
    monkeypatch.setattr(tiles, "HALO_REACHES", 1.0)  # no trajectory of a pixel at a side stays
    found = mean_shift_filter(da.from_array(image, chunks=(8, 9, 3)), 4, 24).compute()
    assert found.tobytes() == mean_shift_filter(image, 4, 24).tobytes()
    assert image[..., 0].size < sum(followed) < 4 * image[..., 0].size


def test_a_tile_whose_pixels_are_all_masked_stays_as_it_is():
    image, mask = PICTURE[:16, :24].copy(), np.ones((16, 24), bool)
    mask[:8, 8:16] = False
    lazy, how = da.from_array(image, chunks=(8, 8, 3)), {"convert2lab": False}
    found = mean_shift_segment(lazy, 3, 24, mask=mask, return_filtered=True, **how)
    expected = mean_shift_segment(image, 3, 24, mask=mask, return_filtered=True, **how)
    for part, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part.compute(), whole)


@pytest.mark.parametrize("n_space", [2, 3])
def test_random_regions_cut_at_random_are_merged_as_in_memory(n_space):
    """The window holds a pixel alone, so that regions are touching pixels of equal values."""
    rng = np.random.default_rng(n_space)
    for _ in range(10):
        shape = rng.integers(3, 20 if n_space == 2 else 8, n_space)
        image = rng.normal(size=shape).cumsum(axis=int(rng.integers(n_space)))
        image = np.rint(image / rng.choice([0.3, 1.0, 3.0]))
        how = {
            "mask": rng.random(shape) > 0.1, "channel_axis": None, "merge": 3,
            "min_size": int(rng.choice([0, 2, 3, 5, 20])),
            "connectivity": int(rng.integers(1, n_space + 1)),
        }  # fmt: skip
        cuts = rng.integers(1, shape + 1)
        while np.prod(-(-shape // cuts)) > 30:  # tiles
            cuts = rng.integers(1, shape + 1)
        lazy = da.from_array(image, tuple(cuts.tolist()))
        found = mean_shift_segment(lazy, 0.6, 0.1, **how).compute(scheduler="synchronous")
        np.testing.assert_array_equal(found, mean_shift_segment(image, 0.6, 0.1, **how))


def test_one_computation_serves_labels_and_filtered():
    image = da.from_array(PICTURE[:20, :30], chunks=(10, 10, 3))
    labels, filtered = mean_shift_segment(image, 3, 24, return_filtered=True)
    together = dask.compute(labels, filtered)
    expected = mean_shift_segment(PICTURE[:20, :30], 3, 24, return_filtered=True)
    for found, array in zip(together, expected, strict=True):
        np.testing.assert_array_equal(found, array)


def test_a_pixel_that_is_not_finite_is_named_by_its_place_in_the_image():
    image = np.zeros((20, 30))
    image[15, 25] = np.nan
    lazy = mean_shift_filter(da.from_array(image, chunks=8), 2, 2, channel_axis=None)
    with pytest.raises(ValueError, match=r"nan at pixel \(15, 25\)"):
        lazy.compute()


def test_chunks_that_are_empty_are_left_out():
    image = np.random.default_rng(0).integers(0, 9, (6, 5))
    lazy = da.from_array(image, chunks=((3, 0, 3), 5))
    for run in (mean_shift_filter, partial(mean_shift_segment, min_prominence=0.1)):
        found = run(lazy, 2, 3, channel_axis=None).compute()
        np.testing.assert_array_equal(found, run(image, 2, 3, channel_axis=None))


def test_chunks_of_unknown_sizes_are_an_error_that_says_so():
    image = da.from_array(np.zeros((20, 30)), chunks=8)
    image = image[da.from_array(np.ones(20, bool), chunks=8)]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        mean_shift_filter(image, 2, 2, channel_axis=None)
