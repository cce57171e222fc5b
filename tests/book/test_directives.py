"""The directives show what the checks, the notebooks and the measurements know."""

import json
import re
from types import SimpleNamespace

import directives
import pytest

from nnweek import checks
from nnweek.checks.verdict import GENERIC
from nnweek.commands import catalogue
from support import ROOT, text_of
from support.contents import DAYS

TEACHERS = text_of("book/teachers.md")


def lines_of(directive):
    """The lines that the teachers' page gives to a directive."""
    found = re.search(rf"```{{{directive}}}\n(.*?)```", TEACHERS, re.DOTALL)
    return found[1].split("\n")[:-1]


def test_every_day_has_its_minutes():
    assert len(directives.times()) == len(DAYS)


def test_lesson_plan_names_existing_parts_and_fits_a_day():
    steps = list(directives.plan(lines_of("lesson-plan")))
    assert 5 * 60 <= sum(minutes for _, minutes in steps) <= 8 * 60


def test_parts_that_may_be_left_out_exist():
    text = TEACHERS.partition("leave out ")[2].partition(":")[0]
    named = re.findall(r"\*([^*]+)\* on Day\s(\d+)", text)
    assert len(named) >= 5
    for part, day in named:
        assert part in directives.times()[int(day)][1], (day, part)


def test_every_stumbling_block_is_known_to_the_checks():
    blocks = [directives.stumbling_block(line) for line in lines_of("stumbling-blocks")]
    assert len(blocks) >= 12
    assert all(question.endswith("?") for *_, question in blocks)
    assert {exercise.day for exercise, *_ in blocks} >= {29, 30, 31, 32, 33}


def test_unknown_part_or_stumbling_block_is_refused_by_name():
    with pytest.raises(ValueError, match="Day 29 has no part 'backwards'; it has .*backward"):
        list(directives.plan(["29: backwards"]))
    with pytest.raises(ValueError, match="'dark-magic'"):
        directives.stumbling_block("backward dark-magic: Really?")


def test_table_of_grades_on_the_page_has_the_commands_form():
    rows = re.search(r"```text\n(file,.*?)```", TEACHERS, re.DOTALL)[1].splitlines()
    assert rows[0] == "file,day,exercise,result"
    for row in rows[1:]:
        _, day, exercise, result = row.split(",")
        assert checks.EXERCISES[exercise].day == int(day)
        known = {mistake.id for mistake in checks.EXERCISES[exercise].mistakes}
        assert result in known | {"passed", "not-attempted"}


def measured(**peaks):
    machine = {"date": "2026-11-29", "system": "Linux", "cores": 2, "device": "cpu"}
    machine |= {"python": "3.11", "torch": "2.15", "dataset": "MNIST"}
    notebooks = {day.rpartition("/")[2]: {"peak_mib": 900, "cpu_seconds": 61.4} for day in DAYS}
    for day, peak in peaks.items():
        notebooks[next(name for name in notebooks if day in name)]["peak_mib"] = peak
    return {"machine": machine, "notebooks": notebooks}


def test_kernel_table_is_computed_from_the_recorded_measurement():
    text = "\n".join(directives.kernel_lines(measured(**{"31": 2048})))
    assert f"| []({DAYS[0]}.ipynb) | 900 MiB | 61 s |" in text
    assert "Day 31 needs the most memory" in text
    assert "30 × 2,048 MiB, that is 60 GiB" in text
    assert "2026-11-29" in text
    bench = measured()  # by someone who had not seen the first day
    del bench["notebooks"][DAYS[0].rpartition("/")[2]]
    assert f"| []({DAYS[0]}.ipynb) | – | – |" in directives.kernel_lines(bench)


def test_commit_without_git_or_of_an_unpacked_archive_is_not_known(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert directives.commit() == "not known: git is not installed"
    for folder in (tmp_path, ROOT / "book"):  # also if a repository is around it
        monkeypatch.setattr(directives, "ROOT", folder)
        assert directives.commit() == "not known: this is not a git checkout"


def test_mistake_table_counts_every_id_of_an_exercise_once():
    total = 0
    for exercise in checks.EXERCISES.values():
        (link, count), ids = directives.mistake_row(exercise)
        text = "".join(node.astext() for node in ids)
        found = re.findall(r"([a-zA-Z][\w-]*)(?:\s(\d+))?(?:, |$)", text)
        expected = {}
        for mistake in exercise.mistakes:
            if mistake.id not in GENERIC:
                expected[mistake.id] = expected.get(mistake.id, 0) + len(mistake.variants)
        assert {id_: int(number or 0) for id_, number in found} == expected
        assert link["refuri"] == f"what-went-wrong.html#{exercise.name}"
        total += int(count.strip(", "))
    assert total == len(catalogue.mistake_names())


@pytest.mark.parametrize(("format", "failed"), [("html", False), ("html", True), ("dummy", False)])
def test_catalogue_and_its_schema_are_written_into_a_finished_site(tmp_path, format, failed):
    app = SimpleNamespace(builder=SimpleNamespace(format=format), outdir=tmp_path)
    directives.write_catalogue(app, RuntimeError() if failed else None)
    names = {path.name for path in tmp_path.iterdir()}
    if format != "html" or failed:
        assert not names
        return
    assert names == {"catalogue.json", "catalogue.schema.json"}
    data = json.loads((tmp_path / "catalogue.json").read_text(encoding="utf-8"))
    assert data["counts"]["mistakes"] == len(catalogue.mistake_names())


def test_numbers_of_real_learners_on_the_page_add_up():
    page = text_of("book/catalogue.md").partition("## Real learners' code")[2]
    text = " ".join(page.split())
    versions, right, wrong = 976, 698, 278
    assert f"| right | {right} | {right} passed, none refused |" in text
    assert f"| not right | {wrong} | {wrong} refused, none passed |" in text
    assert right + wrong == versions
    empty, raised, results, outside = map(int, re.search(
        r"(\d+) had no answer yet, (\d+) raised .* and (\d+) returned .* The other (\d+)", text
    ).groups())  # fmt: skip
    assert empty + raised + results + outside == wrong
    rows = re.findall(r"^\| (?:named|explained|only)\b.* \| (\d+) \|$", page, re.MULTILINE)
    assert sum(map(int, rows)) == results
    for cases, bound in ((right, "0.4 %"), (wrong, "1.1 %"), (131, "2.3 %")):
        # No event in n independent cases: with 95 % confidence, p is below 1 − 0.05^(1/n).
        assert f"{100 * (1 - 0.05 ** (1 / cases)):.1f} %" == bound
        assert bound in text
