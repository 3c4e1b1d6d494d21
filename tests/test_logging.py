"""What a fit says to the standard library's logging, and that it says nothing unasked."""

import logging

import pytest

import samples
from meanshift_fast import MeanShift

LARGE = samples.blobs(3_000, 2, n_blobs=4)


@pytest.mark.parametrize(
    ("params", "facts"),
    [
        ({"bin_seeding": True}, ["3000 rows", "bins", "FlatIndex", "rounds", "modes", "nearest"]),
        ({}, ["3000 rows", "3000 rows, ", "FlatIndex", "ascent of 3000 rows", "modes", "nearest"]),
        (
            {"kernel": "gaussian", "bin_seeding": True, "assign": "basin"},
            ["bins", "GaussianIndex, because the kernel is Gaussian", "rounds", "by basin"],
        ),
    ],
)
def test_each_stage_is_logged_with_what_it_found(params, facts, caplog):
    with caplog.at_level(logging.DEBUG, logger="meanshift_fast"):
        model = MeanShift(bandwidth=1.0, **params).fit(LARGE)
    said = [record.getMessage() for record in caplog.records]
    for fact in facts:
        assert any(fact in line for line in said), (fact, said)
    assert any(f"{len(model.history_)} rounds" in line for line in said)
    timed = [line for line in said if not line.startswith("index:")]
    assert all(line.endswith(" s") for line in timed)


def test_a_small_table_is_one_stage(caplog):
    with caplog.at_level(logging.DEBUG, logger="meanshift_fast"):
        MeanShift(bandwidth=1.0, bin_seeding=True).fit(LARGE[:200])
    (record,) = caplog.records
    assert record.getMessage().startswith("small table of 200 rows in one call, ")


def test_nothing_is_said_unasked(capfd):
    MeanShift(bandwidth=1.0).fit(LARGE)
    assert capfd.readouterr() == ("", "")
