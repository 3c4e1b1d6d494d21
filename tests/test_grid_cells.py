"""Cells: the twin's, chunk by chunk too; parts of bins; halved while they are few."""

import numpy as np
import pytest

import naive
import samples
from meanshift_fast import condense
from meanshift_fast._summaries.grid_cells import Cells, Grid

RNG = np.random.default_rng(0)

TABLES = {
    "blobs": samples.blobs(900, 2),
    "thirds": samples.scattered(900, 2, side=33) / 3 - 4,
    "halves and quarters": samples.scattered(900, 2, side=33, step=0.25) - 4,
}

WEIGHTINGS = {
    "no weights": None,
    "ones": np.ones(900),
    "whole": RNG.integers(1, 5, 900).astype(float),
    "fractions and zeros": RNG.choice([0.0, 0.1, 0.7, 3.3], 900),
}


@pytest.mark.jitless
@pytest.mark.parametrize("weights", WEIGHTINGS.values(), ids=WEIGHTINGS)
@pytest.mark.parametrize("cell_size", [0.05, 0.5, 100.0, [0.3, 2.0]], ids=str)
@pytest.mark.parametrize("name", ["blobs", "thirds", "halves and quarters"])
def test_condensing_is_the_twins(name, cell_size, weights):
    X = TABLES[name]
    points, totals, inverse = condense(X, cell_size, sample_weight=weights)
    expected = naive.condense(X, cell_size, weights)
    np.testing.assert_allclose(points, expected[0], rtol=0, atol=1e-12 * np.abs(X).max())
    np.testing.assert_allclose(totals, expected[1], rtol=1e-12)
    np.testing.assert_array_equal(inverse, expected[2], strict=True)


@pytest.mark.jitless
@pytest.mark.parametrize("cell_size", [0.1, 0.25, 1 / 3, 7.0])
@pytest.mark.parametrize("n_chunks", [2, 7])
def test_chunks_condense_to_the_whole(n_chunks, cell_size):
    """Rows on the borders of cells too: thirds, and cells of thirds."""
    X = np.vstack([TABLES["thirds"], TABLES["blobs"], TABLES["halves and quarters"]])
    weights = np.random.default_rng(1).uniform(0, 2, len(X))
    whole = condense(X, cell_size, sample_weight=weights)
    chunks = [
        condense(rows, cell_size, sample_weight=some)
        for rows, some in zip(
            np.array_split(X, n_chunks), np.array_split(weights, n_chunks), strict=True
        )
    ]
    merged = condense(
        np.vstack([points for points, _, _ in chunks]),
        cell_size,
        sample_weight=np.concatenate([totals for _, totals, _ in chunks]),
    )
    np.testing.assert_allclose(merged[0], whole[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(merged[1], whole[1], rtol=1e-12)
    offsets = np.cumsum([0, *(len(points) for points, _, _ in chunks)])
    inverse = [merged[2][offsets[i] + chunk[2]] for i, chunk in enumerate(chunks)]
    np.testing.assert_array_equal(np.concatenate(inverse), whole[2])


@pytest.mark.jitless
def test_cells_smaller_than_any_gap_keep_the_distinct_rows_to_the_bit():
    X = np.repeat(samples.blobs(50, 3), 3, axis=0) / 3
    points, weights, inverse = condense(X, 1e-9)
    np.testing.assert_array_equal(points, X[::3])
    np.testing.assert_array_equal(weights, 3.0)
    np.testing.assert_array_equal(inverse, np.repeat(np.arange(50), 3))


@pytest.mark.jitless
def test_a_mean_never_leaves_its_cell():
    """Rows an ulp inside a border, whose rounded mean would be on the other side of it."""
    border = np.nextafter(0.15, 0)
    X = np.column_stack([np.full(40, border), np.linspace(0, 0.04, 40)])
    weights = np.random.default_rng(2).uniform(0, 1, 40)
    points, _, _ = condense(np.vstack([[[0.1, 0.0]], X]), 0.1, sample_weight=[1e-30, *weights])
    np.testing.assert_array_equal(np.round(points / 0.1), [[1.0, 0.0]])


@pytest.mark.jitless
@pytest.mark.parametrize("n_parts", [1, 2, 16])
@pytest.mark.parametrize("border", [0.1, -0.1, 0.5, 1.5, 7.5, 1e-300, 1.5e308])
def test_a_mean_beyond_its_cell_moves_to_the_nearest_float_in_it(border, n_parts):
    size, n_moved = abs(border), 0
    grid = Grid(np.array([size]), n_parts)
    for shift in (-1e-16, 1e-16, -4e-16, 4e-16, -1e-15, 1e-15):
        beyond = 0.5 * border * (1 + shift)
        first = 0.5 * border - np.copysign(size / 40, shift * border)
        cells = Cells(grid)
        cells.add(np.array([[first]]))
        cells._table[0, 2] = beyond - first
        expected = first + (beyond - first)
        number = grid.numbers(np.array([[first]]))
        while grid.numbers(np.array([[expected]])) != number:
            expected = np.nextafter(expected, first)
            n_moved += 1
        assert cells.condensed().points == expected
    assert n_moved >= 6


def test_a_mean_beside_a_border_at_zero_is_moved_back_at_once():
    """Some 10^16 floats lie between them, which were once tried one by one."""
    X = np.zeros((20_000, 1))
    X[0] = 0.06
    for weight, others in [(0.0, 1.0), (1e-20, 1.0), (0.0, 2e-320)]:
        weights = np.random.default_rng(1).random(len(X)) * others
        weights[0] = weight
        cells = cells_of(X, 1.0, 16, weights)
        (mean,) = cells.condensed().points[:, 0]
        assert cells.grid.numbers(np.array([[mean]])) == 8.0
        assert -1e-16 < mean < 0.0625


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("cell_size", "reason"),
    [
        (0, "positive and finite, got 0"),
        (-1.0, "positive and finite, got -1.0"),
        (np.nan, "positive and finite, got nan"),
        ([1.0, 0.0], r"positive and finite, got \[1.0, 0.0\]"),
        ([1.0, 2.0, 3.0], r"shape \(2,\).*got shape \(3,\)"),
        ("wide", "must be a number.*got 'wide'"),
        (1e-308, "too small for X"),
    ],
)
def test_a_bad_cell_size_is_named_with_its_value(cell_size, reason):
    with pytest.raises(ValueError, match=f"cell_size.*{reason}"):
        condense(samples.blobs(20, 2) + 100, cell_size)


# Cells that are parts of bins.


def cells_of(X, size, n_parts, weights=None, **halving):
    cells = Cells(Grid(np.full(X.shape[1], size), n_parts), **halving)
    rest = [] if weights is None else [weights]
    assert cells.add(np.ascontiguousarray(X), *rest) == len(X)
    return cells


@pytest.mark.jitless
@pytest.mark.parametrize("n_parts", [1, 2, 7, 16])
@pytest.mark.parametrize("name", TABLES)
def test_parts_of_bins_are_the_twins(name, n_parts):
    X, weights = TABLES[name], RNG.uniform(0, 2, 900)
    found = cells_of(X, 1.5, n_parts, weights).condensed()
    points, totals, inverse = naive.condense(X, 1.5, weights, n_parts=n_parts)
    np.testing.assert_allclose(found.points, points, rtol=0, atol=1e-12 * np.abs(X).max())
    np.testing.assert_allclose(found.weights, totals, rtol=1e-12)
    variances = naive.cell_variances(X, inverse, 1.5, weights)
    np.testing.assert_allclose(found.variances, variances, rtol=1e-9, atol=1e-15)


@pytest.mark.jitless
def test_variances_are_in_sides_of_bins_and_0_where_rows_are_equal():
    X = np.repeat(TABLES["blobs"], 2, axis=0) * [1.0, 1000.0]
    sizes, weights = np.array([1.0, 1000.0]), RNG.uniform(0, 2, len(X))
    cells = Cells(Grid(sizes, 3))
    cells.add(X, weights)
    scaled = cells_of(X / sizes, 1.0, 3, weights).condensed()
    np.testing.assert_allclose(cells.condensed().variances, scaled.variances, rtol=1e-9, atol=1e-15)
    alone = Cells(Grid(sizes, 1 << 20))
    alone.add(X, weights)
    assert not alone.condensed().variances.any()
    nothing = cells_of(X, 1.0, 3, np.zeros(len(X))).condensed()
    assert not nothing.variances.any()


@pytest.mark.jitless
@pytest.mark.parametrize("size", [0.5, 2 / 3, 1.5])
def test_no_cell_lies_in_two_bins(size):
    """Rows on the borders of bins, which round to even, included."""
    X = np.vstack(list(TABLES.values()))
    found = cells_of(X, size, 5).condensed()
    of_cells = {tuple(row) for row in np.round(found.points / size)}
    assert of_cells == {tuple(row) for row in np.round(X / size)}
    for row, weight in zip(np.round(found.points / size), found.weights, strict=True):
        assert 1 <= weight <= (np.round(X / size) == row).all(axis=1).sum()


@pytest.mark.jitless
@pytest.mark.parametrize("n_fine", [1, 60, 400, 10_000])
def test_cells_are_halved_as_often_as_there_is_room_whatever_comes_first(n_fine):
    X = TABLES["blobs"]
    expected = [len(naive.condense(X, 1.0, n_parts=3 << level)[0]) for level in range(5)]
    level = max([0, *(level for level in range(5) if expected[level] <= n_fine)])
    for order in (X, X[::-1], RNG.permutation(X)):
        cells = cells_of(order, 1.0, 3, halvings=4, n_fine=n_fine)
        assert (cells.halvings, cells.n_cells) == (level, expected[level])
        assert cells.grid.n_parts == 3 << level


@pytest.mark.jitless
def test_cells_merge_to_those_of_all_rows():
    X = TABLES["blobs"]
    whole = cells_of(X, 1.0, 4, halvings=3, n_fine=300).condensed()
    merged = Cells(Grid(np.ones(2), 4), halvings=3, n_fine=300)
    for part in np.array_split(X, 5):
        merged.merge(cells_of(part, 1.0, 4, halvings=3, n_fine=300).condensed())
    found = merged.condensed()
    assert found.halvings == whole.halvings < 3
    np.testing.assert_allclose(found.points, whole.points, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.weights, whole.weights, rtol=1e-13)
    np.testing.assert_allclose(found.variances, whole.variances, rtol=1e-9, atol=1e-15)


@pytest.mark.jitless
def test_cells_that_hash_to_one_slot_are_distinguished():
    """As many as there is room for, several times over."""
    X = np.arange(5000.0)[:, None]
    found = cells_of(np.vstack([X, X[::-1]]), 1.0, 1).condensed()
    np.testing.assert_array_equal(found.points, X)
    np.testing.assert_array_equal(found.weights, 2.0)


@pytest.mark.jitless
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_rows_before_one_without_a_cell_are_added(bad):
    X = np.array([[0.0, 1.0], [2.0, 3.0], [bad, 0.0], [9.0, 9.0]])
    cells = Cells(Grid(np.full(2, 1e-9), 2))
    assert cells.add(X) == 2
    np.testing.assert_array_equal(cells.condensed().points, X[:2])


@pytest.mark.jitless
def test_the_numbers_of_a_grid_are_those_that_rows_are_added_by():
    X = np.vstack(list(TABLES.values()))
    grid = Grid(np.array([0.5, 2 / 3]), 6)
    cells = Cells(grid)
    cells.add(X)
    numbers = grid.numbers(X)
    assert len(np.unique(numbers, axis=0)) == cells.n_cells
    np.testing.assert_array_equal(
        grid.numbers(cells.condensed().points), numbers[np.sort(first_rows(numbers))]
    )


def first_rows(numbers):
    return np.unique(numbers, axis=0, return_index=True)[1]


def test_the_largest_rows_condense_or_are_refused():
    rows = np.repeat([-1.5e308, 1.5e308] * 3, 8)[:, None]  # eight at a time NumPy can sum these
    with pytest.raises(ValueError, match=r"cell_size=1.7e\+308 times the weight of all rows, 48,"):
        condense(rows, 1.7e308)
    points, _, _ = condense(samples.blobs(20, 2), 1.7e308)
    np.testing.assert_allclose(points, [samples.blobs(20, 2).mean(axis=0)])
    cells = cells_of(rows, 1.7e308, 1)  # the mean of which was looked for without end
    assert np.isfinite(cells.condensed().points).all()
