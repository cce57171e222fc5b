"""Search: what the build collects of a page, and what it leaves to Sphinx."""

import json
from pathlib import Path
from types import SimpleNamespace

import search

PAGE = """<html><body><article><h1>Day 29<a class="headerlink">#</a></h1>
<section id="day-29"><h1>Day 29<a class="headerlink">#</a></h1><p>First words.</p>
<div class="cell"><div class="cell_input"><pre>x = 1</pre></div></div>
<section id="put-it-together"><span id="exercise-forward"></span><h2>Put it together</h2><section class="exercise"><p>The task.</p>
<details class="solution"><p>The answer.</p></details></section></section>
</section></article></body></html>"""
GLOSSARY = """<article><h1>Glossary</h1><section id="glossary"><h1>Glossary</h1>
<dl class="glossary"><dt id="term-a">logit</dt><dt id="term-b">logits</dt><dd>Scores.</dd></dl>
</section></article>"""
SEARCH = """<head><script defer src="_static/searchtools.js?v=1"></script>
<script src="_static/language_data.js"></script><script defer src="searchindex.js"></script></head>"""


def entries(tmp_path, text, address):
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    return {one["url"]: one for one in search.sections(file, Path(address))}


def test_every_section_is_an_entry_with_its_own_words(tmp_path):
    found = entries(tmp_path, PAGE, "notebooks/day-29.html")
    assert list(found) == [f"notebooks/day-29.html#{id_}" for id_ in ("day-29", "exercise-forward")]
    first, second = found.values()
    assert first == {
        "url": "notebooks/day-29.html#day-29", "title": "Day 29", "page": "Day 29",
        "text": "First words.", "code": "x = 1", "weight": 1,
    }  # fmt: skip
    assert second["title"] == "Put it together"


def test_no_entry_has_the_answer_of_an_exercise(tmp_path):
    assert "answer" not in json.dumps(entries(tmp_path, PAGE, "notebooks/day-29.html"))


def test_every_term_of_the_glossary_is_an_entry(tmp_path):
    found = entries(tmp_path, GLOSSARY, "glossary.html")
    assert found["glossary.html#term-a"]["title"] == "logit"
    assert found["glossary.html#term-b"]["text"] == "Scores."
    assert found["glossary.html#term-a"]["weight"] > 1


def built(site, **files):
    (site / "_static").mkdir()
    (site / "index.html").write_text(PAGE, encoding="utf-8")
    (site / "search.html").write_text(SEARCH, encoding="utf-8")
    for name in files.values():
        (site / "_static" / name).touch()
    app = SimpleNamespace(
        outdir=site,
        builder=SimpleNamespace(name="html"),
        env=SimpleNamespace(found_docs={"index"}),
    )
    search.replace_search(app, None)
    return (site / "search.html").read_text(encoding="utf-8")


def test_search_page_gets_our_scripts_in_place_of_sphinx(tmp_path):
    page = built(tmp_path, script="search-ABC.js")
    (sections,) = tmp_path.glob("_static/sections-*.js")
    assert page.count("<script") == 2
    assert page.index(sections.name) < page.index("search-ABC.js"), "the sections come first"


def test_search_of_sphinx_remains_without_node(tmp_path):
    assert built(tmp_path) == SEARCH
    assert not list(tmp_path.glob("_static/sections-*.js"))
