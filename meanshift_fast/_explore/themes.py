"""Light and dark: the page's style sheet, that of widgets, and the colours of figures."""

from typing import Any, NamedTuple


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
    display: grid; gap: 10px; padding: 10px; box-sizing: border-box; min-height: 100vh;
    grid-template-columns: 250px minmax(0, 3fr) minmax(0, 2fr);
    grid-template-rows: auto minmax(220px, 1fr) minmax(200px, 1fr) minmax(190px, auto);
    grid-template-areas: "head head head" "controls map curve" "controls map sizes"
      "controls words history";
  }
  .page > div { min-width: 0; min-height: 0; display: flex; flex-direction: column; }
  .head { grid-area: head; } .controls { grid-area: controls; } .map { grid-area: map; }
  .curve { grid-area: curve; } .sizes { grid-area: sizes; } .history { grid-area: history; }
  .words { grid-area: words; }
  @media (max-width: 1100px) {
    .page { grid-template-columns: 230px minmax(0, 1fr);
      grid-template-rows: auto minmax(420px, 1fr) auto 240px 240px;
      grid-template-areas: "head head" "controls map" "controls words" "curve curve"
        "sizes history"; }
  }
  @media (max-width: 700px) {
    .page { grid-template-columns: minmax(0, 1fr); grid-template-rows: none;
      grid-template-areas: "head" "map" "controls" "words" "curve" "sizes" "history";
      grid-auto-rows: auto; }
    .map { height: 380px; } .curve, .sizes, .history { height: 240px; }
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

# Widgets lie in shadow roots, into which variables reach and no rule of the page does.
WIDGETS = """\
:host { color: var(--ink); font: inherit; }
.bk-input, .bk-btn, select, input { background-color: var(--paper) !important;
  color: var(--ink) !important; border-color: var(--faint) !important; }
.bk-btn.bk-active, .bk-btn:hover { background-color: var(--faint) !important; }
.bk-btn.bk-active { font-weight: 600; border-color: var(--ink) !important; }
.bk-slider-title, label, .bk-clearfix, p { color: var(--ink); }
.noUi-target { background: var(--faint); border-color: var(--faint); box-shadow: none; }
.noUi-connect { background: #485ab4 !important; }
.noUi-handle { background: var(--paper) !important; border-color: var(--ink) !important; }
.bk-tab { color: var(--ink) !important; background: var(--paper) !important;
  border-color: var(--faint) !important; }
.bk-tab.bk-active { font-weight: 600; border-color: var(--ink) !important; }
.bk-header { border-color: var(--faint) !important; }
pre { color: var(--ink); font: 12px/1.45 ui-monospace, monospace; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def paint(figure: Any, theme: Theme) -> None:
    """Give a figure the colours of a theme."""
    figure.background_fill_color = figure.border_fill_color = theme.paper
    figure.outline_line_color = theme.faint
    for axis in figure.axis:
        axis.axis_line_color = axis.major_tick_line_color = theme.ink
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = theme.ink
    for grid in figure.grid:
        grid.grid_line_color, grid.grid_line_alpha = theme.faint, 0.6
    figure.title.text_color = theme.ink
    for legend in figure.legend:
        legend.background_fill_color, legend.background_fill_alpha = theme.paper, 0.8
        legend.label_text_color, legend.border_line_color = theme.ink, theme.faint
