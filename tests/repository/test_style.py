"""Words that make the English sound translated, or that are not the field's terms.

The prose of the notebooks is not checked.
"""

import re

import pytest

from support import ROOT

# What not to write: (pattern, what to write instead).
WORDS = [
    (r"\b(?:un)?mend(?:s|ed|ing)?\b", "fix"),
    (r"\banew\b", "again"),
    (r"\bwhoever\b", "name the subject: 'a learner who …', 'if a source fails, it …'"),
    (r"\bto be had\b|\b(?:can|could)(?: ?not)? be had\b", "available"),
    (r"\bby heart\b", "memorise"),
    (r"\bbut for (?:the|a|its|one|two|three|that|what)\b", "except for"),
    (r"\balso where\b", "even if"),
    (r"\bbuys\b", "gains"),
    (r"\bbends?\b|\bbent\b", "nonlinearity, activation"),
    (r"\bheaps?\b", "group"),
    (r"\brooms\b|\bcellars?\b", "module"),
    (r"\bknown holes?\b|\breport a hole\b", "vulnerability"),
    (r"\bgradients? for the\b", "gradient with respect to the"),
    (r"\bstands? (?:there|beside|behind|below|under)\b", "is"),
    (r"\b(?:come|came|comes) to be\b", "become"),
    (
        r"\b(?:entry|entries|rows?|lines?|values?|steps?|images|bits|points|once) an? "
        r"(?:epoch|model|run|rate|row|page|batch|figure|module|second|minute|step|image|number)\b",
        "per: 'one entry per epoch'",
    ),
]

PLACES = [
    "nnweek/**/*.py", "book/*.md", "book/_ext/*", "book/_static/*.css", "book/_static/*.js",
    "book/web/*.*", "book/web/src/*", "book/web/test/*",
    "tests/**/*.py", ".ci/*", ".github/**/*", "Makefile", "*.md", "*.toml", "*.txt", "_*.yml",
]  # fmt: skip
NOT_PROSE = {"package-lock.json", "test_style.py"}  # the words above are in this file


def hits(text):
    """Yield (line number, what was written, what is better)."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, better in WORDS:
            for found in re.finditer(pattern, line, re.IGNORECASE):
                yield number, found[0], better


@pytest.mark.parametrize("place", PLACES)
def test_text_avoids_words_that_sound_translated(place):
    files = [path for path in ROOT.glob(place) if path.is_file() and path.name not in NOT_PROSE]
    assert files
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word!r}, better: {better}"
        for path in files
        for number, word, better in hits(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


def test_words_are_found_in_sentences():
    sentences = {
        "Load MNIST, from wherever it can be had.": "be had",
        "A list with one entry an epoch.": "entry an epoch",
        "What is wrong and what mends it": "mends",
        "It is the baseline and its fit, but for three lines.": "but for",
    }
    for sentence, word in sentences.items():
        assert any(word in written for _, written, _ in hits(sentence)), sentence
    assert not list(hits("Not for this day but for all days."))
    assert not list(hits("One entry per epoch, and an image a learner recommends."))
