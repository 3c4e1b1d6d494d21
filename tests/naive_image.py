"""Filtering and segmenting images in plain NumPy: the definition of what `image.py` computes.

A trajectory of a pixel is that of [1]_, section 4.1: a mean shift in the joint domain of position
and range. No row is skipped, no position remembered between pixels, one pixel at a time.

References
----------
.. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
   analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence, 24(5), 2002,
   pp. 603-619. :doi:`10.1109/34.1000236`
"""

import itertools

import numpy as np

MEAN_STEPS = 2**20  # of a range radius: the means of regions are sums of whole numbers


def sum_of_squares(columns):
    """Squares summed column by column; the order is part of the definition."""
    total = np.zeros(columns.shape[:-1])
    for axis in range(columns.shape[-1]):
        total = total + columns[..., axis] * columns[..., axis]
    return total


def is_inside(places, values, here, radii, spacing, window):
    """Which pixels the window around a position holds; joint values are in range radii."""
    spatial_radius, range_radius = radii
    n_space = places.shape[1]
    if window == "joint":
        away = [(places - here[:n_space]) * (spacing / spatial_radius), values - here[n_space:]]
        return sum_of_squares(np.hstack(away)) <= 1.0
    space_sq = sum_of_squares((places - here[:n_space]) * spacing)
    range_sq = sum_of_squares(values - here[n_space:])
    return (space_sq <= spatial_radius**2) & (range_sq <= range_radius**2)


def endpoint(places, values, start, radii, spacing, window, max_iter, tol):
    """Follow one pixel; the position and the range where it rests.

    Returns
    -------
    position : (n_space + n_bands,), indices first.
    """
    spatial_radius, range_radius = radii
    n_space = places.shape[1]
    joint = window == "joint"
    steps = spacing / spatial_radius if joint else spacing
    values = values / range_radius if joint else values
    limits_sq = (1.0, 1.0) if joint else (spatial_radius**2, range_radius**2)
    here = np.append(places[start], values[start])
    seen = [tuple(here)]
    for _ in range(max_iter):
        inside = is_inside(places, values, here, radii, spacing, window)
        if not inside.any():
            break
        mean = np.append(
            places[inside].sum(axis=0) / inside.sum(), values[inside].sum(axis=0) / inside.sum()
        )
        move = mean - here
        move_sq = (
            sum_of_squares(move[:n_space] * steps) / limits_sq[0]
            + sum_of_squares(move[n_space:]) / limits_sq[1]
        )
        here = mean
        if move_sq <= tol**2:
            break
        if tuple(here) in seen:  # round and round: the smallest position of the cycle
            here = np.array(min(seen[seen.index(tuple(here)) :]))
            break
        seen.append(tuple(here))
    if joint:
        here = np.append(here[:n_space], here[n_space:] * range_radius)
    return here


_found = {}  # tests of the filter, of labels and of prominence follow the same pixels


def endpoints(
    image, spatial_radius, range_radius, window="product", spacing=None, mask=None,
    max_iter=100, tol=1e-3,
):  # fmt: skip
    """Where each pixel's trajectory ends: an array of shape (*space, n_space + n_bands).

    ``image`` has its bands last, always. Masked pixels stay where and what they are. What was
    found before is not computed again.
    """
    shape, n_space = image.shape[:-1], image.ndim - 1
    spacing = np.ones(n_space) if spacing is None else np.broadcast_to(spacing, n_space) * 1.0
    mask = np.ones(shape, bool) if mask is None else mask
    arrays = [(array.shape, array.dtype.str, array.tobytes()) for array in (image, spacing, mask)]
    key = (*arrays, spatial_radius, range_radius, window, max_iter, tol)
    if key not in _found:
        _found[key] = _endpoints(
            image, spatial_radius, range_radius, window, spacing, mask, max_iter, tol
        )
    return _found[key].copy()


def _endpoints(image, spatial_radius, range_radius, window, spacing, mask, max_iter, tol):
    shape = mask.shape
    places = np.argwhere(mask).astype(float)
    values = image[mask].astype(float)
    ends = np.concatenate([np.moveaxis(np.indices(shape), 0, -1), image.astype(float)], axis=-1)
    ends[mask] = [
        endpoint(
            places, values, row, (spatial_radius, range_radius), spacing, window, max_iter, tol
        )
        for row in range(len(places))
    ]  # fmt: skip
    return ends


def neighbor_offsets(n_space, connectivity):
    """Steps to the pixels that touch one, with at most ``connectivity`` coordinates changed."""
    every = itertools.product((-1, 0, 1), repeat=n_space)
    return [step for step in every if 0 < np.abs(step).sum() <= connectivity]


def joined(ends, mask, radii, spacing, merge, connectivity):
    """Number the sets of touching pixels whose ends are near each other; 0 where masked."""
    n_space = mask.ndim
    offsets = neighbor_offsets(n_space, connectivity)
    labels, n_regions = np.zeros(mask.shape, int), 0
    for first in map(tuple, np.argwhere(mask)):
        if labels[first]:
            continue
        n_regions += 1
        labels[first], waiting = n_regions, [first]
        while waiting:
            pixel = waiting.pop()
            for step in offsets:
                other = tuple(np.add(pixel, step))
                if min(other) < 0 or any(np.greater_equal(other, mask.shape)):
                    continue
                apart = ends[other] - ends[pixel]
                is_near = sum_of_squares(apart[:n_space] * spacing) <= (merge * radii[0]) ** 2
                is_like = sum_of_squares(apart[n_space:]) <= (merge * radii[1]) ** 2
                if mask[other] and not labels[other] and is_near and is_like:
                    labels[other] = n_regions
                    waiting.append(other)
    return labels


def densities(image, radii, window="product", spacing=None, mask=None):
    """How many pixels the window of each pixel at its own position holds; 0 where masked."""
    n_space = image.ndim - 1
    spacing = np.ones(n_space) if spacing is None else np.broadcast_to(spacing, n_space) * 1.0
    places, values = np.argwhere(mask).astype(float), image[mask].astype(float)
    values = values / radii[1] if window == "joint" else values
    found = np.zeros(image.shape[:-1])
    found[mask] = [
        is_inside(places, values, here, radii, spacing, window).sum()
        for here in np.hstack([places, values])
    ]
    return found


def saddles_of(labels, density, connectivity, image, radii, spacing, window):
    """The saddle of each two regions, by their numbers, the smaller first.

    Two pixels count that touch, and of which each is in the window of the other.
    """
    spacing = 1.0 if spacing is None else np.asarray(spacing)
    values = image / radii[1] if window == "joint" else image * 1.0
    saddles = {}
    for pixel in map(tuple, np.argwhere(labels)):
        for step in neighbor_offsets(labels.ndim, connectivity):
            other = tuple(np.add(pixel, step))
            if min(other) < 0 or any(np.greater_equal(other, labels.shape)):
                continue
            place, value = np.array([other]) * 1.0, values[other][None]
            here = np.append(pixel, values[pixel])
            if labels[other] > labels[pixel] and is_inside(
                place, value, here, radii, spacing, window
            ):
                pair = labels[pixel], labels[other]
                lower = min(density[pixel], density[other])
                saddles[pair] = max(saddles.get(pair, 0.0), lower)
    return saddles


def without_shallow(labels, density, saddles, min_prominence):
    """Join regions across their highest saddles where they are less prominent.

    Region numbers are in raster order of the first pixels; of equal peaks the first is the higher.
    """
    numbers = np.unique(labels[labels > 0])
    peaks = {k: density[labels == k].max() for k in numbers}
    parts = {k: {k} for k in numbers}  # of each region; equal sets are one object
    cluster = {k: {k} for k in numbers}  # the same, of regions that are less prominent
    for a, b in sorted(saddles, key=lambda pair: (-saddles[pair], pair)):
        if parts[a] is parts[b]:
            continue
        tops = [max(parts[k], key=lambda i: (peaks[i], -i)) for k in (a, b)]
        lower = min(tops, key=lambda i: (peaks[i], -i))
        joining = [parts]
        if 1.0 - saddles[a, b] / peaks[lower] < min_prominence:
            joining.append(cluster)
        for sets in joining:
            both = sets[a] | sets[b]
            sets.update(dict.fromkeys(both, both))
    found = labels.copy()
    for k in numbers:
        found[labels == k] = min(cluster[k])
    return found


def without_small(labels, ends, mask, range_radius, min_size, connectivity):
    """Let small regions join the touching region of the nearest mean range, smallest first."""
    labels = labels.copy()
    n_space = mask.ndim
    units = np.rint(ends[..., n_space:] / range_radius * MEAN_STEPS)
    offsets = neighbor_offsets(n_space, connectivity)
    alone = set()
    while True:
        numbers, firsts, sizes = np.unique(labels, return_index=True, return_counts=True)
        small = [
            (size, first, number)
            for number, first, size in zip(numbers, firsts, sizes, strict=True)
            if number and size < min_size and number not in alone
        ]
        if not small:
            return labels
        number = min(small)[2]
        touching = set()
        for pixel in np.argwhere(labels == number):
            for step in offsets:
                other = tuple(pixel + step)
                if min(other) >= 0 and not any(np.greater_equal(other, mask.shape)):
                    touching.add(labels[other])
        touching -= {0, number}
        if not touching:
            alone.add(number)
            continue
        means = {k: units[labels == k].sum(axis=0) / (labels == k).sum() for k in numbers}
        _, _, nearest = min(
            (sum_of_squares(means[k] - means[number]), firsts[numbers == k][0], k) for k in touching
        )
        labels[labels == number] = nearest


def segments(
    image, spatial_radius, range_radius, min_size=20, connectivity=1, merge=0.5,
    min_prominence=0.0, spacing=None, mask=None, window="product", **how,
):  # fmt: skip
    """Labels from 1 in raster order of the regions' first pixels, 0 where masked."""
    mask = np.ones(image.shape[:-1], bool) if mask is None else mask
    radii = spatial_radius, range_radius
    ends = endpoints(image, *radii, spacing=spacing, mask=mask, window=window, **how)
    labels = joined(ends, mask, radii, 1.0 if spacing is None else spacing, merge, connectivity)
    density = densities(image, radii, window, spacing, mask)
    saddles = saddles_of(labels, density, connectivity, image, radii, spacing, window)
    labels = without_shallow(labels, density, saddles, min_prominence)
    labels = without_small(labels, ends, mask, range_radius, min_size, connectivity)
    numbers, firsts = np.unique(labels, return_index=True)
    in_order = numbers[np.argsort(firsts)]
    ranks = dict(zip(in_order[in_order > 0], itertools.count(1)))
    return np.vectorize(lambda number: ranks.get(number, 0))(labels)
