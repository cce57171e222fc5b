"""What a check hands back, and how it looks in a terminal and in a notebook (Day 29).

Nothing here needs more than the standard library. The HTML carries its own style and
borrows the page's text colour (`currentColor`), so that it reads on dark and on light;
a word and a sign say what a colour would.
"""

import html
import os
import re
import textwrap
from dataclasses import dataclass

_BOX = (
    "border:1px solid currentColor;border-left-width:6px;border-left-style:{edge};"
    "border-radius:4px;padding:.5em .9em;margin:.5em 0;max-width:46em;line-height:1.5"
)


# Where the book is published. Its own build sets NNWEEK_BOOK to a relative address, so that
# its pages link to one another wherever they lie.
_BOOK = "https://nnweek.github.io/week5-neural-networks"

GENERIC = {
    "not-attempted": "There is no answer yet: the placeholder is still there, or nothing came "
    "back. If there is code already, a path through it ends without a `return`.",
    "raised": "Your function stopped with an error, or did not come to an end. The verdict quotes "
    "the error and your own line in which it happened.",
    "wrong-type": "What came back is of another kind than what is asked for: a text or a list of "
    "unequal rows where numbers are expected, one array where there should be two, or a tensor "
    "that still carries its graph.",
    "wrong-shape": "The kind is right and the shape is not. The verdict says which shape came and "
    "which was expected; write the shape beside each line of your function until they differ.",
    "not-finite": "Some numbers came out infinite or NaN where they should be finite. Look for "
    "the exponential of a large number, the logarithm or the root of what may be 0 or negative, "
    "and a division by 0.",
    "modifies-input": "The answer may be right, but an array of the caller's was changed on the "
    "way. Whoever uses it next gets other numbers.",
    "wrong": "The numbers are not right, and their pattern is none that the checks know by name. "
    "The verdict shows the first that differs: which output, where, what came and what was "
    "expected. Try the smallest input that you can work out by hand.",
}


@dataclass(frozen=True)
class Verdict:
    """The answer of a check: passed, or the mistake by name. Introduced on Day 29.

    `if verdict:` asks whether it passed.

    Attributes:
        exercise: the exercise's name, such as "backward".
        passed: whether the function does what was asked.
        mistake: the mistake's id, such as "no-batch-average"; None where it passed.
        hint: what was seen in this answer's numbers, what it means and where to look;
            after a pass it is empty, or a remark.
    """

    exercise: str
    passed: bool
    mistake: str | None = None
    hint: str = ""

    def __bool__(self):
        return self.passed

    @property
    def title(self):
        """One line: the sign, the exercise and the outcome."""
        if self.passed:
            return f"✓ {self.exercise}: passed"
        if self.mistake == "not-attempted":
            return f"○ {self.exercise}: not attempted yet"
        return f"✗ {self.exercise}: not yet – {self.mistake}"

    @property
    def address(self):
        """Where the book explains the mistake, or None where there is nothing to explain."""
        if self.mistake in (None, "not-attempted"):
            return None
        return f"{_BOOK}/what-went-wrong.html#{anchor(self.exercise, self.mistake)}"

    def __repr__(self):
        lines = [
            textwrap.fill(line, 88, initial_indent="  ", subsequent_indent="  ")
            for line in self.hint.splitlines()
        ]
        if self.address:
            lines.append(f"  {self.address}")
        return "\n".join([self.title, *lines])

    def _repr_html_(self):
        # Solid where it passed, dashed where it did not: seen without any colour.
        edge = "solid" if self.passed else "dashed"
        lines = "".join(
            f'<p style="margin:.3em 0">{marked_up(line)}</p>' for line in self.hint.splitlines()
        )
        if self.address:
            book = os.environ.get("NNWEEK_BOOK", _BOOK)
            address = html.escape(self.address.replace(_BOOK, book, 1))
            # In a notebook the page opens beside it; within the book it is just another page.
            beside = ' target="_blank" rel="noopener"' if book == _BOOK else ""
            lines += (
                f'<p style="margin:.3em 0"><a href="{address}"{beside}>'
                f"<code>{html.escape(self.mistake)}</code> on the page "
                "<em>What went wrong?</em></a></p>"
            )
        return (
            f'<div role="status" style="{_BOX.format(edge=edge)}">'
            f"<strong>{html.escape(self.title)}</strong>{lines}</div>"
        )


def anchor(exercise, mistake):
    """The place of a mistake on the page *What went wrong?*."""
    return mistake if mistake in GENERIC else f"{exercise}-{mistake}"


def marked_up(text):
    """Escape text for HTML; what stands between backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


@dataclass(frozen=True)
class Listing:
    """Source code that shows itself, with colours where the notebook has them. Day 29."""

    text: str

    def __repr__(self):
        return self.text

    __str__ = __repr__

    def _repr_markdown_(self):
        return f"```python\n{self.text}\n```"


@dataclass(frozen=True)
class Progress:
    """Which exercises have passed. Introduced on Day 29.

    Attributes:
        passed: {exercise: whether it passed}, in the order of the week.
        days: {exercise: day}.
    """

    passed: dict
    days: dict

    def __repr__(self):
        return "\n".join([self._summary(), *(f"  {day}" for day in self._lines())])

    def _repr_html_(self):
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self._lines())
        return (
            f'<div style="{_BOX.format(edge="solid")}">'
            f'<strong>{self._summary()}</strong><ul style="margin:.3em 0">{lines}</ul></div>'
        )

    def _summary(self):
        return f"{sum(self.passed.values())} of {len(self.passed)} exercises passed"

    def _lines(self):
        for day in sorted(set(self.days.values())):
            marks = (
                f"{'✓' if done else '·'} {name}"
                for name, done in self.passed.items()
                if self.days[name] == day
            )
            yield f"Day {day}: " + "  ".join(marks)
