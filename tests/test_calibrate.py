"""`bench.calibrate`: every threshold has its measurement, and each runs."""

import pytest

from bench import calibrate
from meanshift_fast._index import thresholds

NAMES = [name for name in vars(thresholds) if name.isupper()]


@pytest.mark.parametrize("name", NAMES)
def test_each_threshold_is_calibrated_by_name_and_keeps_its_value(name, capsys):
    before = getattr(thresholds, name)
    calibrate.main([name, "--sizes", "1", "--turns", "1"])
    assert getattr(thresholds, name) == before
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name} = {before:,}")
    assert "the sides do not cross" in printed


def test_no_calibration_is_of_a_threshold_that_is_gone():
    assert sorted(calibrate.CALIBRATIONS) == sorted(NAMES)


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ([2.0, 1.0, 0.5], "cross about 20"),
        ([2.0, 1.5, 1.0], "do not cross up to 40"),
        ([0.5, 0.6, 0.7], "do not cross from 1"),
        ([2.0, 0.5, 1.5], "cross more than once, from 10 to 40"),
    ],
)
def test_the_crossing_lies_between_the_sizes_of_which_each_side_is_faster(ratios, words):
    assert calibrate.crossing([1.0, 10.0, 40.0], ratios) == words
