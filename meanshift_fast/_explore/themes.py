"""Light and dark: the page's style sheet, that of widgets, and the colours of figures.

The browser changes the colours of all parts of the figures in one step: sixty messages from the
server would redraw the figures sixty times.
"""

from typing import Any, NamedTuple

from meanshift_fast._pictures.colours import COLOURS


class Theme(NamedTuple):
    """Colours of a page; those of clusters suit both."""

    paper: str
    ink: str
    faint: str


LIGHT = Theme("#ffffff", "#1f2328", "#d0d7de")
DARK = Theme("#0d1117", "#e6edf3", "#3d444d")

# Seven areas in a grid, which becomes one column where the window is narrow.
TEMPLATE = """\
{% block title %}meanshift-fast: explore{% endblock %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
  :root { --paper: LIGHT_PAPER; --ink: LIGHT_INK; --faint: LIGHT_FAINT; color-scheme: light; }
  :root[data-theme="dark"] {
    --paper: DARK_PAPER; --ink: DARK_INK; --faint: DARK_FAINT; color-scheme: dark;
  }
  body { background: var(--paper); color: var(--ink); font: 14px/1.4 system-ui, sans-serif; }
  .page {
    display: grid; gap: 10px; padding: 10px; box-sizing: border-box;
    grid-template-columns: 250px minmax(0, 3fr) minmax(0, 2fr);
    grid-template-rows: auto minmax(190px, 1fr) minmax(190px, 1fr) 230px; height: 100vh;
    grid-template-areas: "head head head" "controls map curve" "controls map sizes"
      "controls words history";
  }
  .controls { overflow: hidden auto; padding: 0 6px; }  /* a handle is wider than its slider */
  .page > div { min-width: 0; min-height: 0; display: flex; flex-direction: column; }
  .head { grid-area: head; } .controls { grid-area: controls; } .map { grid-area: map; }
  .curve { grid-area: curve; } .sizes { grid-area: sizes; } .history { grid-area: history; }
  .words { grid-area: words; overflow: hidden auto; }
  @media (max-width: 1100px) {
    .page { grid-template-columns: 230px minmax(0, 1fr); height: auto;
      grid-template-rows: auto 420px 230px 240px 240px;
      grid-template-areas: "head head" "controls map" "controls words" "curve curve"
        "sizes history"; }
  }
  @media (max-width: 700px) {
    .page { grid-template-columns: minmax(0, 1fr); grid-template-rows: none;
      grid-template-areas: "head" "map" "controls" "words" "curve" "sizes" "history";
      grid-auto-rows: auto; }
    .map { height: 380px; } .words { max-height: 300px; }
    .curve, .sizes, .history { height: 240px; }
  }
</style>
{% endblock %}
{% block contents %}
<div class="page">
  {% for area in ("head", "controls", "map", "curve", "sizes", "words", "history") %}
  <div class="{{ area }}">{{ embed(roots[area]) }}</div>
  {% endfor %}
</div>
{% endblock %}
"""
for _name, _theme in (("LIGHT", LIGHT), ("DARK", DARK)):
    for _part, _colour in _theme._asdict().items():
        TEMPLATE = TEMPLATE.replace(f"{_name}_{_part.upper()}", _colour)

# Widgets lie in shadow roots, where the page's variables hold and its rules do not.
WIDGETS = """\
:host { color: var(--ink); font: inherit; }
select { appearance: auto !important; background-image: none !important; }
.bk-input, .bk-btn, select, input { background-color: var(--paper) !important;
  color: var(--ink) !important; border-color: var(--faint) !important; }
.bk-btn.bk-active, .bk-btn:hover { background-color: var(--faint) !important; }
.bk-btn.bk-active { font-weight: 600; border-color: var(--ink) !important; }
.bk-slider-title, label, .bk-clearfix, p { color: var(--ink); }
.noUi-target { background: var(--faint); border-color: var(--faint); box-shadow: none; }
.noUi-connect { background: ACCENT !important; }
.noUi-handle { background: var(--paper) !important; border-color: var(--ink) !important; }
.bk-tab { color: var(--ink) !important; background: var(--paper) !important;
  border-color: var(--faint) !important; }
.bk-tab.bk-active { font-weight: 600; border-color: var(--ink) !important; }
.bk-header { border-color: var(--faint) !important; }
pre { color: var(--ink); font: 12px/1.45 ui-monospace, monospace; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
""".replace("ACCENT", COLOURS[0])


def styles_of(figure: Any, theme: Theme) -> list[tuple[Any, dict[str, Any]]]:
    """The parts of a figure, each with the colours that a theme gives it."""
    paper, ink, faint = theme
    axis = {f"{part}_color": ink for part in ("axis_line", "major_tick_line")}
    axis |= {"major_label_text_color": ink, "axis_label_text_color": ink}
    styles: list[tuple[Any, dict[str, Any]]] = [
        (figure, {"background_fill_color": paper, "outline_line_color": faint}),
        (figure.title, {"text_color": ink}),
    ]
    styles += [(part, axis) for part in figure.axis]
    styles += [(part, {"grid_line_color": faint}) for part in figure.grid]
    legend = {"background_fill_color": paper, "label_text_color": ink, "border_line_color": faint}
    return [*styles, *[(part, legend) for part in figure.legend]]
