"""Chromium without a window, driven by Selenium.

The tests of the built site, .ci/pdf.py and .ci/pictures.py use it. Browser and driver are the
installed ones; nothing is downloaded.
"""

import contextlib
import shutil

from selenium import webdriver
from selenium.common.exceptions import SessionNotCreatedException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 90  # seconds
BROWSERS = ("chromium", "google-chrome", "chromium-browser")
DRIVER = "chromedriver"
INSTALL = "bash .ci/browser-tools"
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-quic", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--enable-unsafe-swiftshader",
    "--window-size=1280,900",
]  # fmt: skip


def missing():
    """What is not installed, and how to install it; None if nothing is missing."""
    if not any(map(shutil.which, BROWSERS)):
        return f"none of {', '.join(BROWSERS)} is installed; `{INSTALL}` installs one"
    if not shutil.which(DRIVER):
        return f"{DRIVER} is not installed; `{INSTALL}` installs it"
    return None


class Browser(webdriver.Chrome):
    """Selenium's browser with shorthands."""

    def open(self, address):
        """Load a page from scratch, even if only the part after # differs."""
        self.get("about:blank")
        self.get(address)

    def evaluate(self, expression, *args):
        """Return the value of a JavaScript expression; of a promise, what it resolves to."""
        return self.execute_script(f"return {expression};", *args)

    def wait_until(self, condition, *args):
        """Wait until a JavaScript expression is true; return its value."""
        wait = WebDriverWait(self, self.patience, poll_frequency=0.1)
        return wait.until(lambda _: self.evaluate(condition, *args), condition)

    def press(self, *keys):
        """Press keys one after another."""
        ActionChains(self).send_keys(*keys).perform()

    def errors(self):
        """The errors in the console since the last call: failed scripts, missing files."""
        return [entry["message"] for entry in self.get_log("browser") if entry["level"] == "SEVERE"]


@contextlib.contextmanager
def browser(*arguments, patience=PATIENCE):
    """A browser with a new empty profile, closed after the block.

    Args:
        arguments: further command-line arguments of Chromium.
        patience: seconds until loading, a script or a condition fails.

    Raises:
        SessionNotCreatedException: if the driver starts none of the installed browsers.
    """
    window = start(arguments)
    window.patience = patience
    window.command_executor.client_config.timeout = patience
    window.set_page_load_timeout(patience)
    window.set_script_timeout(patience)
    try:
        yield window
    finally:
        window.quit()


def start(arguments):
    """Start the installed browser that the driver was made for."""
    installed = [path for path in map(shutil.which, BROWSERS) if path]
    for path in installed:
        options = webdriver.ChromeOptions()
        options.binary_location = path
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for argument in (*OPTIONS, *arguments):
            options.add_argument(argument)
        try:
            return Browser(options, webdriver.ChromeService(shutil.which(DRIVER)))
        except SessionNotCreatedException:
            if path == installed[-1]:
                raise
