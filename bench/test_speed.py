"""Every workload on every library that can do it, timed by pytest-benchmark.

``pytest bench/test_speed.py`` runs all, ``--quick`` the same on fewer rows. The reference comes
first in each workload: its timed answer is what the others are held to before their clock starts.
"""

import pytest
import sklearn.cluster
from pytest_benchmark.fixture import BenchmarkFixture

import meanshift_fast
from bench.adapters import OURS, SCIKIT_LEARN, Library, libraries_for
from bench.agreement import Reference
from bench.clock import seconds
from bench.workloads import BANDWIDTH_QUICK_ROWS, BANDWIDTH_ROWS, WORKLOADS, blobs

ROUNDS = {"small": 3, "medium": 1, "large": 1}


def rounds(library: str, size: str, quick: bool, *, every_row: bool = False) -> int:
    """Choose the number of timed calls: theirs are dear, ours only from each of a million rows.

    Fifteen of 10M rows with bins: one in four of these takes 0.5 to 0.8 s where the rest take 0.4,
    all of it in the kernel, for pages that it had given back.
    """
    if library == OURS.name:
        return 3 if every_row else 15
    return 1 if quick else ROUNDS[size]


FITS = [
    pytest.param(name, library, id=f"{name}-{library.name}")
    for name, workload in WORKLOADS.items()
    for library in libraries_for(workload)
]


@pytest.mark.parametrize(("name", "library"), FITS)
def test_fit(
    benchmark: BenchmarkFixture, reference: Reference, name: str, library: Library
) -> None:
    workload = WORKLOADS[name]
    points, seeds = reference.points(workload), reference.seeds(workload)
    every_row = workload.sample is not None and not workload.settings.bin_seeding
    times = rounds(library.name, workload.size, reference.quick, every_row=every_row)
    info: dict[str, object] = {"workload": name, "library": library.name}
    info |= {"rows": len(points), "features": points.shape[1]}

    if library is SCIKIT_LEARN:
        library.fit(points[:100], workload.settings)  # starting its processes takes seconds
        answer = benchmark.pedantic(library.fit, (points, workload.settings, seeds), rounds=times)
        reference.answers[workload] = answer
        if seeds is not None:
            # What its fit takes whatever the number of seeds: the tree and the labels. Only the
            # rest grows with the seeds, and only that may be multiplied.
            fixed = seconds(library.fit, points, workload.settings, seeds[:1])
            info |= {"sample": len(seeds), "fixed_s": fixed}
    else:
        info |= reference.check(library, workload)._asdict()
        answer = benchmark.pedantic(library.fit, (points, workload.settings), rounds=times)

    benchmark.extra_info.update(info, modes=len(answer.centers))
    assert len(answer.labels) == len(points)


ESTIMATES = {
    SCIKIT_LEARN.name: sklearn.cluster.estimate_bandwidth,
    OURS.name: meanshift_fast.estimate_bandwidth,
}


@pytest.fixture(scope="module")
def estimates() -> dict[str, float]:
    """Collect the bandwidths, by library."""
    return {}


@pytest.mark.parametrize("library", ESTIMATES)
def test_bandwidth(
    benchmark: BenchmarkFixture, quick: bool, estimates: dict[str, float], library: str
) -> None:
    points = blobs(BANDWIDTH_QUICK_ROWS if quick else BANDWIDTH_ROWS)
    estimate = ESTIMATES[library]
    info: dict[str, object] = {"workload": "bandwidth", "library": library}
    info |= {"rows": len(points), "features": points.shape[1]}

    if library == OURS.name:
        if SCIKIT_LEARN.name not in estimates:
            estimates[SCIKIT_LEARN.name] = ESTIMATES[SCIKIT_LEARN.name](points)
        difference = abs(estimate(points) / estimates[SCIKIT_LEARN.name] - 1)
        assert difference <= 1e-9
        info["difference"] = float(difference)

    estimates[library] = benchmark.pedantic(
        estimate, (points,), rounds=rounds(library, "medium", quick)
    )
    benchmark.extra_info.update(info)
    assert estimates[library] > 0
