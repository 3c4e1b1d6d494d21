"""What the timed tests share: the size of the run, scikit-learn's answers, a race."""

from collections.abc import Callable

import pytest

from bench.adapters import OURS, SCIKIT_LEARN, libraries_for
from bench.agreement import Reference
from bench.clock import median_seconds
from bench.workloads import Workload
from meanshift_fast import warm_up


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --quick."""
    parser.addoption("--quick", action="store_true", help="test_speed.py on fewer rows")


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    """Tell whether the run is the one on fewer rows."""
    return bool(request.config.getoption("--quick"))


@pytest.fixture(scope="session")
def reference(quick: bool) -> Reference:
    """Collect scikit-learn's answers; our kernels are compiled."""
    warm_up()
    return Reference(quick)


@pytest.fixture
def race() -> Callable[[Workload], dict[str, float]]:
    """Time all libraries on a whole workload; give how many times longer than ours each takes."""

    def run(workload: Workload) -> dict[str, float]:
        reference = Reference(quick=False)
        points, times = reference.points(workload), {}
        for library in libraries_for(workload):
            if library is not SCIKIT_LEARN:
                reference.check(library, workload)
            times[library.name] = median_seconds(
                library.fit, points, workload.settings, budget=240, most=3
            )
        return {name: time / times[OURS.name] for name, time in times.items()}

    return run
