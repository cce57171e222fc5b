"""The first use of a glossary's word on a day's page is a link to what it means.

A notebook holds plain Markdown, so that it reads well in Colab, too; the links are made when
the book is built. In the glossary, each word leads back to the day that introduces it.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

GLOSSARY = "glossary"
DAY = re.compile(r"Day (\d+)(?=\.$)")  # how every definition ends
# No running text: what a cell shows, a formula, code, a link, a heading, a table's head.
APART = (
    nodes.container, nodes.math, nodes.math_block, nodes.literal, nodes.literal_block, nodes.raw,
    nodes.reference, addnodes.pending_xref, nodes.title, nodes.thead, nodes.Invisible,
)  # fmt: skip


def setup(app):
    app.connect("env-get-outdated", pages_to_read_again)
    app.connect("doctree-resolved", link_the_days)
    app.connect("doctree-resolved", link_the_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def day_of(docname):
    """The number of the day whose page this is, or None."""
    found = re.match(r"notebooks/day-(\d+)-", docname)
    return int(found[1]) if found else None


def pages_to_read_again(app, env, added, changed, removed):
    """Where the glossary changed, the links to it may."""
    return [page for page in env.found_docs if day_of(page) and GLOSSARY in added | changed]


def link_the_days(app, doctree, docname):
    """Make the day at the end of each definition a link to its page."""
    if docname != GLOSSARY:
        return
    pages = {day_of(page): page for page in app.env.found_docs}
    for definition in doctree.findall(nodes.definition):
        for paragraph in definition.findall(nodes.paragraph):
            join_texts(paragraph)
        text = list(definition.findall(nodes.Text))[-1]
        day = DAY.search(text)
        if day and int(day[1]) in pages:
            uri = app.builder.get_relative_uri(docname, pages[int(day[1])])
            put_link(text, day, uri)
        else:
            message = "a definition has to end with the day that introduces the word: «Day 29.»"
            logging.getLogger(__name__).warning(message, location=definition)


def link_the_words(app, doctree, docname):
    """Link each word of the glossary once, where it is first read on the page of a day.

    A word is linked from the day that introduces it on: before that, it may mean something else.
    """
    today = day_of(docname)
    if not today:
        return
    glossary = app.builder.get_relative_uri(docname, GLOSSARY)
    new = {id_: form for id_, form, day in words(app.env.get_doctree(GLOSSARY)) if day <= today}
    for text in list(running_text(doctree)):
        while found := {id_: match for id_, form in new.items() if (match := form.search(text))}:
            # The first, and of those that begin there, the longest.
            id_, match = min(found.items(), key=lambda one: (one[1].start(), -one[1].end()))
            del new[id_]
            text = put_link(text, match, f"{glossary}#{id_}", "glossary-word")


def words(glossary):
    """Yield (the place in the glossary, a pattern of the word's forms, its day) for each word."""
    for item in glossary.findall(nodes.definition_list_item):
        terms = list(item.findall(nodes.term))
        # Also "expected calibration error (ECE)" has two names.
        names = [name.strip() for term in terms for name in re.split(r"[()]", term.astext())]
        forms = "|".join(plural(name) for name in names if name)
        pattern = re.compile(rf"(?<![\w-])(?:{forms})(?![\w-])", re.IGNORECASE)
        day = DAY.search(item.astext())
        yield terms[0]["ids"][0], pattern, int(day[1]) if day else 0


def plural(word):
    """A pattern for a word and its plural, wherever its lines break."""
    stem, ending = (word[:-1], "(?:y|ies)") if word.endswith("y") else (word, "(?:e?s)?")
    return r"\s+".join(map(re.escape, stem.split())) + ending


def running_text(doctree):
    """Yield the texts of the page's sections that stand in a paragraph and not behind a click."""
    behind = 0
    for node in doctree.findall():
        if isinstance(node, nodes.raw):
            behind += node.astext().count("<details") - node.astext().count("</details")
        elif isinstance(node, nodes.TextElement):
            join_texts(node)
        elif isinstance(node, nodes.Text) and not behind:
            above = list(ancestors(node))
            in_a_paragraph = any(isinstance(one, nodes.paragraph) for one in above)
            # The first section is the page itself: before the second one it says what is to come.
            in_a_section = sum(isinstance(one, nodes.section) for one in above) > 1
            if in_a_paragraph and in_a_section and not any(isinstance(one, APART) for one in above):
                yield node


def join_texts(element):
    """Make one text of those that follow each other: a word may go on in the next line."""
    for i in reversed(range(1, len(element))):
        if isinstance(element[i - 1], nodes.Text) and isinstance(element[i], nodes.Text):
            element[i - 1 : i + 1] = [nodes.Text(element[i - 1] + element[i])]


def ancestors(node):
    while node := node.parent:
        yield node


def put_link(text, match, uri, *classes):
    """Make what was matched in a text a link; return the text after it, a node of its own."""
    link = nodes.reference("", match[0], refuri=uri, internal=True, classes=list(classes))
    rest = nodes.Text(text[match.end() :])
    text.parent.replace(text, [nodes.Text(text[: match.start()]), link, rest])
    return rest
