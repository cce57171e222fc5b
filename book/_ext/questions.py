"""Every question of the week outside its page: for the review in the browser, and for Anki.

Once Sphinx has written the days, this extension reads their questions, and writes

- `week.json`, which `book/web/src/week.js` fetches when a reader opens the review or downloads
  their answers: what a page has to know of the other days;
- `nnweek-questions.apkg`, a deck for Anki with one card per question.

Their formulas are MathML or TeX, because the drawings share glyphs that only their page has.
"""

import ast
import json
import re
from pathlib import Path

import genanki
from bs4 import BeautifulSoup
from wayfinding import ROOT, days

from nnweek.checks import EXERCISES, solutions

MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)  # %load_ext, !pip: not Python
WEEK = "week.json"
DECK = "nnweek-questions.apkg"


def setup(app):
    app.connect("build-finished", write_questions, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_questions(app, exception):
    """Write both files beside the pages, unless the build failed or makes no site."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    pages = {page: (site / f"{page}.html").read_text("utf-8") for page, _ in days(app.env)}
    titles = dict(days(app.env))
    week = {day_of(page): facts_of(page, titles[page], text) for page, text in pages.items()}
    (site / WEEK).write_text(json.dumps(week, ensure_ascii=False), encoding="utf-8")
    deck(week, app.config.html_baseurl).write_to_file(site / DECK)


def day_of(page):
    """Return day-29 of notebooks/day-29-two-layer-network."""
    return "-".join(page.rpartition("/")[2].split("-")[:2])


def facts_of(page, title, text):
    """Return what other pages have to know of a day."""
    article = BeautifulSoup(text, "html.parser").article
    for drawing in article.select(".math > svg"):
        drawing.decompose()
    for link in article.select('a[href^="#"]'):
        link["href"] = f"{page.rpartition('/')[2]}.html{link['href']}"
    number = int(day_of(page).removeprefix("day-"))
    exercises = [name for name, one in EXERCISES.items() if one.day == number]
    return {
        "page": f"{page}.html",
        "title": title,
        "imports": imports_of(page),
        "exercises": exercises,
        "solutions": [name for name in exercises if name in vars(solutions)],
        "questions": [str(card) for card in article.select(".question")],
        "predictions": [with_tex(block).get_text().strip() for block in article.select(".prediction > p")],
    }  # fmt: skip


def imports_of(page):
    """Return the imports of a day's notebook as text, except for those in functions."""
    cells = json.loads((ROOT / f"{page}.ipynb").read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    found = [
        ast.unparse(one)
        for text in code
        for one in ast.parse(MAGIC.sub("", text)).body
        if isinstance(one, (ast.Import, ast.ImportFrom))
    ]
    return "\n".join(dict.fromkeys(found))


def with_tex(element, opening="$", closing="$"):
    """Return an element with its formulas in TeX."""
    element = BeautifulSoup(str(element), "html.parser")
    for formula in element.select(".math"):
        formula.replace_with(opening + formula.math["alttext"] + closing)
    return element


# Anki knows a note and its kind by these numbers, so a newer deck updates an older one.
MODEL, CARDS = 1_729_290_000, 1_729_290_001
STYLE = """
.card { max-width: 36em; margin: auto; font: 1.1em/1.5 sans-serif; text-align: start; }
ol { padding-left: 1.5em; } li { margin: 0.4em 0; } .right { font-weight: bold; }
"""


def deck(week, address):
    """Return a deck with every question: options in front, reasons behind."""
    model = genanki.Model(
        MODEL,
        "nnweek question",
        fields=[{"name": name} for name in ("Question", "Answer", "Source")],
        templates=[
            {
                "name": "Question",
                "qfmt": "{{Question}}",
                "afmt": "{{Question}}<hr id=answer>{{Answer}}<p>{{Source}}</p>",
            }
        ],
        css=STYLE,
    )
    cards = genanki.Deck(CARDS, "Week 5 – Neural Networks")
    for day, facts in week.items():
        for number, card in enumerate(facts["questions"], start=1):
            source = f'<a href="{address}{facts["page"]}#question-{number}">{facts["title"]}</a>'
            cards.add_note(
                genanki.Note(
                    model,
                    fields=[*sides(card), source],
                    guid=genanki.guid_for("nnweek", day, number),
                    tags=[day],
                )
            )
    return genanki.Package(cards)


def sides(card):
    """Return a question with its options, and the reasons, as HTML for Anki."""
    card = with_tex(card, r"\(", r"\)")
    for link in card.select("a[href]"):
        link.unwrap()
    reasons = card.select_one(".reasons").extract()
    card.select_one(".answer").decompose()
    for text in reasons.select(".right > p"):
        text.insert(0, "✓ ")
    return card.decode_contents(), str(reasons)
