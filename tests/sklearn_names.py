"""A pytest plugin: scikit-learn's own tests of mean shift, run against this package.

    PYTHONPATH=tests pytest -p sklearn_names --pyargs sklearn.cluster.tests.test_mean_shift

The test files take the names from `sklearn.cluster`, at the head or as they run; the plugin has put
ours there before they are imported.
"""

import sklearn.cluster

import meanshift_fast

NAMES = ("MeanShift", "mean_shift", "estimate_bandwidth", "get_bin_seeds")

for name in NAMES:
    setattr(sklearn.cluster, name, getattr(meanshift_fast, name))


def pytest_collection_finish(session):
    """Refuse to run if a collected file got scikit-learn's names after all."""
    for module in {item.module for item in session.items}:
        for name in NAMES:
            assert getattr(module, name, None) in (None, getattr(meanshift_fast, name)), name
