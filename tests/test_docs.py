"""The reference is its docstrings: they are complete, and what they show is so."""

import doctest
import inspect
from importlib import import_module

import pytest
from numpydoc.validate import validate

import meanshift_fast

MODULES = ["bandwidth", "curve", "datasets", "estimator", "plot", "seeding", "trace"]
PUBLIC = [
    *(f"meanshift_fast.{name}" for name in meanshift_fast.__all__),
    "meanshift_fast.curve.BandwidthCurve",
    "meanshift_fast.curve.BandwidthCurve.plot",
    "meanshift_fast.curve.bandwidth_curve",
    "meanshift_fast.curve.stable_bandwidth",
    "meanshift_fast.io.open_table",
    "meanshift_fast.models.load_model",
    "meanshift_fast.models.save_model",
    "meanshift_fast.plot.MeanShiftDisplay",
    "meanshift_fast.plot.MeanShiftDisplay.from_estimator",
    "meanshift_fast.plot.MeanShiftDisplay.plot",
    "meanshift_fast.plot.MeanShiftDisplay.plot_history",
    "meanshift_fast.MeanShift.fit",
    "meanshift_fast.MeanShift.predict",
    "meanshift_fast.Trace.neighbours",
    "meanshift_fast.Trace.plot",
]
# What numpydoc would like, and a short docstring does without: an extended summary, See Also and
# an example everywhere, a verb at the beginning, one line for a summary's break and a description
# of what the type already says, parameters of a data class (its attributes are them).
WAIVED = {"ES01", "SA01", "SA04", "EX01", "SS05", "GL01", "GL02", "RT03", "RT02"}


# A data class is documented by its attributes; `mean_shift` shares the estimator's parameters, and
# names them in two lines that refer to it.
BY_REFERENCE = {
    "meanshift_fast.Trace": {"PR01"},
    "meanshift_fast.curve.BandwidthCurve": {"PR01"},
    "meanshift_fast.mean_shift": {"PR04"},
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_is_whole(name):
    waived = WAIVED | BY_REFERENCE.get(name, set())
    assert [error for error in validate(name)["errors"] if error[0] not in waived] == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_happens(name):
    module = import_module(f"meanshift_fast.{name}")
    failed, _ = doctest.testmod(module)
    assert failed == 0


def test_every_public_name_is_documented():
    assert all(inspect.getdoc(getattr(meanshift_fast, name)) for name in meanshift_fast.__all__)
