"""The figures of the page: rows and centres, the curve, sizes of clusters, rounds of the ascent."""

import math
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BoxAnnotation,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
    Span,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from meanshift_fast._explore.projection import N_COLOURS, PALETTE, RASTER_SHAPE, Projection
from meanshift_fast._explore.session import Answer, Trajectory
from meanshift_fast._explore.themes import Theme, styles_of
from meanshift_fast._index.stopping import rest_of
from meanshift_fast._input.messages import counted
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._pictures.axes import MAX_ASPECT
from meanshift_fast._pictures.colours import COLOURS, GREY

_Floats = NDArray[np.float64]

MAX_BALLS = 60  # heaviest centres that are drawn with their ball
MAX_WRITTEN = 20  # centres with their support written beside them
MAX_BARS = 40  # clusters in the chart of sizes
WIDE_RATIO = 8.0  # of bandwidths, from which on an axis has three ticks a decade
LOG_MARGIN = 0.05  # of the decades that an axis shows, at either end
FEW_ROWS_SIZE, MANY_ROWS_SIZE = 7.0, 2.0  # of markers, in pixels


def _figure(name: str, **options: Any) -> Any:
    """A chart beside the map, without tools of its own."""
    small = {"sizing_mode": "stretch_both", "toolbar_location": None, "min_height": 180}
    return _plain(figure(name=name, **small, **options))


def _plain(figure: Any) -> Any:
    """Leave out small ticks, and the border, through which the page is seen.

    A border that is painted anew leaves half of its old colour on the canvas's edge.
    """
    figure.axis.minor_tick_line_color = figure.border_fill_color = None
    return figure


def _source(*names: str, name: str | None = None) -> Any:
    """An empty data source with some columns."""
    return ColumnDataSource({column: [] for column in names}, name=name)


class Map:
    """Rows in the colours of their clusters, centres, balls to scale, and one trajectory."""

    def __init__(self) -> None:
        self.figure = figure(
            name="map", sizing_mode="stretch_both", min_height=260, toolbar_location="above",
            tools="pan,wheel_zoom,box_zoom,reset,tap", active_scroll="wheel_zoom",
            x_range=Range1d(0, 1), y_range=Range1d(0, 1),
        )  # fmt: skip
        _plain(self.figure).toolbar.logo = None
        self.figure.grid.level = "image"  # below the rows
        self.inner = {"inner_width": 600, "inner_height": 450}  # until the browser reports its own
        self.image = _source("image", name="image")
        self.image.data = {"image": [np.zeros(RASTER_SHAPE, dtype=np.uint32)]}
        self.rows = _source("x", "y", "colour", name="rows")
        self.centers = _source("x", "y", "label", "support", "rows")
        self.written = _source("x", "y", "text")
        self.balls, self.path = _source("x", "y"), _source("x", "y", name="trajectory")
        self.reach, self.start = _source("x", "y"), _source("x", "y")
        self.end = _source("x", "y")
        self._draw_rows()
        self._draw_centers()
        self._draw_path()

    def _draw_rows(self) -> None:
        """Add rows as a raster and as markers, of which one is visible."""
        self._raster = self.figure.image_rgba(
            image="image", x=0, y=0, dw=1, dh=1, source=self.image, level="underlay"
        )
        mapper = LinearColorMapper(palette=PALETTE, low=-0.5, high=N_COLOURS - 0.5)
        self._markers = self.figure.scatter(
            "x", "y", source=self.rows, size=4, line_color=None, level="underlay",
            fill_color={"field": "colour", "transform": mapper},
        )  # fmt: skip

    def _draw_centers(self) -> None:
        """Add balls, centres and their support."""
        self._balls = self.figure.line(
            "x", "y", source=self.balls, line_dash="dashed", line_width=1.2
        )
        self._centers = self.figure.scatter(
            "x", "y", source=self.centers, marker="x", size=11, line_width=3
        )
        self._written = self.figure.text(
            "x", "y", "text", source=self.written, x_offset=8, y_offset=-5, text_font_size="12px",
            padding=1, background_fill_alpha=0.75,
        )  # fmt: skip
        about = [("cluster", "@label"), ("support", "@support{0,0.##}"), ("rows", "@rows{0,0}")]
        self.figure.add_tools(HoverTool(renderers=[self._centers], tooltips=about))

    def _draw_path(self) -> None:
        """Add a trajectory, its ball, start and end."""
        first, last = COLOURS[0], COLOURS[1]
        self._path = [
            self.figure.line("x", "y", source=self.path, line_width=2),
            self.figure.scatter("x", "y", source=self.path, size=5),
        ]
        self._reach = self.figure.line("x", "y", source=self.reach, line_width=2, color=first)
        self.figure.scatter("x", "y", source=self.start, size=11, color=first)
        self.figure.scatter(
            "x", "y", source=self.end, marker="x", size=12, color=last, line_width=4
        )

    def styles(self, theme: Theme) -> list[Any]:
        """The parts of the figure, each with the colours that a theme gives it."""
        line, dots = (renderer.glyph for renderer in self._path)
        return [
            *styles_of(self.figure, theme),
            *[(part.glyph, {"line_color": theme.ink}) for part in (self._balls, self._centers)],
            (self._written.glyph, {"text_color": theme.ink, "background_fill_color": theme.paper}),
            (line, {"line_color": theme.ink}),
            (dots, {"line_color": theme.ink, "fill_color": theme.ink}),
        ]

    def lay_out(self, projection: Projection) -> None:
        """Take another projection: its axes and the positions of rows."""
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = projection.page.names
        (left, bottom), (right, top) = projection.low, projection.high
        raster = self._raster.glyph
        raster.x, raster.y, raster.dw, raster.dh = left, bottom, right - left, top - bottom
        self._raster.visible = projection.is_raster
        self._markers.visible = not projection.is_raster
        if not projection.is_raster:
            x, y = projection.laid.T
            self.rows.data = {"x": x, "y": y, "colour": np.zeros(len(x), dtype=np.uint8)}
            size = np.clip(60.0 / len(x) ** 0.25, MANY_ROWS_SIZE, FEW_ROWS_SIZE)
            self._markers.glyph.size = float(size)
        self.draw_step(None, projection, 0)
        self.fit(projection)

    def fit(self, projection: Projection) -> None:
        """Show the whole page, with equal scales where that leaves the page wide enough."""
        width, height = (self.inner[side] for side in ("inner_width", "inner_height"))
        size = projection.high - projection.low
        per_pixel = size / (width, height)
        is_slim = not 1 / MAX_ASPECT < per_pixel[0] / per_pixel[1] < MAX_ASPECT
        if not (projection.is_one_column or is_slim):
            per_pixel = np.full(2, per_pixel.max())
        middle, half = (projection.low + projection.high) / 2, per_pixel * (width, height) / 2
        for values, low, high in zip(
            (self.figure.x_range, self.figure.y_range), middle - half, middle + half, strict=True
        ):
            values.update(start=low, end=high, reset_start=low, reset_end=high)

    def draw(self, answer: Answer, projection: Projection) -> None:
        """Draw an answer, the rows first."""
        colours = answer.row_colours
        if projection.is_raster:
            self.image.data = {"image": [projection.picture(colours)]}
        else:
            self.rows.data = {**self.rows.data, "colour": colours}
        model = answer.model
        centers = projection.lay(np.asarray(model.cluster_centers_, dtype=np.float64))
        x, y = centers.T
        support = model.mode_weight_
        self.centers.data = {
            "x": x, "y": y, "label": np.arange(len(x)), "support": support,
            "rows": answer.sizes[1:],
        }  # fmt: skip
        self._centers.glyph.size = float(np.clip(60.0 / len(x) ** 0.5, 4.0, 13.0))
        self._centers.glyph.line_width = float(np.clip(12.0 / len(x) ** 0.5, 1.0, 3.0))
        n_written = MAX_WRITTEN if len(x) <= 2 * MAX_WRITTEN else 0
        texts = [f"{weight:,.6g}" for weight in support[:n_written]]
        self.written.data = {"x": x[:n_written], "y": y[:n_written], "text": texts}
        heaviest = np.asarray(model.cluster_centers_[:MAX_BALLS], dtype=np.float64)
        # One line with gaps: each array is a message of its own to the browser.
        gap = np.full((1, 2), np.nan)
        outlines = [(ball, gap) for ball in projection.balls(heaviest, model.bandwidth_)]
        x, y = np.concatenate([part for pair in outlines for part in pair]).T
        self.balls.data = {"x": x, "y": y}

    def draw_step(self, found: Trajectory | None, projection: Projection, step: int) -> None:
        """Draw a trajectory up to a step, with the ball of that step; None: none."""
        if found is None:
            for source in (self.path, self.reach, self.start, self.end):
                source.data = {"x": [], "y": []}
            return
        shown = found.path[: step + 1]
        traced = found.traced
        places = traced.positions[0][: step + 1]
        (ball,) = projection.balls(places[step:], traced.bandwidth)
        for source, laid in (
            (self.path, projection.path(places)), (self.reach, ball),
            (self.start, shown[:1]), (self.end, shown[-1:]),
        ):  # fmt: skip
            source.data = {"x": laid[:, 0], "y": laid[:, 1]}


def _show_values(axis: Range1d, values: _Floats) -> None:
    """Let a logarithmic axis show positive values, with a margin.

    An axis that finds its own ends warns in the console while there is nothing to draw.
    """
    shown = values[values > 0]
    if len(shown):
        low, high = np.log10([shown.min(), shown.max()])
        margin = LOG_MARGIN * (high - low) or 1.0
        axis.update(
            start=float(10.0 ** (low - margin)), end=float(10.0 ** min(high + margin, 300.0))
        )


def _ticks(low: float, high: float, digits: tuple[float, ...]) -> list[float]:
    """Ticks of a logarithmic axis: these digits of each decade, from below one value to another."""
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [float(f"{digit}e{decade}") for decade in decades for digit in digits]


class CurveChart:
    """The number of clusters against the bandwidth, the plateau, and the bandwidth chosen."""

    def __init__(self) -> None:
        self.figure = _figure(
            "curve", x_axis_type="log", y_axis_type="log", tools="tap",
            x_range=Range1d(1, 10), y_range=Range1d(1, 10),
            x_axis_label="bandwidth; click to go there", y_axis_label="clusters",
            title="clusters: being counted",
        )  # fmt: skip
        self.curve, self.plateau = _source("x", "y"), _source("x", "y")
        self._line = self.figure.step(
            "x", "y", source=self.curve, mode="after", line_width=2, level="glyph"
        )
        self.figure.line("x", "y", source=self.plateau, line_width=5, color=COLOURS[1])
        self.band = BoxAnnotation(fill_color=COLOURS[1], fill_alpha=0.2, visible=False)
        self.place = Span(dimension="height", line_width=2, line_dash="dashed")
        self.figure.add_layout(self.band)
        self.figure.add_layout(self.place)
        self.figure.yaxis.formatter = NumeralTickFormatter(format="0,0")
        self.counts, self.widths = FixedTicker(ticks=[]), FixedTicker(ticks=[])
        self.figure.yaxis.ticker = self.figure.ygrid.ticker = self.counts
        self.figure.xaxis.ticker = self.figure.xgrid.ticker = self.widths

    def styles(self, theme: Theme) -> list[Any]:
        """The parts of the figure, each with the colours that a theme gives it."""
        ink = {"line_color": theme.ink}
        return [*styles_of(self.figure, theme), (self._line.glyph, ink), (self.place, ink)]

    def draw(self, curve: Any, share: float) -> None:
        """Draw a `BandwidthCurve`, of whose bandwidths the kernel's are a share."""
        stable, usable = curve.stable, curve.bandwidths > 0.0
        x = curve.bandwidths[usable] * share
        self.curve.data = {"x": x, "y": curve.n_clusters[usable]}
        _show_values(self.figure.x_range, x)
        _show_values(self.figure.y_range, curve.n_clusters[usable])
        self.counts.ticks = _ticks(1, max(1, curve.n_clusters.max()), (1, 2, 5))
        if len(x):
            is_wide = x[-1] > WIDE_RATIO * x[0]
            self.widths.ticks = _ticks(x[0], x[-1], (1, 2, 5) if is_wide else (1, 1.5, 2, 3, 4, 6))
        low, high = stable["low"] * share, stable["high"] * share
        self.plateau.data = {"x": [low, high], "y": [int(stable["n_clusters"])] * 2}
        self.band.update(left=low, right=high, visible=True)
        lasting = counted(stable["n_clusters"], "cluster")
        lasting += " lasts" if stable["n_clusters"] == 1 else " last"
        self.figure.title.text = f"{lasting} longest, {low:.3g} to {high:.3g}"


class SizesChart:
    """How many rows are in each cluster, orphans last."""

    def __init__(self) -> None:
        self.figure = _figure(
            "sizes", tools="", x_axis_label="cluster", y_axis_label="rows",
            x_range=Range1d(-0.7, 1), y_range=Range1d(0, 1), title="sizes",
        )  # fmt: skip
        self.bars = _source("x", "rows", "colour", "what")
        drawn = self.figure.vbar("x", top="rows", width=0.8, source=self.bars, color="colour")
        about = [("", "@what"), ("rows", "@rows{0,0}")]
        self.figure.add_tools(HoverTool(renderers=[drawn], tooltips=about))
        self.figure.yaxis.formatter = NumeralTickFormatter(format="0,0")
        self.figure.xgrid.visible = False
        self.figure.axis.ticker = BasicTicker(min_interval=1)

    def styles(self, theme: Theme) -> list[Any]:
        """The parts of the figure, each with the colours that a theme gives it."""
        return styles_of(self.figure, theme)

    def draw(self, answer: Answer) -> None:
        """Draw the sizes of the largest clusters."""
        sizes = answer.sizes[1 : MAX_BARS + 1]
        colours = [COLOURS[number] for number in answer.colours[:MAX_BARS]]
        what = [f"cluster {label}" for label in range(len(sizes))]
        if answer.sizes[0]:
            sizes = np.append(sizes, answer.sizes[0])
            colours, what = [*colours, GREY], [*what, "orphans"]
        self.bars.data = {
            "x": np.arange(len(sizes)), "rows": sizes, "colour": colours, "what": what
        }  # fmt: skip
        self.figure.x_range.end = max(len(sizes) - 0.3, 1.7)
        self.figure.y_range.end = max(float(sizes.max()) * 1.08, 1.0)
        n_clusters = len(answer.colours)
        first = f", the first {MAX_BARS}" if n_clusters > MAX_BARS else ""
        orphans = f"; {counted(answer.sizes[0], 'orphan')}" if answer.sizes[0] else ""
        self.figure.title.text = f"sizes of {counted(n_clusters, 'cluster')}{first}{orphans}"


class HistoryChart:
    """How far trajectories move, round by round."""

    def __init__(self) -> None:
        self.figure = _figure(
            "history", tools="", y_axis_type="log", y_range=Range1d(1, 10), x_axis_label="round",
            y_axis_label="length of a step", title="rounds",
        )  # fmt: skip
        self.largest, self.mean = _source("x", "y"), _source("x", "y")
        for source, colour, label in (
            (self.largest, COLOURS[1], "largest"), (self.mean, COLOURS[0], "mean")
        ):  # fmt: skip
            self.figure.line("x", "y", source=source, color=colour, width=2, legend_label=label)
            self.figure.scatter("x", "y", source=source, color=colour, size=5)
        self.figure.xaxis.ticker = BasicTicker(min_interval=1)
        self.rest = _source("x", "y")
        self._rest = self.figure.line(
            "x", "y", source=self.rest, line_dash="dashed", legend_label="rest"
        )
        legend = self.figure.legend[0]
        legend.orientation, legend.padding, legend.spacing, legend.margin = "horizontal", 2, 12, 0
        self.figure.add_layout(legend, "above")

    def styles(self, theme: Theme) -> list[Any]:
        """The parts of the figure, each with the colours that a theme gives it."""
        return [*styles_of(self.figure, theme), (self._rest.glyph, {"line_color": theme.ink})]

    def draw(self, answer: Answer) -> None:
        """Draw the rounds of a fit."""
        model = answer.model
        history = model.history_
        drawn = []
        for source, name in ((self.largest, "max_shift"), (self.mean, "mean_shift")):
            moved = history[history[name] > 0.0]
            source.data = {"x": moved["round"], "y": moved[name]}
            drawn.append(moved[name])
        metric = metric_of(model.metric, model.period)
        rest = rest_of(model.tol, metric.length_of(model.bandwidth_))
        shown = [1, len(history)] if rest > 0.0 else []
        self.rest.data = {"x": shown, "y": [rest] * len(shown)}
        _show_values(self.figure.y_range, np.append(np.concatenate(drawn), [rest] * (rest > 0.0)))
        resting, n_rounds = history["n_converged"][-1], counted(len(history), "round")
        self.figure.title.text = f"{resting:,} trajectories at rest after {n_rounds}"
