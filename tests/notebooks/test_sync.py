"""`make sync`: the side of a day that changed wins, and nothing that a person wrote is lost."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jupytext
import nbformat
import pytest

from support import ROOT
from support.days import SOURCE, SYNC, Day

GIT = shutil.which("git")
needs_git = pytest.mark.skipif(GIT is None, reason="git is not installed")


@pytest.fixture
def day(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no disk is waited for
    day = Day(tmp_path / "notebooks").create()
    capsys.readouterr()
    return day


def git(*arguments, cwd):
    # Without git's own variables: in a hook they would point at the real repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = [GIT, *author, "-c", "core.autocrlf=false", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True)


def commit(day):
    if not (day.folder / ".git").exists():
        git("init", "--quiet", cwd=day.folder)
    git("add", "*.py", "*.ipynb", cwd=day.folder)
    git("commit", "--quiet", "--message=a day", cwd=day.folder)


def refuses(day, capsys, *words, options=()):
    """Assert that sync stops with these words and changes nothing."""
    before = day.state()
    assert day.sync(*options) == 1
    said = capsys.readouterr().out
    assert day.state() == before
    for word in (day.ipynb.name, *words):
        assert word in said, said
    return said


# --- The week's notebooks ----------------------------------------------------------------


@pytest.mark.parametrize("number", range(29, 36))
def test_notebook_is_what_its_py_gives(number):
    (path,) = (ROOT / "notebooks").glob(f"day-{number}-*.py")
    fresh = SYNC["generate"](SYNC["parse"](path.name, path.read_bytes()))
    same = path.with_suffix(".ipynb").read_text(encoding="utf-8") == fresh
    assert same, (
        f"The notebook of {path.name} was edited, run, or is older than its .py. `make sync` says "
        "which and loses nothing; CONTRIBUTING.md, *Change a page*, says how to commit it."
    )


@pytest.mark.parametrize("number", range(29, 36))
def test_notebook_gives_its_py_back(number):
    (path,) = (ROOT / "notebooks").glob(f"day-{number}-*.py")
    source = SYNC["parse"](path.name, path.read_bytes())
    notebook = nbformat.v4.reads(SYNC["generate"](source))
    nbformat.validate(notebook)
    assert SYNC["write_back"](notebook, source, path.name) == path.read_text(encoding="utf-8")


def test_jupyter_pairs_no_notebook():
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not re.search(r"^formats", config.partition("[tool.jupytext]")[2], re.MULTILINE)
    for path in (ROOT / "notebooks").glob("day-*.ipynb"):
        assert "jupytext" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]


# --- One side changed --------------------------------------------------------------------


def test_second_sync_changes_nothing(day, capsys):
    before = day.state()
    assert day.sync() == 0
    assert day.state() == before
    assert "in step" in capsys.readouterr().out


def test_edit_of_the_py_reaches_the_notebook(day):
    day.edit()
    assert day.sync() == 0
    assert "answer = 7" in day.ipynb.read_text(encoding="utf-8")
    assert day.sync("--check") == 0


def test_answer_in_the_notebook_reaches_the_py(day):
    day.answer()
    before = day.ipynb.read_bytes()
    assert day.sync() == 0
    expected = SOURCE.replace("answer = 1", "answer = 42")
    assert day.py.read_text(encoding="utf-8") == expected.replace(
        "%% A title that only the .py has", "%%"
    )
    assert day.ipynb.read_bytes() == before, "a notebook that is open in an editor changed"


def test_two_answers_one_after_the_other_reach_the_py(day):
    for text in ("answer = 41", "answer = 42"):
        day.answer(text)
        assert day.sync() == 0
        assert text in day.py.read_text(encoding="utf-8")


def test_py_edited_after_an_answer_was_synced_reaches_the_notebook(day):
    day.answer()
    assert day.sync() == 0
    day.edit("The end.", "The very end.")
    assert day.sync() == 0
    for path in (day.py, day.ipynb):
        text = path.read_text(encoding="utf-8")
        assert "answer = 42" in text
        assert "The very end." in text


def test_outputs_are_no_change(day):
    day.run()
    before = day.state()
    assert day.sync() == 0
    assert day.state() == before


def test_unchanged_cells_keep_outputs_and_metadata(day):
    day.run()
    notebook = day.notebook()
    notebook["cells"][1]["metadata"]["slideshow"] = {"slide_type": "skip"}
    notebook["metadata"]["colab"] = {"name": "mine"}
    notebook["metadata"]["jupytext"] = {"formats": "ipynb,py:percent"}
    day.save(notebook)
    day.edit("# %% [markdown]\n# The end.", '# %%\n"new"\n\n# %% [markdown]\n# The end.')
    day.edit()
    assert day.sync() == 0
    after = day.notebook()
    nbformat.validate(nbformat.from_dict(after))
    outputs = {"".join(c["source"]): c.get("outputs") for c in after["cells"]}
    assert outputs["import math"]
    assert outputs["print(math.pi, answer)"]
    assert outputs["answer = 7"] == []
    assert after["cells"][1]["metadata"]["slideshow"]
    assert after["metadata"]["colab"]
    assert "jupytext" not in after["metadata"], "JupyterLab would pair the notebook again"


def test_tags_are_content_and_reach_the_py(day):
    notebook = day.notebook()
    notebook["cells"][2]["metadata"]["tags"] = ["hide-input"]
    day.save(notebook)
    assert day.sync() == 0
    assert 'tags=["hide-input"]' in day.py.read_text(encoding="utf-8")


def test_timings_and_cell_states_do_not_reach_the_py(day):
    before = day.py.read_bytes()
    day.run()
    notebook = day.notebook()
    for cell in notebook["cells"]:
        cell["metadata"].update(
            collapsed=True, scrolled=True, tags=cell["metadata"].get("tags", [])
        )
    day.save(notebook)
    assert day.sync() == 0
    assert day.py.read_bytes() == before


def test_missing_notebook_is_generated(day):
    before = day.state()
    day.ipynb.unlink()
    assert day.sync() == 0
    assert day.state() == before


# --- Both changed, or it is not clear which ------------------------------------------------


def test_edits_on_both_sides_stop(day, capsys):
    day.answer()
    day.edit()
    refuses(day, capsys, day.py.name, "both have changed", "Rename the notebook", "git checkout")


def test_the_advice_keeps_the_answer(day, capsys):
    day.answer()
    day.edit()
    refuses(day, capsys)
    day.ipynb.rename(day.folder / "mine.ipynb")
    assert day.sync() == 0
    assert "answer = 42" in (day.folder / "mine.ipynb").read_text(encoding="utf-8")
    assert "answer = 7" in day.ipynb.read_text(encoding="utf-8")


def test_other_days_are_synced_when_one_stops(day, capsys):
    other = day.folder / "day-31-other.py"
    other.write_text("# %%\nx = 1\n", encoding="utf-8")
    day.answer()
    day.edit()
    assert day.sync() == 1
    assert other.with_suffix(".ipynb").exists()


@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_one_file_set_back_after_a_synced_answer_stops(side, day, capsys):
    original = getattr(day, side).read_bytes()
    day.answer()
    assert day.sync() == 0
    getattr(day, side).write_bytes(original)
    refuses(day, capsys)


@needs_git
@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_git_checkout_of_one_file_loses_no_answer(side, day):
    commit(day)
    day.answer()
    assert day.sync() == 0
    git("checkout", "--quiet", getattr(day, side).name, cwd=day.folder)
    assert day.sync() == 0
    for path in (day.py, day.ipynb):
        assert "answer = 42" in path.read_text(encoding="utf-8")


def test_older_notebook_saved_over_a_newer_one_stops(day, capsys):
    """JupyterLab's "Overwrite", after `make sync` brought an edit of the .py."""
    day.answer()
    assert day.sync() == 0
    opened = day.ipynb.read_bytes()
    day.edit("answer = 42", "answer = 43")
    assert day.sync() == 0
    day.ipynb.write_bytes(opened)
    refuses(day, capsys)


def test_lost_memory_of_the_last_sync_loses_nothing(day, capsys):
    day.answer("answer = 41")
    assert day.sync() == 0
    (day.folder / ".last-sync.json").write_text("{damaged", encoding="utf-8")
    day.answer("answer = 42")
    refuses(day, capsys)


@pytest.mark.parametrize("memory", [b"", b"[1]", b"3", b'{"day-30-small.ipynb": []}'])
def test_damaged_memory_of_the_last_sync_is_no_error(memory, day):
    (day.folder / ".last-sync.json").write_bytes(memory)
    day.answer()
    assert day.sync() == 0
    assert "answer = 42" in day.py.read_text(encoding="utf-8")


@pytest.mark.parametrize("record", ["text", 3, [], {}, {"source": None}])
def test_foreign_record_is_no_record(record, day, capsys):
    notebook = day.notebook()
    notebook["metadata"]["nnweek"] = record
    day.save(notebook)
    assert day.sync("--build") == 0
    day.answer()
    refuses(day, capsys)


def without_record(day):
    """As a program leaves it that drops metadata which it does not know."""
    notebook = day.notebook()
    notebook["metadata"].pop("nnweek", None)
    day.save(notebook)


def test_unrecorded_notebook_without_git_stops(day, capsys):
    without_record(day)
    assert day.sync() == 0, "both sides are the same"
    (day.folder / ".last-sync.json").unlink(missing_ok=True)
    day.answer()
    refuses(day, capsys)


@needs_git
def test_git_replaces_a_lost_memory(day):
    day.answer("answer = 41")
    assert day.sync() == 0
    commit(day)
    (day.folder / ".last-sync.json").unlink()
    day.answer("answer = 42")
    assert day.sync() == 0
    assert "answer = 42" in day.py.read_text(encoding="utf-8")


@needs_git
@pytest.mark.parametrize("side", ["py", "ipynb", "both"])
def test_unrecorded_notebook_is_compared_with_git(side, day, capsys):
    without_record(day)
    commit(day)
    if side != "py":
        day.answer()
    if side != "ipynb":
        day.edit()
    if side == "both":
        refuses(day, capsys)
        return
    assert day.sync() == 0
    new = {"py": "answer = 7", "ipynb": "answer = 42"}[side]
    assert all(new in path.read_text(encoding="utf-8") for path in (day.py, day.ipynb))


@pytest.mark.parametrize("seed", range(20))
def test_no_sequence_of_edits_and_syncs_loses_a_line(seed, day):
    """People only add lines here, on either side; whatever was in one of the files stays there."""
    choose = random.Random(seed)
    written = set()

    def lines():
        return set(re.findall(r"line_\d+", "".join(map(str, day.state().values()))))

    for step in range(12):
        action = choose.choice(
            ["add to .py", "add to .ipynb", "run", "sync", "build", "clean", "forget", "drop"]
        )
        if action == "add to .py":
            written.add(f"line_{step}")
            with open(day.py, "a", encoding="utf-8", newline="\n") as file:
                file.write(f"\n# %%\nline_{step} = 1\n")
        elif action == "add to .ipynb":
            written.add(f"line_{step}")
            notebook = day.notebook()
            notebook["cells"].append(dict(nbformat.v4.new_code_cell(f"line_{step} = 1")))
            day.save(notebook)
        elif action == "run":
            day.run()
        elif action == "forget":
            (day.folder / ".last-sync.json").unlink(missing_ok=True)
        elif action == "drop":
            without_record(day)
        else:
            day.sync(*([] if action == "sync" else [f"--{action}"]))
        assert lines() == written, f"step {step}: {action}"


# --- Damaged and foreign files -------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"cells": [',
        b"[]",
        b"null",
        b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}',
        b'{"cells": [{"source": 3}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b'{"cells": [{"cell_type": "heading", "metadata": {}, "source": "x"}], "nbformat": 4}',
        b"\xff\xfe\x00binary",
    ],
)
@pytest.mark.parametrize("options", [(), ("--build",)])
def test_damaged_notebook_is_named_and_left_alone(content, options, day, capsys):
    day.ipynb.write_bytes(content)
    refuses(day, capsys, "cannot be read", "rename it", options=options)


@pytest.mark.parametrize("content", [b"", b"\n", b"# %%\nx = '\xe9'\n", b"\x00\xff"])
def test_damaged_py_is_named_and_left_alone(content, day, capsys):
    day.py.write_bytes(content)
    before = day.state()
    assert day.sync() == 1
    assert day.state() == before
    assert f"{day.py.name} cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_unfinished_merge_is_named_and_left_alone(side, day, capsys):
    path = getattr(day, side)
    text = path.read_text(encoding="utf-8")
    text = text.replace(
        "answer = 1", "\n<<<<<<< HEAD\nanswer = 1\n=======\nanswer = 2\n>>>>>>> b\n"
    )
    path.write_text(text, encoding="utf-8")
    before = day.state()
    assert day.sync() == 1
    assert day.state() == before
    assert re.search(f"{path.name} holds an unfinished git merge", capsys.readouterr().out)


@pytest.mark.parametrize(
    "name", ["Untitled.ipynb", "day-30 (copy).ipynb", "day-30-small-Copy1.ipynb"]
)
def test_stray_notebook_is_passed_over(name, day, capsys):
    (day.folder / name).write_bytes(b"")
    assert day.sync() == 0
    assert f"{name}: passed over" in capsys.readouterr().out
    assert day.sync("--check") == 0
    assert (day.folder / name).read_bytes() == b""
    assert len(list(day.folder.glob("*.py"))) == 1


def test_answer_that_no_py_can_hold_is_refused(day, capsys):
    day.answer("x = 1\n# %%\ny = 2")
    refuses(day, capsys, "the cell that begins with 'x = 1'")


def test_attached_image_is_refused_by_name(day, capsys):
    notebook = day.notebook()
    notebook["cells"][0]["attachments"] = {"image.png": {"image/png": "iVBORw0KGgo="}}
    day.save(notebook)
    refuses(day, capsys, "attached image")


@pytest.mark.parametrize(
    "text",
    ["", "%matplotlib inline", "!ls", "files = !ls", "%%bash\nls", "np.exp?", "'''\n# a\n'''",
     "def f():\n\n\n    return 'é 🎉'", "# %matplotlib inline", "x = 1\n\n"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["code", "markdown", "raw"])
def test_any_ordinary_cell_survives_the_way_to_the_py_and_back(kind, text, day):
    if kind != "code" and text.startswith("# %"):
        pytest.skip("a comment in code, no text that anybody writes")
    notebook = day.notebook()
    cell = getattr(nbformat.v4, f"new_{kind}_cell")(text)
    notebook["cells"].append(dict(cell))
    day.save(notebook)
    assert day.sync("--clean") == 0
    added = day.notebook()["cells"][-1]
    assert (added["cell_type"], "".join(added["source"])) == (kind, text.strip("\n"))
    assert jupytext.read(day.py).cells[-1].source.strip("\n") == text.strip("\n")


def test_line_ends_and_byte_order_mark_are_no_change(day):
    for path in (day.py, day.ipynb):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    before = day.state()
    assert day.sync() == 0
    assert day.sync("--build") == 0
    assert day.state() == before


def test_py_with_windows_line_ends_keeps_them(day):
    day.py.write_bytes(day.py.read_bytes().replace(b"\n", b"\r\n"))
    day.answer()
    assert day.sync() == 0
    written = day.py.read_bytes()
    assert b"answer = 42" in written
    assert written.count(b"\n") == written.count(b"\r\n")


# --- Building the book, committing, being killed --------------------------------------------


def test_build_updates_a_notebook_that_nobody_touched(day):
    day.edit()
    assert day.sync("--build") == 0
    assert day.sync("--check") == 0
    assert "answer = 7" in day.ipynb.read_text(encoding="utf-8")


def test_build_leaves_an_answered_notebook_and_its_py(day, capsys):
    day.answer()
    day.run()
    before = day.state()
    assert day.sync("--build") == 0
    assert day.state() == before
    assert "used as it is" in capsys.readouterr().out


def test_build_stops_if_a_run_notebook_is_older_than_its_py(day, capsys):
    day.run()
    day.edit()
    refuses(day, capsys, "make sync", options=["--build"])


def test_check_writes_nothing(day, capsys):
    day.run()
    refuses(day, capsys, "not exactly", options=["--check"])
    day.edit()
    refuses(day, capsys, options=["--check"])


def test_clean_drops_outputs_but_no_answer(day):
    day.answer()
    day.run()
    assert day.sync("--clean") == 0
    assert day.sync("--check") == 0
    for path in (day.py, day.ipynb):
        assert "answer = 42" in path.read_text(encoding="utf-8")


def test_clean_stops_if_both_changed(day, capsys):
    day.answer()
    day.run()
    day.edit()
    refuses(day, capsys, options=["--clean"])


@pytest.mark.parametrize("side", ["py", "ipynb"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_killed_sync_loses_nothing(side, call, day, monkeypatch):
    day.answer() if side == "py" else day.edit()
    before = day.state()

    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, call, die)
        with pytest.raises(KeyboardInterrupt):
            day.sync()
    assert day.state() == before
    assert day.sync() == 0
    assert day.state() != before


def test_notebook_saved_during_the_sync_is_not_overwritten(day, monkeypatch, capsys):
    day.edit()
    real = SYNC["generate"]

    def save_meanwhile(source, old=None):
        if old:
            day.answer()
        return real(source, old)

    monkeypatch.setitem(SYNC["sync"].__globals__, "generate", save_meanwhile)
    assert day.sync() == 1
    assert "saved just now" in capsys.readouterr().out
    assert "answer = 42" in day.ipynb.read_text(encoding="utf-8")


def test_two_syncs_at_once_agree(day):
    day.answer()
    command = [sys.executable, ROOT / ".ci" / "sync.py", day.folder]
    with ThreadPoolExecutor(2) as pool:
        runs = list(
            pool.map(lambda _: subprocess.run(command, capture_output=True, text=True), "ab")
        )
    for ran in runs:
        assert ran.returncode == 0 or "saved just now" in ran.stdout, ran.stdout + ran.stderr
    assert day.sync() == 0
    assert "answer = 42" in day.py.read_text(encoding="utf-8")


# --- git ------------------------------------------------------------------------------------


def test_an_inserted_cell_changes_no_other_id(day):
    before = [cell["id"] for cell in day.notebook()["cells"]]
    day.edit(
        "# %% [markdown]\n# The end.", "# %% [markdown]\n# New.\n\n# %% [markdown]\n# The end."
    )
    assert day.sync() == 0
    after = [cell["id"] for cell in day.notebook()["cells"]]
    assert set(before) < set(after)
    assert len(set(after)) == len(after) == len(before) + 1


def test_equal_cells_have_different_ids(day):
    day.edit("print(math.pi, answer)", "answer = 1\n\n# %%\nanswer = 1")
    assert day.sync() == 0
    ids = [cell["id"] for cell in day.notebook()["cells"]]
    assert len(set(ids)) == len(ids)


@needs_git
def test_teachers_cells_merge_into_an_answered_and_run_notebook(day):
    commit(day)
    git("switch", "--quiet", "--create", "teacher", cwd=day.folder)
    day.edit(
        "# %% [markdown]\n# The end.", "# %% [markdown]\n# New.\n\n# %% [markdown]\n# The end."
    )
    assert day.sync() == 0
    commit(day)
    git("switch", "--quiet", "-", cwd=day.folder)
    day.answer()
    day.run()
    commit(day)
    git("merge", "--quiet", "--no-edit", "teacher", cwd=day.folder)
    merged = day.notebook()
    ids = [cell["id"] for cell in merged["cells"]]
    assert len(set(ids)) == len(ids)
    text = day.ipynb.read_text(encoding="utf-8")
    assert all(word in text for word in ("answer = 42", "New.", "3.14"))
    assert day.sync() == 0
    assert "answer = 42" in day.py.read_text(encoding="utf-8")
