"""`make new-day` starts a day that keeps the rules of a day, and overwrites nothing."""

from support import ROOT


def changes(before, after):
    return {name for name in after if after[name] != before.get(name)}


def test_new_day_adds_the_notebook_and_lists_it_everywhere(fork, files_of, run_script):
    before = files_of(fork)
    ran = run_script("new_day.py", "77", "Attention, in brief")
    assert ran.returncode == 0, ran.stderr
    after = files_of(fork)

    stem = "notebooks/day-77-attention-in-brief"
    lists = {"_toc.yml", "book/index.md", "README.md"}
    assert changes(before, after) == {f"{stem}.py", *lists}
    for name in lists:
        lines = after[name].decode("utf-8").splitlines()
        added = [line for line in lines if stem in line]
        assert added, name
    notebook = after[f"{stem}.py"].decode("utf-8")
    assert "# # Day 77 – Attention, in brief\n" in notebook
    assert "google.colab" in notebook

    again = run_script("new_day.py", "77", "Another title")
    assert again.returncode != 0
    assert f"{stem}.py" in again.stderr
    assert files_of(fork) == after


def test_new_day_needs_a_number_and_a_title(fork, files_of, run_script):
    before = files_of(fork)
    for arguments in ([], ["36"], ["36", " "], ["Attention", "36"]):
        ran = run_script("new_day.py", *arguments)
        assert ran.returncode != 0
        assert "usage: make new-day" in ran.stderr
    assert files_of(fork) == before


def test_no_day_contains_the_placeholders_of_the_template():
    pages = [*(ROOT / "notebooks").glob("day-*.py"), ROOT / "README.md", ROOT / "book/index.md"]
    assert not [page.name for page in pages if "TODO" in page.read_text(encoding="utf-8")]
