"""Hashes: words that are alike get codes that are not."""

import itertools

import numpy as np
import pytest

from meanshift_fast._jit.compiler import serial
from meanshift_fast._jit.hashing import hash_of_patterns
from meanshift_fast._jit.simd import flat

BITS = 20  # of a slot


@serial
def all_hashes(words, hashes):
    for i in range(words.shape[0]):
        hashes[i] = hash_of_patterns(flat(words), i * words.shape[1], words.shape[1])


def single_values(n_words):
    """One value at one of the places, all else 0: 997 for each."""
    values = np.arange(1.0, 998.0)
    tables = np.zeros((n_words, len(values), n_words))
    tables[np.arange(n_words), :, np.arange(n_words)] = values
    return tables.reshape(-1, n_words)


def orders(n_words):
    """Seven values in every order, spread over the places."""
    rows = np.zeros((5040, n_words))
    rows[:, np.linspace(0, n_words - 1, 7).astype(int)] = list(itertools.permutations(range(1, 8)))
    return rows


def whole_numbers(n_words):
    return np.random.default_rng(0).integers(0, 3, (20_000, n_words)).astype(float)


@pytest.mark.parametrize("make", [single_values, orders, whole_numbers])
@pytest.mark.parametrize("n_words", [14, 15, 16, 17, 18, 19, 64])
def test_words_that_are_alike_share_hardly_more_slots_than_by_chance(n_words, make):
    words = np.unique(make(n_words), axis=0)
    hashes = np.empty(len(words), dtype=np.int64)
    all_hashes(words.view(np.int64), hashes)
    assert len(np.unique(hashes)) == len(words)
    n_codes = 1 << BITS
    expected = n_codes * -np.expm1(-len(words) / n_codes)  # that are taken, of so many at random
    assert len(np.unique(hashes & n_codes - 1)) > 0.95 * expected
