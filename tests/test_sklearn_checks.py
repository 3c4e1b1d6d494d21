"""scikit-learn's estimator checks, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from meanshift_fast import MeanShift

# Some checks fit tables where every row has a bin of its own, or noise, where a fit has other
# centres than the plateau has clusters; the warnings are right then.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Binning data failed:UserWarning"),
    pytest.mark.filterwarnings('ignore:bandwidth="stable":UserWarning'),
]


@parametrize_with_checks(
    [
        MeanShift(),
        MeanShift(max_iter=5, bandwidth=1.0),
        MeanShift(bin_seeding=True),
        MeanShift(bin_seeding=True, bandwidth=1.0),
        MeanShift(assign="basin"),
        MeanShift(assign="basin", coalesce=0.05, bandwidth=1.0),
        MeanShift(assign="basin", bin_seeding=True, cluster_all=False),
        MeanShift(coalesce=0.3),
        MeanShift(bandwidth="scott"),
        MeanShift(kernel="gaussian"),
        MeanShift(kernel="gaussian", bandwidth=1.0, bin_seeding=True),
        MeanShift(kernel="gaussian", assign="basin"),
        MeanShift(kernel="gaussian", assign="basin", coalesce=0.05, bandwidth=1.0),
        MeanShift(bandwidth="silverman", bin_seeding=True),
        MeanShift(bandwidth="stable"),
    ]
)
def test_scikit_learns_check(estimator, check):
    check(estimator)
