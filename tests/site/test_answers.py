"""Questions, predictions and what is kept of them, in a real browser on the built site.

What the modules compute is tested by `node --test` in book/web; here a reader clicks and types.
One window shows all pages; a test begins with an empty storage.
"""

import contextlib
import json
import re
import sqlite3
import zipfile

import nbformat
import pytest
from selenium.webdriver.common.keys import Keys

from nnweek import checks
from nnweek.checks import EXERCISES
from nnweek.commands.grade import grade
from support import ROOT, browser
from support.contents import day_page
from support.notebooks import every_day, exercises
from support.site import SITE, html_of, read

if browser.missing():
    pytest.skip(browser.missing(), allow_module_level=True)
if not list(SITE.glob("_static/main-*.js")):
    pytest.skip("the site was built without its workbench", allow_module_level=True)

AXE = ROOT / ".ci" / "node_modules" / "axe-core" / "axe.min.js"
KEY = "nnweek:1"
DAY = 24 * 60 * 60 * 1000  # milliseconds
SCREEN, PHONE = 1280, 390


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def window(server, folder):
    with browser.browser() as window:
        window.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        window.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )
        yield window


@pytest.fixture
def page(window, server):
    """Opens a page: open(day) as it is, open(day, records) with what was done before."""

    def show(day, records=None):
        name = day_page(day) if isinstance(day, int) else day
        window.get(f"{server.address}/_static/documentation_options.js")  # of the same origin
        if records is not None:
            text = json.dumps({path: {"at": 1, **record} for path, record in records.items()})
            window.execute_script("localStorage.setItem(arguments[0], arguments[1])", KEY, text)
        window.get(f"{server.address}/{name}.html")
        window.wait_until("document.querySelector('.your-answers, .day')")
        return window

    show.address = server.address
    yield show
    window.get("about:blank")  # a page that is left may still save something
    window.execute_cdp_cmd(
        "Storage.clearDataForOrigin", {"origin": server.address, "storageTypes": "all"}
    )


@contextlib.contextmanager
def before_every_page(window, script):
    """Run a script in every page before its own."""
    added = window.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        window.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def kept(window):
    return json.loads(window.evaluate("localStorage.getItem(arguments[0])", KEY) or "{}")


def text(window, selector):
    """The words of the first element; an empty text if it is hidden."""
    words = window.evaluate(
        "document.querySelector(arguments[0])?.checkVisibility()"
        " ? document.querySelector(arguments[0]).textContent : ''",
        selector,
    )
    return " ".join(words.split())


def click(window, selector):
    window.execute_script("document.querySelector(arguments[0]).click()", selector)


def choose(window, question, letter):
    click(window, f"{question} input[value={letter}]")
    click(window, f"{question} [type=submit]")


def key_of(day, number):
    return html_of(day_page(day)).select_one(f"#question-{number}")["data-answer"]


def other_than(letter):
    return "b" if letter == "a" else "a"


# ---- Questions ----------------------------------------------------------------------------------


def test_question_is_answered_by_keyboard_and_its_outcome_read(page):
    window, right = page(29), key_of(29, 1)
    assert not text(window, "#question-1 .reason"), "an answer is in sight of the question"
    assert not window.find_elements("css selector", ".question .answer")
    window.execute_script("document.querySelector('#question-1 input').focus()")
    window.press(*[Keys.ARROW_DOWN] * "abcdefgh".index(right))
    if right == "a":
        window.press(Keys.SPACE)
    window.press(Keys.TAB)
    assert window.evaluate("document.activeElement.textContent") == "Check"
    window.press(Keys.ENTER)
    assert window.evaluate("document.activeElement.className") == "outcome"
    assert text(window, "#question-1 .outcome") == f"Right: {right}."
    assert text(window, "#question-1 .right .outcome-mark") == "✓ right, your answer"
    reasons = window.find_elements("css selector", "#question-1 .reason")
    assert all(reason.is_displayed() and reason.text for reason in reasons)


def test_only_missed_questions_are_asked_again(page):
    window = page(29)
    missed, right = key_of(29, 1), key_of(29, 2)
    choose(window, "#question-1", other_than(missed))
    choose(window, "#question-2", right)
    assert text(window, "#question-1 .missed .outcome-mark") == "✗ your answer"
    assert text(window, "#question-1 .right .outcome-mark") == "✓ right"
    again = ".question + .task-button"
    assert text(window, again) == "Ask the missed one again"
    click(window, again)
    assert not text(window, "#question-1 .outcome")
    assert not text(window, again)
    assert not text(window, "#question-1 .reason")
    assert text(window, "#question-2 .outcome"), "a right one is asked again"
    assert window.evaluate("document.activeElement.name") == "question-1-choice"
    choose(window, "#question-1", missed)
    record = kept(window)["questions/day-29/1"]
    assert [answer["right"] for answer in record["history"]] == [False, True]


def test_check_without_a_choice_leads_to_the_options(page):
    window = page(29)
    click(window, "#question-1 [type=submit]")
    assert window.evaluate("document.activeElement.value") == "a"
    assert kept(window) == {}


def test_answer_survives_a_reload_unless_the_question_changed(page):
    window = page(29)
    choose(window, "#question-1", key_of(29, 1))
    page(29)
    assert text(window, "#question-1 .outcome").startswith("Right")
    records = kept(window)
    records["questions/day-29/1"]["of"] = "another text"
    page(29, records)
    assert not text(window, "#question-1 .outcome")


@every_day
def test_every_question_and_prediction_takes_an_answer(day, page):
    window, html = page(day), html_of(day_page(day))
    live = window.evaluate("document.querySelectorAll('.question.live').length")
    assert live == len(html.select(".question"))
    predictions = [one for one in html.select(".prediction") if has_result(html, one)]
    assert window.evaluate("document.querySelectorAll('form.predict').length") == len(predictions)
    options = html.select(".question .options > li")
    assert window.evaluate("document.querySelectorAll('.question .reason').length") == len(options)
    assert window.evaluate("document.querySelectorAll('.reason:empty').length") == 0


def has_result(html, prediction):
    return html.find(id=prediction["data-answered-by"]).select("details.result")


# ---- Predictions --------------------------------------------------------------------------------


def field(number):
    return f"#prediction-{number}-field"


def test_prediction_is_kept_and_shown_beside_the_result(page):
    window = page(29)
    assert not window.evaluate("document.querySelector('#answer-2 .result').open")
    window.execute_script("document.querySelector(arguments[0]).focus()", field(2))
    window.press("the one of <W1>")
    window.press(Keys.ENTER)
    said = "You predicted: “the one of <W1>”"
    assert window.evaluate("document.querySelector('#answer-2 .result').open")
    assert text(window, "#answer-2 .predicted") == said.replace("“", '"').replace("”", '"') or said
    assert "<W1>" in text(window, "#answer-2 .predicted")
    assert window.evaluate("document.activeElement.className") == "predicted"
    page(29)
    assert text(window, "#answer-2 .predicted").startswith("You predicted:")
    assert window.evaluate("document.querySelector('#answer-2 .result').open")
    click(window, "#prediction-2 .text-button")
    assert not window.evaluate("document.querySelector('#answer-2 .result').open")
    assert window.evaluate("document.activeElement.id") == field(2)[1:]
    window.press("another")
    click(window, "#prediction-2 [type=submit]")
    record = kept(window)["predictions/day-29/2"]
    assert [one["answer"] for one in record["history"]] == ["the one of <W1>", "another"]


def test_prediction_that_is_not_submitted_survives_a_reload(page):
    window = page(29)
    window.execute_script("document.querySelector(arguments[0]).focus()", field(2))
    window.press("half a")
    page(29)
    assert not window.evaluate("document.querySelector('#answer-2 .result').open")
    assert window.evaluate(f"document.querySelector('{field(2)}').value") == "half a"
    click(window, "#prediction-2 [type=submit]")
    assert kept(window)["predictions/day-29/2"]["answer"] == "half a"


def test_result_opens_without_a_prediction_and_late_ones_are_named(page):
    window = page(29)
    click(window, "#prediction-2 [type=submit]")
    assert window.evaluate("document.querySelector('#answer-2 .result').open")
    assert kept(window) == {}
    window.execute_script("document.querySelector(arguments[0]).focus()", field(2))
    window.press("as I see it", Keys.ENTER)
    assert text(window, "#answer-2 .predicted").startswith("Having seen the result, you wrote:")


def test_prediction_asks_for_a_number_or_a_choice(page):
    window = page(29)
    number = window.evaluate("document.querySelector('[data-asks=number]').id")
    assert window.evaluate(f"document.querySelector('#{number}-field').inputMode") == "decimal"
    choice = window.evaluate("document.querySelector('.prediction:has(.options)').id")
    click(window, f"#{choice} input[value=b]")
    click(window, f"#{choice} [type=submit]")
    words = html_of(day_page(29)).select_one(f"#{choice} [data-option=b]").get_text().strip()
    assert words in text(window, f"#{choice} .predicted")
    assert kept(window)[f"predictions/day-29/{choice.rpartition('-')[2]}"]["answer"] == "b"


def test_field_of_a_prediction_comes_after_its_list_of_cases(page):
    window = page(29)
    around = "document.querySelector('.prediction.continued').{}ElementSibling"
    assert window.evaluate(around.format("previous") + ".tagName") == "UL"
    assert window.evaluate(around.format("next") + ".matches('div.cell')")


# ---- What is kept -------------------------------------------------------------------------------


def test_progress_is_one_line_once_something_was_tried(page):
    window = page(29)
    line = "article .progress-line"
    assert not text(window, line)
    choose(window, "#question-1", key_of(29, 1))
    questions = len(html_of(day_page(29)).select(".question"))
    posed = sum(exercise.day == 29 for exercise in EXERCISES.values())
    words = f"0 of {posed} exercises, 1 of {questions} questions"
    assert text(window, line) == f"So far: {words}."
    page("index")
    cards = ".day[data-day=day-{}] .progress-line"
    assert text(window, cards.format(29)) == words
    assert not text(window, cards.format(30))


def test_two_tabs_show_the_same_answers(page, window):
    page(29)
    first = window.current_window_handle
    window.switch_to.new_window("tab")
    try:
        page(29)
        choose(window, "#question-1", key_of(29, 1))
        second = window.current_window_handle
        window.switch_to.window(first)
        window.wait_until("document.querySelector('#question-1.answered')")
        choose(window, "#question-2", key_of(29, 2))
        window.switch_to.window(second)
        window.wait_until("document.querySelector('#question-2.answered')")
        assert {"questions/day-29/1", "questions/day-29/2"} <= kept(window).keys()
        window.close()
    finally:
        window.switch_to.window(first)


REFUSALS = {
    "switched off": "Object.defineProperty(window, 'localStorage', {get() {throw new DOMException('no', 'SecurityError')}})",
    "full": "Storage.prototype.setItem = () => {throw new DOMException('full', 'QuotaExceededError')}",
}


@pytest.mark.parametrize("how", REFUSALS)
def test_everything_works_without_a_storage(how, page, window, server):
    with before_every_page(window, REFUSALS[how]):
        window.get(f"{server.address}/{day_page(29)}.html")
        window.wait_until("document.querySelector('.your-answers')")
        choose(window, "#question-1", key_of(29, 1))
        assert text(window, "#question-1 .outcome").startswith("Right")
        said = text(window, "article .progress-line")
        assert said.endswith("they are lost when you close the page.")


def test_answers_of_a_newer_release_stay_untouched(page, window):
    page(29)
    window.execute_script("localStorage.setItem('nnweek:2', '{\"new\": 1}')")
    page(29)
    choose(window, "#question-1", key_of(29, 1))
    assert text(window, "#question-1 .outcome")
    assert window.evaluate("localStorage.getItem('nnweek:2')") == '{"new": 1}'
    assert window.evaluate("localStorage.getItem('nnweek:1')") is None


# ---- Review -------------------------------------------------------------------------------------


def answered(right, at=1):
    return {"choice": "a", "right": right, "history": [{"choice": "a", "right": right, "at": at}]}


def test_review_offers_missed_and_due_questions_of_earlier_days(page, window, server):
    now = 1_800_000_000_000
    clock = "{{ const at = {}; Date.now = () => at; }}"
    done = {
        "questions/day-29/1": answered(False, now),
        "questions/day-29/2": answered(True, now),
        "questions/day-30/1": answered(False, now),
    }
    with before_every_page(window, clock.format(now)):
        page(29, done)
        assert not window.find_elements("css selector", ".review"), "no day comes before this one"
        page(30)
        assert text(window, ".review summary") == "Before you start: a question from earlier days"
    with before_every_page(window, clock.format(now + DAY)):
        server.requests.clear()
        page(30)
        assert "/week.json" not in [path for path, *_ in server.requests], (
            "fetched before it is needed"
        )
        assert "2 questions" in text(window, ".review summary")
        click(window, ".review summary")
        window.wait_until("document.querySelectorAll('.review .question.live').length === 2")
        assert text(window, ".review .from").startswith("From Day 29")
        assert not text(window, ".review .outcome")
        choose(window, "#review-day-29-1", key_of(29, 1))
        record = kept(window)["questions/day-29/1"]
        assert [one["right"] for one in record["history"]] == [False, True]
        assert record["history"][-1]["at"] == now + DAY
    ids = window.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    page(29)
    assert text(window, "#question-1 .outcome").startswith("Right"), "not the same question"


def test_review_without_a_connection_says_so(page, window, server):
    page(30, {"questions/day-29/1": answered(False)})
    server.is_down = True
    try:
        click(window, ".review summary")
        window.wait_until("document.querySelector('.review [role=status]')")
        assert "Are you offline?" in text(window, ".review [role=status]")
    finally:
        server.is_down = False


def test_review_knows_every_question_of_the_week(server):
    week = json.loads(read("week.json"))
    for day, facts in week.items():
        number = int(day.removeprefix("day-"))
        assert facts["page"] == f"{day_page(number)}.html"
        cards = html_of(day_page(number)).select(".question")
        assert len(facts["questions"]) == len(cards)
        for html, card in zip(facts["questions"], cards, strict=True):
            assert "<svg" not in html
            assert html.count("<math") == len(card.select("math"))
            assert 'href="#' not in html


# ---- Files --------------------------------------------------------------------------------------


def download(window, folder, button, name):
    file = folder / name
    file.unlink(missing_ok=True)
    window.execute_script("document.querySelector('.your-answers').open = true")
    window.execute_script(
        "[...document.querySelectorAll('.your-answers button')]"
        ".find(one => one.textContent === arguments[0]).click()",
        button,
    )
    for _ in range(300):
        if file.exists() and file.stat().st_size:
            return file
        window.evaluate("new Promise(done => setTimeout(done, 100))")
    raise AssertionError(
        f"{name} was not downloaded: {text(window, '.your-answers [role=status]')}"
    )


def submissions():
    """{exercise: the cell as a reader leaves it}: solutions, some with a mistake, and a stub."""
    cells = {}
    for day in (29, 30):
        for name, cell, below in exercises(day):
            solution = below.partition("<summary>A solution</summary>")[2].partition("</details>")[
                0
            ]
            code = "\n\n\n".join(re.findall(r"```python\n(.*?)```", solution, re.DOTALL))
            call = "" if "checks." in code else f"\n\n{cell.source.splitlines()[-1]}"
            cells[name] = f"{code}{call}"
    cells["cross_entropy"] = next(c.source for n, c, _ in exercises(29) if n == "cross_entropy")
    cells["layer_backward"] = "def layer_backward(:\n"
    del cells["softmax"]  # `backward` needs it
    slip = next(one.slip for one in EXERCISES["backward"].mistakes if one.slip)
    assert slip[0] in cells["backward"]
    cells["backward"] = cells["backward"].replace(*slip)
    return cells


def test_downloads_get_the_verdicts_of_the_same_cells(page, window, folder):
    cells = submissions()
    page(30, {f"exercises/{name}": {"code": code, "tried": 1} for name, code in cells.items()})
    expected = verdicts(cells)
    assert expected["cross_entropy"] == "not-attempted"
    assert expected["backward"] not in ("passed", "raised", "not-attempted")
    assert sum(one == "passed" for one in expected.values()) > 12
    for button, name in {
        "Download a notebook": "nnweek-answers.ipynb",
        "Download a Python file": "nnweek-answers.py",
    }.items():
        file = download(window, folder, button, name)
        if file.suffix == ".ipynb":
            nbformat.validate(nbformat.read(file, as_version=4))
        found = {one: ids(verdict) for one, verdict in grade(file).items()}
        assert found == expected, name


def ids(verdict):
    return "passed" if verdict.passed else verdict.mistake


def verdicts(cells):
    """Run each cell in turn, as a kernel would."""
    import numpy as np

    from nnweek.checks import solutions

    found = {}
    for name, code in cells.items():
        names = dict(vars(solutions)) | {"np": np, "checks": checks}
        body, _, call = code.rpartition("\nchecks.")
        with contextlib.suppress(SyntaxError):
            exec(body, names)
            found[name] = ids(eval(f"checks.{call.strip()}", names))
    return found


def test_another_browser_takes_the_answers(page, window, folder):
    page(29)
    choose(window, "#question-1", other_than(key_of(29, 1)))
    file = download(window, folder, "Download for another browser", "nnweek-answers.json")
    records = kept(window)
    mine = {"questions/day-29/2": {"at": 9**13, "choice": "a", "right": True}}
    page(29, mine)
    heard = ".your-answers [role=status]"
    window.execute_script("document.querySelector('.your-answers').open = true")
    entry = window.find_element("css selector", ".your-answers [type=file]")
    entry.send_keys(str(file))
    window.wait_until("document.querySelector(arguments[0]).textContent", heard)
    assert text(window, heard).startswith("1 answer was added.")
    assert kept(window) == mine | records
    assert text(window, "#question-1 .outcome").startswith("Not right.")
    wrong = folder / "wrong.json"
    wrong.write_text('{"cells": []}')
    entry.send_keys(str(wrong))
    window.wait_until(
        "document.querySelector(arguments[0]).textContent.includes('notebook')", heard
    )
    assert kept(window) == mine | records


def test_deck_for_anki_holds_every_question_once(tmp_path):
    with zipfile.ZipFile(SITE / "nnweek-questions.apkg") as deck:
        deck.extract("collection.anki2", tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "collection.anki2")) as base:
        notes = base.execute("SELECT flds, guid FROM notes").fetchall()
    week = json.loads(read("week.json"))
    assert len(notes) == sum(len(day["questions"]) for day in week.values()) > 40
    assert len({guid for _, guid in notes}) == len(notes)
    for fields, _ in notes:
        front, back, source = fields.split("\x1f")
        assert "reasons" not in front
        assert "✓" in back
        assert "<a href=" in source
        assert "<math" not in fields
        assert "<svg" not in fields
        assert "<input" not in fields


# ---- For everyone -------------------------------------------------------------------------------


@pytest.mark.skipif(not AXE.exists(), reason=f"axe-core is missing; `{browser.INSTALL}`")
@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_axe_finds_nothing_before_and_after_an_answer(width, page, window):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page(30, {"questions/day-29/1": answered(False)})
        window.execute_script(AXE.read_text(encoding="utf-8"))
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        assert axe(window) == []
        click(window, ".review summary")
        window.wait_until("document.querySelector('.review .question.live')")
        choose(window, "#question-1", other_than(key_of(30, 1)))
        choose(window, "#question-2", key_of(30, 2))
        window.execute_script("document.querySelector('.predict textarea').value = 'up'")
        window.execute_script("document.querySelector('.predict:has(textarea)').requestSubmit()")
        window.execute_script("document.querySelector('.your-answers').open = true")
        window.execute_script(ALL_IS_NEAR)  # axe judges no colour of what is not laid out
        assert axe(window) == []
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        if width == PHONE:
            assert window.evaluate(SMALL) == []
    finally:
        window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


ALL_IS_NEAR = """document.head.append(Object.assign(document.createElement("style"),
    {textContent: "* { content-visibility: visible !important; transition: none !important; }"}))"""
OWN = [".question", ".prediction", ".review", ".your-answers", ".progress-line", ".predicted"]
# What a finger has to hit: at least 44 pixels high.
SMALL = """[...document.querySelectorAll('.options label, .task-button, .predict textarea,'
    + '.text-button, .your-answers input, .review > summary')]
    .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 44)
    .map(one => one.outerHTML.slice(0, 100))"""


def axe(window):
    found = []
    themes = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
    if window.evaluate("innerWidth") == PHONE:
        del themes["dark"]  # the colours are those of the wide page
    for theme, rules in themes.items():
        found += window.execute_script(
            "document.documentElement.dataset.theme = arguments[0];"
            "return axe.run({include: arguments[1].filter(one => document.querySelector(one))},"
            "{resultTypes: ['violations'], preload: false, ...arguments[2]}).then(found =>"
            "found.violations.map(v => [v.id, v.help, ...v.nodes.map(n => n.html.slice(0, 200))]));",
            theme,
            OWN,
            rules,
        )
    return found
