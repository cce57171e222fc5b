"""Start a new day: `make new-day DAY=36 TITLE="Attention"`.

Writes the source of the notebook from the template below, and adds the day to `_toc.yml`,
to the table of the README and to the cards of the landing page. `make sync` then generates
the .ipynb. Nothing is overwritten.
"""

import re
import sys
import unicodedata
from pathlib import Path

from nnweek import _console
from nnweek.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent

# Contains everything that the tests in tests/notebooks require; TODO marks what to replace.
TEMPLATE = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day {day} – {title}
#
# TODO: which problem does this day solve, and why should the reader care?
#
# **You will be able to**
#
# - TODO: do one thing;
# - TODO: do another;
# - TODO: do a third.
#
# **Time** about 20 minutes: the first part 10, the second part 10.
#
# **You need** Days 29 and 31.

{colab_cell}
# %% [markdown]
# ## Yesterday in three lines
#
# - TODO: the first line.
# - TODO: the second line.
# - TODO: the third line.

# %% tags=["hide-input"]
from IPython.display import Markdown

from nnweek import checks
from nnweek.notebook import text_says
from nnweek.plots import plot_series

# %% [markdown]
# ## The first idea
#
# TODO: one idea per section; ask the question before you give the answer.
#
# *Predict before you run:* TODO: a question that the next cell answers?

# %% tags=["hide-input"] mystnb={{"image": {{"alt": "TODO, Day {day}: say in words what the figure shows."}}}}
losses = [1 / step for step in range(1, 11)]
plot_series(losses, "TODO", "step", "loss")

# %% [markdown]
# *How to read it:* TODO: what is where, and what to look at.

# %% tags=["hide-input"]
Markdown(f"The loss fell from **{{losses[0]:.2f}}** to **{{losses[-1]:.2f}}**.")

# %% tags=["remove-cell"]
with text_says("TODO: a claim of the text"):
    assert losses[-1] < 0.5 * losses[0]

# %% [markdown]
# **Exercise 1.** *(about 10 minutes, medium)* TODO: say what to write. This stub is Day 30's; write two of your own.


# %%
def relu_grad(z):
    \"\"\"TODO: what it returns.\"\"\"
    ...  # your code


checks.relu_grad(relu_grad)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# TODO: a hint that does not give the answer away.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def relu_grad(z):
#     return (z > 0).astype(z.dtype)
# ```
# </details>

# %% [markdown]
# ## Check yourself
#
# **1.** TODO: a question?
#
# - a) TODO: an option.
# - b) TODO: another.
#
# <details>
# <summary>Answer</summary>
#
# **a.** TODO: the reason why it is right.
# b) TODO: the reason why it is wrong.
# </details>
#
# **2.** TODO: another question?
#
# - a) TODO: an option.
# - b) TODO: another.
#
# <details>
# <summary>Answer</summary>
#
# **b.** TODO: the reason why it is right.
# a) TODO: the reason why it is wrong.
# </details>
#
# ## Summary
#
# | question | answer |
# |---|---|
# | TODO | TODO |
#
# ## Read more
#
# - TODO: an author, [a title](https://example.org).
"""

CARD = """\
:::{{day-card}} notebooks/{stem}
:figure: TODO, Day {day}

TODO: what will the reader be able to do?
:::

"""


def find(file, place):
    """Return the text of a file of the repository, and the matches of a pattern in it."""
    content = (ROOT / file).read_text(encoding="utf-8")
    matches = list(re.finditer(place, content, re.MULTILINE))
    if not matches:
        sys.exit(f"Nothing was written: {file} contains no line like {place!r}.")
    return content, matches


def insert(file, place, text):
    """Return a file's text with a text inserted after the last match of a pattern."""
    content, matches = find(file, place)
    if text in content:  # from an earlier try, which could not write all files
        return content
    end = matches[-1].end()
    return content[:end] + text + content[end:]


def main(day, title):
    notebooks = ROOT / "notebooks"
    if existing := sorted(notebooks.glob(f"day-{day}-*.py")):
        sys.exit(f"Day {day} already exists: {existing[0].relative_to(ROOT)}")
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall("[a-z0-9]+", plain)
    if not words:
        sys.exit("The title names the file, so it needs a letter from A to Z or a digit.")
    stem = f"day-{day}-{'-'.join(words)}"
    first = min(notebooks.glob("day-*.py"))
    _, cells = find(first, r'# %% tags=\["remove-cell"\]\n(?s:.*?)\n(?=# %%)')
    _, colab = find("README.md", r"\((https://colab\.\S+/notebooks/)")
    link = f"{colab[0][1]}{stem}.ipynb"
    notebook = f"[day-{day}](notebooks/{stem}.ipynb)"
    row = f"| {day} | TODO: {title} | {notebook} | [Open in Colab]({link}) |\n"
    card = CARD.format(day=day, stem=stem)
    entry = f"      - file: notebooks/{stem}\n"
    texts = {
        "_toc.yml": insert("_toc.yml", r"^ +- file: notebooks/day-.*\n", entry),
        "book/index.md": insert("book/index.md", r"^:::\{day-card\} (?:.*\n)+?:::\n\n", card),
        "README.md": insert("README.md", r"^\| \d\d \| .*\n", row),
        # The last, because it tells the next try that the day exists.
        f"notebooks/{stem}.py": TEMPLATE.format(day=day, title=title, colab_cell=cells[0][0]),
    }
    for name, text in texts.items():
        try:
            with atomic_write(ROOT / name) as file:
                file.write(text.encode("utf-8"))
        except OSError as error:
            sys.exit(
                f"{name} could not be written ({error.strerror}). Solve this, then run the same "
                "command again."
            )
        print("written:", name)
    print("The section 'Add a day' of CONTRIBUTING.md says what to do next.")


if __name__ == "__main__":
    if len(sys.argv) != 3 or not re.fullmatch(r"\d\d", sys.argv[1]) or not sys.argv[2].strip():
        sys.exit('usage: make new-day DAY=36 TITLE="Attention"')
    _console.make_tolerant()
    main(sys.argv[1], sys.argv[2].strip())
