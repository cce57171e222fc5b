"""`make new-day` starts a day that keeps the rules of a day, and overwrites nothing."""

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


def test_no_day_contains_the_placeholders_of_the_template():
    pages = [*(f"{day}.py" for day in DAYS), "README.md", "book/index.md"]
    assert not [page for page in pages if "TODO" in text_of(page)]
