"""Search, asked as learners ask: the first result must be the right section, opened at its place."""

import re

import pytest
from selenium.webdriver.common.keys import Keys

from nnweek._tokens import DARK, LIGHT
from support import ROOT, browser
from support.contents import day_page
from support.server import is_of_chromium
from support.site import SITE

if browser.missing():
    pytest.skip(browser.missing(), allow_module_level=True)

AXE = ROOT / ".ci" / "node_modules" / "axe-core" / "axe.min.js"
FIRST = "document.querySelector('#search-results li a')"
SYMPTOM, TERM = "what-went-wrong.html#", "glossary.html#term-"

# {what a learner types: the sections of which one must be first}
QUERIES = {
    "2.3026": [f"{SYMPTOM}symptom-equal"],
    "nan": [f"{SYMPTOM}symptom-nan"],
    "shape mismatch": [f"{SYMPTOM}error-shape", f"{SYMPTOM}error-broadcast"],
    "mat1 and mat2": [f"{SYMPTOM}error-shape", f"{SYMPTOM}error-dtype"],
    "loss not decreasing": [f"{SYMPTOM}symptom-flat"],
    "learning rate too high": [f"{SYMPTOM}symptom-jumping", f"{SYMPTOM}symptom-nan"],
    "device": [f"{SYMPTOM}error-device"],
    "overfitting": [f"{SYMPTOM}symptom-overfitting", f"{TERM}overfitting"],
    "what is a logit?": [f"{TERM}logits"],
    "vanishing gradient": [f"{TERM}vanishing-gradient"],
    "my accuracy is stuck at 11.35": [f"{SYMPTOM}symptom-one-answer"],
    "cuda out of memory": [f"{SYMPTOM}error-memory"],
    "does not require grad": [f"{SYMPTOM}error-grad"],
    "backward a second time": [f"{SYMPTOM}error-second"],
    "expected long but found float": [f"{SYMPTOM}error-long"],
    "validation better than training": [f"{SYMPTOM}symptom-better"],
    "1.4612": [f"{SYMPTOM}symptom-softmax"],
    "tensorboard is empty": [f"{SYMPTOM}symptom-tensorboard"],
    "install on windows": ["setup.html#"],
    "gradient check": [f"{TERM}gradient-check", f"{day_page(29)}.html#"],
}


def search(window, site, query):
    """Ask the search page; return the address of the first result below the site."""
    field = "document.querySelector('.bd-search-container input[name=q]')"
    if not window.current_url.startswith(f"{site}/search.html"):
        window.open(f"{site}/search.html")
    window.execute_script(
        f"{field}.value = arguments[0]; {field}.dispatchEvent(new Event('input'));", query
    )
    first = window.evaluate(f"{FIRST}?.href ?? ''")
    return first.removeprefix(f"{site}/")


@pytest.mark.parametrize("where", ["served", "from the disk"])
def test_twenty_queries_find_the_right_section_first(where, window, server):
    window.errors()
    site = server.address if where == "served" else SITE.as_uri()
    found = {query: search(window, site, query) for query in QUERIES}
    wrong = {
        query: first
        for query, first in found.items()
        if not first.startswith(tuple(QUERIES[query]))
    }
    assert len(found) == 20
    assert not wrong
    assert window.errors() == []


@pytest.mark.parametrize("where", ["served", "from the disk"])
def test_keyboard_leads_from_any_page_to_the_section(where, window, server):
    site = server.address if where == "served" else SITE.as_uri()
    window.open(f"{site}/{day_page(33)}.html")
    window.switch_to.active_element.send_keys(Keys.CONTROL, "k")
    window.wait_until("document.activeElement.name === 'q'")
    window.press("2.3026", Keys.ENTER)
    window.wait_until(f"location.pathname.endsWith('search.html') && {FIRST}")
    window.wait_until("document.activeElement.name === 'q'")
    window.press(Keys.ARROW_DOWN)
    assert window.evaluate(f"document.activeElement === {FIRST}")
    window.press(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_UP)
    assert window.evaluate("document.activeElement.name") == "q"
    window.press(Keys.ENTER)  # of the field: the first result
    assert window.evaluate(f"document.activeElement === {FIRST}")
    window.press(Keys.ENTER)
    window.wait_until("location.hash === '#symptom-equal' && document.readyState === 'complete'")
    section = "document.getElementById('symptom-equal')"
    window.wait_until(f"Math.abs({section}.getBoundingClientRect().top - 64) < 60")


def test_results_come_from_here_and_stay_after_going_back(window, server):
    server.requests.clear()
    window.open(f"{server.address}/search.html?q=nan")
    window.wait_until(FIRST)
    assert not [
        path
        for path, *_ in server.requests
        if not path.startswith("/") and not is_of_chromium(path)
    ]
    search(window, server.address, "dropout")
    window.execute_script(f"{FIRST}.click();")
    window.wait_until("!location.pathname.endsWith('search.html')")
    window.back()
    window.wait_until(f"location.pathname.endsWith('search.html') && {FIRST}")
    assert window.evaluate("document.querySelector('.search-summary').textContent").endswith(
        "sections for “dropout”."
    )


def test_no_result_says_so_and_shows_no_markup(window, server):
    search(window, server.address, "<i>qqqqzzzz</i>")
    summary = window.evaluate("document.querySelector('.search-summary').textContent")
    assert summary.startswith("No sections for “<i>qqqqzzzz</i>”.")
    assert not window.evaluate("document.querySelector('.search-summary i')")


def test_no_answer_of_an_exercise_is_found():
    (file,) = SITE.glob("_static/sections-*.js")
    text = file.read_text(encoding="utf-8")
    assert "symptom-equal" in text
    assert "A solution" not in text
    assert "Another hint" not in text


@pytest.mark.skipif(not AXE.exists(), reason=f"`{browser.INSTALL}` installs axe-core")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_results_are_accessible_and_fit(theme, width, window, server):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == 390}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    window.open(f"{server.address}/search.html?q=learning+rate")
    window.wait_until(FIRST)
    window.execute_script("document.documentElement.dataset.theme = arguments[0];", theme)
    window.execute_script(AXE.read_text(encoding="utf-8"))
    found = window.evaluate("axe.run({resultTypes: ['violations'], preload: false})")
    assert [one["id"] for one in found["violations"]] == []
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    colour = window.evaluate("getComputedStyle(document.querySelector('li mark')).color")
    ink = (LIGHT if theme == "light" else DARK)["ink"]
    assert [int(part) for part in re.findall(r"\d+", colour)] == [
        int(ink[i : i + 2], 16) for i in (1, 3, 5)
    ]
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
