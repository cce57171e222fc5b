"""Real notebook programs on a small day: they open it, and `make sync` loses nothing they write.

`bash .ci/notebook-tools` installs the programs that are not there; without one, its tests are
skipped.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from nnweek.commands import start
from support import ROOT
from support.days import Day

ENOUGH = 300  # seconds; only a program that hangs takes as long
PATH = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]


def needs(module):
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None,
        reason=f"{module} is not installed (bash .ci/notebook-tools)",
    )


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """No settings of the person who runs the tests, and none of git's own in a hook."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    home = tmp_path_factory.mktemp("home")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        env[name] = str(home / name)
    for name in ("SETTINGS", "WORKSPACES"):
        env[f"JUPYTERLAB_{name}_DIR"] = str(home / name)
    return {**env, "PATH": PATH}


@pytest.fixture(scope="module")
def run(environment):
    def run(*command, cwd):
        ran = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=ENOUGH,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.fixture(scope="module")
def git(run):
    def git(*arguments, cwd):
        author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        return run("git", *author, *arguments, cwd=cwd)

    return git


def make_tree(root):
    """The repository's layout, with one small day."""
    root.mkdir(exist_ok=True)
    for name in ("pyproject.toml", ".gitattributes", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    return Day(root / "notebooks").create()


@pytest.fixture
def day(tmp_path, capsys):
    return make_tree(tmp_path / "tree")


@pytest.fixture
def repository(day, git):
    """The root of the tree, a git repository in which everything is committed."""
    root = day.folder.parent
    git("init", "--quiet", "--initial-branch=main", cwd=root)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message=a day", cwd=root)
    return root


def printed(notebook):
    """What the last cell of a small day printed."""
    outputs = notebook["cells"][-1]["outputs"]
    return "".join("".join(output["text"]) for output in outputs)


# --- JupyterLab ----------------------------------------------------------------------------


class Lab:
    """A running JupyterLab and the small day that it shows."""

    def __init__(self, process, url, day, prefix):
        self.process, self.url, self.day, self.prefix = process, url, day, prefix

    def contents(self, path, notebook=None):
        """Open a notebook, or save one, as the browser does."""
        body = {"type": "notebook", "format": "json", "content": notebook}
        request = urllib.request.Request(
            f"{self.url}api/contents/{self.prefix}{path}",
            data=None if notebook is None else json.dumps(body).encode(),
            method="GET" if notebook is None else "PUT",
            headers={"Authorization": "token secret"},
        )
        with urllib.request.urlopen(request, timeout=ENOUGH) as answer:  # an error status raises
            return json.load(answer)["content"]


@pytest.fixture(scope="module", params=["in the root", "in notebooks/"])
def server(request, environment, tmp_path_factory):
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("jupyterlab is not installed (bash .ci/notebook-tools)")
    root = tmp_path_factory.mktemp("tree")
    day = make_tree(root)
    where, prefix = (root, "notebooks/") if request.param == "in the root" else (day.folder, "")
    options = ["--no-browser", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1", "--allow-root"]
    log = tmp_path_factory.mktemp("log") / "lab.txt"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, "--IdentityProvider.token=secret"],
            cwd=where,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        runtime = Path(environment["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{process.pid}.json"
        until = time.monotonic() + ENOUGH
        url = None
        while url is None:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < until, log.read_text(encoding="utf-8")
            time.sleep(0.1)
            if runtime.exists():
                try:
                    url = json.loads(runtime.read_text(encoding="utf-8"))["url"]
                except ValueError:
                    continue  # half written
        yield Lab(process, url, day, prefix)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def lab(server):
    """The server, with the small day as it was committed."""
    server.day.create()
    return server


@pytest.mark.parametrize("newer", ["py", "ipynb"])
def test_lab_opens_a_day_whichever_file_is_newer(newer, lab):
    """After a checkout or a touch, when no content has changed."""
    path = getattr(lab.day, newer)
    os.utime(path, (path.stat().st_mtime + 3600,) * 2)
    assert len(lab.contents(lab.day.ipynb.name)["cells"]) == 5
    assert lab.day.sync() == 0


def test_answer_saved_in_lab_reaches_the_py(lab):
    before = lab.day.py.read_bytes()
    for text in ("answer = 41", "answer = 42"):  # twice, without opening it again
        notebook = lab.contents(lab.day.ipynb.name)
        notebook["cells"][2]["source"] = text
        lab.contents(lab.day.ipynb.name, notebook)
        assert lab.day.sync() == 0
        assert text in lab.day.py.read_text(encoding="utf-8")
    lab.day.edit("answer = 42", "answer = 1")
    lab.day.edit("# %%\nanswer", "# %% A title that only the .py has\nanswer")
    assert lab.day.py.read_bytes() == before, "more than the answer changed"


def test_lab_writes_no_py_by_itself(lab):
    before = lab.day.py.read_bytes()
    notebook = lab.contents(lab.day.ipynb.name)
    notebook["cells"][2]["source"] = "answer = 42"
    lab.contents(lab.day.ipynb.name, notebook)
    assert lab.day.py.read_bytes() == before
    assert lab.contents(lab.day.ipynb.name)["cells"][2]["source"] == "answer = 42"


def test_lab_opens_a_day_after_both_were_edited(lab, capsys):
    lab.day.answer()
    lab.day.edit()
    assert lab.contents(lab.day.ipynb.name)["cells"][2]["source"] == "answer = 42"
    assert lab.day.sync() == 1


# --- Programs that run notebooks -----------------------------------------------------------


@needs("nbconvert")
def test_nbconvert_in_place_and_sync_leave_source_and_outputs(day, run):
    before = day.py.read_bytes()
    jupyter = (sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace")
    run(*jupyter, day.ipynb.name, cwd=day.folder)
    executed = day.ipynb.read_bytes()
    assert "3.14" in printed(day.notebook())
    for options in ((), ("--build",)):
        assert day.sync(*options) == 0
        assert day.ipynb.read_bytes() == executed
        assert day.py.read_bytes() == before
    day.edit("The end.", "The very end.")
    assert day.sync() == 0
    assert "3.14" in printed(day.notebook()), "an edit of the text dropped the outputs"


@needs("papermill")
def test_papermill_in_place_and_sync_leave_source_and_outputs(day, run):
    before = day.py.read_bytes()
    run(sys.executable, "-m", "papermill", day.ipynb.name, day.ipynb.name, cwd=day.folder)
    executed = day.ipynb.read_bytes()
    assert "3.14" in printed(day.notebook())
    assert day.sync() == 0
    assert (day.ipynb.read_bytes(), day.py.read_bytes()) == (executed, before)


def test_nbmake_changes_no_file(day, run):
    before = day.state()
    options = ("-q", "-n0", "-p", "no:cacheprovider", "--nbmake")
    run(sys.executable, "-m", "pytest", *options, "notebooks", cwd=day.folder.parent)
    assert day.state() == before


# --- Editors that cannot run here: what they write -----------------------------------------


def as_vs_code(notebook):
    """VS Code: its own kernel, its own metadata in each cell, new ids for new cells."""
    notebook["metadata"]["kernelspec"] = {"display_name": ".venv", "name": "python3"}
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.12.1"}
    for cell in notebook["cells"]:
        cell["metadata"]["vscode"] = {"languageId": "python"}
    return {"indent": 2}


def as_colab(notebook):
    """Colab: format 4.0 without cell ids, and no metadata that it does not know."""
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {"colab": {"provenance": []}, "kernelspec": {"name": "python3"}}
    for cell in notebook["cells"]:
        cell["metadata"]["id"] = cell.pop("id")
    return {"indent": 2, "ensure_ascii": True}


@needs_git
@pytest.mark.parametrize("editor", [as_vs_code, as_colab])
@pytest.mark.parametrize("answered", [False, True])
def test_notebook_saved_by_another_editor_loses_nothing(answered, editor, day, repository):
    before = day.py.read_text(encoding="utf-8")
    if answered:
        day.answer()
    day.run()
    notebook = day.notebook()
    day.save(notebook, **editor(notebook))
    saved = day.ipynb.read_bytes()
    assert day.sync("--build") == 0
    assert day.sync() == 0
    assert day.ipynb.read_bytes() == saved
    after = day.py.read_text(encoding="utf-8")
    assert ("answer = 42" in after) if answered else (after == before)


# --- Fresh copies of the repository ---------------------------------------------------------


@needs_git
@pytest.mark.parametrize("autocrlf", ["false", "true"])
def test_fresh_clone_is_in_step(autocrlf, repository, git, tmp_path):
    clone = tmp_path / "clone"
    git("clone", "--quiet", "-c", f"core.autocrlf={autocrlf}", repository, clone, cwd=tmp_path)
    sync = (sys.executable, ROOT / ".ci" / "sync.py", clone / "notebooks")
    for option in ("--check", "--build"):
        subprocess.run([*sync, option], check=True, capture_output=True)
    assert git("status", "--porcelain", cwd=clone) == ""


@needs_git
def test_answer_in_an_unpacked_zip_reaches_the_py(repository, git, tmp_path):
    git("archive", "--output", tmp_path / "a.zip", "HEAD", cwd=repository)
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path / "zip")
    day = Day(tmp_path / "zip" / "notebooks")
    assert day.sync("--check") == 0
    day.answer()
    assert day.sync() == 0
    assert "answer = 42" in day.py.read_text(encoding="utf-8")


@needs("nbconvert")
@needs_git
def test_executed_and_answered_notebook_takes_a_teachers_cells(day, repository, git, run):
    git("switch", "--quiet", "--create", "teacher", cwd=repository)
    day.edit("# %% [markdown]\n# The end", "# %% [markdown]\n# New.\n\n# %% [markdown]\n# The end")
    assert day.sync() == 0
    git("commit", "--quiet", "--all", "--message=insert a cell", cwd=repository)
    git("switch", "--quiet", "main", cwd=repository)
    day.answer()
    jupyter = (sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace")
    run(*jupyter, day.ipynb.name, cwd=day.folder)
    git("commit", "--quiet", "--all", "--message=answer", cwd=repository)
    git("merge", "--quiet", "--no-edit", "teacher", cwd=repository)
    notebook = day.notebook()
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids)) == 6
    assert "42" in printed(notebook)
    assert day.sync() == 0
    for path in (day.py, day.ipynb):
        text = path.read_text(encoding="utf-8")
        assert "answer = 42" in text
        assert "New." in text


@needs_git
def test_git_sees_nothing_of_a_learners_folder(day, repository, git, monkeypatch, capsys):
    monkeypatch.setattr(start, "_notebooks", lambda: day.folder)
    monkeypatch.chdir(day.folder)
    assert start.main([]) == 0
    copy = repository / "my-week" / day.ipynb.name
    assert copy.read_bytes() == day.ipynb.read_bytes()
    assert git("status", "--porcelain", cwd=repository) == ""
    git("clean", "--quiet", "-d", "--force", cwd=repository)
    assert copy.exists()
