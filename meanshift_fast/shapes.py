"""What a fitted model says of its density: other cuts of its merge tree, and the log density."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from meanshift_fast._cluster.model import bandwidth_of, kept_of, settings_of, shapes_of
from meanshift_fast._cluster.prominence import log_density
from meanshift_fast._cluster.shapes import cut
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._input.checks import checked_table
from meanshift_fast._input.progress import reporting
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._jit.threads import borrowed_threads


def _keeps_rows(model: Any) -> bool:
    """Whether a fit keeps its rows; the error says what does."""
    if model.assign != "basin":
        raise AttributeError(
            'score_samples needs the rows of the fit, which only assign="basin" keeps; fit with '
            'assign="basin"'
        )
    return True


class ShapesMixin:
    """Methods of :class:`MeanShift` that need no new fit."""

    def labels_at(self: Any, min_prominence: float | str) -> NDArray[np.int64]:
        """Label the rows of the fit as a fit with another ``min_prominence`` does.

        Parameters
        ----------
        min_prominence : float or "auto"
            As the parameter.

        Returns
        -------
        labels : int64 ndarray of shape (n_samples,)
            ``labels_`` of such a fit, with one exception, where ``assign="nearest"`` and
            ``cluster_all=True``: rows of a mode that ``min_support`` drops follow their mode also
            at 0, where a fit gives each row to its own nearest centre.

        Raises
        ------
        ValueError
            Where the model was fitted with ``min_prominence=0`` or keeps no labels of rows, as one
            from a file or of a stream does not; where ``min_prominence`` is out of range, or no
            cluster has ``min_support``.

        Notes
        -----
        Some nanoseconds a row.

        Examples
        --------
        >>> import numpy as np
        >>> from meanshift_fast import MeanShift
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]])
        >>> model = MeanShift(bandwidth=1.1, assign="basin", min_prominence="auto").fit(X)
        >>> model.labels_at(0.5).tolist()
        [0, 0, 0, 0, 1]
        """
        check_is_fitted(self, "cluster_centers_")
        shapes = shapes_of(self)
        if shapes is None or shapes.of_rows is None:
            lacks = "no merge tree" if shapes is None else "no rows of the fit"
            raise ValueError(
                f"labels_at needs a fit in memory with min_prominence above 0, and this model has "
                f"{lacks}; fit again"
            )
        settings = settings_of(self)._replace(min_prominence=min_prominence).checked()
        modes = readonly_table(settings.metric.enter(shapes.modes))
        in_bandwidths = KERNELS[self.kernel].in_bandwidths
        units = settings.metric.units(bandwidth_of(self), modes, in_bandwidths=in_bandwidths)
        places = units.enter(modes)
        clusters = cut(shapes.tree, shapes.support, places, settings, units.period)
        labels = clusters.labels(every=settings.cluster_all)
        return np.append(labels, -1)[shapes.of_rows]

    @available_if(_keeps_rows)  # type: ignore[untyped-decorator]
    def score_samples(self: Any, X: ArrayLike) -> NDArray[np.float64]:
        """Measure the logarithm of the density that the modes are modes of.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Where to measure.

        Returns
        -------
        density : float64 ndarray of shape (n_samples,)
            As :meth:`sklearn.neighbors.KernelDensity.score_samples` with the bandwidth of the fit
            and kernel="epanechnikov" for the flat kernel, whose shadow that is, or "gaussian";
            -inf where the density is 0, or below the least float64: the Gaussian kernel's beyond
            some 38 bandwidths of all rows. The flat kernel's density is exact up to rounding, the
            Gaussian's within ``accuracy``. Where each feature has its bandwidth, per volume in
            the unit of the columns all the same.

        Raises
        ------
        ValueError
            Where X does not serve, rows lie on a sphere, the bandwidth is 0, or the model keeps no
            rows, as one whose ``assign`` was changed after the fit.

        Notes
        -----
        Models with ``assign="nearest"`` keep no rows and so have no such method.
        """
        check_is_fitted(self, "cluster_centers_")
        settings = settings_of(self)
        points = readonly_table(settings.metric.enter(checked_table(self, X, reset=False)))
        kept = kept_of(self)
        if kept is None:
            raise ValueError("score_samples needs the rows of the fit, and the model has none")
        with borrowed_threads(self.n_jobs), reporting(self.progress, "density"):
            return log_density(kept, points, self.bandwidth_, settings)
