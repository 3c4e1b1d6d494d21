"""The page: passes the widgets' events to the session, and its results to the figures.

browser --event--> View (the server's thread) --request--> Session (its worker's thread)
^                                                             |
`---- figures, words <---- next tick <---- on_change ---------'
"""

import math
from functools import partial
from html import escape
from time import monotonic
from typing import Any

from bokeh.events import DocumentReady, Tap
from bokeh.models import CustomJS

from meanshift_fast._explore.controls import PROMINENCE, SWITCHES, Controls
from meanshift_fast._explore.figures import CurveChart, HistoryChart, Map, SizesChart
from meanshift_fast._explore.projection import Projection, choices_of
from meanshift_fast._explore.rows import ExploredRows
from meanshift_fast._explore.session import Answer, Session, rounded
from meanshift_fast._explore.themes import DARK, LIGHT, TEMPLATE
from meanshift_fast._input.messages import counted

STATUS_MILLISECONDS = 150  # between updates of the status line
STEP_MILLISECONDS = 150  # for which a step of a trajectory is shown
# From the picture of an answer to its facts: the browser draws what it has within one frame, and
# a frame with the charts, the code and the picture takes longer than one with the picture.
FACTS_MILLISECONDS = 100

FOLLOW_BROWSER = "dark.active = matchMedia('(prefers-color-scheme: dark)').matches"
SWITCH_THEME = """\
const dark = cb_obj.active;
document.documentElement.dataset.theme = dark ? "dark" : "light";
for (const [part, colours] of styles)
  part.setv(Object.fromEntries(colours.map(([n, ...pair]) => [n, pair[+dark]])), {sync: false});
"""


class View:
    """A page in a Bokeh document.

    Parameters
    ----------
    document : bokeh Document
        The document of the page.
    rows : ExploredRows
        The rows.
    parameters : dict
        Parameters of `MeanShift` to begin with.
    """

    def __init__(self, document: Any, rows: ExploredRows, parameters: dict[str, Any]) -> None:
        self.session = Session(rows, parameters, self._note)
        self._document, self._is_setting, self._error = document, False, ""
        self._stepping: Any = None
        self._drawn: Answer | None = None  # the newest, while its facts wait for its picture
        self._projection: Projection | None = None  # the one that is drawn
        self.controls = Controls(
            choices_of(rows.names), self.session.parameters, self.session.limits
        )
        self.map, self.curve = Map(), CurveChart()
        self.sizes, self.history = SizesChart(), HistoryChart()
        self._charts: tuple[Any, ...] = (self.map, self.curve, self.sizes, self.history)
        self._listen()
        document.template, document.title = TEMPLATE, "meanshift-fast: explore"
        roots = [self.controls.head, self.controls.column, self.controls.tabs]
        with document.models.freeze():  # what the roots hold is collected once, not for each
            for root in (*roots, *[chart.figure for chart in self._charts]):
                document.add_root(root)
        document.add_periodic_callback(self._show_status, STATUS_MILLISECONDS)
        document.on_session_destroyed(lambda _: self.session.close(wait=False))
        self.session.begin()

    # Events of the browser.

    def _listen(self) -> None:
        """Connect the events of widgets and figures."""
        controls = self.controls
        controls.bandwidth.on_change("value", self._slide)
        controls.exact.on_change("value", self._type_bandwidth)
        controls.min_support.on_change("value", self._type_support)
        controls.min_prominence.on_change("value", self._slide_prominence)
        for name, group in controls.switches.items():
            group.on_change("active", partial(self._switch, name))
        for menu in (controls.across, controls.up):
            menu.on_change("value", self._choose_axes)
        controls.step.on_change("value", self._choose_step)
        for what, button in controls.save.items():
            button.on_click(partial(self._save, what))
        styles = self._styles()
        controls.dark.js_on_change("active", CustomJS(args={"styles": styles}, code=SWITCH_THEME))
        self._document.js_on_event(
            DocumentReady, CustomJS(args={"dark": controls.dark}, code=FOLLOW_BROWSER)
        )
        self.map.figure.on_event(Tap, lambda event: self.session.follow(event.x, event.y))
        self.curve.figure.on_event(Tap, lambda event: self._go(rounded(event.x)))
        for side in ("inner_width", "inner_height"):
            self.map.figure.on_change(side, self._resize)

    def _slide(self, attribute: str, old: float, new: float) -> None:
        """Request the bandwidth of the slider."""
        if not self._is_setting:
            self._request(bandwidth=rounded(10.0**new))

    def _type_bandwidth(self, attribute: str, old: float, new: float | None) -> None:
        if not self._is_setting and new is not None and 0.0 < new < math.inf:
            self._go(new)

    def _type_support(self, attribute: str, old: float, new: float | None) -> None:
        if not self._is_setting:
            self._request(min_support=max(new or 0.0, 0.0))

    def _slide_prominence(self, attribute: str, old: float, new: float) -> None:
        self.controls.min_prominence.update(title=PROMINENCE, show_value=True)
        self._request(min_prominence=round(float(new), 2))

    def _switch(self, name: str, attribute: str, old: int, new: int) -> None:
        """Request the choice of a group of buttons; a kernel changes the slider too."""
        (words,) = (words for _, named, words in SWITCHES if named == name)
        self._request(**{name: list(words.values())[new]})
        if name == "kernel":
            self._set(self.session.parameters["bandwidth"], limits=self.session.limits)
            if self.session.curve is not None:
                self.curve.draw(self.session.curve, self.session.bandwidth_of(1.0))

    def _go(self, bandwidth: float) -> None:
        """Move the slider to a bandwidth and request its answer."""
        self._set(bandwidth)
        self._request(bandwidth=bandwidth)

    def _request(self, **parameters: Any) -> None:
        """Request the answer for other parameters."""
        self._error = ""
        self.session.change(**parameters)

    def _set(
        self, bandwidth: float, *, slides: bool = True, limits: tuple[float, float] | None = None
    ) -> None:
        """Set widgets without a request; the slider too if it ``slides``."""
        self._is_setting = True
        slider = self.controls.bandwidth
        if limits is not None:
            slider.update(start=math.log10(limits[0]), end=math.log10(limits[1]))
        if slides:
            slider.value = min(max(math.log10(bandwidth), slider.start), slider.end)
        self.controls.exact.value = bandwidth
        self._is_setting = False

    def _choose_axes(self, attribute: str, old: str, new: str) -> None:
        if not self._is_setting:
            self.session.look(self.controls.across.value, self.controls.up.value)

    def _choose_step(self, attribute: str, old: int, new: int) -> None:
        self._draw_step(int(new))

    def _save(self, what: str) -> None:
        self.controls.saved.text = "writing"
        self.session.save(what, self.controls.path.value)

    def _styles(self) -> list[Any]:
        """The parts of figures, each with names and pairs of light and dark; they begin light."""
        styles = []
        for chart in self._charts:
            for (part, light), (_, dark) in zip(
                chart.styles(LIGHT), chart.styles(DARK), strict=True
            ):
                part.update(**light)
                styles.append([part, [[name, light[name], dark[name]] for name in light]])
        return styles

    def _resize(self, attribute: str, old: int, new: int) -> None:
        self.map.inner[attribute] = new
        if self._projection is not None:
            self.map.fit(self._projection)

    # Results of the session: noted on its worker's thread, shown on the server's.

    def _note(self, kind: str, value: Any) -> None:
        """Show a result at the next tick of the server's loop."""
        self._document.add_next_tick_callback(partial(getattr(self, f"_show_{kind}"), value))

    def _show_answer(self, answer: Answer) -> None:
        """Draw the newest answer, on the projection that is drawn."""
        if self._projection is None or answer is not self.session.answer:
            return
        self.map.draw(answer, self._projection)
        if self._drawn is None:
            self._document.add_timeout_callback(self._show_facts, FACTS_MILLISECONDS)
        self._drawn = answer

    def _show_facts(self) -> None:
        """Draw sizes, rounds and code of the answer that is drawn."""
        answer, self._drawn = self._drawn, None
        if answer is not None:
            self.sizes.draw(answer)
            self.history.draw(answer)
        self.controls.python.text, self.controls.command.text = self.session.code()
        self._show_bandwidth()
        self._show_status()

    def _show_bandwidth(self, *, slides: bool = False) -> None:
        """Write the bandwidth that is requested, and mark it on the curve."""
        bandwidth = self.session.parameters["bandwidth"]
        self._set(bandwidth, slides=slides)
        self.curve.place.location = bandwidth

    def _show_projection(self, projection: Projection) -> None:
        self._projection = projection
        self._is_setting = True
        self.controls.across.value, self.controls.up.value = projection.across, projection.up
        self._is_setting = False
        self.map.lay_out(projection)
        self.controls.step.visible = False
        if self.session.answer is not None:
            self._show_answer(self.session.answer)

    def _show_curve(self, curve: Any) -> None:
        with self._document.models.freeze():
            self.curve.draw(curve, self.session.bandwidth_of(1.0))
        self._show_bandwidth(slides=True)

    def _show_trajectory(self, found: Any) -> None:
        nearest = "" if found.row is None else f"Row {found.row} is drawn nearest to the click.\n"
        source, traced = self.session.rows.source, found.traced
        if source is not None and source.in_degrees:
            traced = traced._in_degrees()
        self.controls.steps.text = nearest + str(traced)
        self.controls.tabs.active = 0
        self._stop_stepping()
        last = len(found.path) - 1
        self.controls.step.update(end=max(last, 1), value=0, visible=last > 0)
        self._draw_step(0)
        if last > 0:
            self._stepping = self._document.add_periodic_callback(
                self._take_step, STEP_MILLISECONDS
            )

    def _take_step(self) -> None:
        """Show the next step; the slider shows all of them again."""
        found, step = self.session.trajectory, self.controls.step
        if found is None or step.value >= len(found.path) - 1:
            self._stop_stepping()
        else:
            step.value += 1

    def _stop_stepping(self) -> None:
        if self._stepping is not None:
            self._document.remove_periodic_callback(self._stepping)
            self._stepping = None

    def _draw_step(self, step: int) -> None:
        found, projection = self.session.trajectory, self._projection
        if found is not None and projection is not None:
            self.map.draw_step(found, projection, step)

    def _show_saved(self, text: str) -> None:
        self.controls.saved.text = escape(text)

    def _show_error(self, text: str) -> None:
        self._error = text
        self._show_bandwidth()
        self.controls.saved.text = ""
        self._show_status()

    def _show_status(self) -> None:
        """Write in the status line what is shown, or what is computed."""
        answer, stage = self.session.answer, self.session.worker.stage
        text = f"{counted(len(self.session.rows.table), 'row')}"
        if answer is not None:
            text += f": <b>{counted(len(answer.colours), 'cluster')}</b>"
            text += (
                f" at bandwidth {answer.model.bandwidth_:.4g}, in {1e3 * answer.seconds:,.0f} ms"
            )
        if stage is not None and monotonic() - stage[1] > STATUS_MILLISECONDS / 1e3:
            self._show_bandwidth()
            what = f"the {stage[0]}: {escape(stage[2])}"
            text += f" &middot; <b>computing</b> {what}, {monotonic() - stage[1]:.0f} s"
        elif self._error:
            text += f" &middot; <b>no answer</b>: {escape(self._error)}"
        elif answer is not None and answer.remarks:
            text += f" &middot; {escape(answer.remarks[0])}"
        text += "".join(f"<br>{escape(remark)}" for remark in self.session.remarks)
        if text != self.controls.status.text:
            self.controls.status.text = text
