"""How Sphinx builds the manual: ``sphinx-build -W -b html docs docs/_build/html``.

It needs ``pip install -e ".[docs]"`` and no network: there is no intersphinx, and notebooks are
shown as they are kept, without outputs. ``-D nb_execution_mode=auto`` runs them.
"""

import shutil
from pathlib import Path

import meanshift_fast

HERE = Path(__file__).parent

# Sphinx reads pages below its own folder only.
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks")

project = "meanshift_fast"
author = "The meanshift_fast developers"
project_copyright = author
version = release = meanshift_fast.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
highlight_language = "none"  # of blocks that name no language: formulas and trees of folders
copybutton_exclude = ".linenos, .gp, .go"

nitpicky = True
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}
nitpick_ignore_regex = [("py:.*", r"(bokeh|dask|matplotlib|numpy|scipy|skimage|sklearn)\..*")]

html_theme = "pydata_sphinx_theme"
html_title = "meanshift_fast"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {
    "contributing": [],
    "changelog": [],
    "performance": [],
    "tutorial": [],
    "from_scikit_learn": [],
}
