"""The built site in a real browser, as readers see it.

`NNWEEK_SITE` names the site's folder. The browser only talks to a server that these tests
start: it is also the browser's proxy, and refuses requests to any other server. One window
shows all pages; `bash .ci/browser-tools` installs the browser and what judges the pages.
"""

import io
import json
import re
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from nnweek._tokens import DARK, LIGHT
from support import ROOT, browser, text_of
from support.contents import DAYS, PAGES, day_page
from support.server import is_of_chromium
from support.site import SITE, html_of

if browser.missing():
    pytest.skip(browser.missing(), allow_module_level=True)

IN_THE_PAGE = text_of("tests/support/page.js")
TOOLS = ROOT / ".ci" / "node_modules"
AXE = TOOLS / "axe-core" / "axe.min.js"
LIGHTHOUSE = TOOLS / ".bin" / "lighthouse"

SCREEN, PHONE = 1280, 390  # widths in pixels


needs_node = pytest.mark.skipif(
    not (AXE.exists() and LIGHTHOUSE.exists()),
    reason=f"axe-core or Lighthouse is not installed; `{browser.INSTALL}` installs both",
)


# No transitions: a colour in transition is neither of the two.
STAND_STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
# As if everything had been near the screen already.
ALL_IS_NEAR = "* { content-visibility: visible !important; }"


def show(window, address, style=STAND_STILL + ALL_IS_NEAR):
    """Open a page in a wide window, wait until it is laid out, and load page.js into it."""
    set_width(window, SCREEN)
    window.open(address)
    window.execute_script(IN_THE_PAGE)
    window.evaluate("week.addStyle(arguments[0])", style)


@pytest.fixture(scope="module", params=PAGES)
def page(request, window, server):
    """A page as a reader sees it the first time, with the requests that it made."""
    everything = {"origin": server.address, "storageTypes": "all"}
    window.execute_cdp_cmd("Storage.clearDataForOrigin", everything)
    window.errors()
    server.requests.clear()
    show(window, f"{server.address}/{request.param}.html")
    broken = window.evaluate("week.loadPictures()")
    requests = [
        (path, found, size) for path, found, size in server.requests if not is_of_chromium(path)
    ]
    assert (f"/{request.param}.html", True) in [(path, found) for path, found, _ in requests]
    return SimpleNamespace(
        name=request.param, requests=requests, broken=broken, errors=window.errors()
    )


def set_width(window, width):
    """Set the width of the page, and wait until it is laid out again."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    window.wait_until("document.documentElement.clientWidth === arguments[0]", width)
    window.evaluate("window.week?.settled()")


def test_page_opens_completely_without_another_server(page, window):
    assert page.errors == []
    assert not [path for path, *_ in page.requests if not path.startswith("/")], "other servers"
    assert not [path for path, found, _ in page.requests if not found], "files are missing"
    assert window.evaluate("week.invisibleFormulas()") == []
    assert page.broken  # the logo is on every page
    assert not list(filter(None, page.broken))
    assert window.evaluate("[...document.images].every(i => i.naturalWidth > 0)")


def test_every_icon_is_drawn(page, window):
    named = html_of(page.name).select("i[class*='fa-']")
    assert len(named) > 5
    assert not window.find_elements("css selector", "i[class*='fa-']"), "no drawing"
    assert len(window.find_elements("css selector", "svg.svg-inline--fa")) >= len(named)
    empty = "[...document.querySelectorAll('svg.svg-inline--fa:not(:has(path[d]))')]"
    assert window.evaluate(f"{empty}.map(icon => icon.dataset.icon)") == []


def test_page_with_all_figures_weighs_at_most_a_megabyte(page):
    heaviest = sorted(page.requests, key=lambda request: -request[2])
    total = sum(size for *_, size in page.requests)
    most = [f"{path.partition('?')[0]} {size:,}" for path, _, size in heaviest[:4]]
    assert total <= 1_000_000, f"{total:,} bytes, compressed; the largest: {', '.join(most)}"


@pytest.mark.parametrize("width", [SCREEN, PHONE])
@pytest.mark.parametrize("name", [PAGES[0], "cheat-sheet", "speed"])
def test_joined_stylesheet_looks_like_the_original_ones(name, width, window, server):
    show(window, f"{server.address}/{name}.html")
    set_width(window, width)
    joined = window.evaluate("week.styles()")
    assert len(joined) > 10_000
    assert window.evaluate("week.useOriginalStylesheets()") > 5
    original = window.evaluate("week.styles()")
    assert len(original) == len(joined)
    changed = [pair for pair in zip(joined, original, strict=True) if pair[0] != pair[1]]
    assert changed[:5] == []


def test_link_to_a_section_arrives_there(window, server):
    show(window, f"{server.address}/{DAYS[0]}.html", style="")
    contents = "#pst-page-toc-nav a"
    links = window.evaluate(f"[...document.querySelectorAll('{contents}')].map(a => a.hash)")
    for target in (links[len(links) // 2], links[1], links[len(links) * 3 // 4]):
        window.execute_script(f"document.querySelector('{contents}[href=\"{target}\"]').click();")
        section = f"document.querySelector('{target}')"
        window.wait_until(f"Math.abs({section}.getBoundingClientRect().top - 64) < 40")
        top = window.evaluate(f"week.resting({section})")
        assert abs(top - 64) < 40, "moved away again"


# All rules run once; then only those whose result another look may change. The themes differ
# in their colours, and a phone's width changes no colour.
LOOKS = {
    "in the light theme": (SCREEN, "light", {}),
    "in the dark theme": (SCREEN, "dark", {"runOnly": ["color-contrast", "link-in-text-block"]}),
    "on a phone": (PHONE, "light", {"rules": {"color-contrast": {"enabled": False}}}),
}


@needs_node
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_violation(page, window, look):
    width, theme, rules = LOOKS[look]
    if not window.evaluate("Boolean(window.axe)"):
        window.execute_script(AXE.read_text(encoding="utf-8"))
        window.execute_script("document.querySelectorAll('details').forEach(d => d.open = true);")
    set_width(window, width)
    violations = window.execute_script(
        "document.documentElement.dataset.theme = arguments[0];"
        "return axe.run(arguments[1]).then(found =>"
        "found.violations.map(v => [v.id, v.help, ...v.nodes.map(n => n.html.slice(0, 200))]));",
        theme,
        {"resultTypes": ["violations"], "preload": False, **rules},
    )
    assert not violations, "\n".join(f"{violation}" for violation in violations)


@needs_node
@pytest.mark.parametrize("width", [SCREEN, PHONE])
@pytest.mark.parametrize("name", [DAYS[0], DAYS[3]])
def test_axe_finds_no_violation_on_a_page_that_nobody_has_scrolled(name, width, window, server):
    """Far from the screen nothing is laid out yet, but what scrolls must already be reachable."""
    set_width(window, width)
    window.open(f"{server.address}/{name}.html")
    window.execute_script(AXE.read_text(encoding="utf-8"))
    rules = {"runOnly": ["scrollable-region-focusable"], "resultTypes": ["violations"]}
    found = window.evaluate("axe.run(arguments[0]).then(found => found.violations)", rules)
    assert [node["html"][:200] for violation in found for node in violation["nodes"]] == []


LOOKED_AT = [PAGES[0], DAYS[0], "what-went-wrong", "glossary", "api", "cheat-sheet"]


def rgb(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_text_has_contrast_and_every_colour_is_a_token(name, theme, window, server):
    """One accent: a colour of the theme that no variable replaces would be a second one."""
    show(window, f"{server.address}/{name}.html")
    window.execute_script("document.documentElement.dataset.theme = arguments[0];", theme)
    window.execute_script("document.querySelectorAll('details').forEach(d => d.open = true);")
    lowest, text = window.evaluate("week.lowestContrast()")
    assert lowest >= 4.5, text
    tokens = [rgb(colour) for colour in (LIGHT if theme == "light" else DARK).values()]
    assert not [found for found in window.evaluate("week.colours()") if found[0] not in tokens]


@pytest.mark.parametrize("width", [SCREEN, 1920, 768])
def test_words_keep_a_measure_that_is_easy_to_read(width, window, server):
    show(window, f"{server.address}/{DAYS[0]}.html")
    set_width(window, width)
    lines = window.evaluate("week.charactersPerLine('.bd-article p')")
    assert len(lines) > 15
    assert 70 < np.median(lines) <= 84


def test_nothing_in_the_text_is_a_small_target_on_a_phone(window, server):
    show(window, f"{server.address}/{DAYS[0]}.html")
    set_width(window, PHONE)
    places = "article summary, .bd-header-article :is(button, a)"
    heights = window.evaluate(
        f"[...document.querySelectorAll('{places}')].filter(week.visible)"
        ".map(e => e.getBoundingClientRect().height).filter(h => h > 0)"
    )
    assert len(heights) > 10
    assert min(heights) >= 43.5


def test_page_fits_the_width_of_a_phone(page, window):
    set_width(window, PHONE)
    assert window.evaluate("document.documentElement.scrollWidth") <= PHONE


REACHED_EVERYWHERE = [
    ".skip-link a", "button.search-button-field", ".brand", ".bd-header-article .dropdown-toggle",
    ".bd-sidebar-primary nav a",
]  # fmt: skip
REACHED_ON_A_DAY = [".in-colab", ".week-line a", "article summary"]


@pytest.mark.parametrize("name", PAGES)
def test_tab_reaches_everything_and_shows_the_focus(name, window, server):
    show(window, f"{server.address}/{name}.html", STAND_STILL)
    if name == PAGES[0]:  # its sidebar is closed until the menu button opens it
        window.execute_script(
            "document.querySelector('.bd-header-article .primary-toggle').click();"
        )
    # Open every <details> first, as a reader would: Tab must also reach what is inside.
    for summary in window.evaluate("[...document.querySelectorAll('summary')]"):
        window.execute_script("arguments[0].focus();", summary)
        window.press(Keys.ENTER)
    assert window.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    window.execute_script("document.activeElement.blur(); window.scrollTo(0, 0); week.startWalk();")
    for _ in range(100):
        window.press(*[Keys.TAB] * 20)
        if window.evaluate("week.walk.done"):
            break
    # Only now is it known what can be reached: all of the page has been on the screen.
    window.evaluate("week.settled()")
    expected = [*REACHED_EVERYWHERE, *(REACHED_ON_A_DAY if name in DAYS else [])]
    assert not window.evaluate("week.notReached(arguments[0])", expected)
    assert not window.evaluate("week.missed()")
    assert not window.evaluate("week.walk.withoutRing"), "not visible, or without a ring"


def focus(window, selector):
    """Give an element the focus; return its box, and for each pixel whether it changed."""
    element = window.find_element("css selector", selector)
    centre = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'});"
    window.execute_script(centre, element)
    window.evaluate("week.settled()")
    before = pixels(window)
    window.execute_script("arguments[0].focus({focusVisible: true, preventScroll: true});", element)
    for _ in range(20):  # a busy machine paints later
        changed = (before != pixels(window)).any(axis=-1)
        if changed.any():
            break
    return window.evaluate("arguments[0].getBoundingClientRect()", element), changed


def test_focus_ring_of_a_card_is_painted(window, server):
    """A card clips what is drawn outside it, which the computed style does not show."""
    show(window, f"{server.address}/{PAGES[0]}.html")
    _, changed = focus(window, ".day-title a")
    assert changed.sum() > 1000


def test_focus_ring_is_not_clipped_at_the_text_edge(window, server):
    show(window, f"{server.address}/{DAYS[0]}.html", STAND_STILL)
    box, changed = focus(window, "details.result summary")
    left, middle = round(box["left"]), round(box["top"] + box["height"] / 2)
    assert changed[middle, left - 5 : left].any()


def pixels(window):
    return np.asarray(Image.open(io.BytesIO(window.get_screenshot_as_png())).convert("RGB"))


def open_menu(window):
    """Open the menu of the bar with the keyboard."""
    button = "document.querySelector('.bd-header-article .dropdown-toggle')"
    window.execute_script(f"{button}.focus();")
    window.press(Keys.ENTER)
    window.wait_until(f"{button}.ariaExpanded === 'true'")


@pytest.mark.parametrize("name", DAYS)
def test_keyboard_opens_colab_and_downloads_the_notebook(name, window, server):
    show(window, f"{server.address}/{name}.html")
    open_menu(window)
    found = []
    for _ in range(6):
        window.press(Keys.TAB)
        address = window.evaluate("document.activeElement.href")
        assert window.evaluate("week.visible(document.activeElement)")
        found.append(address)
    assert any(
        address
        and re.fullmatch(f"https://colab.research.google.com/github/.+/{name}.ipynb", address)
        for address in found
    )
    address = f"{server.address}/_sources/{name}.ipynb"
    assert address in found
    offered = window.evaluate("fetch(arguments[0]).then(answer => answer.text())", address)
    assert json.loads(offered) == json.loads(text_of(f"{name}.ipynb"))


def test_theme_button_switches_the_theme_for_every_page(window, server):
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    show(window, f"{server.address}/{PAGES[0]}.html")
    for _ in range(3):  # light, dark, the reader's system
        mode = window.evaluate("document.documentElement.dataset.mode")
        open_menu(window)
        window.execute_script("document.querySelector('.theme-switch-button').focus();")
        window.press(Keys.ENTER)
        window.wait_until("document.documentElement.dataset.mode !== arguments[0]", mode)
        mode = window.evaluate("document.documentElement.dataset.mode")
        seen[mode] = window.evaluate(background)
        if mode == "dark":
            show(window, f"{server.address}/{PAGES[1]}.html")
            assert window.evaluate("document.documentElement.dataset.theme") == "dark"
            assert window.evaluate(background) == seen["dark"]
    assert set(seen) == {"light", "dark", "auto"}
    assert seen["light"] != seen["dark"]
    window.execute_script("localStorage.clear();")


def test_no_picture_moves_by_itself():
    pictures = [Image.open(path) for path in (SITE / "_images").glob("*.png")]
    assert not [p.filename for p in pictures if getattr(p, "is_animated", False)]


def test_nothing_fades_for_readers_who_want_no_motion(server):
    for options in ([], ["--force-prefers-reduced-motion"]):
        with browser.browser(f"--proxy-server={server.address}", *options) as window:
            window.open(f"{server.address}/{day_page(30)}.html")
            window.execute_script(IN_THE_PAGE)
            assert (window.evaluate("week.longestTransition()") == 0) == bool(options)


def test_day_opens_from_the_disk_with_its_formulas(window):
    window.errors()
    show(window, f"{SITE.as_uri()}/{DAYS[0]}.html")
    assert window.errors() == []
    assert window.evaluate("document.querySelectorAll('.math').length") > 100
    assert window.evaluate("week.invisibleFormulas()") == []


def lighthouse(address, window, folder):
    """What Lighthouse finds wrong with a page, except for its speed."""
    categories = ("accessibility", "best-practices", "seo")
    report = folder / "report.json"
    port = window.capabilities["goog:chromeOptions"]["debuggerAddress"].rpartition(":")[2]
    subprocess.run(
        [
            LIGHTHOUSE, address, f"--port={port}", "--quiet", "--output=json",
            f"--only-categories={','.join(categories)}", f"--output-path={report}",
            "--no-enable-error-reporting",
        ],
        check=True,
        timeout=300,
    )  # fmt: skip
    report = json.loads(report.read_text(encoding="utf-8"))
    return [
        (audit["id"], audit["title"], audit.get("details", {}).get("items", [])[:3])
        for category in categories
        for reference in report["categories"][category]["auditRefs"]
        if reference["weight"]
        # Of a section that is not laid out yet, Lighthouse takes the places for real, and they
        # lie on those of the next section. The test of small targets sees the laid-out page.
        and reference["id"] != "target-size"
        and (audit := report["audits"][reference["id"]])["score"] not in (1, None)
    ]


@needs_node
@pytest.mark.parametrize("name", DAYS)
def test_lighthouse_gives_full_marks_on_a_phone(name, window, server, tmp_path):
    address = f"{server.address}/{name}.html"
    problems = lighthouse(address, window, tmp_path)
    if problems:  # perhaps a busy machine had not finished the page: a real problem stays
        problems = lighthouse(address, window, tmp_path)
    assert problems == []
