"""The model of a page: requests in, answers out, without Bokeh.

    change(bandwidth=...)  --> fit ----------> Answer       at once
    follow(across, up)     --> trace --------> Trajectory
    look(across, up)       --> projection ---> Projection
    save(what, path)       --> files --------> str
    (the beginning)        --> curve --------> Curve        while no other job waits

The session's `Worker` runs each; its result is kept and passed to ``on_change``, on the worker's
thread.
"""

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.model import adopt, fitted, refer_to
from meanshift_fast._explore.code import command_line, python_lines
from meanshift_fast._explore.colouring import coloured
from meanshift_fast._explore.pixels import coloured_rows
from meanshift_fast._explore.projection import Projection, project
from meanshift_fast._explore.rows import ExploredRows, scales_in
from meanshift_fast._explore.saving import save
from meanshift_fast._explore.worker import Worker
from meanshift_fast._index.choice import Trees
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._input.checks import check_parameters
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._input.progress import Report
from meanshift_fast._input.remarks import remarks, remarks_on_seeds
from meanshift_fast.bandwidth import BandwidthCurve, bandwidth_curve, kernel_bandwidth
from meanshift_fast.estimator import MeanShift
from meanshift_fast.trace import Trace, trace

_Floats = NDArray[np.float64]

KINDS = ("fit", "projection", "trajectory", "save", "curve")
FIRST_BANDWIDTH_ROWS = 2_000  # rows that the first bandwidth is estimated from
FIRST_QUANTILE = 0.1
BANDWIDTH_DIGITS = 4  # of a bandwidth that the slider gives

OnChange = Callable[[str, Any], None]


class Answer(NamedTuple):
    """A fit, as the page shows it.

    Attributes
    ----------
    model : MeanShift
        Fitted.
    colours : uint8 array of shape (n_modes,)
        The number of each cluster's colour.
    row_colours : uint8 array of shape (n_samples,)
        For each row 0 for an orphan, else one more than the number of its colour.
    sizes : int64 array of shape (n_modes + 1,)
        How many rows are orphans, and how many in each cluster.
    seconds : float
        How long the fit took.
    remarks : list of str
        What it warned of.
    """

    model: MeanShift
    colours: NDArray[np.uint8]
    row_colours: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    seconds: float
    remarks: list[str]


class Trajectory(NamedTuple):
    """A trajectory: the trace, its positions on the page, and the row that it began at, if any."""

    traced: Trace
    path: _Floats
    row: int | None


class Session:
    """The state of one page.

    Parameters
    ----------
    rows : ExploredRows
        The rows.
    parameters : dict
        Parameters of `MeanShift` to begin with; where ``bandwidth`` is None or "stable", the
        session begins with an estimate and takes the stable one when the curve is known.
    on_change : callable
        Called as ``on_change(kind, value)``, on the worker's thread, with "answer", "projection",
        "trajectory", "curve", "saved" or "error".

    Attributes
    ----------
    parameters : dict
        Of the newest request.
    answer, projection, trajectory, curve
        The newest of each; None before the first.
    """

    def __init__(
        self, rows: ExploredRows, parameters: dict[str, Any], on_change: OnChange | None = None
    ) -> None:
        self.rows, self.on_change = rows, on_change or (lambda *_: None)
        self.parameters = checked_start(parameters)
        self.space = {name: self.parameters[name] for name in ("metric", "period")}
        self.metric = metric_of(**self.space)
        self.metric.enter(rows.table)  # refuses rows that the metric does not cover
        self.scales = scales_in(self.metric, rows)
        names = rows.names if rows.has_names else None
        self._remarks = [*remarks(rows.table, names, one_bandwidth=True, rows_are_seeds=False)]
        bandwidth = self.parameters["bandwidth"]
        self._awaits_stable = bandwidth in (None, "stable")
        self.parameters["bandwidth"] = _first_bandwidth(rows, self.parameters, self.scales)
        self.answer: Answer | None = None
        self.projection: Projection | None = None
        self.trajectory: Trajectory | None = None
        self.curve: BandwidthCurve | None = None
        self._trees: Trees = {}
        # Held while parameters change: the page and the worker both change them.
        self._changing = threading.RLock()
        self.worker = Worker(
            KINDS, lambda _, error: self.on_change("error", f"{error or type(error).__name__}")
        )

    def begin(self) -> None:
        """Compute the first picture, and the curve after it."""
        self.look()
        self._submit_fit()
        self.worker.submit("curve", self._count)

    def bandwidth_of(self, radius: float) -> float:
        """The kernel's bandwidth that is as wide as a ball."""
        n_columns = self.metric.n_columns(self.rows.table.shape[1])
        kernel = KERNELS[self.parameters["kernel"]]
        return kernel.bandwidth_of(radius, self.metric.dimension(n_columns))

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest bandwidth to choose."""
        low, high = self.scales
        return self.bandwidth_of(low), self.bandwidth_of(high)

    @property
    def remarks(self) -> list[str]:
        """What in the table and the parameters is probably a mistake, as `cluster` notes it."""
        seeds = () if self.parameters["bin_seeding"] else remarks_on_seeds(len(self.rows.table))
        return [f"{remark.text}; {remark.in_python}" for remark in (*self._remarks, *seeds)]

    def change(self, **parameters: Any) -> None:
        """Request the answer for other parameters; it replaces a request that is at work."""
        with self._changing:
            if "kernel" in parameters and parameters["kernel"] != self.parameters["kernel"]:
                radius = self.parameters["bandwidth"] / self.bandwidth_of(1.0)
                self.parameters["kernel"] = parameters["kernel"]
                parameters = {"bandwidth": rounded(self.bandwidth_of(radius))} | parameters
            self._awaits_stable &= "bandwidth" not in parameters
            self.parameters |= parameters
            self._submit_fit()
            if parameters.keys() & {"min_support", "bin_seeding"}:
                self.worker.submit("curve", self._count)

    def look(self, across: str | None = None, up: str | None = None) -> None:
        """Request another projection."""
        self.worker.submit("projection", lambda _: self._project(across, up))

    def follow(self, across: float, up: float) -> None:
        """Request the trajectory from a point of the page."""
        self.worker.submit("trajectory", lambda _: self._follow(across, up))

    def save(self, what: str, path: str) -> None:
        """Request that labels, centres or the model are written."""
        self.worker.submit("save", lambda _: self._save(what, Path(path).expanduser()))

    def code(self) -> tuple[str, str]:
        """The lines of Python and the command that give the answer shown."""
        shown = self.parameters if self.answer is None else self.answer.model.get_params()
        source, has_weights = self.rows.source, self.rows.weights.size > 0
        return (
            python_lines(shown, source, has_weights=has_weights),
            command_line(shown, source, weight_column=self._weight_column()),
        )

    def _weight_column(self) -> int | None:
        """The column that weights of an array are saved in, after its own; None without weights."""
        if self.rows.source is not None or not self.rows.weights.size:
            return None
        return int(self.rows.table.shape[1])

    def close(self, *, wait: bool = True) -> None:
        """End the worker."""
        self.worker.close(wait=wait)

    # Jobs, on the worker's thread.

    def _submit_fit(self) -> None:
        """Request a fit with the parameters as they are now."""
        parameters = dict(self.parameters)
        self.worker.submit("fit", lambda report: self._fit(parameters, report))

    def _fit(self, parameters: dict[str, Any], report: Report) -> None:
        """Fit, and colour the clusters as those of the answer before."""
        model = MeanShift(**parameters | {"progress": report})
        check_parameters(model)
        began = perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = fitted(model, self.rows.table, self.rows.weights, trees=self._trees)
        seconds = perf_counter() - began
        adopt(model, found)
        refer_to(model, self.rows.table, self.rows.weights)
        model.progress = "auto"
        model.n_features_in_ = self.rows.table.shape[1]
        if self.rows.has_names:
            model.feature_names_in_ = np.array(self.rows.names, dtype=object)
        centers = np.asarray(model.cluster_centers_, dtype=np.float64)
        before, reach = None, 0.0
        if self.answer is not None:
            former = np.asarray(self.answer.model.cluster_centers_, dtype=np.float64)
            before, reach = (former, self.answer.colours), float(model.bandwidth_)
        colours = coloured(centers, before, reach)
        said = [str(warning.message) for warning in caught]
        self.answer = Answer(model, colours, *coloured_rows(model.labels_, colours), seconds, said)
        self.on_change("answer", self.answer)

    def _project(self, across: str | None, up: str | None) -> None:
        """Lay the rows onto the page."""
        self.projection = project(self.rows.points, self.rows.names, across, up, self.metric)
        self.trajectory = None
        self.on_change("projection", self.projection)

    def _follow(self, across: float, up: float) -> None:
        """Trace the trajectory from a point of the page."""
        projection = self.projection
        if projection is None:
            return
        start, row = projection.start(across, up, self.rows.points)
        names = ("bandwidth", "kernel", "tol", "max_iter")
        traced = trace(
            self.rows.points, start,
            sample_weight=self.rows.weights if self.rows.weights.size else None,
            **{name: self.parameters[name] for name in names}, **self.space,
        )  # fmt: skip
        self.trajectory = Trajectory(traced, projection.lay(traced.positions[0]), row)
        self.on_change("trajectory", self.trajectory)

    def _save(self, what: str, path: Path) -> None:
        """Write a file of the answer, where there is one."""
        if self.answer is not None:
            self.on_change("saved", save(what, path, self.answer.model, self.rows))

    def _count(self, report: Report) -> None:
        """Compute the curve, and take the stable bandwidth where it is awaited."""
        self.curve = bandwidth_curve(
            self.rows.points,
            bin_seeding=self.parameters["bin_seeding"],
            min_support=self.parameters["min_support"],
            sample_weight=self.rows.weights if self.rows.weights.size else None,
            n_jobs=self.parameters["n_jobs"],
            progress=report,
            **self.space,
        )
        with self._changing:
            if self._awaits_stable and self.curve.bandwidth > 0.0:
                self.change(bandwidth=rounded(self.bandwidth_of(self.curve.bandwidth)))
        self.on_change("curve", self.curve)


def checked_start(parameters: dict[str, Any]) -> dict[str, Any]:
    """All parameters of `MeanShift`, checked, of which some are given."""
    given = MeanShift(**parameters)
    check_parameters(given)
    if np.ndim(given.bandwidth or 0.0):
        raise ValueError(
            "bandwidth must be one number to explore, got one for each feature; divide each "
            "column by its own"
        )
    if given.seeds is not None:
        raise ValueError("seeds must be None to explore; bins or rows are the seeds")
    checked = dict(given.get_params())
    if given.period is not None:
        checked["period"] = tuple(np.asarray(given.period, dtype=object))
    return checked


def rounded(bandwidth: float) -> float:
    """A bandwidth of few digits, as a slider gives it."""
    return float(f"{bandwidth:.{BANDWIDTH_DIGITS}g}")


def _first_bandwidth(
    rows: ExploredRows, parameters: dict[str, Any], scales: tuple[float, float]
) -> float:
    """The bandwidth to begin with: as given, by its rule, or an estimate from some rows."""
    given = parameters["bandwidth"]
    if given is not None and not isinstance(given, str):
        return float(given)
    table, weights = rows.table, rows.weights
    rule = given if given in ("scott", "silverman", "fine") else None
    if rule is None:
        every = -(-len(table) // FIRST_BANDWIDTH_ROWS)
        table, weights = table[::every], weights[::every]
    sample_weight = weights if weights.size and weights.any() else None
    found = kernel_bandwidth(
        table,
        rule,
        parameters["kernel"],
        quantile=FIRST_QUANTILE,
        sample_weight=sample_weight,
        metric=parameters["metric"],
        period=parameters["period"],
    )
    return rounded(found) if found > 0.0 else scales[0]
