"""Lanes: what compiles computes what the NumPy functions of the same name compute."""

import numba
import numpy as np
import pytest

from meanshift_fast._jit import simd
from meanshift_fast._jit.simd import (
    accumulator,
    are_equal,
    bit_patterns,
    bits,
    fetch_add,
    flat,
    full,
    fused,
    holds_integers,
    item,
    least,
    load,
    load_from,
    load_narrow,
    lowest,
    mask_of,
    most,
    put,
    sqrt,
    store,
    total,
    where,
)
from meanshift_fast._jit.simd_pairs import (
    add_where,
    firsts,
    larger_halves,
    load_pairs,
    minus,
    pair_of,
    raised,
    seconds,
    smaller_halves,
    sum_of_squares,
)

pytestmark = pytest.mark.jitless

ROWS = np.random.default_rng(0).normal(size=(6, simd.LANES))


def results(rows, out, scalar):
    left, right = load(rows, 0), load(rows, 1)
    store(out, 0, left + right)
    store(out, 1, left - scalar)
    store(out, 2, scalar * right)
    store(out, 3, where(left > right, left, right))
    store(out, 4, where(left < scalar, left, full(2)))
    store(out, 5, sqrt(left * left))
    return total(left), least(left), most(left), bits(left <= right), bits(left >= scalar)


def test_compiled_lanes_agree_with_numpy_to_the_last_bit():
    plain, compiled = np.empty_like(ROWS), np.empty_like(ROWS)
    expected = results(ROWS, plain, 0.25)
    assert numba.njit(results)(ROWS, compiled, 0.25) == expected
    np.testing.assert_array_equal(compiled, plain)


def test_lane_operations_are_numpys_own():
    out = np.empty_like(ROWS)
    summed, smallest, largest, not_above, not_below = results(ROWS, out, 0.25)
    left, right = ROWS[:2]
    np.testing.assert_array_equal(
        out,
        [
            left + right,
            left - 0.25,
            0.25 * right,
            np.maximum(left, right),
            np.where(left < 0.25, left, 2.0),
            np.abs(left),
        ],
    )
    assert summed == pytest.approx(left.sum(), rel=1e-14)
    assert (smallest, largest) == (left.min(), left.max())
    assert not_above == sum(1 << j for j in range(simd.LANES) if left[j] <= right[j])
    assert not_below == sum(1 << j for j in range(simd.LANES) if left[j] >= 0.25)


def fused_sums(rows, out):
    store(out, 0, fused(load(rows, 0), load(rows, 1), load(rows, 2)))
    store(out, 1, fused(load(rows, 0), 0.3, load(rows, 2)))


def test_a_fused_sum_is_the_sum_of_the_product_but_for_its_last_bits():
    plain, compiled = np.zeros_like(ROWS), np.zeros_like(ROWS)
    fused_sums(ROWS, plain)
    numba.njit(fused_sums)(ROWS, compiled)
    np.testing.assert_array_equal(plain[0], ROWS[0] * ROWS[1] + ROWS[2])
    np.testing.assert_array_equal(plain[1], ROWS[0] * 0.3 + ROWS[2])
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-15 * np.abs(ROWS).max() ** 2)


def through_pointers(rows, out):
    source, target = flat(rows), flat(out)
    set_bits = bits(load(source, 2) > 0.0)
    store(target, 1, where(mask_of(set_bits), load(source, 2), full(0.0)))
    put(target, 3, item(source, 20))
    store(target, 2, load_from(source, 5))
    return lowest(set_bits)


def test_a_flat_pointer_to_float32_takes_rounded_values():
    def rounded(rows, out):
        store(flat(out), 2, load(rows, 1))

    plain, compiled = (np.zeros((6, simd.LANES), dtype=np.float32) for _ in range(2))
    rounded(ROWS, plain)
    numba.njit(rounded)(ROWS, compiled)
    expected = np.zeros_like(plain)
    expected[2] = ROWS[1].astype(np.float32)
    np.testing.assert_array_equal(plain, expected)
    np.testing.assert_array_equal(compiled, expected)


def test_flat_pointers_read_and_write_the_array():
    plain, compiled = np.zeros_like(ROWS), np.zeros_like(ROWS)
    first = through_pointers(ROWS, plain)
    assert first == int(np.argmax(ROWS[2] > 0))
    assert numba.njit(through_pointers)(ROWS, compiled) == first
    np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_array_equal(compiled[1], np.maximum(ROWS[2], 0))
    assert compiled[0, 3] == ROWS.ravel()[20]
    np.testing.assert_array_equal(compiled[2], ROWS.ravel()[5:21])


def through_a_room(rows, out):
    kept = accumulator()
    for row in range(simd.ACCUMULATOR_VECTORS):
        store(kept, row, load(rows, row % 6) + row)
    for row in range(simd.ACCUMULATOR_VECTORS):
        store(out, row, load(kept, simd.ACCUMULATOR_VECTORS - 1 - row))


def narrow_results(pointers, out):
    floats, singles, integers = pointers
    wide, narrow = load_from(integers, 2), load_narrow(integers, 2)
    store(out, 0, wide / 3.0)
    inside = narrow <= load_narrow(singles, 1)
    store(out, 1, where(inside, wide, load_from(floats, 0)))
    products = fused(narrow, narrow, load_narrow(floats, 3))
    return (
        total(products), bits(inside), are_equal(inside, narrow <= load_narrow(singles, 1)),
        are_equal(inside, narrow > load_narrow(singles, 1)), holds_integers(integers),
        holds_integers(floats),
    )  # fmt: skip


def test_integers_and_singles_are_loaded_as_vectors():
    whole = np.arange(24, dtype=np.int16) * 7 % 11 - 5
    arrays = np.arange(32.0), np.linspace(-4, 4, 20, dtype=np.float32), whole
    plain, compiled = np.empty((2, simd.LANES)), np.empty((2, simd.LANES))
    expected = narrow_results(arrays, plain)

    @numba.njit
    def run(floats, singles, integers, out):
        return narrow_results_compiled((flat(floats), flat(singles), flat(integers)), out)

    narrow_results_compiled = numba.njit(narrow_results)
    assert run(*arrays, compiled) == expected
    np.testing.assert_array_equal(compiled, plain)
    assert expected[2:] == (True, False, True, False)


def pair_results(pointers, out):
    pixels, bounds, singles = pointers
    one, two = load_pairs(pixels, 1), load_pairs(bounds, 2)
    position = pair_of(singles[3], singles[3] + 77.0)
    away = minus(raised(one, 7), position)
    distances_sq = sum_of_squares(away, minus(two, position))
    added = add_where(distances_sq <= 9e8, one, load_pairs(pixels, 4))
    for i, pairs in enumerate(
        (one, two, away, added, larger_halves(away, two), smaller_halves(away, two))
    ):
        store(out, 2 * i, firsts(pairs))
        store(out, 2 * i + 1, seconds(pairs))
    return total(distances_sq), bits(distances_sq <= 9e8)


def test_pairs_of_small_integers_are_computed_half_by_half():
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, 64).astype(np.uint8)
    bounds = rng.integers(0, 32_640, 64).astype(np.int16)
    arrays = pixels, bounds, np.array([0.0, 0.0, 0.0, 9_000.0])
    plain, compiled = np.empty((12, simd.LANES)), np.empty((12, simd.LANES))
    expected = pair_results(arrays, plain)

    @numba.njit
    def run(pixels, bounds, singles, out):
        return pair_results_step((flat(pixels), flat(bounds), singles), flat(out))

    pair_results_step = numba.njit(pair_results)
    assert run(*arrays, compiled) == expected
    np.testing.assert_array_equal(compiled, plain)
    halves = pixels[2:34].reshape(16, 2).astype(int) * 128 - [9_000, 9_077]
    others = bounds[4:36].reshape(16, 2) - [9_000, 9_077]
    distances_sq = (halves**2).sum(axis=1) + (others**2).sum(axis=1)
    assert expected[0] == pytest.approx(distances_sq.sum(), rel=1e-6)
    np.testing.assert_array_equal(plain[4:6], halves.T % (1 << 16))
    larger = np.maximum(halves, bounds[4:36].reshape(16, 2))
    np.testing.assert_array_equal(plain[8:10], larger.T % (1 << 16))
    sums, added = pixels[2:34].reshape(16, 2).T.astype(int), pixels[8:40].reshape(16, 2).T
    np.testing.assert_array_equal(plain[6:8], np.where(distances_sq <= 9e8, sums + added, sums))


def test_an_accumulator_keeps_vectors():
    plain, compiled = np.zeros((2, simd.ACCUMULATOR_VECTORS, simd.LANES))
    through_a_room(ROWS, plain)
    numba.njit(through_a_room)(ROWS, compiled)
    np.testing.assert_array_equal(compiled, plain)
    numbers = np.arange(simd.ACCUMULATOR_VECTORS)
    np.testing.assert_array_equal(plain, (ROWS[numbers % 6] + numbers[:, None])[::-1])


def a_word(rows, i):
    return item(bit_patterns(flat(rows)), i)


def draw_all(counter, drawn, n_numbers, sums, taker):
    """Draw until all numbers have been, and sum up what was drawn."""
    first = fetch_add(flat(counter), drawn)
    while first < n_numbers:
        sums[taker] += first
        first = fetch_add(flat(counter), drawn)


def draw_together(counter, drawn, n_numbers, sums):
    for taker in numba.prange(sums.shape[0]):
        draw_all(counter, drawn, n_numbers, sums, taker)


def test_what_one_thread_draws_no_other_draws(monkeypatch):
    # A tenth of a second, or the first thread is done before the second one is awake.
    n_numbers = 3_000 if numba.config.DISABLE_JIT else 90_000_000
    counter, sums = np.zeros(1, dtype=np.int64), np.zeros(8, dtype=np.int64)
    monkeypatch.setitem(globals(), "draw_all", numba.njit(draw_all))
    numba.njit(draw_together, parallel=True)(counter, 3, n_numbers, sums)
    assert counter[0] == n_numbers + 3 * len(sums)
    assert sums.sum() == 3 * (n_numbers // 3) * (n_numbers // 3 - 1) // 2


def test_words_are_the_bits_of_numbers():
    compiled = numba.njit(a_word)
    for i in range(ROWS.size):
        expected = ROWS.view(np.int64).ravel()[i]
        assert compiled(ROWS, i) == a_word(ROWS, i) == expected


def test_a_mask_goes_to_bits_and_back():
    for set_bits in (0, 1, 0b1010, 2**simd.LANES - 1):
        assert bits(mask_of(set_bits)) == set_bits


def test_infinity_is_in_no_ball():
    padded = np.full((1, simd.LANES), np.inf)
    assert bits((load(padded, 0) - 1.0) * (load(padded, 0) - 1.0) <= 1e308) == 0
