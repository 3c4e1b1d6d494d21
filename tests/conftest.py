"""What must be set before anything imports SciPy, and how hypothesis draws its examples."""

import os
import signal

# scikit-learn skips its check of array API input unless SciPy was imported with this switch on.
os.environ["SCIPY_ARRAY_API"] = "1"

import numba
from hypothesis import settings

# Whoever runs the tests in the background ignores signals, and would have all children do so.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        )

# Always the same examples; and no deadline, because the first of them compiles. Interpreted
# kernels are a hundred times slower, and get fewer.
settings.register_profile(
    "bounded",
    derandomize=True,
    deadline=None,
    max_examples=10 if numba.config.DISABLE_JIT else 120,
)
settings.load_profile("bounded")
