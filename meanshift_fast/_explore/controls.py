"""The widgets of the page, without their callbacks."""

import math
from collections.abc import Sequence
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import (
    Button,
    CustomJSTickFormatter,
    Div,
    InlineStyleSheet,
    NumericInput,
    PreText,
    RadioButtonGroup,
    Select,
    Slider,
    Switch,
    TabPanel,
    Tabs,
    TextInput,
)

from meanshift_fast._explore.themes import WIDGETS
from meanshift_fast._index.kernels import KERNELS

SLIDER_STEPS = 200  # a key moves it by about 2 %, Page Down by 10
PROMINENCE = "Least prominence of a mode"

# The title of each group of buttons, the parameter, and the words and values of its buttons.
SWITCHES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Kernel", "kernel", {kernel.title: name for name, kernel in KERNELS.items()}),
    ("Seeds", "bin_seeding", {"bins": True, "every row": False}),
    ("A row takes the centre", "assign", {"nearest": "nearest", "of its basin": "basin"}),
    ("Rows beyond all balls", "cluster_all", {"nearest centre": True, "orphans": False}),
)


class Controls:
    """The widgets: choices, words, saving."""

    def __init__(
        self, choices: Sequence[str], parameters: dict[str, Any], limits: tuple[float, float]
    ) -> None:
        self._style = InlineStyleSheet(css=WIDGETS)
        wide: dict[str, Any] = {"stylesheets": [self._style], "sizing_mode": "stretch_width"}
        self.status = Div(text="", name="status", **wide)
        self.dark = Switch(active=False, name="dark", stylesheets=[self._style])
        low, high = min(*limits, parameters["bandwidth"]), max(*limits, parameters["bandwidth"])
        self.bandwidth = Slider(
            title="Bandwidth", name="bandwidth", value=math.log10(parameters["bandwidth"]),
            start=math.log10(low), end=math.log10(high), **wide,
            step=(math.log10(high) - math.log10(low)) / SLIDER_STEPS,
            format=CustomJSTickFormatter(code="return String(Number((10 ** tick).toPrecision(4)))"),
        )  # fmt: skip
        self.exact = NumericInput(
            title="Bandwidth, exactly",
            mode="float",
            value=parameters["bandwidth"],
            name="exact",
            **wide,
        )
        self.min_support = NumericInput(
            title="Least support of a centre", mode="float", low=0, name="min_support",
            value=parameters["min_support"], **wide,
        )  # fmt: skip
        is_auto = parameters["min_prominence"] == "auto"
        self.min_prominence = Slider(
            title=f"{PROMINENCE}: auto, until moved" if is_auto else PROMINENCE,
            name="min_prominence", start=0.0, end=0.95, step=0.01, show_value=not is_auto,
            value=0.0 if is_auto else float(parameters["min_prominence"]), **wide,
        )  # fmt: skip
        self.switches = {
            name: RadioButtonGroup(
                labels=list(words), active=list(words.values()).index(parameters[name]),
                name=name, **wide,
            )
            for _, name, words in SWITCHES
        }  # fmt: skip
        offered = list(choices)
        self.across = Select(title="Across", options=offered, name="across", **wide)
        self.up = Select(title="Up", options=offered, name="up", **wide)
        self._add_words(wide)
        titles = [Div(text=text, styles={"margin-bottom": "-8px"}, **wide) for text, *_ in SWITCHES]
        pairs = zip(titles, self.switches.values(), strict=True)
        self.column = column(
            self.bandwidth, self.exact, *[widget for pair in pairs for widget in pair],
            self.min_support, self.min_prominence, self.across, self.up,
            name="controls", sizing_mode="stretch_width",
        )  # fmt: skip
        dark = Div(text="dark", stylesheets=[self._style])
        self.head = row(self.status, dark, self.dark, name="head", sizing_mode="stretch_width")

    def _add_words(self, wide: dict[str, Any]) -> None:
        """Add the tabs: trajectory, code and saving."""
        self.steps = PreText(
            text="Click on a place of the picture: its trajectory is drawn step by step.",
            name="steps", **wide,
        )  # fmt: skip
        self.step = Slider(
            title="Step", start=0, end=1, value=0, step=1, name="step", visible=False, **wide
        )
        self.python = PreText(text="", name="python", **wide)
        self.command = PreText(text="", name="command", **wide)
        self.path = TextInput(
            title="File: .npy, .csv or .parquet; a model may have any name", value="labels.npy",
            name="path", **wide,
        )  # fmt: skip
        self.save = {
            what: Button(label=what, name=f"save {what}", **wide)
            for what in ("labels", "centres", "model")
        }
        self.saved = Div(text="", name="saved", **wide)
        panels = {
            "Trajectory": column(self.step, self.steps, sizing_mode="stretch_width"),
            "Code": column(self.python, self.command, sizing_mode="stretch_width"),
            "Save": column(
                self.path, row(*self.save.values(), sizing_mode="stretch_width"), self.saved,
                sizing_mode="stretch_width",
            ),
        }  # fmt: skip
        self.tabs = Tabs(
            tabs=[TabPanel(title=title, child=child) for title, child in panels.items()],
            name="words", **wide,
        )  # fmt: skip
