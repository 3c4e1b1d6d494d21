"""The screenshot of the explorer. ``python -m bench.explorer_picture`` takes it.

It needs selenium, Debian's ``chromium`` and ``chromium-driver``, and the extra ``explore``. Taken
once for light pages and once for dark ones, when the page is still.
"""

from io import BytesIO
from pathlib import Path
from time import sleep

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from meanshift_fast import MeanShift
from meanshift_fast.explore import explore

FOLDER = Path(__file__).parent / "plots"
LIMIT_S = 600
SETTLE_S = 8  # figures take their colours after the page has its own
# Bokeh's parts have roots of their own, whose text `innerText` does not have.
IS_STILL = """
const text = node => (node.shadowRoot ? text(node.shadowRoot) : "") + (node.nodeValue || "")
  + [...node.childNodes].map(text).join("");
const page = text(document.body);
return page.includes("at bandwidth") && !page.includes("computing");
"""


def take(url: str, page: str) -> Image.Image:
    """Take a picture of the page in the colours that a browser asks for."""
    options = Options()
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,970"):
        options.add_argument(switch)
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        wanted = {"name": "prefers-color-scheme", "value": page}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wanted]})
        browser.get(url)
        for _ in range(2):  # the fit; and the curve, which begins after it
            WebDriverWait(browser, LIMIT_S).until(lambda driver: driver.execute_script(IS_STILL))
            sleep(SETTLE_S)
        # 128 colours are enough, and a third of the bytes.
        return Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB").quantize(128)
    finally:
        browser.quit()


if __name__ == "__main__":
    rng = np.random.default_rng(3)
    blobs = rng.uniform(0, 40, (20, 2))[rng.integers(20, size=200_000)]
    rows = blobs + rng.standard_normal(blobs.shape)
    MeanShift(bandwidth=1.6, bin_seeding=True).fit(rows)  # the page says how long a warm fit takes
    explorer = explore(rows, bandwidth=1.6, browser=False)
    for page in ("light", "dark"):
        take(explorer.url, page).save(FOLDER / f"explorer_{page}.png", optimize=True)
    explorer.close()
