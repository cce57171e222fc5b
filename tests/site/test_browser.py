"""The built site in a real browser, as its readers meet it.

Where the site lies is said by `NNWEEK_SITE`. The browser talks to a server of these
tests' own and to nobody else: that server is also its proxy, and refuses what is not the
site's. One window shows all pages; what `bash .ci/browser-tools` installs, drives and
judges it.
"""

import contextlib
import functools
import gzip
import http.server
import io
import json
import os
import re
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image

from support import ROOT, browser
from support.browser import CONTROL, ENTER, TAB

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )
if browser.missing():
    pytest.skip(browser.missing(), allow_module_level=True)

SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()
BOOK = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [
    BOOK["root"],
    *(chapter["file"] for part in BOOK["parts"] for chapter in part["chapters"]),
]
DAYS = [page for page in PAGES if page.startswith("notebooks/")]
TOOLS = ROOT / ".ci" / "node_modules"
AXE = TOOLS / "axe-core" / "axe.min.js"
LIGHTHOUSE = TOOLS / ".bin" / "lighthouse"

# Where Chromium itself calls home. Fonts and scripts of these hosts that a page asks
# for are found by tests/test_site.py.
THE_BROWSERS_OWN = (".google.com", ".googleapis.com", ".gvt1.com", ".gstatic.com")
SCREEN, PHONE = 1280, 390  # widths in pixels


def needs(tool):
    return pytest.mark.skipif(
        not tool.exists(), reason=f"{tool.name} is not installed; `{browser.INSTALL}` installs it"
    )


# --- The site's server, the window, and a page in it -------------------------------------------


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves the site compressed, as its host does, and keeps account of all that is asked for."""

    def do_GET(self):
        file = Path(self.translate_path(self.path))
        found = file.is_file() and not urlsplit(self.path).netloc
        body = compressed(file) if found else b""
        self.server.asked.append((self.path, found, len(body)))
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", self.guess_type(file))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")  # each page is asked for whole
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        self.server.asked.append((self.path, False, 0))
        self.send_error(403)

    def log_message(self, *_):
        pass


@functools.cache
def compressed(file):
    return gzip.compress(file.read_bytes())


@pytest.fixture(scope="module")
def server():
    handler = functools.partial(Server, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            yield server


@pytest.fixture(scope="module")
def window(server):
    with browser.browser(f"--proxy-server={server.address}") as window:
        yield window


# Nothing moves from here on: a colour on its way to another is neither.
STAND_STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
# What a change of the page changes in turn, such as what Tab reaches, is done a frame later.
A_FRAME_LATER = """new Promise(resolve =>
    requestAnimationFrame(() => requestAnimationFrame(() => resolve())))"""
# As if the reader had been everywhere: nothing waits until it comes near the screen.
ALL_IS_NEAR = "* { content-visibility: visible !important; }"


def show(window, address, style=STAND_STILL + ALL_IS_NEAR):
    """Open a page in a wide window, and wait until it is laid out."""
    set_width(window, SCREEN)
    window.open(address)
    window.run(
        "const style = document.createElement('style');"
        "style.textContent = arguments[0];"
        "document.head.append(style);"
        f"return document.fonts.ready.then(() => {A_FRAME_LATER});",
        style,
    )


# Also those that would wait until the reader comes near; returns which do not come.
ALL_PICTURES = """
return Promise.all([...document.images].map(image => {
    image.loading = 'eager';
    return image.decode().then(() => null, () => image.src);
}));
"""


@pytest.fixture(scope="module", params=PAGES)
def page(request, window, server):
    """A page of the book as its reader sees it the first time, and what it asked for."""
    window.devtools("Storage.clearDataForOrigin", origin=server.address, storageTypes="all")
    window.errors()
    server.asked.clear()
    show(window, f"{server.address}/{request.param}.html")
    broken = window.run(ALL_PICTURES)
    asked = [
        (path, found, size)
        for path, found, size in server.asked
        if not (urlsplit(path if "://" in path else f"//{path}").hostname or "").endswith(
            THE_BROWSERS_OWN
        )
    ]
    assert (f"/{request.param}.html", True) in [(path, found) for path, found, _ in asked]
    return SimpleNamespace(name=request.param, asked=asked, broken=broken, errors=window.errors())


def set_width(window, width):
    """Make the window as wide as this, without its frame, and let the page's scripts notice."""
    if window.run("return innerWidth;") != width:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
        window.devtools("Emulation.setDeviceMetricsOverride", **size)
        window.run("return new Promise(resolve => setTimeout(resolve, 500));")


# --- The page is whole -------------------------------------------------------------------------


# Formulas without ink, but for those in a <details> that is closed.
NOT_DRAWN = """
const formulas = [...document.querySelectorAll('.math')].filter(e => !e.closest('details:not([open])'));
return formulas.filter(formula => {
    const ink = formula.querySelector('svg > g').getBoundingClientRect();
    return !(ink.width > 1 && ink.height > 1);
}).map(formula => formula.querySelector('math').getAttribute('alttext'));
"""


def test_the_page_opens_whole_without_any_other_server(page, window):
    assert page.errors == []
    assert not [path for path, *_ in page.asked if not path.startswith("/")], "other servers"
    assert not [path for path, found, _ in page.asked if not found], "files are missing"
    assert window.run(NOT_DRAWN) == []


def test_every_picture_of_the_page_is_shown(page, window):
    assert page.broken  # the logo is on every page
    assert not list(filter(None, page.broken))
    assert window.run("return [...document.images].every(i => i.naturalWidth > 0 && i.alt.trim());")


def test_every_icon_of_the_page_is_drawn(page, window):
    written = BeautifulSoup((SITE / f"{page.name}.html").read_text("utf-8"), "html.parser")
    named = written.select("i[class*='fa-']")
    assert len(named) > 5
    soup = BeautifulSoup(window.run("return document.documentElement.outerHTML;"), "html.parser")
    assert not soup.select("i[class*='fa-']"), "left as they were written"
    drawn = soup.select("svg.svg-inline--fa")
    assert len(drawn) >= len(named)
    for icon in drawn:
        assert icon.select("path[d]"), f"nothing is drawn for {icon['data-icon']}"


def test_the_page_with_all_its_figures_weighs_at_most_a_megabyte(page):
    heaviest = sorted(page.asked, key=lambda asked: -asked[2])
    total = sum(size for *_, size in page.asked)
    most = [f"{path.partition('?')[0]} {size:,}" for path, _, size in heaviest[:4]]
    assert total <= 1_000_000, f"{total:,} bytes, compressed; the most: {', '.join(most)}"


# Keeps how every element looks, and says which look otherwise than when it was asked before.
LOOKS_OTHERWISE = """
const seen = window.seen;
window.seen = [...document.body.querySelectorAll(':not(svg *)')].map(element => {
    const looks = [element.tagName + ' ' + element.className];
    for (const part of ['', '::before', '::after']) {
        const style = getComputedStyle(element, part);
        if (part && style.content === 'none') continue;
        for (const name of style) looks.push(name + ': ' + style.getPropertyValue(name));
    }
    return looks;
});
return seen?.flatMap((looks, i) => looks.map((look, k) => [looks[0], look, window.seen[i][k]]))
    .filter(([_, before, after]) => before !== after).slice(0, 5);
"""
AS_THEY_CAME = """
const link = document.querySelector('link[rel=stylesheet]');
return fetch(link.href).then(answer => answer.text()).then(async text => {
    for (const name of text.split('\\n')[0].match(/[\\w./-]+\\.css/g)) {
        const other = document.createElement('link');
        other.rel = 'stylesheet';
        other.href = new URL(name, link.href).href;
        const loaded = new Promise((yes, no) => { other.onload = yes; other.onerror = no; });
        link.before(other);
        await loaded;
    }
    link.remove();
    return document.styleSheets.length;
});
"""


@pytest.mark.parametrize("width", [SCREEN, PHONE])
@pytest.mark.parametrize("name", [PAGES[0], "cheat-sheet", "speed"])
def test_the_one_stylesheet_looks_as_all_that_it_was_made_of(name, width, window, server):
    show(window, f"{server.address}/{name}.html")
    set_width(window, width)
    window.run(LOOKS_OTHERWISE)
    assert window.run("return window.seen.length;") > 100
    assert window.run(AS_THEY_CAME) > 5
    assert window.run(LOOKS_OTHERWISE) == []


def test_a_link_to_a_section_arrives_there_whatever_was_not_laid_out_before(window, server):
    show(window, f"{server.address}/{DAYS[0]}.html", style="")
    links = window.run(
        "return [...document.querySelectorAll('#pst-page-toc-nav a')].map(a => a.hash);"
    )
    for target in (links[len(links) // 2], links[1], links[len(links) * 3 // 4]):
        window.run(f"document.querySelector('#pst-page-toc-nav a[href=\"{target}\"]').click();")
        top = f"document.querySelector('{target}').getBoundingClientRect().top"
        window.wait_until(f"Math.abs({top} - 64) < 40")
        window.run("return new Promise(resolve => setTimeout(resolve, 500));")
        assert abs(window.run(f"return {top};") - 64) < 40, "and stays there"


# --- The page is for everyone --------------------------------------------------------------------


# Everything is looked for once; then only what another look may change. The themes differ in
# their colours, and a phone's width changes no colour.
LOOKS = {
    "in the light theme": (SCREEN, "light", {}),
    "in the dark theme": (SCREEN, "dark", {"runOnly": ["color-contrast", "link-in-text-block"]}),
    "on a phone": (PHONE, "light", {"rules": {"color-contrast": {"enabled": False}}}),
}


@needs(AXE)
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_violation(page, window, look):
    width, theme, rules = LOOKS[look]
    if not window.run("return Boolean(window.axe);"):
        window.run(AXE.read_text(encoding="utf-8"))
        window.run("document.querySelectorAll('details').forEach(d => d.open = true);")
        window.run(f"return {A_FRAME_LATER};")
    set_width(window, width)
    violations = window.run(
        "document.documentElement.dataset.theme = arguments[0];"
        "return axe.run(arguments[1]).then(found =>"
        "found.violations.map(v => [v.id, v.help, ...v.nodes.map(n => n.html.slice(0, 200))]));",
        theme,
        {"resultTypes": ["violations"], "preload": False, **rules},
    )
    assert not violations, "\n".join(f"{violation}" for violation in violations)


def test_nothing_of_the_page_lies_beside_a_phones_screen(page, window):
    set_width(window, PHONE)
    assert window.run("return document.documentElement.scrollWidth;") <= PHONE


# --- Without a mouse -----------------------------------------------------------------------------

# What shows that an element has the focus: an outline or a shadow, its own or that of what is
# drawn after it, as on the cards. A transparent shadow is none.
INDICATOR = """const ring = (e, part) => {
    const style = getComputedStyle(e, part);
    const outline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const shadow = style.boxShadow.replace(/(none|rgba\\([^)]*, 0\\)( 0px)+)/g, '');
    return (outline ? style.outline : '') + shadow;
};
const indicator = e => ring(e) + ring(e, '::after');
const shown = e => e.checkVisibility({visibilityProperty: true});
const named = e => e.outerHTML.slice(0, 150);
"""
REACHABLE = """
const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
    .filter(e => e.tabIndex >= 0 && !e.disabled && shown(e));
"""
LISTEN = (
    INDICATOR
    + REACHABLE
    + """
const before = new Map(all.map(e => [e, indicator(e)]));
window.walk = {reached: new Set(), unseen: [], first: null, done: false};
document.addEventListener('focusin', event => {
    const e = event.target;
    window.walk.done ||= window.walk.reached.has(e);
    window.walk.reached.add(e);
    const now = indicator(e);
    if (!shown(e) || !now || now === before.get(e)) window.walk.unseen.push(`${named(e)}: ${before.get(e)} -> ${now}`);
});
"""
)


EVERYWHERE = [
    ".skip-link a",
    "button.search-button-field",
    "button.theme-switch-button",
    ".bd-sidebar-primary nav a",
]
ON_A_DAY = [
    ".dropdown-launch-buttons button",
    ".dropdown-download-buttons button",
    "article summary",
]


@pytest.mark.parametrize("name", PAGES)
def test_tab_reaches_everything_and_shows_where_it_is(name, window, server):
    show(window, f"{server.address}/{name}.html", STAND_STILL)
    # First every <details> is opened, as a reader would: what is inside must be reached, too.
    for number in range(window.run("return document.querySelectorAll('summary').length;")):
        window.run("document.querySelectorAll('summary')[arguments[0]].focus();", number)
        window.press(ENTER)
    assert window.run("return document.querySelectorAll('details:not([open])').length;") == 0
    window.run("document.activeElement.blur(); window.scrollTo(0, 0);")
    window.run(LISTEN)
    for _ in range(100):
        window.press(*[TAB] * 20)
        if window.run("return window.walk.done;"):
            break
    missed, unseen, absent = window.run(
        INDICATOR  # what can be reached is known now that all of the page has been on the screen
        + REACHABLE
        + "const {reached, unseen} = window.walk;"
        + "const absent = arguments[0].filter(s => ![...reached].some(e => e.matches(s)));"
        + "return [all.filter(e => !reached.has(e)).map(named), unseen, absent];",
        [*EVERYWHERE, *(ON_A_DAY if name in DAYS else [])],
    )
    assert not absent
    assert not missed, "\n".join(missed)
    assert not unseen, "\n".join(unseen)


def test_the_ring_around_a_card_is_painted_not_only_asked_for(window, server):
    """A card hides what is drawn outside it, which the computed style does not tell."""
    show(window, f"{server.address}/{PAGES[0]}.html")
    # A Tab too many, in the test before, takes the focus from the page to the browser.
    window.devtools("Emulation.setFocusEmulationEnabled", enabled=True)
    card = "document.querySelector('.day .sd-stretched-link')"
    window.run(f"{card}.scrollIntoView({{block: 'center'}});")
    before = pixels(window)
    window.run(f"{card}.focus({{focusVisible: true, preventScroll: true}});")
    for _ in range(20):  # a busy machine paints later
        changed = int((before != pixels(window)).any(axis=-1).sum())
        if changed > 1000:
            break
    assert changed > 1000


def test_the_ring_around_what_stands_at_the_edge_of_the_text_is_painted_whole(window, server):
    show(window, f"{server.address}/{DAYS[0]}.html", STAND_STILL)
    window.devtools("Emulation.setFocusEmulationEnabled", enabled=True)
    fold = "document.querySelector('.bd-article > section > section > details > summary')"
    window.run(f"{fold}.scrollIntoView({{block: 'center', behavior: 'instant'}});")
    window.run(f"return {A_FRAME_LATER};")
    before = pixels(window)
    window.run(f"{fold}.focus({{focusVisible: true, preventScroll: true}});")
    window.run(f"return {A_FRAME_LATER};")
    left, middle = window.run(
        f"const box = {fold}.getBoundingClientRect(); return [box.left, box.top + box.height / 2];"
    )
    beside = np.s_[round(middle), round(left) - 5 : round(left)]
    assert (before[beside] != pixels(window)[beside]).any()


def pixels(window):
    return np.asarray(Image.open(io.BytesIO(window.picture())).convert("RGB"))


def focused(window):
    return window.run(
        "const e = document.activeElement;"
        "return [e.href || e.className, e.checkVisibility({visibilityProperty: true})];"
    )


@pytest.mark.parametrize("name", DAYS)
def test_the_keyboard_alone_opens_colab_and_the_notebook_to_download(name, window, server):
    show(window, f"{server.address}/{name}.html")
    for menu, link in [
        ("launch", f"https://colab.research.google.com/github/.+/{name}.ipynb"),
        ("download", f"{re.escape(server.address)}/_sources/{name}.ipynb"),
    ]:
        window.run(f"document.querySelector('.dropdown-{menu}-buttons button').focus();")
        window.press(ENTER, TAB)
        address, visible = focused(window)
        assert re.fullmatch(link, address)
        assert visible
        window.press(browser.ESCAPE)
    offered = window.run("return fetch(arguments[0]).then(answer => answer.text());", address)
    assert json.loads(offered) == json.loads((ROOT / f"{name}.ipynb").read_text(encoding="utf-8"))


def test_the_theme_is_switched_by_its_button_and_stays_on_the_next_page(window, server):
    background = "return getComputedStyle(document.body).backgroundColor;"
    seen = {}
    show(window, f"{server.address}/{PAGES[0]}.html")
    for _ in range(3):  # light, dark, as the reader's system has it
        window.run("document.querySelector('.theme-switch-button').focus();")
        window.press(ENTER)
        mode = window.run("return document.documentElement.dataset.mode;")
        seen[mode] = window.run(background)
        if mode == "dark":
            show(window, f"{server.address}/{PAGES[1]}.html")
            assert window.run("return document.documentElement.dataset.theme;") == "dark"
            assert window.run(background) == seen["dark"]
    assert set(seen) == {"light", "dark", "auto"}
    assert seen["light"] != seen["dark"]
    window.run("localStorage.clear();")


# --- Without motion ------------------------------------------------------------------------------

LONGEST_MOVE = """
const seconds = [...document.querySelectorAll('*')].map(element =>
    Math.max(...getComputedStyle(element).transitionDuration.split(',').map(parseFloat)));
return Math.max(...seconds);
"""


def test_what_moves_stands_still_for_those_who_want_no_motion(server):
    (moving,) = [
        f"/_images/{path.name}"
        for path in (SITE / "_images").glob("*.png")
        if getattr(Image.open(path), "is_animated", False)
    ]
    still = moving.replace(".png", "-still.png")
    (name,) = [day for day in DAYS if "day-30" in day]
    for options, shown, hidden in [
        ([], moving, still),
        (["--force-prefers-reduced-motion"], still, moving),
    ]:
        with browser.browser(f"--proxy-server={server.address}", *options) as window:
            server.asked.clear()
            window.open(f"{server.address}/{name}.html")
            window.run(ALL_PICTURES)
            asked = [path for path, *_ in server.asked]
            assert shown in asked
            assert hidden not in asked
            assert (window.run(LONGEST_MOVE) == 0) == bool(options)


# --- Search --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["served", "from the disk"])
def test_search_finds_the_day_of_the_gradient_check(where, window, server):
    window.errors()
    show(window, f"{server.address if where == 'served' else SITE.as_uri()}/{PAGES[0]}.html")
    window.press("k", holding=CONTROL)
    window.wait_until("document.activeElement.name === 'q'")
    window.press(*"gradient check", ENTER)
    said = "document.querySelector('#search-results .search-summary')?.textContent"
    assert window.wait_until(said).startswith("Search finished, found")
    found = window.run("return [...document.querySelectorAll('#search-results a')].map(String);")
    assert any(f"/{DAYS[0]}.html" in address for address in found)
    assert window.errors() == []


def test_a_day_opens_from_the_disk_with_its_formulas(window):
    window.errors()
    show(window, f"{SITE.as_uri()}/{DAYS[0]}.html")
    assert window.errors() == []
    assert window.run("return document.querySelectorAll('.math').length;") > 100
    assert window.run(NOT_DRAWN) == []


# --- Lighthouse ----------------------------------------------------------------------------------


def lighthouse(address, window, folder):
    """Lighthouse's scores (0 to 100) of a page, and what costs it marks for all but speed."""
    asked = ("accessibility", "best-practices", "seo")
    report = folder / "report.json"
    subprocess.run(
        [
            LIGHTHOUSE, address, f"--port={window.port}", "--quiet",
            f"--only-categories=performance,{','.join(asked)}", "--output=json",
            f"--output-path={report}", "--no-enable-error-reporting",
        ],
        check=True,
        timeout=300,
    )  # fmt: skip
    report = json.loads(report.read_text(encoding="utf-8"))
    faults = [
        (audit["id"], audit["title"], audit.get("details", {}).get("items", [])[:3])
        for category in asked
        for reference in report["categories"][category]["auditRefs"]
        if reference["weight"]
        and (audit := report["audits"][reference["id"]])["score"] not in (1, None)
    ]
    return {id_: round(100 * found["score"]) for id_, found in report["categories"].items()}, faults


@needs(LIGHTHOUSE)
@pytest.mark.parametrize("name", DAYS)
def test_lighthouse_gives_full_marks_on_a_phone(name, window, server, tmp_path, capsys):
    """How fast a page is depends on this machine, so that is only printed."""
    address = f"{server.address}/{name}.html"
    scores, faults = lighthouse(address, window, tmp_path)
    if faults:  # of a page that a busy machine had not finished? One of the page's own stays
        scores, faults = lighthouse(address, window, tmp_path)
    with capsys.disabled():
        print(f"\n{name}: Lighthouse {scores}")
    assert faults == []
    assert all(score == 100 for id_, score in scores.items() if id_ != "performance")
