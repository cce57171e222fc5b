"""A browser to test with: Chromium without a window, driven over WebDriver.

WebDriver is the protocol of the W3C; Chromium's own driver speaks it, so this needs no
package. Used by the tests of the built site and by .ci/pictures.py.
"""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE = 90  # seconds for anything to appear
BROWSERS = ("chromium", "google-chrome", "chromium-browser")
DRIVER = "chromedriver"
INSTALL = "bash .ci/browser-tools"
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-quic", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--enable-unsafe-swiftshader",
]  # fmt: skip
# Keys that write nothing, by their numbers in the protocol.
TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
SHIFT, CONTROL = "\ue008", "\ue009"


def installed():
    """The browsers that are there, each by its path."""
    return list(filter(None, map(shutil.which, BROWSERS)))


def missing():
    """What is not installed of what this needs, and how to install it; None if all is there."""
    if not installed():
        return f"none of {', '.join(BROWSERS)} is installed; `{INSTALL}` installs one"
    if not shutil.which(DRIVER):
        return f"{DRIVER} is not installed; `{INSTALL}` installs it"
    return None


@contextlib.contextmanager
def running(command, address, folder=None):
    """A server that answers at an address, for as long as the block lasts."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} does not answer at {address}") from None
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def browser(*options, size=(1280, 900)):
    """A browser with a new empty profile, closed after the block."""
    address = f"http://127.0.0.1:{free_port()}"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        running([DRIVER, f"--port={address.rpartition(':')[2]}"], address + "/status"),
    ):
        window = [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        one = Browser(address, [*OPTIONS, *window, *options])
        try:
            yield one
        finally:
            one.close()


class Browser:
    """One window: opens addresses, runs scripts, presses keys, keeps the console's messages."""

    def __init__(self, driver, options):
        """Start the browser that this driver was made for.

        Raises:
            RuntimeError: if none starts, with what the driver says about the last one.
        """
        for binary in installed():
            wanted = {
                "goog:chromeOptions": {"args": options, "binary": binary},
                "goog:loggingPrefs": {"browser": "ALL"},
                "timeouts": {"script": PATIENCE * 1000, "pageLoad": PATIENCE * 1000},
            }
            self.root = driver
            try:
                answer = self.call("/session", {"capabilities": {"alwaysMatch": wanted}})
            except RuntimeError as error:
                last = error
                continue
            self.root += f"/session/{answer['sessionId']}"
            debugger = answer["capabilities"]["goog:chromeOptions"]["debuggerAddress"]
            self.port = int(debugger.rpartition(":")[2])  # for other tools to join in
            return
        raise last

    def call(self, path, body=None, method="POST"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, address):
        """Open an address anew, and return when the page has loaded."""
        # TensorBoard reads the part after # when it starts: so begin with an empty page.
        self.call("/url", {"url": "about:blank"})
        self.call("/url", {"url": address})

    def run(self, script, *args):
        """What a script returns; if that is a promise, what it brings."""
        return self.call("/execute/sync", {"script": script, "args": list(args)})

    def wait_until(self, condition, *args):
        """Wait until a script's expression is true, and return its value."""
        until = time.monotonic() + PATIENCE
        while not (value := self.run(f"return {condition};", *args)):
            if time.monotonic() > until:
                raise RuntimeError(f"waited {PATIENCE} seconds for: {condition}")
            time.sleep(0.1)
        return value

    def press(self, *keys, holding=""):
        """Press keys one after another, perhaps while others are held down."""
        down = [{"type": "keyDown", "value": key} for key in holding]
        up = [{"type": "keyUp", "value": key} for key in reversed(holding)]
        strokes = [{"type": f"key{way}", "value": key} for key in keys for way in ("Down", "Up")]
        keyboard = {"type": "key", "id": "keyboard", "actions": [*down, *strokes, *up]}
        self.call("/actions", {"actions": [keyboard]})

    def click(self, x, y, times=1):
        """Click at a place in the window, once or twice."""
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        actions = [{"type": "pointerMove", "x": x, "y": y}, *press * times]
        self.call("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def errors(self):
        """The errors in the console since the last call: scripts' and files that did not come."""
        said = self.call("/se/log", {"type": "browser"})
        return [message["message"] for message in said if message["level"] == "SEVERE"]

    def devtools(self, command, **parameters):
        """A command of the browser's developer tools, for what WebDriver does not know."""
        return self.call("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def picture(self):
        return base64.b64decode(self.call("/screenshot", method="GET"))

    def close(self):
        self.call("", method="DELETE")
