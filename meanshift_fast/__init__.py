"""Mean shift clustering at the speed of compiled code, with scikit-learn's own answers."""

import logging

from meanshift_fast._cli import signals as starting  # noqa: F401 (first, before all that is slow)
from meanshift_fast._summaries.grid_cells import condense
from meanshift_fast.bandwidth import BandwidthCurve, bandwidth_curve, estimate_bandwidth
from meanshift_fast.estimator import MeanShift
from meanshift_fast.function import mean_shift
from meanshift_fast.seeding import get_bin_seeds
from meanshift_fast.trace import Trace, trace
from meanshift_fast.warmup import warm_up

__version__ = "0.1.0"

logging.getLogger("meanshift_fast").addHandler(logging.NullHandler())

__all__ = [
    "BandwidthCurve",
    "MeanShift",
    "Trace",
    "bandwidth_curve",
    "condense",
    "estimate_bandwidth",
    "get_bin_seeds",
    "mean_shift",
    "trace",
    "warm_up",
]
