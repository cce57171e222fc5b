"""Start a new day: `make new-day DAY=36 TITLE="Attention"`.

Writes the source of the notebook from the template below, and adds the day to `_toc.yml`,
to the table of the README and to the cards of the landing page. `make sync` then generates
the .ipynb. Nothing is overwritten.
"""

import re
import sys
from pathlib import Path

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

# %%
from IPython.display import Markdown

from nnweek.plots import plot_series

# %% [markdown]
# ## The first idea
#
# TODO: one idea per section; ask the question before you give the answer.
#
# *Predict before you run:* TODO: a question that the next cell answers?

# %% mystnb={{"image": {{"alt": "TODO, Day {day}: say in words what the figure shows."}}}}
losses = [1 / step for step in range(1, 11)]
plot_series(losses, "TODO", "step", "loss")

# %%
Markdown(f"The loss fell from **{{losses[0]:.2f}}** to **{{losses[-1]:.2f}}**.")

# %% tags=["remove-cell"]
assert losses[-1] < 0.5 * losses[0]  # the range that the text relies on

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
:::::{{grid-item-card}} Day {day}
:link: notebooks/{stem}
:link-type: doc
:class-card: day

```{{figure-of}} notebooks/{stem}
TODO, Day {day}
```

**{title}.** You learn to TODO.

20 minutes
:::::

"""


def insert(file, place, text):
    """Insert text at the end of the last match of a pattern in a file of the repository."""
    path = ROOT / file
    content = path.read_text(encoding="utf-8")
    *_, last = re.finditer(place, content, re.MULTILINE)
    path.write_text(content[: last.end()] + text + content[last.end() :], encoding="utf-8")
    print("changed:", file)


def main(day, title):
    notebooks = ROOT / "notebooks"
    if existing := sorted(notebooks.glob(f"day-{day}-*.py")):
        sys.exit(f"Day {day} already exists: {existing[0].relative_to(ROOT)}")
    stem = f"day-{day}-{'-'.join(re.findall('[a-z0-9]+', title.lower()))}"
    first = min(notebooks.glob("day-*.py")).read_text(encoding="utf-8")
    colab_cell = re.search(r'# %% tags=\["remove-cell"\]\n.*?\n(?=# %%)', first, re.DOTALL)[0]

    text = TEMPLATE.format(day=day, title=title, colab_cell=colab_cell)
    (notebooks / f"{stem}.py").write_text(text, encoding="utf-8")
    print(f"written: notebooks/{stem}.py")

    insert("_toc.yml", r"^ +- file: notebooks/day-.*\n", f"      - file: notebooks/{stem}\n")
    insert("book/index.md", r"^\d+ minutes\n:::::\n\n", CARD.format(**locals()))
    colab = re.search(r"\((https://colab\.\S+/notebooks/)", (ROOT / "README.md").read_text("utf-8"))
    notebook = f"[day-{day}](notebooks/{stem}.ipynb)"
    row = f"| {day} | TODO: {title} | {notebook} | [Open in Colab]({colab[1]}{stem}.ipynb) |\n"
    insert("README.md", r"^\| \d\d \| .*\n", row)
    print("The section 'Add a day' of CONTRIBUTING.md says what to do next.")


if __name__ == "__main__":
    if len(sys.argv) != 3 or not re.fullmatch(r"\d\d", sys.argv[1]) or not sys.argv[2].strip():
        sys.exit('usage: make new-day DAY=36 TITLE="Attention"')
    main(sys.argv[1], sys.argv[2].strip())
