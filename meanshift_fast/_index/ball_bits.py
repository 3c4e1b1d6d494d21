"""Which rows are in which balls: a bit for each, from a product where its error bound settles it.

    products of a tile of positions and rows      x'p'
    minus |x'|^2 / 2                              >= threshold + slack     inside
                                                  <  threshold - slack     outside
                                                  between               measured in order

Positions and rows are named by their numbers in two tables of float64; a word of bits is for
sixteen rows.
"""

from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    fused,
    item,
    load,
    load_from,
    lowest,
    n_set,
    put,
    total,
)


@step
def is_inside(points, row, places, i, n_features, radius_sq):
    """Whether a row is in a closed ball: summed in any order, and in order where that decides."""
    sums, first, other = full(0.0), row * n_features, i * n_features
    n_whole = n_features // LANES * LANES
    for f in range(0, n_whole, LANES):
        away = load_from(points, first + f) - load_from(places, other + f)
        sums = fused(away, away, sums)
    distance_sq = total(sums)
    for f in range(n_whole, n_features):
        away = item(points, first + f) - item(places, other + f)
        distance_sq += away * away
    beyond = distance_sq - radius_sq
    if abs(beyond) > radius_sq * (n_features + 8) * 2.0**-50:
        return beyond < 0.0
    distance_sq = 0.0
    for f in range(n_features):
        away = item(points, first + f) - item(places, other + f)
        distance_sq += away * away
    return distance_sq <= radius_sq


@step
def _settle_word(products, at, half, tails, k, bounds):
    """Bits of sixteen rows that are surely inside, and of those that may be."""
    low, high, off = bounds
    value = load_from(products, at) - load(half, k)
    if off == 0.0:
        return bits(value >= high), bits(value >= low)
    band = load(tails, k) * off
    return bits(value - band >= high), bits(value + band >= low)


@step
def _measured(points, first_row, places, i, n_features, radius_sq, unsure):
    """Which of the unsure rows are inside, as bits."""
    inside = 0
    while unsure != 0:
        lane = lowest(unsure)
        unsure &= unsure - 1
        if is_inside(points, first_row + lane, places, i, n_features, radius_sq):
            inside |= 1 << lane
    return inside


@serial
def settle(
    products, half, tails, bounds, points, first_row, places, numbers, radius_sq, max_measured,
    n_measured, masks,
):  # fmt: skip
    """Write the bits of a tile's balls.

    Parameters
    ----------
    products : float32 array of shape (n_places, n_rows)
        The scaled products; n_rows is a multiple of sixteen.
    half, tails : float64 arrays of shape (n_rows,)
        Half the squared norms of the rows, +inf for what fills up, and the bounds of what the
        products leave out.
    bounds : float64 array of shape (n_places, 3)
        The thresholds with slack to both sides, low and high, and the factors of the tails.
    points, places : float64 arrays of shape (n_samples, n_features), (n_positions, n_features)
        The tables; the tile's rows begin at ``first_row``.
    numbers : int64 array of shape (n_places,)
        The tile's positions.
    radius_sq : float
        Squared radius of the closed balls.
    max_measured : int
        A position of which more rows were measured is left as it is.
    n_measured : int64 array of shape (n_positions,)
        How many were; counted on.
    masks : uint16 array of shape (n_positions, n_masks)
        The bits, cleared.
    """
    n_places, n_rows, n_features = products.shape[0], products.shape[1], points.shape[1]
    values, halves, rests, patterns = flat(products), flat(half), flat(tails), flat(masks)
    table, positions, n_masks = flat(points), flat(places), masks.shape[1]
    chosen = flat(numbers)
    first_word = first_row // LANES
    for i in range(n_places):
        place = item(chosen, i)
        n_done = n_measured[place]
        if n_done > max_measured:
            continue
        bound = (bounds[i, 0], bounds[i, 1], bounds[i, 2])
        word = place * n_masks + first_word
        for k in range(n_rows // LANES):
            sure, possible = _settle_word(values, i * n_rows + k * LANES, halves, rests, k, bound)
            unsure = possible & ~sure
            if unsure != 0:
                row = first_row + k * LANES
                sure |= _measured(table, row, positions, place, n_features, radius_sq, unsure)
                n_done += n_set(unsure)
            put(patterns, word + k, sure)
        n_measured[place] = n_done


@serial
def settle_mirrored(
    products, half, bounds, points, first_row, first_place, radius_sq, columns, masks
):  # fmt: skip
    """Write the bits of a tile of rows against rows, and those of the tile that mirrors it.

    The same as `settle` where positions are the rows: a row is in another's ball where that is in
    its own. ``bounds`` has two columns; both numbers of rows are multiples of sixteen. ``columns``
    is memory for sixteen integers.
    """
    n_places, n_rows, n_features = products.shape[0], products.shape[1], points.shape[1]
    values, halves, patterns, table = flat(products), flat(half), flat(masks), flat(points)
    n_masks, n_samples = masks.shape[1], points.shape[0]
    columns = flat(columns)
    for first in range(0, n_places, LANES):
        for k in range(n_rows // LANES):
            for lane in range(LANES):
                put(columns, lane, 0)
            any_set = 0
            for i in range(first, min(first + LANES, n_samples - first_place)):
                bound = (bounds[i, 0], bounds[i, 1], 0.0)
                sure, possible = _settle_word(
                    values, i * n_rows + k * LANES, halves, halves, k, bound
                )
                row, unsure = first_row + k * LANES, possible & ~sure
                if unsure != 0:
                    sure |= _measured(
                        table, row, table, first_place + i, n_features, radius_sq, unsure
                    )
                put(patterns, (first_place + i) * n_masks + first_row // LANES + k, sure)
                any_set |= sure
                while sure != 0:
                    lane = lowest(sure)
                    sure &= sure - 1
                    put(columns, lane, item(columns, lane) | (1 << (i - first)))
            while any_set != 0:
                lane = lowest(any_set)
                any_set &= any_set - 1
                place = first_row + k * LANES + lane
                put(patterns, place * n_masks + (first_place + first) // LANES, item(columns, lane))
