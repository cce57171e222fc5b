"""Link the first use of a glossary term on a day's page to its definition.

A notebook contains plain Markdown, so that it also reads well in Colab; the build adds the
links. In the glossary, each definition links to the day that introduces the term.
"""

import re
from itertools import takewhile

import tasks
from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

GLOSSARY = "glossary"
DAY = re.compile(r"Day (\d+)(?=\.$)")  # the end of every definition
# Not running text: a cell's output, a formula, code, a link, a heading, a table's head.
EXCLUDED = (
    nodes.container, nodes.math, nodes.math_block, nodes.literal, nodes.literal_block, nodes.raw,
    nodes.reference, addnodes.pending_xref, nodes.title, nodes.thead, nodes.Invisible,
)  # fmt: skip


def setup(app):
    app.connect("env-get-outdated", outdated_pages)
    app.connect("doctree-resolved", link_days)
    app.connect("doctree-resolved", link_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def day_of(docname):
    """Return the number of the day whose page this is, or None."""
    match = re.match(r"notebooks/day-(\d+)-", docname)
    return int(match[1]) if match else None


def outdated_pages(app, env, added, changed, removed):
    """Return every day's page if the glossary has changed, since its links may change too."""
    return [page for page in env.found_docs if day_of(page) and GLOSSARY in added | changed]


def link_days(app, doctree, docname):
    """Link the day at the end of each definition to its page."""
    if docname != GLOSSARY:
        return
    pages = {day_of(page): page for page in app.env.found_docs}
    for definition in doctree.findall(nodes.definition):
        for paragraph in definition.findall(nodes.paragraph):
            join_texts(paragraph)
        text = list(definition.findall(nodes.Text))[-1]
        day = DAY.search(text)
        if day and int(day[1]) in pages:
            put_link(text, day, app.builder.get_relative_uri(docname, pages[int(day[1])]))
        else:
            message = "A definition must end with the day that introduces the term: «Day 29.»"
            logging.getLogger(__name__).warning(message, location=definition)


def link_terms(app, doctree, docname):
    """Link each glossary term once, at its first use on a day's page.

    No link comes before the day that introduces the term: the word may still have its everyday
    meaning there.
    """
    today = day_of(docname)
    if not today:
        return
    glossary = app.builder.get_relative_uri(docname, GLOSSARY)
    new = {id_: form for id_, form, day in terms(app.env.get_doctree(GLOSSARY)) if day <= today}
    for text in list(running_text(doctree)):
        while matches := {id_: match for id_, form in new.items() if (match := form.search(text))}:
            # The first match, and of several at one place, the longest.
            id_, match = min(matches.items(), key=lambda one: (one[1].start(), -one[1].end()))
            del new[id_]
            text = put_link(text, match, f"{glossary}#{id_}", "glossary-word")


def terms(glossary):
    """Yield (id in the glossary, pattern of its forms, day) for each term."""
    for item in glossary.findall(nodes.definition_list_item):
        words = list(item.findall(nodes.term))
        # "expected calibration error (ECE)" also has two names.
        names = [name.strip() for term in words for name in re.split(r"[()]", term.astext())]
        forms = "|".join(plural(name) for name in names if name)
        pattern = re.compile(rf"(?<![\w-])(?:{forms})(?![\w-])", re.IGNORECASE)
        day = DAY.search(item.astext())
        yield words[0]["ids"][0], pattern, int(day[1]) if day else 0


def plural(word):
    """Return a pattern for a term and its plural, which may contain line breaks."""
    stem, ending = (word[:-1], "(?:y|ies)") if word.endswith("y") else (word, "(?:e?s)?")
    return r"\s+".join(map(re.escape, stem.split())) + ending


def running_text(doctree):
    """Yield the texts in paragraphs of the page's sections, except inside <details>."""
    folds = 0  # how many <details> are open
    for node in doctree.findall():
        if isinstance(node, nodes.raw):
            folds += node.astext().count("<details") - node.astext().count("</details")
        elif isinstance(node, nodes.TextElement):
            join_texts(node)
        elif isinstance(node, nodes.Text) and not folds:
            above = [node]
            while above[-1].parent:
                above.append(above[-1].parent)
            in_a_paragraph = any(isinstance(one, nodes.paragraph) for one in above)
            # The first section is the page itself; before the second one, it is introduced.
            in_a_section = sum(isinstance(one, nodes.section) for one in above) > 1
            # A figure's caption is running text, although it is in the output of a cell.
            around = takewhile(lambda one: not is_caption(one), above)
            excluded = any(isinstance(one, EXCLUDED) for one in around)
            if in_a_paragraph and in_a_section and not excluded:
                yield node


def is_caption(node):
    return isinstance(node, tasks.element) and node["tag"] == "figcaption"


def join_texts(element):
    """Merge adjacent texts, since a term may continue on the next line."""
    for i in reversed(range(1, len(element))):
        if isinstance(element[i - 1], nodes.Text) and isinstance(element[i], nodes.Text):
            element[i - 1 : i + 1] = [nodes.Text(element[i - 1] + element[i])]


def put_link(text, match, uri, *classes):
    """Turn a match in a text into a link; return the text after it, a node of its own."""
    link = nodes.reference("", match[0], refuri=uri, internal=True, classes=list(classes))
    rest = nodes.Text(text[match.end() :])
    text.parent.replace(text, [nodes.Text(text[: match.start()]), link, rest])
    return rest
