"""Real notebook programs on a small day: they open it, and `make sync` loses nothing they write.

`bash .ci/notebook-tools` installs the programs that are not there; without one, its tests are
skipped. VS Code and Colab cannot run here: the tests write what they write.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from nnweek.checks import verdict
from nnweek.checks.verdict import Verdict
from nnweek.commands import start
from support import ROOT
from support.browser import browser, missing
from support.days import Day, git
from support.notebooks import SOURCES

ENOUGH = 300  # seconds; only a program that hangs takes as long
NBCONVERT = ("nbconvert", "--to", "notebook", "--execute", "--inplace", "day-30-small.ipynb")
PAPERMILL = ("papermill", "day-30-small.ipynb", "day-30-small.ipynb")


def needs(module):
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None,
        reason=f"{module} is not installed (bash .ci/notebook-tools)",
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """No settings of the person who runs the tests, and none of git's own in a hook."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    home = tmp_path_factory.mktemp("home")
    for name in (
        "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
        "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
    ):  # fmt: skip
        env[name] = str(home / name)
    return {**env, "PATH": str(Path(sys.executable).parent) + os.pathsep + env["PATH"]}


@pytest.fixture(scope="module")
def execute(environment):
    """Run a Python module with arguments in a folder."""

    def execute(module, *arguments, cwd, **settings):
        command = [sys.executable, "-m", module, *arguments]
        options = {"capture_output": True, "text": True, "timeout": ENOUGH}
        ran = subprocess.run(command, cwd=cwd, env={**environment, **settings}, **options)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return execute


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
def repository(day):
    """The root of the tree, a git repository in which everything is committed."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    root = day.folder.parent
    git("init", "--quiet", "--initial-branch=main", cwd=root)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message=a day", cwd=root)
    return root


def printed(notebook):
    """What the last cell of a small day printed."""
    outputs = notebook["cells"][-1]["outputs"]
    return "".join("".join(output["text"]) for output in outputs)


class Lab:
    """A running JupyterLab and the small day that it shows."""

    def __init__(self, url, day):
        self.url, self.day = url, day

    def contents(self, notebook=None):
        """Open the day's notebook, or save it, as the browser does."""
        body = {"type": "notebook", "format": "json", "content": notebook}
        request = urllib.request.Request(
            self.url,
            data=None if notebook is None else json.dumps(body).encode(),
            method="GET" if notebook is None else "PUT",
            headers={"Authorization": "token secret"},
        )
        with urllib.request.urlopen(request, timeout=ENOUGH) as answer:  # an error status raises
            return json.load(answer)["content"]

    def answer(self, text):
        """Open the day, change a cell and save it."""
        notebook = self.contents()
        notebook["cells"][2]["source"] = text
        self.contents(notebook)


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
    runtime = Path(environment["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{process.pid}.json"
    until, url = time.monotonic() + ENOUGH, None
    try:
        while url is None:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < until, log.read_text(encoding="utf-8")
            time.sleep(0.1)
            with contextlib.suppress(OSError, ValueError):  # not there yet, or half written
                url = json.loads(runtime.read_text(encoding="utf-8"))["url"]
        yield Lab(f"{url}api/contents/{prefix}{day.ipynb.name}", day)
    finally:
        process.kill()
        process.wait()


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
    assert len(lab.contents()["cells"]) == 5
    assert lab.day.sync() == 0


def test_answer_saved_in_lab_reaches_the_py_by_sync_alone(lab):
    original = lab.day.py.read_bytes()
    for text in ("answer = 41", "answer = 42"):  # twice, without opening it again
        before = lab.day.py.read_bytes()
        lab.answer(text)
        assert lab.day.py.read_bytes() == before
        assert lab.contents()["cells"][2]["source"] == text
        assert lab.day.sync() == 0
        assert text in lab.day.py.read_text(encoding="utf-8")
    lab.day.edit("answer = 42", "answer = 1")
    assert lab.day.py.read_bytes() == original, "more than the answer changed"


def test_lab_opens_a_day_after_both_were_edited(lab, capsys):
    lab.day.answer()
    lab.day.edit()
    assert lab.contents()["cells"][2]["source"] == "answer = 42"
    assert lab.day.sync() == 1


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(program, marks=needs(program[0]), id=program[0])
        for program in (NBCONVERT, PAPERMILL)
    ],
)
def test_executed_notebook_keeps_outputs_and_its_py(program, day, execute):
    before = day.py.read_bytes()
    execute(*program, cwd=day.folder)
    executed = day.ipynb.read_bytes()
    assert "3.14" in printed(day.notebook())
    for options in ((), ("--build",)):
        assert day.sync(*options) == 0
        assert (day.ipynb.read_bytes(), day.py.read_bytes()) == (executed, before)
    day.edit("The end.", "The very end.")
    assert day.sync() == 0
    assert "3.14" in printed(day.notebook()), "an edit of the text dropped the outputs"


def test_nbmake_changes_no_file(day, execute):
    before = day.state()
    options = ("-q", "-n0", "-p", "no:cacheprovider", "--nbmake")
    execute("pytest", *options, "notebooks", cwd=day.folder.parent)
    assert day.state() == before


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


@pytest.mark.parametrize("autocrlf", ["false", "true"])
def test_fresh_clone_is_in_step(autocrlf, repository, tmp_path):
    clone = tmp_path / "clone"
    git("clone", "--quiet", "-c", f"core.autocrlf={autocrlf}", repository, clone, cwd=tmp_path)
    for option in ("--check", "--build"):
        assert Day(clone / "notebooks").sync(option) == 0
    assert git("status", "--porcelain", cwd=clone) == ""


def test_answer_in_an_unpacked_zip_reaches_the_py(repository, tmp_path):
    git("archive", "--output", tmp_path / "a.zip", "HEAD", cwd=repository)
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path / "zip")
    day = Day(tmp_path / "zip" / "notebooks")
    assert day.sync("--check") == 0
    day.answer()
    assert day.sync() == 0
    assert "answer = 42" in day.py.read_text(encoding="utf-8")


@pytest.mark.parametrize("with_nbconvert", [False, pytest.param(True, marks=needs("nbconvert"))])
def test_executed_and_answered_notebook_takes_a_teachers_cells(
    with_nbconvert, day, repository, execute
):
    git("switch", "--quiet", "--create", "teacher", cwd=repository)
    day.insert()
    assert day.sync() == 0
    git("commit", "--quiet", "--all", "--message=insert a cell", cwd=repository)
    git("switch", "--quiet", "main", cwd=repository)
    day.answer()
    day.run()
    if with_nbconvert:
        execute(*NBCONVERT, cwd=day.folder)
    git("commit", "--quiet", "--all", "--message=answer", cwd=repository)
    git("merge", "--quiet", "--no-edit", "teacher", cwd=repository)
    notebook = day.notebook()
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids)) == 6
    assert ("42" if with_nbconvert else "3.14") in printed(notebook)
    assert day.sync() == 0
    assert day.both_contain("answer = 42", "New")


def test_git_sees_nothing_of_a_learners_folder(day, repository, monkeypatch):
    monkeypatch.setattr(start, "_notebooks", lambda: day.folder)
    monkeypatch.chdir(day.folder)
    assert start.main([]) == 0
    copy = repository / "my-week" / day.ipynb.name
    assert copy.read_bytes() == day.ipynb.read_bytes()
    assert git("status", "--porcelain", cwd=repository) == ""
    git("clean", "--quiet", "-d", "--force", cwd=repository)
    assert copy.exists()


# Day 29 with other numbers, and few of them.
NUMBERS = {"SEED": 7, "EPOCHS": 8, "SPIRAL_EPOCHS": 8, "DIGIT_EPOCHS": 2}
DAY_29 = SOURCES[29].with_suffix(".ipynb")


@pytest.fixture(scope="module")
def real_day(execute, tmp_path_factory):
    """Day 29 as papermill writes it, run with `NUMBERS` on the stand-in."""
    if importlib.util.find_spec("papermill") is None:
        pytest.skip("papermill is not installed (bash .ci/notebook-tools)")
    folder = tmp_path_factory.mktemp("real")
    settings = {
        "NNWEEK_DATASET": "stand-in",
        "NNWEEK_DATA": str(folder / "data"),
        "NNWEEK_RESULTS": str(folder / "results.jsonl"),
        "NNWEEK_STRICT": "",
        "OMP_NUM_THREADS": "1",
    }
    numbers = [part for name, value in NUMBERS.items() for part in ("-p", name, str(value))]
    execute("papermill", DAY_29, "run.ipynb", *numbers, "--no-progress-bar", cwd=folder, **settings)
    return folder / "run.ipynb", settings


def shown(notebook, code):
    """What the cells show whose code contains `code`, as text."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and code in "".join(cell["source"]):
            for output in cell["outputs"]:
                text = output.get("text") or output.get("data", {}).get("text/plain", "")
                found.append("".join(text))
    return "".join(found)


@pytest.mark.slow
def test_papermill_runs_a_day_with_other_numbers(real_day):
    notebook = json.loads(real_day[0].read_text(encoding="utf-8"))
    tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
    assert ["injected-parameters"] in tags
    assert re.findall(r"^Epoch (\d+)", shown(notebook, "DIGIT_EPOCHS + 1"), re.M) == ["1", "2"]
    assert shown(notebook, "losses = train_numpy(").splitlines()[-1].startswith("Epoch 8/8")
    assert "○ softmax: not attempted yet" in shown(notebook, "checks.softmax(softmax)")


@pytest.mark.slow
def test_jupyter_execute_gives_what_papermill_gives(real_day, execute):
    path, settings = real_day
    before = json.loads(path.read_text(encoding="utf-8"))
    again = path.with_name("again.ipynb")
    cleared = json.loads(path.read_text(encoding="utf-8"))
    for cell in cleared["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    again.write_text(json.dumps(cleared), encoding="utf-8")
    execute("jupyter", "execute", "--inplace", again.name, cwd=again.parent, **settings)
    after = json.loads(again.read_text(encoding="utf-8"))
    for code in ("DIGIT_EPOCHS + 1", "losses = train_numpy(", "checks.softmax(softmax)"):
        assert shown(before, code) == shown(after, code) != ""


@pytest.mark.slow
@needs("nbconvert")
def test_nbconvert_writes_a_page_with_verdicts_and_figures(real_day, execute):
    path, settings = real_day
    execute("nbconvert", "--to", "html", path.name, cwd=path.parent, **settings)
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert "○ softmax: not attempted yet" in page
    assert len(re.findall("data:image/|<svg ", page)) >= 7
    assert "Traceback" not in page


LOOK = """(() => {
    const title = document.querySelector('.jp-OutputArea-output strong');
    if (!title) return null;
    const style = getComputedStyle(title.parentElement);
    return [title.parentElement.innerText, style.borderLeftStyle, style.borderLeftWidth];
})()"""


@pytest.mark.slow
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("server", ["in the root"], indirect=True)
def test_verdict_keeps_its_look_in_an_untrusted_copy(server):
    """Nobody signed the copy, so JupyterLab removes from its outputs what could be harmful."""
    wrong = Verdict("backward", False, "no-batch-average", "`dW1` is 80 times too large.")
    notebook = server.day.notebook()
    data = {"text/plain": [repr(wrong)], "text/html": [wrong._repr_html_()]}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    script = {"text/html": ["<script>window.harmful = true</script><b id='harmless'>b</b>"]}
    notebook["cells"][1].update(outputs=[{**output, "data": script}, output], execution_count=1)
    (server.day.folder / "copy.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    root = server.url.partition("api/contents/")[0]
    with browser() as window:
        window.open(f"{root}lab/tree/notebooks/copy.ipynb?token=secret")
        text, edge, width = window.wait_until(LOOK)
        assert not window.evaluate("window.harmful || false"), "JupyterLab trusts the copy"
    assert text.startswith("✗ backward: not yet – no-batch-average")
    assert "What went wrong?" in text
    assert (edge, width) == ("dashed", "6px")


@pytest.mark.parametrize(
    ("started_in", "works_in", "link"),
    [
        (".", "my-week", "../book/_build/html"),
        ("my-week", "my-week", None),
        (None, "my-week", "../book/_build/html"),  # another program, or a terminal
        (None, "..", None),
    ],
)
def test_verdict_links_to_the_built_book_where_the_client_can_open_it(
    started_in, works_in, link, tmp_path, monkeypatch
):
    clone = tmp_path / "clone"
    built = clone / "book" / "_build" / "html"
    (clone / "my-week").mkdir(parents=True)
    monkeypatch.setattr(verdict, "_BUILT", built)
    monkeypatch.delenv("NNWEEK_BOOK", raising=False)
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    monkeypatch.chdir(clone / works_in)
    if started_in:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("JPY_PARENT_PID", "12")
        server = json.dumps({"root_dir": str(clone / started_in)})
        (tmp_path / "jpserver-12.json").write_text(server, encoding="utf-8")
    wrong = Verdict("backward", False, "sign")
    website = f'href="{wrong.address}"'
    assert website in wrong._repr_html_()
    assert "offline" not in wrong._repr_html_() + repr(wrong).lower(), "nothing is built"
    built.mkdir(parents=True)
    (built / "what-went-wrong.html").touch()
    page = wrong._repr_html_()
    assert website in page, "a teacher who gets the notebook needs it"
    if link is None:
        assert "offline" not in page + repr(wrong).lower()
    else:
        assert f'href="{link}/what-went-wrong.html#backward-sign"' in page
        assert f"Offline: {link}/what-went-wrong.html#backward-sign" in repr(wrong)
