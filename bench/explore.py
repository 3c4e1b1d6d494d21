"""T18: a change of the explorer's bandwidth, through the page; `python -m bench.explore`.

A headless Chromium moves the slider; the clock, which is the browser's own, stops when the frame
with the new picture is drawn. The server, the fit and the browser share the machine's processors.
"""

import argparse
from collections.abc import Sequence
from shutil import which
from time import sleep
from typing import Any

import numpy as np

from bench.workloads import blobs
from meanshift_fast.explore import explore

ROWS = (10_000, 100_000, 1_000_000)
FIRST_BANDWIDTH = 2.0
BANDWIDTHS = (1.5, 2.3, 1.7, 2.5, 1.6, 2.2, 1.8, 2.4, 1.9, 2.1)
PAUSE_SECONDS = 0.5  # between changes, for what the page draws after the picture
LIMIT_SECONDS = 300

# Two frames: what is drawn in the first is on the page when the second begins.
CHANGE = """
const [to, name, done] = arguments, doc = Bokeh.documents[0];
const source = doc.get_model_by_name(name), began = performance.now();
const shown = () => {
  source.change.disconnect(shown);
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
};
source.change.connect(shown);
doc.get_model_by_name("bandwidth").value = to;
"""


def change_seconds(n_rows: int) -> dict[str, float]:
    """Measure changes of the bandwidth with so many rows, after the curve is known.

    Returns
    -------
    dict
        The median time from the slider's event to the picture, and that of the fit in it.
    """
    explorer = explore(blobs(n_rows), browser=False, bandwidth=FIRST_BANDWIDTH)
    driver = new_browser()
    try:
        driver.get(explorer.url)
        session = _session(explorer)
        name = "image" if session.projection.is_raster else "rows"
        shown, fits = [], []
        for bandwidth in BANDWIDTHS:
            sleep(PAUSE_SECONDS)
            shown.append(driver.execute_async_script(CHANGE, float(np.log10(bandwidth)), name))
            fits.append(session.answer.seconds)
        assert session.answer.model.bandwidth_ == BANDWIDTHS[-1]
        return {"change_s": float(np.median(shown)) / 1e3, "fit_s": float(np.median(fits))}
    finally:
        driver.quit()
        explorer.close()


def new_browser() -> Any:
    """Start a headless Chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,940"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver")))
    driver.set_script_timeout(LIMIT_SECONDS)
    return driver


def _session(explorer: Any) -> Any:
    """The session of the page, once it has all that it begins with."""
    while not explorer._views:
        sleep(0.1)
    sleep(1.0)
    session = explorer._views[-1].session
    while session.curve is None or session.answer is None or session.projection is None:
        sleep(0.1)
    return session


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, a line for each number of rows."""
    parser = argparse.ArgumentParser(prog="python -m bench.explore", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), metavar="N")
    for n_rows in parser.parse_args(arguments).rows:
        found = change_seconds(n_rows)
        print(
            f"{n_rows:,} x 2 blobs: {1e3 * found['change_s']:.0f} ms from the slider's event to "
            f"the picture, {1e3 * found['fit_s']:.0f} ms of them the fit",
            flush=True,
        )


if __name__ == "__main__":
    main()
