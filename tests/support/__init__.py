"""What several test modules share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def text_of(name):
    """The text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")
