"""What a reader has to download, and what moves on a page; `NNWEEK_SITE` says where the site is.

A browser opens each page and fetches all its figures, also those that it would leave until
the reader comes near, from a server that notes what was asked for.
"""

import contextlib
import functools
import gzip
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip("neither chromium nor google-chrome is installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
# A moment after the page has loaded: the longest that any of its elements takes to change.
LONGEST_MOVE = b"""<script>addEventListener("load", () => {
  const seconds = [...document.querySelectorAll("*")].map((element) => {
    const style = getComputedStyle(element);
    return Math.max(...style.transitionDuration.split(",").map(parseFloat));
  });
  document.documentElement.dataset.longest = Math.max(...seconds);
});</script>"""


class Server(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        file = Path(self.translate_path(self.path))
        body = file.read_bytes() if file.is_file() else b""
        self.server.asked[urlsplit(self.path).path] = len(gzip.compress(body))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.end_headers()
        if file.suffix == ".html":
            body = body.replace(b'loading="lazy"', b"") + LONGEST_MOVE
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@functools.cache
def opened(page, *options):
    """The page after its scripts have run, and {path: bytes} of what it asked for."""
    handler = functools.partial(Server, directory=str(SITE))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        server.asked = {}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        ran = subprocess.run(
            [
                BROWSER,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--disable-background-networking"),
                f"--user-data-dir={profile}",
                "--virtual-time-budget=20000",
                *options,
                "--dump-dom",
                f"http://127.0.0.1:{server.server_address[1]}/{page}.html",
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )
    return BeautifulSoup(ran.stdout, "html.parser"), server.asked


@pytest.mark.parametrize("page", [*PAGES, "search", "genindex"])
def test_every_icon_is_drawn(page):
    written = BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    named = written.select("i[class*='fa-']")
    assert len(named) > 5
    soup, _ = opened(page)
    assert not soup.select("i[class*='fa-']"), "left as they were written"
    drawn = soup.select("svg.svg-inline--fa")
    assert len(drawn) >= len(named)
    for icon in drawn:
        assert icon.select("path[d]"), f"nothing is drawn for {icon['data-icon']}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_all_its_figures_is_less_than_a_megabyte(page):
    soup, asked = opened(page)
    for image in soup.select("article img[src*='_images/']"):
        assert f"/_images/{Path(image['src']).name}" in asked, "a figure that nobody has seen"
    assert sum(asked.values()) < 1_000_000, sorted(asked.items(), key=lambda one: -one[1])[:9]


def test_what_moves_stands_still_for_those_who_want_no_motion():
    (moving,) = [
        f"/_images/{path.name}"
        for path in (SITE / "_images").glob("*.png")
        if getattr(Image.open(path), "is_animated", False)
    ]
    still = moving.replace(".png", "-still.png")
    page = next(page for page in PAGES if "day-30" in page)
    soup, asked = opened(page)
    assert moving in asked
    assert still not in asked
    assert float(soup.html["data-longest"]) > 0.05
    soup, asked = opened(page, "--force-prefers-reduced-motion")
    assert still in asked
    assert moving not in asked
    assert float(soup.html["data-longest"]) == 0
