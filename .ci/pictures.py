"""Take the screenshots of TensorBoard that Day 34 shows: `make pictures`.

`python .ci/pictures.py card` takes the picture of a shared link and of the README instead: the
top of the built landing page.

The day's notebook runs in an empty folder, TensorBoard serves its runs on this machine only,
and Chromium opens them. Which part of a screenshot the notebook shows: PARTS in
nnweek/tracking.py. Needs Chromium and its driver, which `bash .ci/browser-tools` installs.
"""

import contextlib
import datetime
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib import metadata
from pathlib import Path

from bs4 import BeautifulSoup
from selenium.webdriver.common.action_chains import ActionChains

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "nnweek" / "pictures"
LANDING = ROOT / "book" / "_build" / "html" / "index.html"
CARD = ROOT / "book" / "_static" / "social-card.png"
CARD_SIZE = 1200, 630
CARD_TEXT = ".rubric, .rubric + p, .demo"
# The first lines of the landing page and the verdict beside them, in the middle of the card.
CARD_STYLE = """
.bd-header-article, .start, .for-whom, .counted, .teachers, section section, footer, button {
    display: none !important;
}
.bd-main .bd-article-container .bd-article { padding: 0 3.5rem !important; max-width: none !important; }
.bd-article > section:has(> .demo) {
    grid-template-columns: 1fr 1.02fr; height: 630px; padding: 0; font-size: 1.125rem;
}
"""

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from nnweek.tracking import ALL_SCALARS  # noqa: E402
from support.browser import PATIENCE, browser, missing  # noqa: E402

# All texts of the page, including those inside web components.
TEXTS = """(() => {
    const all = root => [...root.querySelectorAll('*')].flatMap(
        e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
    return all(document).flatMap(e => [...e.childNodes])
        .filter(n => n.nodeType === 3 && n.textContent.trim() && n.parentElement
                && !['SCRIPT', 'STYLE'].includes(n.parentElement.tagName));
})()"""


@contextlib.contextmanager
def tensorboard(log_dir, *options):
    """Run TensorBoard on this machine while the block runs; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "tensorboard.main", "--logdir", log_dir.name,  # the page shows it
        "--host", "127.0.0.1", "--port", str(port),
        "--load_fast", "false", "--reload_interval", "1", *options,
    ]  # fmt: skip
    address, quiet = f"http://127.0.0.1:{port}", subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=log_dir.parent, stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + PATIENCE
        while not answers(address):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"TensorBoard does not answer at {address}")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(address):
    """Return whether a server answers at an address."""
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
        return True
    return False


def wait_for(page, *words):
    """Wait until the page shows all of these words."""
    shown = f"{TEXTS}.map(n => n.textContent).join('')"
    page.wait_until(f"(shown => arguments[0].every(w => shown.includes(w)))({shown})", words)


def click(page, word, times=1):
    """Click on a text of the page, or double-click if `times` is 2."""
    element = page.evaluate(
        f"{TEXTS}.find(n => n.textContent.trim() === arguments[0]).parentElement", word
    )
    actions = ActionChains(page).move_to_element(element)
    (actions.double_click() if times == 2 else actions.click()).perform()
    time.sleep(2)


def save(path, picture, caption, colours=64):
    """Write a picture with a palette, and store its caption in the file."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    words = PngInfo()
    words.add_text("Description", caption)
    path.parent.mkdir(exist_ok=True)
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(colours)
    image.save(path, optimize=True, pnginfo=words)
    print(f"{path.name}, {path.stat().st_size / 1000:.0f} kB")


def take_card(page):
    """Take the picture of a shared link from the landing page, in the light theme."""
    width, height = CARD_SIZE
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.open(LANDING.as_uri())
    page.execute_script(
        "document.documentElement.dataset.theme = 'light';"
        "document.head.append(Object.assign(document.createElement('style'), {textContent: arguments[0]}))",
        CARD_STYLE,
    )
    page.evaluate("document.fonts.ready")
    shown = BeautifulSoup(LANDING.read_text("utf-8"), "html.parser").select(CARD_TEXT)
    words = " ".join(" ".join(tag.get_text().split()) for tag in shown)  # a test compares them
    save(CARD, page.get_screenshot_as_png(), words, colours=256)


def run_the_notebook(folder):
    """Run Day 34 in a folder; return the name of its data set."""
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
        allow_errors=True,  # the notebook shows these pictures, which may not exist yet
    )
    results = {"NNWEEK_RESULTS": str(folder / "results.jsonl")}
    client.execute(env={**os.environ, **results})
    return notebook.cells[-1].outputs[-1]["text"].strip()


def main():
    if missing():
        sys.exit(missing())
    if sys.argv[1:] == ["card"]:
        if not LANDING.is_file():
            sys.exit("There is no landing page yet: run `make book` first.")
        with browser() as page:
            take_card(page)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = run_the_notebook(folder)
        caption = (
            f"TensorBoard {metadata.version('tensorboard')} with the runs of this notebook "
            f"({data}), taken on {datetime.date.today():%-d %B %Y}."
        )
        page = stack.enter_context(browser())
        for name, (runs, take) in TAKEN.items():
            chosen = folder / name / "runs"
            for run in runs:
                shutil.copytree(folder / "runs" / run, chosen / run)
            with tensorboard(chosen, "--samples_per_plugin", ALL_SCALARS) as address:
                size = {"width": 1280, "height": HEIGHTS.get(name, 757)}
                page.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride",
                    size | {"deviceScaleFactor": 2, "mobile": False},
                )
                take(address, page)
                save(PICTURES / f"{name}.png", page.get_screenshot_as_png(), caption)


def take_scalars(address, page):
    """The page as it opens, with nothing set."""
    page.open(f"{address}/?darkMode=false")
    wait_for(page, "Accuracy", "Loss")
    time.sleep(5)  # the curves are drawn after the text appears


def take_losses(address, page):
    """The charts of the spoiled run, as they open."""
    page.open(f"{address}/?darkMode=false&tagFilter=oss#timeseries")
    wait_for(page, "Batch loss", "Loss")
    time.sleep(5)


def take_all_points(address, page):
    """The same charts without TensorBoard's defaults."""
    page.open(f"{address}/?darkMode=false&tagFilter=oss&smoothing=0#timeseries")
    wait_for(page, "Batch loss", "Loss")
    click(page, "Ignore outliers in chart scaling")
    time.sleep(5)


def take_graphs(address, page):
    """The graph with the model's layers opened."""
    page.open(f"{address}/?darkMode=false#graphs&run=mnist_mlp%2Ftrain")
    wait_for(page, "MNISTMLP")
    time.sleep(3)
    for box in ("MNISTMLP", "Sequential[net]"):
        click(page, box, times=2)
    click(page, "Fit to screen")


def take_histograms(address, page):
    """The histograms of a run."""
    page.open(f"{address}/?darkMode=false#histograms")
    wait_for(page, "Gradients/net.1.weight")
    time.sleep(5)


def take_spikes(address, page):
    """Two histograms that look the same."""
    page.open(f"{address}/?darkMode=false#histograms")
    wait_for(page, "Gradients/layer A", "Gradients/layer B")
    time.sleep(5)


def take_hparams(address, page):
    """The table of settings."""
    page.open(f"{address}/?darkMode=false#hparams")
    wait_for(page, "hidden", "lr")
    time.sleep(5)


def take_projector(address, page):
    """The cloud of points, as it opens."""
    page.open(f"{address}/?darkMode=false#projector")
    time.sleep(15)  # its text is drawn on a canvas, where a script cannot find it


# Each picture: the runs that TensorBoard sees, and what is done there.
TAKEN = {
    "scalars": (["mnist_mlp"], take_scalars),
    "losses": (["oak"], take_losses),
    "all-points": (["oak"], take_all_points),
    "graphs": (["mnist_mlp"], take_graphs),
    "histograms": (["inside/lr=0.001"], take_histograms),
    "spikes": (["spikes"], take_spikes),
    "hparams": (["settings"], take_hparams),
    "projector": (["answers"], take_projector),
}
HEIGHTS = {"scalars": 1180}


if __name__ == "__main__":
    main()
