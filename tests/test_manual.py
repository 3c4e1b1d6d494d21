"""The manual does what it says: its pages' code runs and prints what they show, links lead on."""

import re

import matplotlib as mpl
import pytest

from pages import MANUAL, ROOT, blocks_of, links_of, prose_of, run_page

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *MANUAL]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in MANUAL if blocks_of(page)], ids=name_of)
def test_every_block_of_a_page_runs_and_prints_what_is_shown(
    page, tmp_path, executable, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with mpl.rc_context({"backend": "agg"}):
        run_page(page, tmp_path, executable.parent)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_links_to_is_there(page):
    assert [link for link in links_of(page) if not (page.parent / link).exists()] == []


# A figure: decimals, or a number with a unit. What a page says by itself is a limit, a default or
# a definition, each named here; what was measured is printed by a block, or written by the bench.
UNITS = "s|ms|us|ns|min|h|kB|MB|GB|%|x|times|seconds?|minutes?|hours?"
FIGURE = re.compile(rf"\d[\d,]*\.[\d.]*\d|(?<!\w)[1-9][\d,]* ?(?:{UNITS})(?!\w)")
GIVEN = {
    "README.md": {"3.11"},
    "docs/index.md": {"3.11", "3.12", "3.13", "5 s"},
    "docs/from_scikit_learn.md": {"0.000001", "0.001", "1.9.1"},
    "docs/performance.md": {"0.05"},
    "docs/explanations/cold_start.md": {"0.60", "0.68"},
    "docs/explanations/gaussian_promise.md": {"0.3", "0.8"},
    # Limits, terms of the formulas, and one example of a formula.
    "docs/explanations/memory.md": {
        "64 MB", "128 MB", "200 MB", "2 GB", "2 h", "60 s", "3 kB", "8 MB", "32 MB",
        "0.05"
    },
    "docs/explanations/prominence.md": {"0.25", "4.5", "40 %"},
    "docs/explanations/streams.md": {"0.05", "0.998"},
    "docs/guides/embeddings.md": {"0.3", "0.7"},
    "docs/guides/explorer.md": {"127.0.0.1"},
    "docs/guides/globe.md": {"6371.0088"},
    "docs/guides/images.md": {"30 %"},
    "docs/guides/kernels.md": {"0.001"},
    "docs/guides/prominence.md": {"30 %"},
    "docs/guides/streams.md": {"0.05", "0.998"},
}  # fmt: skip


@pytest.mark.parametrize("page", [ROOT / "README.md", *MANUAL], ids=name_of)
def test_no_figure_on_a_page_was_measured_and_typed_by_hand(page):
    assert set(FIGURE.findall(prose_of(page))) == GIVEN.get(name_of(page), set())
