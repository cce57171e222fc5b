"""The book's own pages: no number on them that nothing vouches for."""

import os
import re
import sys

import numpy as np
import pytest
import torch
import yaml
from scipy import stats

from nnweek.loaders import pixel_statistics
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import nnweek_teaching


def page(name):
    return (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


# --- The cheat sheet ---------------------------------------------------------------------------

PARAMETERS = sum(p.numel() for p in MNISTMLP(seed=0).parameters())
T = {n: stats.t.ppf(0.975, n - 1) for n in (5, 10)}
HALF_WIDTHS = [196 * (p * (1 - p) / 10_000) ** 0.5 for p in (0.98, 0.97)]  # in points

# What arithmetic gives, as it stands on the page.
COMPUTED = [
    f"| {np.log(10):.4f} |",
    f"| {-np.log(np.e / (np.e + 9)):.4f} |",
    f"loss never below {-np.log(np.e / (np.e + 9)):.4f}",
    f"| {PARAMETERS:,} |",
    f"| {-(-54_000 // 128)} |",
    f"| ±{HALF_WIDTHS[0]:.2f}, ±{HALF_WIDTHS[1]:.2f} |",
    f"| {T[5]:.3f}, {T[10]:.3f} |",
    rf"| ${np.finfo(np.float32).eps * 1e7:.1f} \cdot 10^{{-7}}$, "
    rf"${np.finfo(np.float64).eps * 1e16:.1f} \cdot 10^{{-16}}$ |",
    rf"| ${0.25**10 * 1e7:.1f} \cdot 10^{{-7}}$ |",
    f"| {1135 / 10_000:.2%} |".replace("%", " %"),
    f"| {980 / 10_000:.2%} |".replace("%", " %"),
    rf"\pm {stats.norm.ppf(0.975):.2f} \sqrt",
]
# What others have measured or recommend: each with its source on the page.
QUOTED = {
    "LeCun et al., 1998": [
        "linear 12.0 %",
        "784-300-10 4.7 %",
        "784-1000-10 4.5 %",
        "LeNet-5 0.95 %",
    ],
    "Simard et al., 2003": ["784-800-10 with cross-entropy 1.6 %"],
    "Kingma and Ba": [r"$\eta$ 0.001", r"$\beta_1$ 0.9", r"$\beta_2$ 0.999"],
}
OF_THE_DATA = ["| 0.1307, 0.3081 |"]  # compared with MNIST below


def test_every_computed_number_of_the_cheat_sheet_is_what_arithmetic_gives():
    text = page("cheat-sheet")
    assert not [piece for piece in COMPUTED if piece not in text]


def test_every_quoted_number_of_the_cheat_sheet_names_its_source():
    lines = " ".join(page("cheat-sheet").split())
    for source, pieces in QUOTED.items():
        assert source in lines
        assert not [piece for piece in pieces if piece not in lines]


def test_no_other_number_with_decimals_stands_on_the_cheat_sheet():
    text = " ".join(page("cheat-sheet").split())
    for piece in (*COMPUTED, *OF_THE_DATA, *(p for pieces in QUOTED.values() for p in pieces)):
        text = text.replace(piece, "")
    assert not re.findall(r".{20}\d\.\d+.{20}", text)


def test_what_the_cheat_sheet_says_of_mnist_is_so():
    if os.environ.get("NNWEEK_DATASET") != "mnist":
        pytest.skip("only NNWEEK_DATASET=mnist says that MNIST is to be had")
    data = load_mnist()
    text = page("cheat-sheet")
    counts = np.bincount(data.test_labels)
    assert counts.argmax() == 1
    assert f"{counts[1]:,} of 10,000" in text
    assert f"{counts[0]:,} of 10,000" in text
    mean, std = pixel_statistics(data.train_images)
    assert [f"| {mean:.4f}, {std:.4f} |"] == OF_THE_DATA


def test_the_epoch_of_the_cheat_sheet_trains(digits):
    from nnweek.loaders import make_loaders

    code = re.search(r"```python\n(.*?)```", page("cheat-sheet"), re.DOTALL)[1]
    train_loader, _, _ = make_loaders(digits, batch_size=30, device="cpu")
    model = MNISTMLP(seed=0)
    names = {
        "torch": torch,
        "model": model,
        "train_loader": train_loader,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "criterion": torch.nn.CrossEntropyLoss(),
    }
    exec(code, names)
    first = names["loss"].item()
    for _ in range(10):
        exec(code, names)
    assert names["loss"].item() < first / 2
    assert not model.training


def formulas(text):
    """The formulas in a text, each in one line and without extra space."""
    line = " ".join(re.sub(r"^# ?", "", text, flags=re.MULTILINE).split())
    return {f.replace(r"\;", "").strip() for f in re.findall(r"\$([^$]+)\$", line)}


def test_the_short_sheet_of_day_35_says_nothing_else():
    (source,) = (ROOT / "notebooks").glob("day-35-*.py")
    short = re.search(
        r"^# ## Cheat sheet$(.*?)^# ## ", source.read_text(encoding="utf-8"), re.M | re.S
    )
    if short is None:
        pytest.skip("Day 35 has no cheat sheet")
    here, there = formulas(page("cheat-sheet")), formulas(short[1])
    missing = [formula for formula in there if not any(formula in mine for mine in here)]
    assert there
    assert not missing


# --- The teachers' page ------------------------------------------------------------------------


def content_of(directive):
    """The lines that the teachers' page gives to a directive."""
    found = re.search(rf"```{{{directive}}}\n(.*?)```", page("teachers"), re.DOTALL)
    return found[1].split("\n")[:-1]


def test_the_minutes_of_the_teachers_page_are_those_of_the_landing_page():
    cards = re.findall(
        r"\{grid-item-card\} Day (\d+)\n.*?^(\d+) minutes$", page("index"), re.M | re.S
    )
    found = nnweek_teaching.times()
    assert {day: sum(parts.values()) for day, (_, parts) in found.items()} == {
        int(day): int(minutes) for day, minutes in cards
    }
    assert len(found) == 7


def test_the_plan_of_a_day_names_parts_that_there_are_and_fits_into_a_day():
    steps = list(nnweek_teaching.plan(content_of("lesson-plan")))
    assert 5 * 60 <= sum(minutes for _, minutes in steps) <= 8 * 60


def test_a_plan_with_an_unknown_part_is_refused_with_the_parts_that_there_are():
    with pytest.raises(ValueError, match="Day 29 has no part 'backwards'; it has .*backward"):
        list(nnweek_teaching.plan(["29: backwards"]))


def test_what_may_be_left_out_is_there():
    text = page("teachers").partition("leave out ")[2].partition(":")[0]
    named = re.findall(r"\*([^*]+)\* on Day\s(\d+)", text)
    assert len(named) >= 5
    for part, day in named:
        assert part in nnweek_teaching.times()[int(day)][1], (day, part)


def test_every_stumbling_block_is_one_that_the_checks_know():
    blocks = [nnweek_teaching.stumbling_block(line) for line in content_of("stumbling-blocks")]
    assert len(blocks) >= 12
    assert all(question.endswith("?") for *_, question in blocks)
    assert {exercise.day for exercise, *_ in blocks} >= {29, 30, 31, 32, 33}
    with pytest.raises(ValueError, match="the checks know no mistake 'dark-magic'"):
        nnweek_teaching.stumbling_block("backward dark-magic: Really?")


def test_the_rows_that_the_page_shows_have_the_commands_form():
    rows = re.search(r"```text\n(file,.*?)```", page("teachers"), re.DOTALL)[1].splitlines()
    from nnweek import checks

    assert rows[0] == "file,day,exercise,result"
    for row in rows[1:]:
        _, day, exercise, result = row.split(",")
        assert checks.EXERCISES[exercise].day == int(day)
        known = {mistake.id for mistake in checks.EXERCISES[exercise].mistakes}
        assert result in known | {"passed", "not-attempted"}


def test_the_new_pages_are_in_the_contents_with_names_that_will_stay():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert {"teachers", "cheat-sheet"} <= set(files)
    for file in files:
        assert re.fullmatch(r"(notebooks/)?[a-z0-9-]+", file), "hyphens, as CONTRIBUTING says"
