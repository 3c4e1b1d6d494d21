"""The manual does what it says: its pages' code runs and prints what they show, links lead on."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from pages import MANUAL, ROOT, blocks_of, links_of, run_page

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
        plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_links_to_is_there(page):
    assert [link for link in links_of(page) if not (page.parent / link).exists()] == []
