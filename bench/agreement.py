"""What two answers must agree on before a clock starts."""

from typing import NamedTuple

from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from bench.adapters import SCIKIT_LEARN, Clustering, Library
from bench.workloads import Floats, Workload, sampled


class Agreement(NamedTuple):
    """How near an answer is to scikit-learn's.

    Attributes
    ----------
    ari : float
        Adjusted Rand index of the labels; 1 for the same partition.
    center_distance : float
        From any centre of either answer to the nearest of the other, at most this far, in
        bandwidths.
    """

    ari: float
    center_distance: float


def agreement(answer: Clustering, reference: Clustering, bandwidth: float) -> Agreement:
    """Compare two answers."""
    distances = cdist(answer.centers, reference.centers)
    farthest = max(distances.min(axis=0).max(), distances.min(axis=1).max())
    return Agreement(
        float(adjusted_rand_score(reference.labels, answer.labels)), float(farthest / bandwidth)
    )


class Reference:
    """scikit-learn's answers, each computed once, and the points they are for.

    Parameters
    ----------
    quick : bool
        Whether the run is the one on fewer rows.
    """

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.answers: dict[Workload, Clustering] = {}
        self._held: tuple[Workload, Floats] | None = None

    def points(self, workload: Workload) -> Floats:
        """Make the points of a workload, and hold them until another's are asked for."""
        if self._held is None or self._held[0] != workload:
            self._held = None  # so that two large tables are never in memory together
            rows = workload.quick_rows if self.quick else workload.rows
            self._held = (workload, workload.points(rows))
        return self._held[1]

    def seeds(self, workload: Workload) -> Floats | None:
        """Choose what to climb from when answers are compared; None for the settings' own."""
        if workload.sample is None:
            return None
        return sampled(self.points(workload), workload.sample)

    def check(self, library: Library, workload: Workload) -> Agreement:
        """Hold a library to scikit-learn's answer; its kernels are warm afterwards.

        Returns
        -------
        found : Agreement
            Within what the library is held to.

        Raises
        ------
        AssertionError
            If it is not; the message names both figures.
        """
        points, seeds = self.points(workload), self.seeds(workload)
        if workload not in self.answers:
            self.answers[workload] = SCIKIT_LEARN.fit(points, workload.settings, seeds)
        answer = library.fit(points, workload.settings, seeds)
        found = agreement(answer, self.answers[workload], workload.settings.bandwidth)
        assert found.ari >= library.least_ari, (
            f"{library.name} must keep an ARI of {library.least_ari} to scikit-learn's labels, "
            f"got {found.ari}"
        )
        assert found.center_distance <= library.farthest_center, (
            f"{library.name} must keep centres within {library.farthest_center} bandwidths of "
            f"scikit-learn's, got {found.center_distance}"
        )
        return found
