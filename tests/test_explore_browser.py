"""The explorer in a real browser: `pytest -m browser`, where Chromium and its driver are."""

import shlex

import numpy as np
import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.wait import WebDriverWait

from browser import LIMIT_SECONDS, WORDS, opened
from meanshift_fast import MeanShift, trace
from meanshift_fast._cli.main import main
from meanshift_fast._explore.themes import DARK, LIGHT
from meanshift_fast.datasets import demo_table
from meanshift_fast.explore import explore
from meanshift_fast.io import open_table

pytestmark = pytest.mark.browser

SIZES = [(1500, 950), (1000, 800), (420, 860)]


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    path = tmp_path_factory.mktemp("explored") / "X.npy"
    np.save(path, demo_table())
    served = explore(open_table(path), browser=False, bandwidth=2.5)
    yield served
    served.close()


def until(driver, is_so):
    return WebDriverWait(driver, LIMIT_SECONDS, 0.2).until(lambda _: is_so())


def words(driver, name):
    return driver.execute_script(WORDS, name)


def begun(driver):
    until(driver, lambda: driver.execute_script("return !!window.Bokeh?.documents?.length"))
    until(driver, lambda: "clusters" in words(driver, "status"))
    until(driver, lambda: "model =" in words(driver, "python"))


def slid(driver, keys):
    """Move the slider by keys, as a hand would."""
    handle = driver.execute_script(
        "return Bokeh.index.find_one_by_id(Bokeh.documents[0].get_model_by_name('bandwidth').id)"
        ".shadow_el.querySelector('.noUi-handle')"
    )
    handle.send_keys(*keys)


def clicked(driver, across, up):
    """Click on a place of the map, given in its columns."""
    x, y, canvas = driver.execute_script(
        "const view = Bokeh.index.find_one_by_id(Bokeh.documents[0].get_model_by_name('map').id);"
        "const canvas = view.canvas_view.el, box = canvas.getBoundingClientRect();"
        "const {x_scale, y_scale} = view.frame;"
        "return [x_scale.compute(arguments[0]) - box.width / 2,"
        " y_scale.compute(arguments[1]) - box.height / 2, canvas]",
        across, up,
    )  # fmt: skip
    ActionChains(driver).move_to_element_with_offset(canvas, round(x), round(y)).click().perform()


def length_of_path(driver):
    return driver.execute_script(
        "return Bokeh.documents[0].get_model_by_name('trajectory').data.x.length"
    )


def test_the_slider_changes_the_number_of_clusters(explorer):
    with opened(explorer.url) as driver:
        begun(driver)
        before = words(driver, "status").split(" at ")[0]
        slid(driver, [Keys.PAGE_DOWN] * 12)
        until(driver, lambda: words(driver, "status").split(" at ")[0] != before)
        model = explorer.model
        assert f"<b>{len(model.cluster_centers_)} clusters</b>" in words(driver, "status")
        assert model.bandwidth_ < 2.5


def test_a_click_draws_the_trajectory_that_trace_writes(explorer):
    with opened(explorer.url) as driver:
        begun(driver)
        clicked(driver, 4.5, 3.5)
        until(driver, lambda: words(driver, "steps").startswith("Select the point"))
        found = explorer._views[-1].session.trajectory.traced
        np.testing.assert_allclose(found.positions[0][0], [4.5, 3.5], atol=0.5)
        traced = trace(demo_table(), found.positions[0][0], bandwidth=2.5)
        assert words(driver, "steps") == str(traced)
        until(driver, lambda: length_of_path(driver) == len(traced.positions[0]))


def test_the_code_shown_gives_the_labels_shown(explorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened(explorer.url) as driver:
        begun(driver)
        slid(driver, [Keys.PAGE_DOWN])
        until(driver, lambda: "bandwidth=2.5," not in words(driver, "python"))
        shown = explorer.model.labels_
        names = {}
        exec(words(driver, "python"), names)
        assert main(shlex.split(words(driver, "command"))[1:]) == 0
    np.testing.assert_array_equal(names["labels"], shown)
    np.testing.assert_array_equal(np.load("labels.npy"), shown)


@pytest.mark.parametrize(("dark", "theme"), [(False, LIGHT), (True, DARK)])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_fits_its_window_light_and_dark(width, height, dark, theme, explorer):
    with opened(explorer.url, width=width, height=height, dark=dark) as driver:
        begun(driver)
        numbers = ", ".join(str(int(theme.paper[i : i + 2], 16)) for i in (1, 3, 5))
        colour = "return getComputedStyle(document.body).backgroundColor"
        until(driver, lambda: driver.execute_script(colour) == f"rgb({numbers})")
        fill = "return Bokeh.documents[0].get_model_by_name('map').background_fill_color"
        until(driver, lambda: driver.execute_script(fill) == theme.paper)
        wide, inner = driver.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= inner
        for area in ("head", "controls", "map", "curve", "sizes", "words", "history"):
            box = driver.execute_script(
                f"return document.querySelector('.{area}').getBoundingClientRect().toJSON()"
            )
            assert box["width"] > 150
            assert box["height"] > 20
            assert 0 <= box["left"] <= box["right"] <= inner


def test_many_rows_are_drawn_as_a_picture():
    X = np.random.default_rng(0).normal([[0, 0], [9, 9], [0, 9]] * 10_000)
    served = explore(X, browser=False, bandwidth=3.0)
    try:
        with opened(served.url) as driver:
            begun(driver)
            assert len(served.model.cluster_centers_) == 3
            model = MeanShift(bandwidth=3.0, bin_seeding=True).fit(X)
            np.testing.assert_array_equal(served.model.labels_, model.labels_)
            canvas = "Bokeh.documents[0].get_model_by_name('image').data.image[0]"
            assert driver.execute_script(f"return {canvas}.filter((v) => v != 0).length") > 1000
    finally:
        served.close()
