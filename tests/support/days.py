"""A folder with one small day, for the tests of `make sync` and of real notebook programs."""

import json
import os
import runpy
import shutil
import subprocess

import pytest

from support import ROOT

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
SYNC = runpy.run_path(str(ROOT / ".ci" / "sync.py"))
NAME = "day-30-small"
SOURCE = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 30 – Small

# %% tags=["remove-cell"] mystnb={"image": {"alt": "A dot"}}
import math

# %% A title that only the .py has
answer = 1

# %% [markdown]
# The end.

# %%
print(math.pi, answer)
"""


def git(*arguments, cwd):
    """Run git and return what it printed."""
    # Without git's own variables: in a hook they would point at the real repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    options = {"cwd": cwd, "env": env, "check": True, "capture_output": True, "text": True}
    return subprocess.run(["git", *author, *arguments], **options).stdout


class Day:
    """A pair of files with what the tests do to them."""

    def __init__(self, folder):
        self.folder = folder
        self.py = folder / f"{NAME}.py"
        self.ipynb = folder / f"{NAME}.ipynb"
        self.memory = folder / ".last-sync.json"

    def create(self):
        """Write both files as they are committed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.ipynb, self.memory):
            path.unlink(missing_ok=True)
        self.py.write_text(SOURCE, encoding="utf-8", newline="\n")
        assert self.sync() == 0
        return self

    def sync(self, *options):
        """Run `make sync` on the folder and return the exit status."""
        return SYNC["main"]([*options, str(self.folder)])

    def notebook(self):
        return json.loads(self.ipynb.read_text(encoding="utf-8"))

    def save(self, notebook, **format):
        """Write a notebook as an editor does, with its own format."""
        text = json.dumps(
            notebook, **{"indent": 1, "ensure_ascii": False, "sort_keys": True, **format}
        )
        self.ipynb.write_text(text + "\n", encoding="utf-8")

    def answer(self, text="answer = 42"):
        """Change a cell of the notebook, as a learner does."""
        notebook = self.notebook()
        cell = next(c for c in notebook["cells"] if "".join(c["source"]).startswith("answer"))
        cell["source"] = [text]
        self.save(notebook)

    def run(self):
        """Give every code cell an output, as running the notebook does."""
        notebook = self.notebook()
        output = {"output_type": "stream", "name": "stdout", "text": ["3.14\n"]}
        for count, cell in enumerate(notebook["cells"]):
            if cell["cell_type"] == "code":
                cell.update(outputs=[output], execution_count=count)
                cell["metadata"]["execution"] = {"iopub.status.idle": "2026-11-29T09:00:00Z"}
        notebook["metadata"].update(language_info={"name": "python"}, vscode={"interpreter": {}})
        self.save(notebook)

    def edit(self, old="answer = 1", new="answer = 7"):
        """Change the .py, as an author does."""
        text = self.py.read_text(encoding="utf-8")
        assert old in text
        self.py.write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def insert(self):
        """Add a cell to the .py, as a teacher does."""
        self.edit("# %% [markdown]\n# The end", "# %%\n'New'\n\n# %% [markdown]\n# The end")

    def commit(self):
        """Commit the files in a git repository around them."""
        git("init", "--quiet", cwd=self.folder)
        git("config", "core.autocrlf", "false", cwd=self.folder)
        git("add", "*.py", "*.ipynb", cwd=self.folder)
        git("commit", "--quiet", "--message=a day", cwd=self.folder)

    def state(self):
        """The bytes of both files."""
        return {path.name: path.read_bytes() for path in (self.py, self.ipynb) if path.exists()}

    def both_contain(self, *texts):
        contents = [path.read_text(encoding="utf-8") for path in (self.py, self.ipynb)]
        return all(text in content for content in contents for text in texts)
