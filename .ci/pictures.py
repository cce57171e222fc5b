"""Take the pictures of the real TensorBoard that Day 34 shows: `make pictures`.

The day's notebook runs in an empty folder, TensorBoard serves its runs on this machine
only, and Chromium opens them. Needed besides the requirements: Chromium and its driver
(on Debian: apt-get install chromium chromium-driver).
"""

import base64
import contextlib
import datetime
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "nnweek" / "pictures"
PATIENCE = 90  # seconds for anything to appear
BROWSERS = ("chromium", "google-chrome", "chromium-browser")

# All text of the page, also inside web components.
TEXT = """
const all = root => [...root.querySelectorAll('*')].flatMap(
    e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
const texts = all(document).flatMap(e => [...e.childNodes])
    .filter(n => n.nodeType === 3 && n.textContent.trim() && n.parentElement
            && !['SCRIPT', 'STYLE'].includes(n.parentElement.tagName));
"""


def missing():
    """What is not installed of what this needs, or None."""
    for names in (BROWSERS, ("chromedriver",)):
        if not any(map(shutil.which, names)):
            return " or ".join(names)
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
def tensorboard(log_dir):
    """The real TensorBoard, on this machine only; gives its address."""
    address = f"http://127.0.0.1:{free_port()}"
    log_dir = Path(log_dir)  # only its name, since TensorBoard shows it
    command = [
        sys.executable, "-m", "tensorboard.main", "--logdir", log_dir.name,
        "--host", "127.0.0.1", "--port", address.rpartition(":")[2],
        "--load_fast", "false", "--reload_interval", "1",
    ]  # fmt: skip
    with running(command, address, log_dir.parent):
        yield address


class Browser:
    """Chromium without a window, driven over WebDriver, the protocol of the W3C."""

    def __init__(self, address, profile, size):
        options = [
            "--headless", "--no-sandbox", "--disable-quic", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--hide-scrollbars", "--enable-unsafe-swiftshader",
            f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
        ]  # fmt: skip
        binary = next(filter(None, map(shutil.which, BROWSERS)))
        wanted = {"goog:chromeOptions": {"args": options, "binary": binary}}
        self.root = address
        answer = self.call("/session", {"capabilities": {"alwaysMatch": wanted}})
        self.root += f"/session/{answer['sessionId']}"

    def call(self, path, body=None, method="POST"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]

    def open(self, address):
        # TensorBoard reads the part after # when it starts: so begin with an empty page.
        self.call("/url", {"url": "about:blank"})
        self.call("/url", {"url": address})

    def run(self, script, *args):
        return self.call("/execute/sync", {"script": script, "args": list(args)})

    def text(self):
        return self.run(TEXT + "return texts.map(n => n.textContent.trim());")

    def wait_for(self, *words):
        """Wait until the page shows all of these."""
        until = time.monotonic() + PATIENCE
        while not all(word in "".join(self.text()) for word in words):
            if time.monotonic() > until:
                raise RuntimeError(f"waited for {words}, the page shows {self.text()}")
            time.sleep(0.3)

    def click(self, word, times=1):
        """Click on a text of the page, once or twice."""
        x, y = self.run(
            TEXT
            + "const r = texts.find(n => n.textContent.trim() === arguments[0])"
            + ".parentElement.getBoundingClientRect();"
            + "return [Math.round(r.x + r.width / 2), Math.round(r.y + r.height / 2)];",
            word,
        )
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        actions = [{"type": "pointerMove", "x": x, "y": y}, *press * times]
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        self.call("/actions", {"actions": [mouse]})
        time.sleep(2)

    def picture(self):
        return base64.b64decode(self.call("/screenshot", method="GET"))

    def close(self):
        self.call("", method="DELETE")


@contextlib.contextmanager
def browser(size=(1280, 900)):
    address = f"http://127.0.0.1:{free_port()}"
    command = ["chromedriver", f"--port={address.rpartition(':')[2]}"]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        running(command, address + "/status"),
    ):
        one = Browser(address, profile, size)
        try:
            yield one
        finally:
            one.close()


def save(name, picture, caption):
    """Write a picture with few colours, which makes it small, and with its caption inside."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    words = PngInfo()
    words.add_text("Description", caption)
    PICTURES.mkdir(exist_ok=True)
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(64)
    few.save(PICTURES / f"{name}.png", optimize=True, pnginfo=words)
    print(f"{name}.png, {(PICTURES / f'{name}.png').stat().st_size / 1000:.0f} kB")


def run_the_notebook(folder):
    """Run Day 34 in a folder; return the name of the data that it ran on."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(next(ROOT.glob("notebooks/day-34-*.ipynb")), as_version=4)
    ask = "import builtins\nbuiltins.print(data.name)"
    notebook.cells.append(nbformat.v4.new_code_cell(ask))
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        allow_errors=True,  # the pictures that it shows may not be there yet
    )
    results = {"NNWEEK_RESULTS": str(folder / "results.jsonl")}
    client.execute(env={**os.environ, **results})
    return notebook.cells[-1].outputs[-1]["text"].strip()


def main():
    if missing():
        sys.exit(f"{missing()} is not installed")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = run_the_notebook(folder)
        caption = (
            f"TensorBoard {metadata.version('tensorboard')} with the runs of this notebook "
            f"({data}), taken on {datetime.date.today():%-d %B %Y}."
        )
        chosen = folder / "chosen" / "runs"
        for run in ("mnist_mlp", "inside/lr=0.001", "answers"):
            shutil.copytree(folder / "runs" / run, chosen / run.replace("inside/", ""))
        address = stack.enter_context(tensorboard(chosen))
        take_all(address, stack.enter_context(browser()), caption)


def take_all(address, page, caption):
    """Take the pictures of a TensorBoard that runs."""
    light = f"{address}/?darkMode=false&smoothing=0"

    page.open(f"{light}&tagFilter=%5E(Loss%2Ftrain|Loss%2Fval|Accuracy%2Fval)%24#timeseries")
    page.wait_for("Loss/train", "Loss/val", "Accuracy/val")
    page.click("Settings")
    time.sleep(5)  # the curves are drawn after the words
    save("scalars", page.picture(), caption)

    page.open(f"{light}#graphs&run=mnist_mlp")
    page.wait_for("MNISTMLP")
    time.sleep(3)
    for box in ("MNISTMLP", "Sequential[net]"):
        page.click(box, times=2)
    page.click("Fit to screen")
    save("graphs", page.picture(), caption)

    page.open(f"{light}#histograms")
    page.wait_for("Gradients/net.1.weight")
    time.sleep(5)
    save("histograms", page.picture(), caption)

    page.open(f"{light}#projector")
    time.sleep(15)  # its words are drawn, too
    save("projector", page.picture(), caption)


if __name__ == "__main__":
    main()
