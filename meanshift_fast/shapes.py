"""What a fitted model says of its density: other cuts of its merge tree, and the log density."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from meanshift_fast._cluster.inputs import takes_one_thread
from meanshift_fast._cluster.model import bandwidth_of, rows_of, settings_of, shapes_of
from meanshift_fast._cluster.prominence import log_density
from meanshift_fast._cluster.shapes import cut
from meanshift_fast._input.checks import checked_table
from meanshift_fast._input.progress import reporting
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._jit.threads import borrowed_threads


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
            ``labels_`` of such a fit, with one exception, where ``assign="nearest"``: rows of a
            mode that ``min_support`` drops have the label of their mode also at 0 (that of the
            mode's nearest centre; -1 with ``cluster_all=False``), where a fit gives each row its
            own nearest centre (-1 beyond the bandwidth with ``cluster_all=False``).

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
        units = settings.units(bandwidth_of(self), modes)
        places = units.enter(modes)
        clusters = cut(shapes.tree, shapes.support, places, settings, units.period)
        labels = clusters.labels(every=settings.cluster_all)
        return np.append(labels, -1)[shapes.of_rows]

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
            Where X does not serve, rows lie on a sphere, the bandwidth is 0, or the model has no
            rows: with ``assign="nearest"`` a copy, one from a file or a pickle, or of a stream.

        Notes
        -----
        Each call builds the index of the fit. With ``assign="nearest"`` the model refers to the
        table of the fit: do not change it in between. Copies, pickles and files have rows only
        where basins need them.

        Examples
        --------
        >>> import numpy as np
        >>> from meanshift_fast import MeanShift
        >>> model = MeanShift(bandwidth=1.0).fit(np.array([[0.0], [0.5], [4.0]]))
        >>> np.exp(model.score_samples([[0.0], [2.0]])).round(4).tolist()
        [0.4375, 0.0]
        """
        check_is_fitted(self, "cluster_centers_")
        settings = settings_of(self)
        if settings.metric.has_arcs:
            raise ValueError(
                f'score_samples measures in the columns of X, and metric="{self.metric}" on a '
                "sphere; fit the columns of unit vectors"
            )
        rows = rows_of(self, settings.metric)
        if rows is None:
            raise ValueError(
                "score_samples needs the rows of the fit, and this model has none: fitted with "
                'assign="nearest" it has them in memory alone, no copy, pickle or file of it and '
                'no model of a stream or Dask collection; fit again, or with assign="basin"'
            )
        points = readonly_table(settings.metric.enter(checked_table(self, X, reset=False)))
        alone = takes_one_thread(rows.points, len(points))
        with borrowed_threads(self.n_jobs, alone=alone), reporting(self.progress, "density"):
            return log_density(rows, points, self.bandwidth_, settings)
