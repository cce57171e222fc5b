"""The workbench of the built site in a real browser: exercises are done where they are read."""

import base64
import io
import json
import re
import zipfile
from importlib import metadata

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from nnweek import checks
from nnweek.checks import progress_store
from support import ROOT, browser, text_of
from support.contents import DAYS, day_page
from support.server import is_of_chromium
from support.site import SITE, html_of

if browser.missing():
    pytest.skip(browser.missing(), allow_module_level=True)

AXE = ROOT / ".ci" / "node_modules" / "axe-core" / "axe.min.js"
PAGE = f"/{day_page(29)}.html"
MOST_BEFORE = 30_000  # bytes that the workbench adds to a page before the first click
MOST_AT_CLICK = 9_000_000  # bytes that the first click fetches, compressed

FORWARD = """def forward(X, W1, b1, W2, b2):
    return np.maximum(0, X @ W1 + b1) @ W2 + b2
"""
BACKWARD = """def backward(X, y, W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = np.maximum(0, z1)
    dscores = softmax(forward(X, W1, b1, W2, b2))
    dscores[np.arange(len(y)), y] -= 1
    dW2, db2, da1 = layer_backward(a1, W2, dscores)
    dW1, db1, _ = layer_backward(X, W1, da1 * (z1 > 0))
    return dW1, db1, dW2, db2
"""
# Part of every page of the site that a test opens: it keeps the worker for the tests, and says
# how many there were; and with `isHurried`, the page waits two seconds instead of five.
KEEP_WORKER = """
const wait = window.setTimeout;
window.setTimeout = (action, time, ...given) =>
  wait(action, time === 5000 && window.isHurried ? 2000 : time, ...given);
const Own = window.Worker;
window.workers = [];
window.Worker = class extends Own {
  constructor(...given) { super(...given); window.workers.push(this); }
};
"""


@pytest.fixture(scope="module")
def server(server):
    assert (SITE / "workbench").exists(), "The site has no editors; its build says what is missing."
    return server


@pytest.fixture(scope="module")
def window(window):
    window.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_WORKER})
    return window


def visit(window, server, page=PAGE):
    window.open(server.address + page)
    window.wait_until("document.querySelector('.exercise[data-live]')")


@pytest.fixture(scope="module")
def before_click(window, server):
    """The requests of a first visit, before anything was clicked."""
    visit(window, server)
    return list(server.requests)


@pytest.fixture(scope="module")
def day(before_click, window, server):
    """Day 29, with Python running after a first click on *Check*."""
    server.requests.clear()
    click(window, "forward", "check")
    verdict(window, "forward")
    return window


@pytest.fixture
def fresh(day, server):
    """Day 29, in which nothing is written; Python is still there."""
    day.execute_script("localStorage.clear();")
    for name in written(day):
        write(day, name, None)
    return day


def card(name):
    return f"document.querySelector('#exercise-{name}')"


def click(window, name, button):
    window.execute_script(f"{card(name)}.querySelector('.workbench-{button}').click();")


def verdict(window, name):
    """Wait until an exercise shows a result; return what it says."""
    window.wait_until(
        f"!{card(name)}.ariaBusy && {card(name)}.querySelector('.workbench-output > *')"
    )
    return window.evaluate(f"{card(name)}.querySelector('.workbench-output').textContent")


def written(window):
    return window.evaluate(
        "[...document.querySelectorAll('.exercise:has(.workbench-editor)')]"
        ".map(card => card.dataset.exercise)"
    )


def write(window, name, code):
    """Write an answer as a reader would; None takes the stub back."""
    if name not in written(window):
        click(window, name, "write")
        window.wait_until(f"{card(name)}.contains(document.activeElement)")
    editor = window.find_element(By.CSS_SELECTOR, f"#exercise-{name} .cm-content")
    window.execute_script(
        "arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus();", editor
    )
    if code is None:
        if (
            window.evaluate(f"{card(name)}.querySelector('.workbench-again').textContent")
            == "Start again"
        ):
            click(window, name, "again")
        return
    editor.send_keys(Keys.CONTROL, "a")
    window.execute_script(
        "document.execCommand('insertText', false, arguments[0]);", code
    )  # as if it were pasted
    window.wait_until(f"{card(name)}.querySelector('.cm-content').innerText.length > 3")


def check(window, name, code):
    """Write an answer and check it; return what the page says."""
    write(window, name, code)
    window.execute_script(f"{card(name)}.querySelector('.workbench-output').replaceChildren();")
    click(window, name, "check")
    return verdict(window, name)


def run(window, name, code):
    write(window, name, code)
    window.execute_script(f"{card(name)}.querySelector('.workbench-output').replaceChildren();")
    click(window, name, "run")
    return verdict(window, name)


# ---- Before the first click ------------------------------------------------------------------


def test_page_is_hardly_heavier_before_the_first_click(before_click):
    fetched = {path.partition("?")[0]: size for path, _, size in before_click}
    scripts = [size for path, size in fetched.items() if re.search(r"/_static/main-\w+\.js", path)]
    assert len(scripts) == 1
    assert sum(scripts) < MOST_BEFORE
    assert not [path for path in fetched if path.startswith(("/workbench", "/sw.js"))]


@pytest.mark.parametrize("name", DAYS)
def test_every_exercise_runs_here_or_offers_colab(name):
    page = html_of(name)
    cards = page.select("section.exercise")
    assert {one.get("data-runs") for one in cards} <= {"browser", "colab"}
    for one in cards:
        offer = one.select_one(".needs-more a")
        assert (offer is None) == (one["data-runs"] == "browser")
        assert offer is None or offer["href"].endswith(f"{name}.ipynb")
    note = page.select(".not-live")
    assert len(note) == any(one["data-runs"] == "browser" for one in cards)


def test_all_exercises_of_the_numpy_days_run_here():
    for name in (day_page(29), day_page(30)):
        runs = [one["data-runs"] for one in html_of(name).select("section.exercise")]
        assert set(runs) == {"browser"}


# ---- The first click -------------------------------------------------------------------------


def test_first_click_fetches_little_and_only_from_here(day, server):
    own = [(path, size) for path, found, size in server.requests if path.startswith("/") and found]
    foreign = [path for path, *_ in server.requests if not path.startswith("/")]
    assert [path for path in foreign if not is_of_chromium(path)] == []
    runtime = {path: size for path, size in own if path.startswith("/workbench/")}
    assert len(runtime) >= 6
    assert sum(runtime.values()) < MOST_AT_CLICK
    assert day.errors() == []


def test_stub_gets_the_verdict_of_a_notebook(day):
    progress_store.forget("forward")
    expected = checks.forward(lambda *args: None)
    shown = verdict(day, "forward")
    assert shown.startswith(expected.title)
    assert expected.hint.splitlines()[0] in shown


def test_answer_passes_from_the_keyboard_alone(fresh, server):
    visit(fresh, server)
    fresh.execute_script(f"{card('forward')}.querySelector('.workbench-write').focus();")
    fresh.press(Keys.ENTER)
    fresh.wait_until(
        f"{card('forward')}.querySelector('.cm-content')?.contains(document.activeElement)"
    )
    # The place to fill in is selected; and "/" does not lead to the search.
    fresh.press("return np.maximum(0, (X @ W1 / 1) + b1) @ W2 + b2")
    fresh.switch_to.active_element.send_keys(Keys.CONTROL, Keys.ENTER)
    fresh.wait_until(f"{card('forward')}.querySelector('.workbench-output .verdict.passed')")
    assert fresh.evaluate("document.activeElement.className").startswith("cm-content")
    assert "passed" in fresh.evaluate(f"{card('forward')}.querySelector('.task-label').textContent")
    # Escape, then Tab, leaves the editor, for the first button below it.
    fresh.press(Keys.ESCAPE, Keys.TAB)
    assert fresh.evaluate("document.activeElement.textContent") == "Check"


def test_hints_go_on_and_lead_to_the_site_own_page(fresh, server):
    wrong = BACKWARD.replace("layer_backward(a1", "layer_backward(0 * a1 + a1")
    first = check(fresh, "backward", wrong)
    assert "no-batch-average" in first
    second = check(fresh, "backward", wrong)
    assert "no-batch-average" in second
    assert second != first
    link = fresh.evaluate(f"{card('backward')}.querySelector('.workbench-output a').href")
    assert link.startswith(f"{server.address}/what-went-wrong.html#")
    assert html_of("what-went-wrong").find(id=link.partition("#")[2])
    # A reload takes up the hints where they were.
    visit(fresh, server)
    third = check(fresh, "backward", wrong)
    assert third not in (first, second)


def test_earlier_answers_and_solutions_are_there_for_later_exercises(fresh):
    right = BACKWARD.replace("] -= 1\n", "] -= 1\n    dscores /= len(y)\n")
    shown = check(fresh, "backward", right)
    assert "The reference solutions are used for" in shown  # nothing is written above
    assert "backward: passed" in shown
    assert "forward: passed" in check(fresh, "forward", FORWARD)
    write(fresh, "forward", "def forward(X, W1, b1, W2, b2):\n    return 1 / 0\n")
    shown = check(fresh, "backward", right)
    assert "Your `forward` does not pass yet" in shown or "Your forward does not" in shown


def test_run_shows_what_is_printed_and_the_last_value(fresh):
    shown = run(fresh, "softmax", "print('one')\nX_toy.shape, np.float64(2)\nchecks.softmax(None)")
    assert shown == "one\n((160, 2), np.float64(2.0))"
    assert "exponentials" in run(fresh, "softmax", "checks.solution('softmax')")


def test_start_again_brings_the_stub_back_and_undo_the_answer(fresh):
    text = f"{card('forward')}.querySelector('.cm-content').innerText"
    check(fresh, "forward", FORWARD)
    click(fresh, "forward", "again")
    fresh.wait_until(f"{text}.includes('# your code')")
    click(fresh, "forward", "again")
    fresh.wait_until(f"{text}.includes('np.maximum')")
    click(fresh, "forward", "again")
    editor = fresh.find_element(By.CSS_SELECTOR, "#exercise-forward .cm-content")
    fresh.execute_script("arguments[0].focus();", editor)
    editor.send_keys(Keys.CONTROL, "z")
    fresh.wait_until(f"{text}.includes('np.maximum')")


# ---- Whatever a learner writes ---------------------------------------------------------------

HARMLESS = {
    "a syntax error": ("def forward(X:\n    pass", "SyntaxError"),
    "an undefined name": ("def forward(*a):\n    return nothing", "NameError"),
    "another name": ("def backward(X):\n    return X", "NameError"),
    "a huge allocation": ("def forward(*a):\n    return np.ones((10**5, 10**5))", "raised"),
    "a growing list": ("def forward(*a):\n    return [0] * 10**10", "raised"),
    "endless recursion": ("def forward(*a):\n    return forward(*a)", "RecursionError"),
    "a flood of prints": (f"print('x' * 10**8)\nfor i in range(10**4):\n    print(i)\n{FORWARD}", "not shown"),
    "an exit": ("def forward(*a):\n    raise SystemExit", "raised"),
    "PyTorch": ("import torch", "The browser has NumPy"),
    "JavaScript": ("import js\njs.postMessage('hello')\n" + FORWARD, "forward: passed"),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_page_answers_to_whatever_is_written(fresh, what):
    code, expected = HARMLESS[what]
    workers = fresh.evaluate("workers.length")
    assert expected in check(fresh, "forward", code)
    assert fresh.evaluate("workers.length") == workers, "Python was started again"
    assert "forward: passed" in check(fresh, "forward", FORWARD)


ENDLESS = {
    "a loop": "def forward(*a):\n    while True:\n        pass",  # with the real limit
    "one that catches": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a closed worker": "import js\njs.self.close()\nwhile True:\n    pass",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_answer_is_stopped_and_kept(fresh, what):
    workers = fresh.evaluate("workers.length")
    fresh.execute_script("window.isHurried = arguments[0];", what != "a loop")
    shown = check(fresh, "forward", ENDLESS[what])
    fresh.execute_script("window.isHurried = false;")
    assert "not yet – raised" in shown
    assert "It was stopped after 5 seconds" in shown
    text = fresh.evaluate(f"{card('forward')}.querySelector('.cm-content').innerText")
    assert "while True" in text
    assert "forward: passed" in check(fresh, "forward", FORWARD)
    assert fresh.evaluate("workers.length") == workers + 1


# ---- For everyone ----------------------------------------------------------------------------


@pytest.mark.skipif(not AXE.exists(), reason=f"`{browser.INSTALL}` installs axe-core")
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation_around_a_check(fresh, width):
    set_width(fresh, width)
    fresh.execute_script(AXE.read_text(encoding="utf-8"))
    try:
        for code in (None, "def forward(*a):\n    return 1", FORWARD):
            if code:
                check(fresh, "forward", code)
            assert violations(fresh) == []
        write(fresh, "forward", f"import time\ntime.sleep(3)\n{FORWARD}")
        click(fresh, "forward", "check")
        fresh.wait_until(f"{card('forward')}.ariaBusy")
        assert violations(fresh) == []
        verdict(fresh, "forward")
    finally:
        set_width(fresh, 1280)


def violations(window):
    """What axe finds in the exercise; in the dark, only the colours can differ."""
    return window.execute_async_script(
        """
        const found = [], done = arguments[0], root = document.documentElement;
        const theme = root.dataset.theme;
        for (const [name, rules] of [["light", {}], ["dark", { runOnly: ["color-contrast"] }]]) {
          if (name === "dark" && innerWidth < 600) continue; // the colours are the same
          root.dataset.theme = name;
          const options = { resultTypes: ["violations"], preload: false, ...rules };
          const { violations } = await axe.run("#exercise-forward", options);
          found.push(...violations.map(v => [v.id, ...v.nodes.map(one => one.html.slice(0, 200))]));
        }
        root.dataset.theme = theme;
        done(found);
        """.join(["(async () => {", "})();"])
    )


def set_width(window, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == 390}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    window.wait_until("document.documentElement.clientWidth === arguments[0]", width)


@pytest.mark.parametrize("width", [390, 640])  # a phone, and 1280 pixels at 200 %
def test_buttons_are_large_and_nothing_is_wider_than_the_screen(fresh, width):
    set_width(fresh, width)
    try:
        check(fresh, "forward", FORWARD + "# " + "a long line " * 20)
        assert fresh.evaluate("document.documentElement.scrollWidth") <= width
        heights = fresh.evaluate(
            f"[...{card('forward')}.querySelectorAll('.workbench-bar button')]"
            ".map(button => button.getBoundingClientRect().height)"
        )
        assert len(heights) == 3
        assert min(heights) >= 44
    finally:
        set_width(fresh, 1280)


def test_verdict_is_announced_and_the_focus_stays(fresh):
    live = f"{card('softmax')}.querySelector('.workbench-output')"
    assert fresh.evaluate(f"{live}.getAttribute('aria-live')") == "polite"
    button = f"{card('softmax')}.querySelector('.workbench-check')"
    fresh.execute_script(f"{button}.focus();")
    fresh.press(Keys.ENTER)
    verdict(fresh, "softmax")
    assert fresh.evaluate(f"document.activeElement === {button}")
    assert fresh.evaluate(f"{live}.querySelector('[role=status]')") is None  # said once


# ---- Kept, offline, and never stale ----------------------------------------------------------


def test_answer_is_there_after_a_reload_and_in_another_tab(fresh, server):
    check(fresh, "forward", FORWARD)
    fresh.wait_until("localStorage['nnweek:1']?.includes('passed')")
    first = fresh.current_window_handle
    fresh.switch_to.new_window("tab")
    try:
        visit(fresh, server)
        shown = f"{card('forward')}.querySelector('.cell_input pre').textContent"
        assert "np.maximum" in fresh.evaluate(shown)
        output = f"{card('forward')}.querySelector('.workbench-output')"
        assert fresh.evaluate(f"{output}.textContent") == "Your last check: passed."
        assert fresh.evaluate(f"{card('forward')}.querySelector('.cell_output').hidden")
        assert "passed" in fresh.evaluate(
            f"{card('forward')}.querySelector('.task-label').textContent"
        )
        assert "cross_entropy: not yet" in check(
            fresh, "cross_entropy", "def cross_entropy(probs, y):\n    return 1.0\n"
        )
        fresh.wait_until("localStorage['nnweek:1'].includes('1.0')")
    finally:
        fresh.close()
        fresh.switch_to.window(first)
    fresh.wait_until(
        f"{card('cross_entropy')}.querySelector('.cell_input').innerText.includes('1.0')"
    )


def test_page_and_python_work_without_a_connection(fresh, server):
    fresh.wait_until("navigator.serviceWorker.controller")
    fresh.wait_until("caches.open('nnweek').then(c => c.match(location.href)).then(Boolean)")
    server.is_down = True
    try:
        visit(fresh, server)
        assert "forward: passed" in check(fresh, "forward", FORWARD)
    finally:
        server.is_down = False


def test_new_release_is_not_hidden_by_the_old_copy(day, server):
    new = (SITE / PAGE[1:]).read_bytes().replace(b"Write the forward pass", b"Write the new pass")
    server.more[PAGE] = new
    try:
        visit(day, server)
        assert "Write the new pass" in day.evaluate(f"{card('forward')}.textContent")
    finally:
        del server.more[PAGE]
    visit(day, server)


def test_page_without_server_or_scripts_says_how_to_get_the_live_one(day, server):
    note = "document.querySelector('.not-live').checkVisibility()"
    assert not day.evaluate(note)
    day.open(f"{SITE.as_uri()}{PAGE}")
    day.wait_until(note)
    assert day.evaluate("document.querySelectorAll('.workbench-bar').length") == 0
    day.errors()
    visit(day, server)
    day.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert day.evaluate(note)
    assert not day.evaluate("document.querySelector('.workbench-bar').checkVisibility()")
    day.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# ---- The same verdicts as in a notebook --------------------------------------------------------

# WebAssembly does not report an overflow to NumPy. kernel.py warns of that of np.exp and its like;
# that of an operator, in a result that is right all the same, stays unseen.
NOT_SEEN = {"test_every_mistake_is_named_in_every_style[sigmoid_grad-overflow-3]"}
RUN_TESTS = """
import base64, io, os, sys, zipfile
from pyodide.http import open_url
archive = io.BytesIO(base64.b64decode(open_url("/tests.txt").read()))
zipfile.ZipFile(archive).extractall("/course")
sys.path[:0] = ["/course/tests", "/course"]
os.chdir("/course")
from support.in_the_browser import main
print(main("tests/checks/test_day29.py", "tests/checks/test_day30.py"))
"""


def archive():
    """The tests of Days 29 and 30, and pytest from this environment."""
    files = {"notebooks/day-30-activations-and-testing.py", "tests/checks/test_day29.py",
             "tests/checks/test_day30.py", *(f"tests/support/{name}.py" for name in
             ("__init__", "in_the_browser", "promises", "submissions"))}  # fmt: skip
    content = {name: text_of(name) for name in files}
    for package in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for file in metadata.files(package):
            name = file.as_posix()
            is_lexer = re.match(r"pygments/lexers/(?!__init__|_mapping|diff|python)", name)
            if re.search(r"\.(py|txt)$|METADATA$", name) and ".." not in name and not is_lexer:
                content[name] = file.read_text(encoding="utf-8")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in content.items():
            file.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.slow
def test_every_test_of_the_numpy_exercises_passes_in_the_browser(day, server):
    """They assert the id of each mistake, so the ids are those of CPython."""
    server.more["/tests.txt"] = base64.b64encode(archive())
    click(day, "forward", "check")  # an earlier test may have loaded the page again
    verdict(day, "forward")
    day.execute_script(
        """
        workers.at(-1).addEventListener("message", ({ data }) => {
          if (data.id === "tests" && !("stopped" in data)) window.answer = data;
        });
        workers.at(-1).postMessage({ id: "tests", request: { cells: [{ source: arguments[0] }] } });
        """,
        RUN_TESTS,
    )
    answer = WebDriverWait(day, 600).until(lambda _: day.evaluate("window.answer"))
    text = answer["result"]["text"]
    assert "passed" in text, text
    found = json.loads(next(line for line in text.splitlines() if line.startswith('{"passed"')))
    names = {re.search(r"::(.+?\])?: ", failure)[1] for failure in found["failed"]}
    assert names == NOT_SEEN, "\n".join(found["failed"])
    assert found["passed"] > 900
    assert found["skipped"] < 50
