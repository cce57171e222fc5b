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

# Sentences that need such a word: {file: [what the line contains]}.
ALLOWED = {
    "tests/repository/test_style.py": [""],  # the list above
}

PLACES = [
    "nnweek/**/*.py", "book/*.md", "book/_ext/*", "book/_static/*.css", "book/_static/*.js",
    "tests/**/*.py", ".ci/*", ".github/**/*", "Makefile", "*.md", "*.toml", "*.txt", "_*.yml",
]  # fmt: skip
FILES = sorted(
    {
        path.relative_to(ROOT).as_posix()
        for place in PLACES
        for path in ROOT.glob(place)
        if path.is_file() and path.name != "package-lock.json"
    }
)


def hits(text):
    """Yield (line number, what was written, what is better)."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, better in WORDS:
            for found in re.finditer(pattern, line, re.IGNORECASE):
                yield number, line, found[0], better


@pytest.mark.parametrize("file", FILES)
def test_text_avoids_words_that_sound_translated(file):
    allowed = ALLOWED.get(file, [])
    text = (ROOT / file).read_text(encoding="utf-8")
    found = [
        f"{file}:{number}: {word!r}, better: {better}"
        for number, line, word, better in hits(text)
        if not any(phrase in line for phrase in allowed)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("Load MNIST, from wherever it can be had.", "be had"),
        ("A list with one entry an epoch.", "entry an epoch"),
        ("What is wrong and what mends it", "mends"),
        ("Not for this day but for all days.", None),
        ("It is the baseline and its fit, but for three lines.", "but for"),
        ("One entry per epoch, and an image a learner recommends.", None),
    ],
)
def test_words_are_found_in_sentences(sentence, word):
    found = [written for _, _, written, _ in hits(sentence)]
    assert bool(found) == bool(word)
    assert all(word in written for written in found)
