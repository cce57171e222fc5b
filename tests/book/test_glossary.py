"""Only the first use of a glossary term in running text becomes a link."""

import types

import glossary
import pytest
from docutils import nodes
from docutils.core import publish_doctree

ENTRIES = {
    "softmax": "Scores to probabilities. Day 29.",
    "softmax regression": "A network without a hidden layer. Day 32.",
    "accuracy": "The share that is right. Day 31.",
    "batch": "Examples taken together. Day 31.",
    "expected calibration error (ECE)": "A gap. Day 32.",
}


def glossary_page():
    entries = nodes.definition_list()
    for word, meaning in ENTRIES.items():
        term = nodes.term(word, word, ids=[f"term-{word.split(' (')[0].replace(' ', '-')}"])
        definition = nodes.definition("", nodes.paragraph(meaning, meaning))
        entries += nodes.definition_list_item("", term, definition)
    return nodes.container("", entries)


def links(text, page="notebooks/day-32-a-page"):
    """The links on a page with one section: [(words, address)]."""
    doctree = publish_doctree(
        f"Page\n====\n\nThe accuracy of what is to come.\n\nSection\n-------\n\n{text}\n\nEnd\n---\n",
        settings_overrides={"doctitle_xform": False},
    )
    app = types.SimpleNamespace(
        env=types.SimpleNamespace(get_doctree=lambda name: glossary_page()),
        builder=types.SimpleNamespace(get_relative_uri=lambda here, there: f"../{there}.html"),
    )
    before = " ".join(doctree.astext().split())
    glossary.link_terms(app, doctree, page)
    assert " ".join(doctree.astext().split()) == before, "a word was lost"
    return [
        (" ".join(link.astext().split()), link["refuri"].partition("#")[2])
        for link in doctree.findall(nodes.reference)
        if "glossary-word" in link["classes"]
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The accuracy, and the accuracy.", [("accuracy", "term-accuracy")]),
        ("*Accuracies* differ.", [("Accuracies", "term-accuracy")]),
        ("Two batches.", [("batches", "term-batch")]),
        ("A softmax\nregression.", [("softmax regression", "term-softmax-regression")]),
        (
            "Softmax regression ends in a softmax.",
            [("Softmax regression", "term-softmax-regression"), ("softmax", "term-softmax")],
        ),
        ("The ECE.", [("ECE", "term-expected-calibration-error")]),
        ("- a batch\n- another", [("batch", "term-batch")]),
        ("Batchwise, minibatch, batch-wise, log-softmax.", []),
        ("``batch`` and :math:`batch` and `batch <http://a.b>`__.", []),
        ("::\n\n  batch", []),
        (".. raw:: html\n\n   <details><summary>batch</summary>\n\nA batch.\n\n"
         ".. raw:: html\n\n   </details>\n\nAccuracy.", [("Accuracy", "term-accuracy")]),
        (".. container:: cell\n\n   Printed: a batch.", []),
        ("batch\n~~~~~\n\nText.", []),
    ],
)  # fmt: skip
def test_only_the_first_use_in_running_text_is_a_link(text, expected):
    assert links(text) == expected


def test_only_days_get_links_and_none_before_the_day_of_the_term():
    text = "The accuracy of a softmax."
    assert links(text, "notebooks/day-29-a-page") == [("softmax", "term-softmax")]
    assert links(text, "setup") == []
