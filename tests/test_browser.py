"""The built site in a real browser: formulas are set, and nothing is missing.

Where the site lies is said by `NNWEEK_SITE`. The browser talks to a server of this
test's own and to nobody else: that server is also its proxy, and refuses what is not
the site's.
"""

import contextlib
import functools
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

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()
BOOK = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [
    BOOK["root"],
    *(chapter["file"] for part in BOOK["parts"] for chapter in part["chapters"]),
]

# Where Chromium itself calls home. Fonts and scripts of these hosts that a page asks
# for are found by tests/test_site.py.
THE_BROWSERS_OWN = (".google.com", ".googleapis.com", ".gvt1.com", ".gstatic.com")


def dom_after_loading(address, *options):
    """The page as it stands after its scripts have run, as HTML; its console had no error."""
    names = ("chromium", "google-chrome", "chromium-browser")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        ran = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                f"--user-data-dir={profile}",
                "--virtual-time-budget=20000",
                "--enable-logging=stderr",
                *options,
                "--dump-dom",
                address,
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=300,
        )
    errors = [
        line
        for line in ran.stderr.splitlines()
        if ":CONSOLE" in line and ("Uncaught" in line or ":ERROR:" in line)
    ]
    assert not errors, "errors in the browser's console"
    return BeautifulSoup(ran.stdout, "html.parser")


@pytest.fixture(scope="module", autouse=True)
def _a_browser_that_works():
    soup = dom_after_loading("data:text/html,<p id=here>here</p>")
    if soup.find(id="here") is None:
        pytest.skip("the browser that is installed shows nothing, not even a page without a site")


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves the site, and as a proxy keeps account of what else is asked for."""

    def log_message(self, *_):
        pass

    def log_request(self, code="-", size="-"):
        self.server.asked.append((self.path, int(code)))

    def do_CONNECT(self):
        self.send_error(403)


@pytest.fixture
def server():
    handler = functools.partial(Server, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            yield server


def assert_formulas_are_set(soup, page):
    """One MathJax container in each element with a formula, and no raw TeX."""
    formulas = soup.select(".math")
    written = BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    assert len(formulas) == len(written.select(".math"))
    for formula in formulas:
        assert len(formula.select("mjx-container")) == 1, f"not set: {formula.get_text()}"
        assert formula.select_one("mjx-container mjx-math, mjx-container svg"), "set to nothing"
    assert not soup.select("mjx-merror, [data-mjx-error]"), "TeX that MathJax does not understand"
    for string in soup.select_one("article").find_all(
        string=lambda text: "\\(" in text or "\\[" in text
    ):
        assert string.find_parent(["code", "pre", "script"]), f"raw TeX: {string}"


@pytest.mark.parametrize("page", PAGES)
def test_the_page_opens_whole_without_any_other_server(page, server):
    port = server.server_address[1]
    soup = dom_after_loading(
        f"http://127.0.0.1:{port}/{page}.html", f"--proxy-server=http://127.0.0.1:{port}"
    )
    assert_formulas_are_set(soup, page)

    asked = [
        (path, code)
        for path, code in server.asked
        if not (urlsplit(path if "://" in path else f"//{path}").hostname or "").endswith(
            THE_BROWSERS_OWN
        )
    ]
    assert (f"/{page}.html", 200) in asked
    assert not [path for path, _ in asked if not path.startswith("/")], "other servers were asked"
    assert not [(path, code) for path, code in asked if code >= 400], "files are missing"


@pytest.mark.parametrize("page", ["notebooks/day-29-two-layer-network"])
def test_the_page_opens_from_the_file_that_make_book_names(page):
    assert page in PAGES
    soup = dom_after_loading((SITE / f"{page}.html").as_uri(), "--proxy-server=http://127.0.0.1:9")
    assert soup.select(".math")
    assert_formulas_are_set(soup, page)
