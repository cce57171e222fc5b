"""Print on consoles that lack some characters, such as ✓ under Windows' code page 1252."""

import codecs
import sys
import unicodedata

REPLACE = "nnweek.replace"  # the name of the error handler for encoding
_ASCII = {
    "✓": "+", "✗": "x", "○": "o", "·": "-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...",
    "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "‖": "||", "“": '"', "”": '"', "’": "'",
}  # fmt: skip


def _replace(error):
    """Replace one character by similar ASCII, or by a question mark."""
    character = error.object[error.start]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _ASCII.get(character, plain or "?"), error.start + 1


codecs.register_error(REPLACE, _replace)


def printable(text):
    """Return the text with every character that standard output lacks replaced."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, REPLACE).decode(encoding)


def make_tolerant():
    """Let standard output and standard error replace the characters that they lack."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams are UTF-8 and lack it
            stream.reconfigure(errors=REPLACE)
