"""`make sync`: the side of a day that changed wins, and nothing that a person wrote is lost."""

import copy
import errno
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jupytext
import nbformat
import pytest

from support import ROOT
from support.days import SOURCE, SYNC, Day, needs_git
from support.notebooks import SOURCES, every_day

COMMAND = [sys.executable, ROOT / ".ci" / "sync.py"]
MERGE = b"# %%\n<<<<<<< HEAD\nanswer = 1\n=======\nanswer = 2\n>>>>>>> b\n"


with_and_without_git = pytest.mark.parametrize(
    "in_git", [False, pytest.param(True, marks=needs_git)]
)


@pytest.fixture
def day(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no disk is waited for
    day = Day(tmp_path / "notebooks").create()
    capsys.readouterr()
    return day


def refuses(day, capsys, *words, options=()):
    """Assert that sync stops with these words and changes nothing."""
    before = day.state()
    assert day.sync(*options) == 1
    said = capsys.readouterr().out
    assert day.state() == before
    for word in ("Not synced", *words):
        assert word in said, said


@every_day
def test_notebook_of_the_week_is_what_its_py_gives_and_gives_it_back(day):
    path = SOURCES[day]
    source = SYNC["parse"](path.name, path.read_bytes())
    notebook = nbformat.v4.reads(SYNC["generate"](source).decode("utf-8"))
    nbformat.validate(notebook)
    assert SYNC["write_back"](notebook, source, path.name) == path.read_bytes()
    same = path.with_suffix(".ipynb").read_bytes() == SYNC["generate"](source)
    assert same, (
        f"The notebook of {path.name} was edited, run, or is older than its .py. `make sync` says "
        "which and loses nothing; CONTRIBUTING.md, *Change a page*, says how to commit it."
    )


@every_day
def test_new_text_in_every_text_cell_changes_no_other_line_of_the_py(day):
    path = SOURCES[day]
    source = SYNC["parse"](path.name, path.read_bytes())
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source += "\n\nA new sentence."
    written = SYNC["write_back"](notebook, source, path.name)
    assert written.replace(b"\n#\n# A new sentence.", b"") == path.read_bytes()


def collapse_cells(day):
    notebook = day.notebook()
    for cell in notebook["cells"]:
        cell["metadata"].update(collapsed=True, tags=cell["metadata"].get("tags", []))
    day.save(notebook)


def use_windows_line_ends(day):
    for path in (day.py, day.ipynb):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("change", [Day.state, Day.run, collapse_cells, use_windows_line_ends])
@pytest.mark.parametrize("options", [(), ("--build",)])
def test_outputs_cell_states_and_line_ends_are_no_change(options, change, day, capsys):
    change(day)
    before = day.state()
    assert day.sync(*options) == 0
    assert day.state() == before
    assert "in step" in capsys.readouterr().out


@pytest.mark.parametrize("options", [(), ("--build",)])
def test_edit_of_the_py_reaches_the_notebook(options, day):
    day.edit()
    assert day.sync(*options) == 0
    assert day.both_contain("answer = 7")
    assert day.sync("--check") == 0


def test_answer_and_tags_in_the_notebook_reach_the_py(day):
    day.answer()
    notebook = day.notebook()
    notebook["cells"][-1]["metadata"]["tags"] = ["hide-input"]
    day.save(notebook)
    before = day.ipynb.read_bytes()
    assert day.sync() == 0
    expected = SOURCE.replace("answer = 1", "answer = 42")
    expected = expected.replace("# %%\nprint", '# %% tags=["hide-input"]\nprint')
    assert day.py.read_text(encoding="utf-8") == expected
    assert day.ipynb.read_bytes() == before, "a notebook that is open in an editor changed"


def test_answers_and_edits_one_after_the_other_reach_both(day):
    for text in ("answer = 41", "answer = 42"):
        day.answer(text)
        assert day.sync() == 0
        assert day.both_contain(text)
    day.edit("The end.", "The very end.")
    assert day.sync() == 0
    assert day.both_contain("answer = 42", "The very end.")


def test_unchanged_cells_keep_outputs_and_metadata(day):
    day.run()
    notebook = day.notebook()
    for cell in notebook["cells"][1:3]:
        cell["metadata"]["slideshow"] = {"slide_type": "skip"}
    notebook["metadata"]["colab"] = {"name": "mine"}
    notebook["metadata"]["jupytext"] = {"formats": "ipynb,py:percent"}
    day.save(notebook)
    day.insert()
    day.edit()
    assert day.sync() == 0
    after = day.notebook()
    nbformat.validate(nbformat.from_dict(after))
    outputs = {"".join(c["source"]): c.get("outputs") for c in after["cells"]}
    assert outputs["import math"]
    assert outputs["print(math.pi, answer)"]
    assert outputs["answer = 7"] == []
    assert after["cells"][1]["metadata"]["slideshow"]
    assert after["cells"][2]["metadata"]["slideshow"], "an edited cell keeps it, too"
    assert after["metadata"]["colab"]
    assert "jupytext" not in after["metadata"], "JupyterLab would pair the notebook again"


def test_equal_cells_keep_their_own_outputs(day):
    for text in ("print(math.pi, answer)", "# The end.\n\n# %%\nprint(math.pi, answer)"):
        day.edit("# %% [markdown]\n# The end", f"# %%\n{text}\n\n# %% [markdown]\n# The end")
    assert day.sync() == 0
    notebook = day.notebook()
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            output = nbformat.v4.new_output("stream", text=f"figure {number}")
            cell["outputs"] = [dict(output)]
    day.save(notebook)
    day.edit("# %%\nprint(math.pi, answer)\n\n# %%\n# The", "# %%\n# The")
    assert day.sync() == 0
    figures = re.findall(r"figure \d", day.ipynb.read_text(encoding="utf-8"))
    assert figures == ["figure 1", "figure 2", "figure 4", "figure 5", "figure 7"]


def test_py_keeps_its_first_lines_titles_and_notes(day):
    start = "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n"
    text = SOURCE.replace("only the .py has", 'only the .py has note="why"')
    day.py.write_text(start + text, encoding="utf-8")
    notebook = day.notebook()
    notebook["cells"].insert(2, dict(nbformat.v4.new_code_cell("new = 1")))
    day.save(notebook)
    day.answer()
    assert day.sync() == 0
    expected = text.replace("answer = 1", "answer = 42")
    expected = expected.replace("# %% A title", "# %%\nnew = 1\n\n# %% A title")
    assert day.py.read_text(encoding="utf-8") == start + expected


def test_ids_are_unique_and_an_inserted_cell_changes_no_other(day):
    day.edit("print(math.pi, answer)", "answer = 1\n\n# %%\nanswer = 1")
    assert day.sync() == 0
    before = [cell["id"] for cell in day.notebook()["cells"]]
    day.insert()
    assert day.sync() == 0
    after = [cell["id"] for cell in day.notebook()["cells"]]
    assert set(before) < set(after)
    assert len(set(after)) == len(after) == len(before) + 1


@with_and_without_git
@pytest.mark.parametrize("options", [(), ("--build",), ("--clean",)])
def test_edits_on_both_sides_stop_only_this_day(options, in_git, day, capsys):
    if in_git:
        day.commit()
    other = day.folder / "day-31-other.py"
    other.write_text("# %%\nx = 1\n", encoding="utf-8")
    day.answer()
    day.run()
    day.edit()
    names = (day.py.name, day.ipynb.name)
    advice = ("both have changed", "Rename the notebook", *(["git checkout"] if in_git else []))
    refuses(day, capsys, *names, *advice, options=options)
    assert other.with_suffix(".ipynb").exists()

    day.ipynb.rename(day.folder / "mine.ipynb")
    assert day.sync() == 0
    assert "answer = 42" in (day.folder / "mine.ipynb").read_text(encoding="utf-8")
    assert day.both_contain("answer = 7")


@with_and_without_git
@pytest.mark.parametrize("options", [(), ("--clean",)])
@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_one_file_set_back_after_a_synced_answer_stops(side, options, in_git, day, capsys):
    """As `git checkout FILE` or an undo in the editor does."""
    if in_git:
        day.commit()
    elif side == "py" and options:
        pytest.skip("without git, an edit of the .py looks the same")
    original = getattr(day, side).read_bytes()
    day.answer()
    assert day.sync(*options) == 0
    getattr(day, side).write_bytes(original)
    if side == "ipynb" and options:  # an unedited notebook of the time before
        assert day.sync() == 0
        assert day.both_contain("answer = 42")
        return
    answered = {"py": day.ipynb, "ipynb": day.py}[side]
    refuses(day, capsys, f"git checkout {answered.name}" if in_git else day.ipynb.name)


def test_older_notebook_saved_after_a_clean_stops(day, capsys):
    day.answer("answer = 41")
    opened = day.notebook()
    day.answer()
    assert day.sync("--clean") == 0
    day.save(opened)
    refuses(day, capsys, day.ipynb.name)


@needs_git
def test_second_answer_survives_a_checkout_of_the_first(day, capsys):
    day.answer("answer = 41")
    assert day.sync() == 0
    day.commit()
    committed = day.ipynb.read_bytes()
    day.answer()
    assert day.sync() == 0
    day.ipynb.write_bytes(committed)
    refuses(day, capsys, "as in the last commit", f"git checkout {day.py.name}")


@needs_git
def test_notebook_older_than_the_last_commit_stops(day, capsys):
    """An editor that had it open saves it after a `git pull`."""
    day.commit()
    opened = day.ipynb.read_bytes()
    day.edit("The end.", "A teacher's text.")
    assert day.sync() == 0
    day.commit()
    day.ipynb.write_bytes(opened)
    day.answer()
    refuses(day, capsys, "older than the last commit", f"git checkout {day.ipynb.name}")


def test_older_notebook_saved_over_a_newer_one_stops(day, capsys):
    """JupyterLab's "Overwrite", after `make sync` brought an edit of the .py."""
    day.answer()
    assert day.sync() == 0
    opened = day.ipynb.read_bytes()
    day.edit("answer = 42", "answer = 43")
    assert day.sync() == 0
    day.ipynb.write_bytes(opened)
    refuses(day, capsys, day.ipynb.name)


@with_and_without_git
@pytest.mark.parametrize("memory", [b"", b"{damaged", b"[1]", b"3", b'{"day-30-small.ipynb": []}'])
def test_damaged_memory_of_the_last_sync_loses_nothing(memory, in_git, day, capsys):
    day.memory.write_bytes(memory)
    day.answer("answer = 41")
    assert day.sync() == 0
    if in_git:
        day.commit()
    day.memory.write_bytes(memory)
    day.answer()
    if not in_git:
        refuses(day, capsys, day.ipynb.name)
        return
    assert day.sync() == 0
    assert day.both_contain("answer = 42")


def set_record(day, record=None):
    """Change what the notebook was generated from; a program that drops metadata leaves none."""
    notebook = day.notebook()
    notebook["metadata"].pop("nnweek", None)
    if record is not None:
        notebook["metadata"]["nnweek"] = record
    day.save(notebook)


@pytest.mark.parametrize("record", [None, "text", 3, [], {}, {"source": None}])
def test_unrecorded_notebook_without_git_stops(record, day, capsys):
    set_record(day, record)
    assert day.sync("--build") == 0
    assert day.sync() == 0, "both sides are the same"
    day.memory.unlink()
    day.answer()
    refuses(day, capsys, day.ipynb.name)


@needs_git
@pytest.mark.parametrize("side", ["py", "ipynb", "both"])
def test_unrecorded_notebook_is_compared_with_git(side, day, capsys):
    set_record(day)
    day.commit()
    if side != "py":
        day.answer()
    if side != "ipynb":
        day.edit()
    if side == "both":
        refuses(day, capsys, day.ipynb.name)
        return
    assert day.sync() == 0
    assert day.both_contain({"py": "answer = 7", "ipynb": "answer = 42"}[side])


@pytest.mark.parametrize("seed", range(20))
def test_no_sequence_of_edits_and_syncs_loses_a_line(seed, day):
    """People only add lines here, on either side; whatever was in one of the files stays there."""
    choose = random.Random(seed)
    written = set()
    actions = ["add to .py", "add to .ipynb", "run", "sync", "build", "clean", "forget", "drop"]
    for step in range(12):
        action = choose.choice(actions)
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
            day.memory.unlink(missing_ok=True)
        elif action == "drop":
            set_record(day)
        else:
            day.sync(*([] if action == "sync" else [f"--{action}"]))
        lines = set(re.findall(r"line_\d+", "".join(map(str, day.state().values()))))
        assert lines == written, f"step {step}: {action}"


@pytest.mark.parametrize("options", [(), ("--build",)])
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
        b'{"cells": [], "metadata": {}, "nbformat": 5, "nbformat_minor": 0}',
        b'{"cells": [{"cell_type": "raw", "metadata": {}, "source": "\\ud83d"}], "nbformat": 4}',
        b'{"cells": [{"cell_type": "raw", "metadata": {}, "source": "x"}, {"cell_type": "raw", '
        b'"metadata": {"tags": "x"}, "source": "x"}], "metadata": {}, "nbformat": 4}',
        b"\xff\xfe\x00binary",
    ],
)
def test_damaged_notebook_is_named_and_a_new_one_written_beside_it(content, options, day, capsys):
    before = day.state()
    day.ipynb.write_bytes(content)
    refuses(day, capsys, f"{day.ipynb.name} cannot be read", "rename it", options=options)
    day.ipynb.rename(day.folder / "mine.ipynb")
    assert day.sync(*options) == 0
    assert day.state() == before


@pytest.mark.parametrize(
    ("side", "content", "problem"),
    [("py", content, "cannot be read") for content in (b"", b"\n", b"x = '\xe9'\n", b"\x00\xff")]
    + [(side, MERGE, "holds an unfinished git merge") for side in ("py", "ipynb")],
)
def test_damaged_py_or_merge_is_named_and_left_alone(side, content, problem, day, capsys):
    path = getattr(day, side)
    path.write_bytes(content)
    refuses(day, capsys, f"{path.name} {problem}")


def test_stray_notebooks_are_passed_over(day, capsys):
    names = ("Untitled.ipynb", "day-30 (copy).ipynb", "day-30-small-Copy1.ipynb")
    for name in names:
        (day.folder / name).write_bytes(b"")
    assert day.sync() == 0
    said = capsys.readouterr().out
    assert day.sync("--check") == 0
    for name in names:
        assert f"{name}: passed over" in said
        assert (day.folder / name).read_bytes() == b""
    assert list(day.folder.glob("*.py")) == [day.py]


@needs_git
def test_deleted_py_is_missed(day, capsys):
    day.commit()
    day.py.unlink()
    refuses(day, capsys, f"git checkout {day.py.name}")


def test_cell_that_looks_like_a_part_of_a_merge_reaches_the_py(day, capsys):
    text = 'answer = """\n<<<<<<< HEAD\n{}>>>>>>> b\n"""'
    day.answer(text.format(""))
    assert day.sync() == 0
    day.edit("The end.", "The very end.")
    assert day.sync() == 0, capsys.readouterr().out
    day.answer(text.format("=======\n"))
    refuses(day, capsys, f"{day.py.name} holds an unfinished git merge")


def test_full_disk_is_a_sentence_that_names_the_day(day, capsys, monkeypatch):
    def fail(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    day.edit()
    monkeypatch.setattr(os, "fsync", fail)
    refuses(day, capsys, "day-30-small", os.strerror(errno.ENOSPC))


def test_cell_that_no_py_can_hold_is_refused_by_name(day, capsys):
    day.answer("x = 1\n# %%\ny = 2")
    refuses(day, capsys, "the cell that begins with 'x = 1'")

    day.create()
    notebook = day.notebook()
    notebook["cells"][0]["attachments"] = {"image.png": {"image/png": "iVBORw0KGgo="}}
    day.save(notebook)
    refuses(day, capsys, "# Day 30 – Small", "attached image")


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


def test_py_with_windows_line_ends_keeps_them(day):
    day.py.write_bytes(day.py.read_bytes().replace(b"\n", b"\r\n"))
    day.answer()
    assert day.sync() == 0
    written = day.py.read_bytes()
    assert b"answer = 42" in written
    assert written.count(b"\n") == written.count(b"\r\n")


def test_build_leaves_an_answered_notebook_and_its_py(day, capsys):
    day.answer()
    day.run()
    before = day.state()
    assert day.sync("--build") == 0
    assert day.state() == before
    assert "used as it is" in capsys.readouterr().out


def test_build_and_check_stop_if_a_run_notebook_is_older_than_its_py(day, capsys):
    day.run()
    refuses(day, capsys, day.ipynb.name, "not exactly", options=["--check"])
    day.edit()
    refuses(day, capsys, day.ipynb.name, "not exactly", options=["--check"])
    refuses(day, capsys, day.ipynb.name, "make sync", options=["--build"])


def test_clean_drops_outputs_but_no_answer(day, capsys):
    day.answer()
    day.run()
    notebook = day.notebook()
    notebook["metadata"]["authors"] = [{"name": "A"}]
    notebook["cells"][2]["metadata"]["nbgrader"] = {"grade_id": "a"}
    day.save(notebook)
    assert day.sync() == 0
    assert re.search(
        "before a commit: .*--clean.* It changes day-30-small", capsys.readouterr().out
    )
    assert day.sync("--clean") == 0
    assert "authors, execution, language_info, nbgrader, vscode" in capsys.readouterr().out
    assert day.sync() == 0
    assert "commit" not in capsys.readouterr().out
    assert day.sync("--check") == 0
    assert day.both_contain("answer = 42")


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


@pytest.mark.parametrize("call", ["generate", "fsync"])
@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_file_saved_during_the_sync_is_not_overwritten(side, call, day, monkeypatch, capsys):
    first, second = (day.answer, day.edit) if side == "py" else (day.edit, day.answer)
    first()
    saved = []

    def save_meanwhile(*arguments):
        if len(arguments) != 1 or not saved:
            second()
            saved.append(getattr(day, side).read_bytes())
        return real(*arguments)

    if call == "fsync":
        real = os.fsync
        monkeypatch.setattr(os, "fsync", save_meanwhile)
    else:
        name = "generate" if side == "ipynb" else "write_back"
        real = SYNC[name]
        monkeypatch.setitem(SYNC["sync"].__globals__, name, save_meanwhile)
    assert day.sync() == 1
    assert "saved just now" in capsys.readouterr().out
    assert getattr(day, side).read_bytes() == saved[-1]


@pytest.mark.skipif(os.name == "nt", reason="a shell's redirection")
def test_closed_standard_output_is_no_error(day):
    day.edit()
    command = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, day.folder]
    assert subprocess.run(command, capture_output=True, text=True).stderr == ""
    assert day.both_contain("answer = 7")


def test_two_syncs_at_once_agree(day):
    day.answer()
    options = {"capture_output": True, "text": True}
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: subprocess.run(COMMAND + [day.folder], **options), range(2)))
    for ran in runs:
        assert ran.returncode == 0 or "saved just now" in ran.stdout, ran.stdout + ran.stderr
    assert day.sync() == 0
    assert day.both_contain("answer = 42")
