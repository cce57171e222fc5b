"""Verdicts: what a check returns, as text in a terminal and as HTML in a notebook (Day 29).

This module needs only the standard library. The HTML brings its own style and takes the
page's text colour (`currentColor`), so it is legible on dark and light backgrounds; a word
and a sign carry the meaning, never a colour alone.
"""

import contextlib
import html
import itertools
import json
import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from nnweek._console import printable

_BOX = (
    "border:1px solid currentColor;border-left-width:6px;border-left-style:{edge};"
    "border-radius:4px;padding:.5em .9em;margin:.5em 0;max-width:46em;line-height:1.5"
)

_CODE = "    "  # begins a line of code in a hint
# A mistake's id is not broken at its hyphens, so that it can be searched for.
_wrap = textwrap.TextWrapper(
    88, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
)

# The published book. Its own build sets NNWEEK_BOOK to a relative address, so that its pages
# link to each other wherever they are served.
_BOOK = "https://nnweek.github.io/week5-neural-networks"
_BUILT = Path(__file__).resolve().parents[2] / "book" / "_build" / "html"  # in a clone
_PAGE = "what-went-wrong.html"

# Mistakes that can happen in every exercise: {id: explanation}.
GENERIC = {
    "not-attempted": "There is no answer yet: the placeholder is still there, or your function "
    "returned nothing. If it has code already, one path through it ends without a `return`.",
    "raised": "Your function stopped with an error, or ran too long. The verdict quotes the "
    "error and the line of your code in which it happened.",
    "wrong-type": "What is the type of your return value? It is not the type that the exercise "
    "asks for: a string or a list of unequal rows instead of numbers, one array instead of two, "
    "or a tensor that is still attached to its graph.",
    "wrong-shape": "The type is right, but the shape is not. The verdict says which shape was "
    "returned and which was expected. Write the shape next to each line of your function until "
    "you find the line in which they differ.",
    "not-finite": "Some numbers are infinite or NaN and should be finite. Look for the "
    "exponential of a large number, the logarithm or the square root of a number that may be 0 "
    "or negative, and a division by 0.",
    "modifies-input": "The answer may be right, but your function changed one of the "
    "caller's arrays. The code that uses it next gets different numbers.",
    "wrong": "The numbers are not right, and the checks know no mistake with this pattern. The "
    "verdict shows the first number that differs: in which output, at which index, what was "
    "returned and what was expected. Try the smallest input that you can work out by hand.",
}


@dataclass(frozen=True)
class Verdict:
    """The result of a check: passed, or the mistake by name. Introduced on Day 29.

    A verdict is true if the exercise has passed.

    Attributes:
        exercise: the exercise's name, such as "backward".
        passed: whether the answer is right.
        mistake: the mistake's id, such as "no-batch-average"; None if it passed.
        hint: what the check found in the answer's numbers, what that means and where to
            look; after a pass it is empty, or a remark.
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
        """The URL at which the book explains the mistake, or None."""
        if self.mistake in (None, "not-attempted"):
            return None
        return f"{_BOOK}/{_PAGE}#{anchor(self.exercise, self.mistake)}"

    def __repr__(self):
        lines = [
            f"  {line}" if line.startswith(_CODE) else _wrap.fill(line)
            for line in self.hint.splitlines()
        ]
        if self.address:
            lines.append(f"  {self.address}")
            if own := _own_book():
                lines.append(f"  Offline: {self.address.replace(_BOOK, own, 1)}")
        return printable("\n".join([self.title, *lines]))

    def _ipython_display_(self):
        if vars(self).pop("_shown_in", None) != _cell():  # else it is the last line of that cell
            _display(self)

    def _repr_html_(self):
        # A solid edge for passed and a dashed one for not yet: no need to see colours.
        edge = "solid" if self.passed else "dashed"
        unattempted = self.mistake == "not-attempted"
        state = "passed" if self.passed else "open" if unattempted else "not-yet"  # for the site
        lines = "".join(
            f'<pre style="margin:.3em 0">{html.escape(textwrap.dedent(chr(10).join(group)))}</pre>'
            if is_code
            else "".join(f'<p style="margin:.3em 0">{marked_up(line)}</p>' for line in group)
            for is_code, group in itertools.groupby(
                self.hint.splitlines(), lambda line: line.startswith(_CODE)
            )
        )
        if self.address:
            book = os.environ.get("NNWEEK_BOOK", _BOOK)
            address = html.escape(self.address.replace(_BOOK, book, 1))
            # From a notebook the page opens in a new tab; within the book it is one more page.
            new_tab = ' target="_blank" rel="noopener"' if book == _BOOK else ""
            lines += (
                f'<p style="margin:.3em 0"><a href="{address}"{new_tab}>'
                f"<code>{html.escape(self.mistake)}</code> on the page "
                "<em>What went wrong?</em></a>"
            )
            if book == _BOOK and (own := _own_book()):
                own = html.escape(self.address.replace(_BOOK, own, 1))
                lines += f' (<a href="{own}"{new_tab}>offline</a>, in the book that you built)'
            lines += "</p>"
        return (
            f'<div role="status" class="verdict {state}" style="{_BOX.format(edge=edge)}">'
            f"<strong>{html.escape(self.title)}</strong>{lines}</div>"
        )


def show_at_once(verdict, caller):
    """Return the verdict; display it if a notebook's cell called the check directly.

    So it is shown wherever in the cell the check stands, and once.

    Args:
        caller: the frame that called the check.
    """
    if "ipykernel" in sys.modules and caller.f_code.co_name == "<module>":
        _display(verdict)
        vars(verdict)["_shown_in"] = _cell()
    return verdict


def _cell():
    """Return the number of the notebook's cell that is running."""
    from IPython import get_ipython

    return getattr(get_ipython(), "execution_count", None)


def _display(verdict):
    from IPython.display import display

    display({"text/plain": repr(verdict), "text/html": verdict._repr_html_()}, raw=True)


def _own_book():
    """Return the address of the book built in this clone, relative to the notebook, or None.

    Only Jupyter started in the clone's own folder shows it: a page of Jupyter opens nothing that
    lies outside of the folder in which Jupyter was started, and no `file:` address.
    """
    if not (_BUILT / _PAGE).is_file() or not Path.cwd().is_relative_to(_BUILT.parents[2]):
        return None
    with contextlib.suppress(ImportError, OSError, ValueError, KeyError):  # no Jupyter server
        from jupyter_core.paths import jupyter_runtime_dir

        server = Path(jupyter_runtime_dir(), f"jpserver-{os.environ['JPY_PARENT_PID']}.json")
        root = json.loads(server.read_text(encoding="utf-8"))["root_dir"]
        if not _BUILT.is_relative_to(Path(root).expanduser().resolve()):
            return None
    return Path(os.path.relpath(_BUILT)).as_posix()


def anchor(exercise, mistake):
    """Return the anchor of a mistake on the page *What went wrong?*."""
    return mistake if mistake in GENERIC else f"{exercise}-{mistake}"


def marked_up(text):
    """Escape text for HTML; text between backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


@dataclass(frozen=True)
class Listing:
    """Source code that displays itself, highlighted in a notebook. Introduced on Day 29."""

    text: str

    def __repr__(self):
        return printable(self.text)

    def _repr_markdown_(self):
        return f"```python\n{self.text}\n```"


@dataclass(frozen=True)
class Progress:
    """The exercises that have passed. Introduced on Day 29.

    Attributes:
        passed: {exercise: whether it has passed}, in the order of the week.
        days: {exercise: day}.
    """

    passed: dict
    days: dict

    def __repr__(self):
        return printable("\n".join([self._summary(), *(f"  {day}" for day in self._lines())]))

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
                f"{'✓' if done else '○'}\N{NO-BREAK SPACE}{name}"  # a mark stays with its name
                for name, done in self.passed.items()
                if self.days[name] == day
            )
            yield f"Day {day}: " + ", ".join(marks)
