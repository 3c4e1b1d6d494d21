"""`explore`: choose a bandwidth by looking, live in a browser or a notebook."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from meanshift_fast._explore.rows import rows_of
from meanshift_fast._explore.server import Explorer
from meanshift_fast._explore.session import checked_start
from meanshift_fast._input.messages import not_installed
from meanshift_fast._input.progress import is_notebook

if TYPE_CHECKING:
    from meanshift_fast.io import Table

__all__ = ["Explorer", "explore"]


def explore(
    X: ArrayLike | Table,
    *,
    sample_weight: ArrayLike | None = None,
    browser: bool = True,
    once: bool = False,
    **parameters: Any,
) -> Explorer:
    """Open a page that shows the clusters of X while the bandwidth is changed.

    Rows are drawn in the colours of their clusters, with centres, their support and the ball of the
    bandwidth to scale; below are the number of clusters against the bandwidth, the sizes and the
    rounds of the ascent. A click draws the trajectory from there. The page shows the lines of
    Python and the command that give its answer, and saves labels, centres and models.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or Table
        The rows, or a file of them as `meanshift_fast.io.open_table` opens it.
    sample_weight : array-like of shape (n_samples,), default=None
        The rows' weights; those of a file are its ``weight_column``.
    browser : bool, default=True
        Whether to open a browser; in a notebook the page is shown there instead.
    once : bool, default=False
        Whether the server ends when the page is closed.
    **parameters : Any
        Parameters of `MeanShift` to begin with, by default ``bin_seeding=True``. Without a
        ``bandwidth``, or with "stable", the page begins with an estimate from some rows and goes to
        the stable bandwidth when the curve is known. Seeds and a bandwidth for each feature are not
        among them.

    Returns
    -------
    Explorer
        Its ``url`` is the address; ``model`` the fitted `MeanShift` that is shown, None before a
        browser has loaded the page; ``wait()`` waits until the page is closed (``once``) or Ctrl-C;
        ``close()`` ends the server.

    Raises
    ------
    ImportError
        If bokeh is not installed.
    TypeError
        If a parameter is none of `MeanShift`.
    ValueError
        Where X is not a finite table, or a parameter is out of its range.

    See Also
    --------
    meanshift_fast.bandwidth_curve : The curve that the page shows.

    Notes
    -----
    The page is served by a thread of this process on 127.0.0.1, on a free port, under a path that
    begins with a random token: without it nothing is answered.

    Up to 20,000 rows are markers; more are a raster of 520 x 400 pixels, each in the mean colour of
    its rows. Rows are checked and converted once. Memory beside them: 21 bytes a row for the page,
    24 of two columns for the index, which is kept from bandwidth to bandwidth, and what a fit
    takes.

    Examples
    --------
    >>> from meanshift_fast.datasets import demo_table
    >>> from meanshift_fast.explore import explore
    >>> explorer = explore(demo_table(), browser=False)
    >>> explorer.url.startswith("http://127.0.0.1:")
    True
    >>> explorer.close()
    """
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise not_installed("exploring needs bokeh", "explore") from error
    rows = rows_of(X, sample_weight)
    checked_start(given := {"bin_seeding": True} | parameters)
    explorer = Explorer(rows, given, once=once)
    if browser and not is_notebook():
        webbrowser.open(explorer.url)
    return explorer
