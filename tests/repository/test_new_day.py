"""`make new-day` starts a day that keeps the rules of a day, and overwrites nothing."""

import os

import pytest

from support import text_of
from support.contents import DAYS


def test_new_day_adds_the_notebook_and_lists_it_everywhere(fork):
    before = fork.files()
    fork.run("new_day.py", "77", "Attention, in brief")
    after = fork.files()

    stem = "notebooks/day-77-attention-in-brief"
    lists = {"_toc.yml", "book/index.md", "README.md"}
    assert {name for name in after if after[name] != before.get(name)} == {f"{stem}.py", *lists}
    for name in lists:
        assert stem in after[name].decode("utf-8"), name
    notebook = after[f"{stem}.py"].decode("utf-8")
    assert "# # Day 77 – Attention, in brief\n" in notebook
    assert "google.colab" in notebook

    assert f"{stem}.py" in fork.run("new_day.py", "77", "Another title", fails=True)
    assert fork.files() == after


def test_new_day_needs_a_number_and_a_title(fork):
    before = fork.files()
    for arguments in ([], ["36"], ["36", " "], ["Attention", "36"]):
        assert "usage: make new-day" in fork.run("new_day.py", *arguments, fails=True)
    assert fork.files() == before


def test_new_day_names_its_file_in_ascii(fork):
    before = fork.files()
    assert "needs a letter" in fork.run("new_day.py", "77", "注意", fails=True)
    assert fork.files() == before
    fork.run("new_day.py", "77", "Übung")
    assert "notebooks/day-77-ubung.py" in fork.files()


@pytest.mark.parametrize("file", ["_toc.yml", "book/index.md", "README.md"])
def test_new_day_writes_nothing_if_a_list_has_no_place_for_it(file, fork):
    (fork.tree / file).write_text("Rewritten.\n", encoding="utf-8")
    before = fork.files()
    said = fork.run("new_day.py", "77", "Attention", fails=True)
    assert said.startswith(f"Nothing was written: {file} ")
    assert fork.files() == before


@pytest.mark.skipif(os.name != "posix", reason="needs ulimit")
def test_new_day_interrupted_by_a_full_disk_can_be_repeated(fork, limited):
    before = fork.files()
    said = fork.run("new_day.py", "77", "Attention", fails=True, python=limited(4))
    assert "could not be written (File too large)" in said
    after = fork.files()
    assert {name for name in after if after[name] != before.get(name)} == {"_toc.yml"}
    fork.run("new_day.py", "77", "Attention")
    assert fork.files()["_toc.yml"].count(b"day-77") == 1


def test_no_day_contains_the_placeholders_of_the_template():
    pages = [*(f"{day}.py" for day in DAYS), "README.md", "book/index.md"]
    assert not [page for page in pages if "TODO" in text_of(page)]
