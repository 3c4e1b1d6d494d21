"""The reference is its docstrings: they are complete, and what they show is so."""

import doctest
import inspect
import pydoc
from importlib import import_module
from pathlib import Path
from pydoc import locate

import pytest
from numpydoc.validate import validate

import meanshift_fast

PACKAGE = Path(meanshift_fast.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]
PUBLIC = [
    *(f"meanshift_fast.{name}" for name in meanshift_fast.__all__),
    "meanshift_fast.dask.MeanShift",
    "meanshift_fast.datasets.demo_table",
    "meanshift_fast.explore.explore",
    "meanshift_fast.image.mean_shift_filter",
    "meanshift_fast.image.mean_shift_segment",
    "meanshift_fast.plot.MeanShiftDisplay",
    "meanshift_fast.stream.fit_batches",
]
PARTS = [
    "meanshift_fast.io.open_table",
    "meanshift_fast.models.load_model",
    "meanshift_fast.models.save_model",
    "meanshift_fast.BandwidthCurve.plot",
    "meanshift_fast.MeanShift.fit",
    "meanshift_fast.MeanShift.fit_predict",
    "meanshift_fast.MeanShift.labels_at",
    "meanshift_fast.MeanShift.predict",
    "meanshift_fast.MeanShift.score_samples",
    "meanshift_fast.Trace.neighbours",
    "meanshift_fast.Trace.plot",
    "meanshift_fast.dask.MeanShift.fit",
    "meanshift_fast.dask.MeanShift.predict",
    "meanshift_fast.datasets.china_pixels",
    "meanshift_fast.plot.MeanShiftDisplay.from_estimator",
    "meanshift_fast.plot.MeanShiftDisplay.plot",
    "meanshift_fast.plot.MeanShiftDisplay.plot_history",
    "meanshift_fast.plot.MeanShiftDisplay.plot_prominence",
]
# What numpydoc would like and we do not: a second summary where the first says it all, and no
# name for a value that is returned.
WAIVED = {"ES01", "RT02"}
# Methods are beside each other in the reference, and the class has the example.
OF_PARTS = {"SA01", "EX01"}
# A data class is documented by its attributes, an estimator by reference to the one it inherits.
BY_REFERENCE = {
    "meanshift_fast.Trace": {"PR01"},
    "meanshift_fast.BandwidthCurve": {"PR01"},
    "meanshift_fast.dask.MeanShift": {"PR01", "PR02"},
}


@pytest.mark.parametrize("name", [*PUBLIC, *PARTS])
def test_a_docstring_is_whole(name):
    waived = WAIVED | (OF_PARTS if name in PARTS else set())
    waived |= BY_REFERENCE.get(name, set())
    assert [error for error in validate(name)["errors"] if error[0] not in waived] == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_show_what_happens(name):
    failed, tried = doctest.testmod(import_module(name))
    assert tried > 0
    assert failed == 0


def test_every_public_name_is_documented():
    assert all(inspect.getdoc(getattr(meanshift_fast, name)) for name in meanshift_fast.__all__)


@pytest.mark.parametrize("name", [*PUBLIC, *PARTS])
def test_help_shows_annotations_as_they_are_written(name):
    # NumPy's ArrayLike is a union of eight types, a page for each argument.
    shown = pydoc.plain(pydoc.render_doc(locate(name)))
    assert "_SupportsArray" not in shown
    assert "NestedSequence" not in shown
    if name.endswith(("bandwidth_curve", "condense", "from_estimator", "estimate_bandwidth")):
        assert "X: 'ArrayLike'" in shown
