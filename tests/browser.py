"""A headless Chromium, as Debian packs it, driven by Selenium."""

from contextlib import contextmanager
from shutil import which

from selenium import webdriver

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
DRIVER = which("chromedriver")
LIMIT_SECONDS = 120
WORDS = "return Bokeh.documents[0].get_model_by_name(arguments[0]).text"


@contextmanager
def opened(url, *, width=1400, height=900, dark=False):
    """Open a page in a new browser; its console must stay without errors."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--window-size={width},{height}", *(["--force-dark-mode"] if dark else []),
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.set_script_timeout(LIMIT_SECONDS)
        driver.set_page_load_timeout(LIMIT_SECONDS)
        scheme = "dark" if dark else "light"
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        driver.get(url)
        yield driver
        errors = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
        assert errors == []
    finally:
        driver.quit()
