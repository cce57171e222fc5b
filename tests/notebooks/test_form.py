"""The form of the seven notebooks, and that what they write out is what the package holds."""

import ast
import functools
import itertools
import json
import os
import re
import runpy
from concurrent.futures import ThreadPoolExecutor

import jupytext
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from sklearn.calibration import calibration_curve
from torch import nn

from nnweek import checks, experiments, gradcheck, models, scratch, training
from nnweek.experiments import train_model_with_optimizer
from nnweek.loaders import make_loaders
from nnweek.statistics import accuracy_interval
from support import ROOT

NOTEBOOKS = ROOT / "notebooks"
DAYS = range(29, 36)
DAYS_WITH_EXERCISES = (29, 30, 31, 32, 33, 34)

every_day = pytest.mark.parametrize("day", DAYS)


@functools.cache
def source(day):
    """The .py of a day."""
    found = sorted(NOTEBOOKS.glob(f"day-{day}-*.py"))
    assert len(found) == 1, f"there must be one notebooks/day-{day}-….py, found {found}"
    return found[0]


@functools.cache
def cells(day):
    return jupytext.read(source(day)).cells


def code_cells(day):
    return [cell for cell in cells(day) if cell.cell_type == "code"]


def is_hidden(cell):
    return "remove-cell" in cell.metadata.get("tags", [])


@functools.cache
def sections(day):
    """[(heading, parts)]: a part is a stretch of Markdown or a code cell; the first heading is the title."""
    found = []
    for cell in cells(day):
        if cell.cell_type == "code":
            found[-1][1].append(cell)
            continue
        for stretch in re.split(r"^(?=##? )", cell.source, flags=re.MULTILINE):
            heading = re.match(r"##? (.*)\n?", stretch)
            if heading:
                found.append((heading[1].strip(), []))
                stretch = stretch[heading.end() :]
            if stretch.strip():
                assert found, f"{source(day).name} does not begin with its title"
                found[-1][1].append(stretch.strip())
    return found


def headings(day):
    return [heading for heading, _ in sections(day)]


def words(day, heading):
    """The Markdown of one section."""
    assert headings(day).count(heading) == 1, f"Day {day} must have one section {heading!r}"
    parts = next(parts for found, parts in sections(day) if found == heading)
    return "\n\n".join(part for part in parts if isinstance(part, str))


def introduction(day):
    return words(day, headings(day)[0])


def without_code(markdown):
    markdown = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", markdown)


def prose(day):
    """What a reader reads as text: no code, no formulas, no addresses; one space between words."""
    markdown = "\n\n".join(cell.source for cell in cells(day) if cell.cell_type == "markdown")
    markdown = without_code(markdown)
    markdown = re.sub(r"\$\$.*?\$\$", "", markdown, flags=re.DOTALL)
    markdown = re.sub(r"\$[^$]*\$", "", markdown)
    markdown = re.sub(r"\]\([^)]*\)|<https?:[^>]*>", "", markdown)
    return re.sub(r"\s+", " ", markdown)


# --- The files ---------------------------------------------------------------------------


def test_the_week_is_days_29_to_35_each_a_py_with_its_ipynb():
    expected = [str(day) for day in DAYS]
    for suffix in (".py", ".ipynb"):
        names = sorted(path.stem for path in NOTEBOOKS.glob(f"*{suffix}"))
        assert [re.match(r"day-(\d\d)-", name)[1] for name in names] == expected, suffix
        assert names == sorted(source(day).stem for day in DAYS)


@every_day
def test_the_ipynb_is_what_its_py_gives(day):
    generate = runpy.run_path(str(ROOT / ".ci" / "sync.py"))["generate"]
    written = source(day).with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == generate(source(day)), "run `make sync`"


@every_day
def test_the_ipynb_is_valid_and_carries_no_output(day):
    notebook = nbformat.read(source(day).with_suffix(".ipynb"), as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


# --- The form of a day -------------------------------------------------------------------


@every_day
def test_the_first_code_cell_is_the_colab_cell_the_same_on_every_day(day):
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    repository = re.search(r'^Repository = "([^"]+)"', pyproject, re.MULTILINE)[1]
    cell = code_cells(day)[0]
    assert '"google.colab" in sys.modules' in cell.source
    assert f'repository = "{repository}"\n' in cell.source
    assert is_hidden(cell), "the cell that fetches the package is nothing to read"
    assert cell.source == code_cells(29)[0].source


@every_day
def test_the_title_names_the_day_and_there_is_one(day):
    assert re.fullmatch(rf"# Day {day} – \S.*", cells(day)[0].source.splitlines()[0])
    titles = [
        line
        for cell in cells(day)
        if cell.cell_type == "markdown"
        for line in without_code(cell.source).splitlines()
        if line.startswith("# ")
    ]
    assert len(titles) == 1, titles


@every_day
def test_the_day_says_what_you_will_be_able_to_do(day):
    found = re.search(r"^\*\*You will be able to\*\*\n\n((?:[- ] .+\n)+)", introduction(day), re.M)
    assert found, "no list under **You will be able to**"
    items = re.findall(r"^- (.+(?:\n  .+)*)", found[1], re.MULTILINE)
    assert len(items) >= 3
    assert all(item.endswith(";") for item in items[:-1])
    assert items[-1].endswith(".")


@every_day
def test_the_minutes_add_up_and_are_those_of_the_landing_page(day):
    time = re.search(r"^\*\*Time\*\* about (\d+) minutes: ([^.]+)\.", introduction(day), re.M)
    assert time, "no line **Time** about N minutes: part n, part n."
    parts = re.findall(r"\S (\d+)(?:,|$)", time[2])
    assert len(parts) == time[2].count(",") + 1, f"a part without its minutes: {time[2]}"
    assert sum(map(int, parts)) == int(time[1])

    landing_page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    _, *cards = re.split(r"\{grid-item-card\} Day ", landing_page)
    card = next((card for card in cards if card.startswith(f"{day}\n")), None)
    assert card, f"book/index.md has no card for Day {day}"
    assert f":link: notebooks/{source(day).stem}\n" in card
    assert f"{{figure-of}} notebooks/{source(day).stem}\n" in card
    assert re.search(r"^(\d+) minutes$", card, re.MULTILINE)[1] == time[1]


@every_day
def test_the_day_says_what_you_need(day):
    assert re.search(r"^\*\*You need\*\* \w+", introduction(day), re.MULTILINE)


@every_day
def test_the_day_begins_with_yesterday_in_three_lines(day):
    recap = "Where we start" if day == 29 else "Yesterday in three lines"
    assert headings(day)[1] == recap
    lines = words(day, recap)
    assert len(re.findall(r"^- ", lines, re.MULTILINE)) == 3
    assert re.fullmatch(r"(?:(?:- |  ).+(?:\n|$))+", lines), "nothing but the three bullet points"


@every_day
def test_the_day_ends_with_questions_a_summary_and_where_to_read_more(day):
    summary = "The week" if day == 35 else "Summary"
    assert headings(day)[-3:] == ["Check yourself", summary, "Read more"]
    assert re.search(r"^\|(?:---\|){2,}$", words(day, summary), re.MULTILINE), "no table"
    items = re.findall(r"^- (.+(?:\n  .+)*)", words(day, "Read more"), re.MULTILINE)
    assert items
    for item in items:
        assert re.search(r"\]\(https?://[^)]+\)", item), f"no link in: {item}"


@every_day
def test_every_answer_has_a_reason_for_every_option(day):
    _, *questions = re.split(
        r"^\*\*(?=\d+\.\*\* )", words(day, "Check yourself"), flags=re.MULTILINE
    )
    assert len(questions) >= 2
    for number, question in enumerate(questions, start=1):
        assert question.startswith(f"{number}.**")
        found = re.search(
            r"((?:^[- ] .+\n)+)\n<details>\n<summary>Answer</summary>\n\n(.+)\n</details>\s*\Z",
            question,
            re.MULTILINE | re.DOTALL,
        )
        assert found, f"question {number} is not options, then <details> with the answer"
        options = re.findall(r"^- ([a-z])\) \S", found[1], re.MULTILINE)
        assert len(options) >= 2
        assert options == list("abcdefgh"[: len(options)])

        answer = found[2]
        right = re.match(r"\*\*([a-z])\.\*\* \S", answer)
        assert right, f"the answer to question {number} does not begin with **letter.**"
        assert right[1] in options
        for wrong in set(options) - {right[1]}:
            reason = re.search(rf"(?<!\w){wrong}\)(.*)", answer, re.DOTALL)
            assert reason, f"question {number}: no word on option {wrong})"
            said = re.sub(r"(?<!\w)[a-z]\)", "", reason[1].split("\n")[0])
            assert len(re.findall(r"\w+", said)) >= 3, f"question {number}: no reason for {wrong})"


@every_day
def test_markdown_shows_alike_in_jupyter_in_colab_and_in_the_book(day):
    """Nothing but Markdown, formulas and `<details>`: no MyST, no other HTML."""
    for cell in cells(day):
        if cell.cell_type != "markdown":
            continue
        fenced = re.findall(r"^\s*(?:```+|~~~+|:::+)\{.*|^:::.*", cell.source, re.MULTILINE)
        assert not fenced, "a MyST directive"
        assert not re.findall(r"\{[\w:+-]+\}`", cell.source), "a MyST role"
        assert not re.findall(r"^\([\w-]+\)=$", cell.source, re.MULTILINE), "a MyST target"
        text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", without_code(cell.source), flags=re.DOTALL)
        assert not re.findall(r"\{\{|\}\}", text), "a MyST substitution"
        tags = set(re.findall(r"</?([a-zA-Z][\w-]*)(?=[\s/>])", text))
        assert tags <= {"details", "summary"}
        assert text.count("<details>") == text.count("</details>")


# --- Exercises ----------------------------------------------------------------------------


def exercises(day):
    """[(name of the exercise, its cell, the Markdown below it)]"""
    found = []
    for cell, below in itertools.pairwise(cells(day)):
        asked = re.findall(r"^checks\.(\w+)\(", cell.source, re.MULTILINE)
        if cell.cell_type == "code" and asked:
            found.append((asked[0], cell, below.source))
    return found


@pytest.mark.parametrize("day", DAYS_WITH_EXERCISES)
def test_a_day_has_two_to_five_exercises_each_known_to_the_checks(day):
    names = [name for name, _, _ in exercises(day)]
    assert 2 <= len(names) <= 5
    assert set(names) <= set(checks.EXERCISES)


@pytest.mark.parametrize("day", DAYS_WITH_EXERCISES)
def test_an_exercise_that_nobody_has_tried_lets_the_notebook_run_on(day):
    for name, cell, _ in exercises(day):
        given = {"checks": checks, "np": np, "GRIDS": {}}
        exec(compile(cell.source, name, "exec"), given)
        stub = given[
            {"test_suite": "suite", "lr_sweep": "best_lr", "diagnose": "answers"}.get(name, name)
        ]
        verdict = checks.EXERCISES[name](stub)
        assert not verdict
        assert verdict.mistake == "not-attempted"


@pytest.mark.parametrize("day", DAYS_WITH_EXERCISES)
def test_every_exercise_has_hints_and_the_packages_solution_behind_a_click(day):
    for name, _, below in exercises(day):
        folds = re.findall(
            r"<details>\n<summary>(.+?)</summary>\n(.+?)</details>", below, re.DOTALL
        )
        titles = [title for title, _ in folds]
        assert titles.count("A solution") == 1, name
        assert titles.index("A solution") >= 1, f"{name}: no hint before the solution"
        shown = re.search(r"```python\n(.+?)\n```", dict(folds)["A solution"], re.DOTALL)[1]
        assert shown == checks.solution(name).text, f"{name} shows another solution"


# --- Numbers -----------------------------------------------------------------------------

# Decimals and percentages that a reader sees in the text, and why nobody measured them.
SETTINGS = {
    29: {"[section 6.5": "a section of a book"},
    30: {"half the width of its 95 % interval": "a level of confidence"},
    32: {
        "Is 95 % good? Against what, on which images, and would it be 95 % again": "a question",
        "95 % *interval*": "a level of confidence",
        "95 % interval over images": "a level of confidence",
        "whose 95 % intervals overlap": "a level of confidence",
        "near 100 %": "a bound",
    },
    33: {
        "at a learning rate of 0.001": "a learning rate, in a question",
        "| usual first guess | 0.1 | 0.01 | 0.001 |": "learning rates",
        "the band its 95 % interval": "a level of confidence",
        "seed by seed, with its 95 % interval": "a level of confidence",
    },
    35: {
        "0.1 points above yours": "a made-up difference, in a question",
        '"99 % sure"': "a made-up confidence, in a question",
        "Adam minus SGD is +0.1 points, interval −0.1 to +0.3.": "made up, in a question",
        "Adam is better by 0.1 points": "an answer to it",
        "it likely lies between −0.1 and +0.3 points": "an answer to it",
    },
}


@every_day
def test_no_measured_number_is_typed_by_hand(day):
    """A result is printed by the cell that measured it; other numbers are listed above."""
    text = prose(day)
    for phrase, why in SETTINGS.get(day, {}).items():
        assert phrase in text, f"{phrase!r} ({why}) has gone: take it off the list"
        text = text.replace(phrase, "")
    found = re.findall(r".{0,40}(?:\d\.\d|\d\s?%|\d(?:-| )points?\b|\bper ?cent\b).{0,40}", text)
    assert not found, "measured? Then let its cell print it. A setting? Then list it, with a reason"


@every_day
def test_no_hidden_cell_passes_an_exercise_for_the_learner(day):
    exercises = "|".join(checks.EXERCISES)
    for cell in code_cells(day):
        assert not (is_hidden(cell) and re.search(rf"checks\.({exercises})\(", cell.source))


@every_day
def test_what_the_text_claims_is_asserted_in_a_hidden_cell(day):
    hidden = [cell for cell in code_cells(day)[1:] if is_hidden(cell)]
    assert hidden
    for cell in hidden:
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source))), (
            f"a hidden cell that asserts nothing:\n{cell.source}"
        )


# --- Figures -----------------------------------------------------------------------------


def drawings(node, repeated=False):
    """The calls that draw a figure below `node`, and of each whether it may run more than once."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            function = child.func
            name = getattr(function, "id", "")
            base = getattr(getattr(function, "value", None), "id", "")
            makes = base == "plt" and function.attr in ("subplots", "figure")
            if name.startswith("plot_") or makes:
                found.append((ast.unparse(child), repeated))
        loops = (ast.For, ast.While, ast.FunctionDef, ast.ListComp, ast.GeneratorExp, ast.DictComp)
        found += drawings(child, repeated or isinstance(child, loops))
    return found


def figures(day):
    """[(cell, its drawing calls)]; figures that are closed again are the frames of one animation."""
    found = []
    for cell in code_cells(day):
        calls = drawings(ast.parse(cell.source))
        if "plt.close(" in cell.source:
            calls = [("an animation", False)]
        if calls:
            found.append((cell, calls))
    return found


def alt_text(cell):
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt")


def test_the_week_draws():
    assert all(figures(day) for day in DAYS if day != 35)


@every_day
def test_a_cell_draws_one_figure(day):
    """Alt text belongs to the cell, so two figures would share one."""
    for _, calls in figures(day):
        assert len(calls) == 1, calls
        assert not calls[0][1], f"in a loop or a function: {calls[0][0]}"


@every_day
def test_every_figure_has_alt_text_that_says_what_it_shows(day):
    for cell, calls in figures(day):
        alt = alt_text(cell)
        assert alt, f"no alt text: {calls}"
        assert len(alt) >= 40, alt
        assert alt.endswith("."), alt
        assert not re.search(r"\d[.,]\d|\d\s?%|per ?cent", alt), f"a measured number in: {alt}"
    drawn = [id(cell) for cell, _ in figures(day)]
    for cell in code_cells(day):
        assert alt_text(cell) is None or id(cell) in drawn, f"alt text without a figure: {cell}"


def test_no_two_figures_share_an_alt_text():
    alts = [alt_text(cell) for day in DAYS for cell, _ in figures(day)]
    assert len(alts) == len(set(alts))


@every_day
def test_every_figure_is_explained(day):
    """Where there are axes: by the section's "How to read", which serves all its figures, or by the
    next cell, which prints what is to be seen. Pictures of digits: by text just above or below."""
    drawn = {id(cell): calls[0][0] for cell, calls in figures(day)}
    for heading, parts in sections(day):
        how_to_read = any(isinstance(part, str) and "*How to read " in part for part in parts)
        for place, part in enumerate(parts):
            call = drawn.get(id(part))
            if call is None or how_to_read:
                continue
            beside = parts[place + 1 : place + 2]
            if call.startswith("plot_images"):
                beside += parts[max(0, place - 1) : place]
                explained = any(isinstance(near, str) for near in beside)
            else:
                explained = any("Markdown(" in getattr(near, "source", "") for near in beside)
            assert explained, f"nobody says how to read {call} in the section {heading!r}"


# --- What a notebook writes out is what the package holds ----------------------------------


def written_out(day, *names, **given):
    """Run the definitions of `names` from a day's notebook, and nothing else of it.

    Where an exercise asks for one of them first, the later definition counts.
    """
    tree = ast.parse("\n\n".join(cell.source for cell in code_cells(day)))
    found = [node for node in tree.body if getattr(node, "name", None) in names]
    assert {node.name for node in found} == set(names), f"Day {day} defines {found}"
    exec(compile(ast.Module(found, []), source(day).name, "exec"), given)
    return [given[name] for name in names]


@pytest.fixture
def batch():
    rng = np.random.default_rng(7)
    return rng.standard_normal((9, 3)), rng.integers(0, 4, size=9)


def close(a, b):
    """Equal but for rounding."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=0, atol=1e-12)


def test_day_29s_network_is_the_packages(batch):
    (Network,) = written_out(29, "TwoLayerMLP", np=np)
    X, y = batch
    for scale in (0.01, 1.0, 100.0):
        one, other = (
            M(3, 5, 4, weight_scale=scale, seed=3) for M in (Network, scratch.TwoLayerMLP)
        )
        for name in gradcheck.PARAMETERS:
            assert np.array_equal(getattr(one, name), getattr(other, name))
        loss, probs, cache = one.loss(X, y)
        expected_loss, expected_probs, expected_cache = other.loss(X, y)
        assert close(loss, expected_loss)
        assert close(probs, expected_probs)
        assert all(close(a, b) for a, b in zip(cache, expected_cache, strict=True))
        gradients = zip(one.backward(probs, cache, y), other.backward(probs, cache, y), strict=True)
        assert all(close(a, b) for a, b in gradients)
    defaults = Network(2, 3, 2), scratch.TwoLayerMLP(2, 3, 2)
    assert np.array_equal(defaults[0].W1, defaults[1].W1)


def test_day_29s_gradient_check_is_the_packages(batch):
    """Also of a wrong gradient, whose errors differ from entry to entry: both try the same ones."""
    _, check = written_out(29, "relative_error", "grad_check", np=np)

    class Wrong(scratch.TwoLayerMLP):
        def backward(self, probs, cache, y):
            rng = np.random.default_rng(0)
            return [
                d * rng.uniform(0.5, 1.5, size=d.shape) for d in super().backward(probs, cache, y)
            ]

    right, wrong = (M(3, 8, 4, weight_scale=0.5) for M in (scratch.TwoLayerMLP, Wrong))
    assert check(right, *batch) == pytest.approx(gradcheck.grad_check(right, *batch), abs=1e-7)
    assert check(wrong, *batch) == pytest.approx(gradcheck.grad_check(wrong, *batch), rel=1e-6)
    assert check(wrong, *batch, 1e-3) == pytest.approx(
        gradcheck.grad_check(wrong, *batch, 1e-3), rel=1e-6
    )


def test_day_29s_training_is_the_packages(batch, capsys):
    (train,) = written_out(29, "train_numpy")
    kept = []
    for function in (train, scratch.train_numpy):
        model = scratch.TwoLayerMLP(3, 5, 4, weight_scale=0.5)
        losses = function(model, *batch, lr=0.3, epochs=21)
        kept.append((losses, model, capsys.readouterr().out))
    (losses, model, said), (expected, expected_model, expected_said) = kept
    assert close(losses, expected)
    assert said == expected_said
    for name in gradcheck.PARAMETERS:
        assert close(getattr(model, name), getattr(expected_model, name))
    defaults = (
        function(scratch.TwoLayerMLP(3, 5, 4), *batch) for function in (train, scratch.train_numpy)
    )
    assert close(*defaults)


def test_day_30s_activations_are_the_packages():
    names = ("relu", "relu_grad", "sigmoid", "sigmoid_grad", "tanh", "tanh_grad")
    z = np.concatenate([np.random.default_rng(1).normal(0, 5, 200), [0.0, -1000.0, 1000.0]])
    for name, function in zip(names, written_out(30, *names, np=np), strict=True):
        with np.errstate(all="raise", under="ignore"):
            assert np.array_equal(function(z), getattr(scratch, name)(z)), name


def test_day_31s_network_is_the_packages():
    (Network,) = written_out(31, "MNISTMLP", nn=nn)
    for sizes in ((), (12, 7, 3)):
        made = []
        for M in (Network, models.MNISTMLP):
            torch.manual_seed(5)
            made.append(M(*sizes))
        one, other = made
        assert list(one.state_dict()) == list(other.state_dict())
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)
        images = torch.randn(4, 1, *((28, 28) if not sizes else (3, 4)))
        assert torch.equal(one(images), other(images))


@pytest.fixture(scope="module")
def ladder():
    """Day 31 run up to the cell that asserts its ladder: (its variables, that cell)."""
    runs_up_to = next(
        number for number, cell in enumerate(code_cells(31)) if "len(ladder) == 8" in cell.source
    )
    given = {}
    for cell in code_cells(31)[1:runs_up_to]:  # without the one for Colab
        exec(compile(cell.source, source(31).name, "exec"), given)
    plt.close("all")
    return given, code_cells(31)[runs_up_to]


def test_day_31s_ladder_is_eight_ways_to_the_packages_numbers(ladder):
    given, _ = ladder
    X, y, lr = (given[name] for name in ("X", "y", "LR"))
    network = scratch.TwoLayerMLP(3, 5, 4)
    for name, values in zip(gradcheck.PARAMETERS, given["start"], strict=True):
        setattr(network, name, values)
    loss, probs, cache = network.loss(X, y)
    gradients = network.backward(probs, cache, y)
    assert [rung[0] for rung in given["ladder"]] == list("01234567")
    for rung, (its_loss, its_gradients, stepped) in given["ladder"].items():
        assert its_loss == pytest.approx(loss, abs=1e-10), rung
        for start, g, its_g, after in zip(
            given["start"], gradients, its_gradients, stepped, strict=True
        ):
            assert its_g.shape == after.shape == g.shape
            assert np.abs(its_g - g).max() < 1e-10, rung
            assert np.abs(after - (start - lr * g)).max() < 1e-10, rung


def test_day_31s_page_stops_where_a_rung_gives_other_numbers(ladder):
    given, asserts = ladder
    exec(asserts.source, given)
    for rung, (loss, gradients, stepped) in given["ladder"].items():
        if rung.startswith("0"):
            continue  # the one that the others are compared with
        for tampered in (
            (loss + 1e-9, gradients, stepped),
            (loss, [*gradients[:3], gradients[3] + 1e-9], stepped),
            (loss, gradients, [stepped[0] + 1e-9, *stepped[1:]]),
        ):
            other = given | {"ladder": given["ladder"] | {rung: tampered}}
            with pytest.raises(AssertionError):
                exec(asserts.source, other)


def test_day_31s_walk_finds_every_node_once_and_its_longest_way_from_the_loss():
    (walk,) = written_out(31, "walk")
    w = torch.ones(3, requires_grad=True)
    twice = w * 2  # reached both directly and through exp
    nodes = walk((twice + twice.exp()).sum().grad_fn)
    assert {node.name().split("::")[-1]: depth for node, depth in nodes.items()} == {
        "SumBackward0": 0, "AddBackward0": 1, "ExpBackward0": 2, "MulBackward0": 3, "AccumulateGrad": 4,
    }  # fmt: skip
    model = models.MNISTMLP(12, 7, 3)
    leaves = [
        node.variable
        for node in walk(model(torch.randn(4, 12)).sum().grad_fn)
        if hasattr(node, "variable")
    ]
    assert {id(leaf) for leaf in leaves} == {id(p) for p in model.parameters()}


def test_day_31s_planted_error_has_the_right_outputs_and_the_wrong_slopes():
    right, wrong = written_out(31, "ReLU", "ForgetsTheMask", torch=torch)
    z = torch.tensor([1.5, -0.5, 0.2], dtype=torch.float64, requires_grad=True)
    assert torch.equal(right.apply(z), torch.relu(z))
    assert torch.equal(wrong.apply(z), torch.relu(z))
    for function, slopes in ((right, [1, 0, 1]), (wrong, [1, 1, 1])):
        assert torch.autograd.grad(function.apply(z).sum(), z)[0].tolist() == slopes


def test_day_31s_loops_are_the_packages(digits):
    names = ("accuracy", "train_one_epoch", "evaluate")
    accuracy, train_one_epoch, evaluate = written_out(31, *names, torch=torch)
    torch.manual_seed(0)
    logits, targets = torch.randn(50, 4), torch.randint(0, 4, (50,))
    assert accuracy(logits, targets) == training.accuracy(logits, targets)

    kept = []
    for train, score in (
        (train_one_epoch, evaluate),
        (training.train_one_epoch, training.evaluate),
    ):
        train_loader, val_loader, _ = make_loaders(digits, batch_size=32, device="cpu")
        model = nn.Sequential(models.MNISTMLP(seed=1), nn.Dropout(0.5))  # train() and eval() differ
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        criterion = nn.CrossEntropyLoss()
        torch.manual_seed(2)
        numbers = [train(model, train_loader, optimizer, criterion) for _ in range(2)]
        was_training = model.training
        numbers.append(score(model, val_loader, criterion))
        kept.append((numbers, was_training, model.training, list(model.parameters())))
    (numbers, *modes, parameters), (expected, *expected_modes, expected_parameters) = kept
    assert np.allclose(numbers, expected, rtol=1e-6, atol=0)
    assert modes == expected_modes == [True, False]
    for a, b in zip(parameters, expected_parameters, strict=True):
        assert torch.equal(a, b)


def test_day_32s_calibration_is_scikit_learns():
    calibration_error, reliability = written_out(
        32, "calibration_error", "reliability", np=np, accuracy_interval=accuracy_interval
    )
    rng = np.random.default_rng(0)
    confidence = rng.beta(5, 1, 3000)
    right = rng.random(3000) < confidence**2
    share, sure = calibration_curve(right, confidence, n_bins=15)
    held, _ = np.histogram(confidence, bins=15, range=(0, 1))
    assert close(calibration_error(confidence, right), held[held > 0] @ abs(share - sure) / 3000)
    drawn_sure, drawn_share, low, high = reliability(confidence, right)
    assert close(drawn_sure, sure)
    assert close(drawn_share, share)
    intervals = [
        accuracy_interval(acc, int(n)) for acc, n in zip(share, held[held > 0], strict=True)
    ]
    assert close(np.column_stack([low, high]), intervals)


def test_day_32s_calibration_error_of_one_kept_and_one_broken_promise():
    (calibration_error,) = written_out(32, "calibration_error", np=np)
    nine_tenths = np.full(100, 0.9)
    assert calibration_error(nine_tenths, np.arange(100) < 90) == pytest.approx(0)
    assert calibration_error(nine_tenths, np.arange(100) < 80) == pytest.approx(0.1)
    assert calibration_error(np.ones(4), np.ones(4, dtype=bool)) == 0, "1.0 belongs to a bin"


@pytest.mark.parametrize("T", [0.5, 1.0, 3.0])
def test_day_32s_temperature_undoes_what_made_the_logits_too_large_or_too_small(T):
    (best_temperature,) = written_out(
        32, "best_temperature", np=np, torch=torch, criterion=nn.CrossEntropyLoss()
    )
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5_000, 10, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    assert best_temperature(T * logits, labels) == pytest.approx(T, rel=0.1)


def test_day_33s_adam_step_is_torchs():
    (adam_step,) = written_out(33, "adam_step")
    generator = torch.Generator().manual_seed(3)
    for options in ({}, {"lr": 0.05, "beta1": 0.7, "beta2": 0.9, "eps": 1e-4}):
        w = torch.randn(6, dtype=torch.float64, generator=generator)
        theirs = w.clone().requires_grad_()
        renamed = {k: v for k, v in options.items() if k in ("lr", "eps")}
        if options:
            renamed["betas"] = (options["beta1"], options["beta2"])
        optimizer = torch.optim.Adam([theirs], **renamed)
        m = v = torch.zeros(6, dtype=torch.float64)
        for t in range(1, 31):
            g = torch.randn(6, dtype=torch.float64, generator=generator) * 10.0 ** (t % 7 - 3)
            w, m, v = adam_step(w, g, m, v, t, **options)
            theirs.grad = g.clone()
            optimizer.step()
            assert close(w, theirs.detach()), f"step {t}"


def test_day_33s_steps_are_the_packages():
    names = ("sgd_step", "momentum_step", "adam_step", "adamw_step")
    steps = dict(zip(names, written_out(33, *names), strict=True))
    w, g, m = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    v = m**2
    assert torch.equal(steps["sgd_step"](w, g, 0.3), experiments.STEPS["SGD"][1](w, g, 2, 0.3)[0])
    for name, kept, options in (
        ("momentum_step", (m,), ((0.3,), (0.3, 0.8))),
        ("adam_step", (m, v, 2), ((), (0.3,), (0.3, 0.8, 0.99, 1e-3))),
        ("adamw_step", (m, v, 2), ((), (0.3,), (0.3, 0.5))),
    ):
        for more in options:
            ours = steps[name](w, g, *kept, *more)
            theirs = getattr(experiments, name)(w, g, *kept, *more)
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), (name, more)


@pytest.mark.parametrize("optimizer", experiments.STEPS)
def test_day_33s_networks_side_by_side_are_the_packages(optimizer, digits):
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    (side_by_side,) = written_out(
        33,
        "side_by_side",
        torch=torch,
        nn=nn,
        STEPS=experiments.STEPS,
        functional_call=functional_call,
        grad_and_value=grad_and_value,
        stack_module_state=stack_module_state,
        vmap=vmap,
    )
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    rates = torch.tensor([0.001, 0.003])
    group = [models.MNISTMLP(hidden=8, seed=seed) for seed in range(2)]
    params, losses = side_by_side(group, train_loader, optimizer, rates)
    histories = experiments.train_together(group, train_loader, val_loader, optimizer, rates)
    for k, model in enumerate(group):
        for name, p in model.named_parameters():
            assert torch.allclose(params[name][k], p, atol=1e-6)
        sizes = [32.0, 32.0, 26.0]
        mean = np.average(losses[:, k].detach().numpy(), weights=sizes)
        assert mean == pytest.approx(histories[k].train_loss[0], rel=1e-5)


@pytest.mark.parametrize(("optimizer", "lr"), [("SGD", 0.1), ("Adam", 0.001)])
def test_day_33s_run_is_the_packages(optimizer, lr, digits):
    (run,) = written_out(
        33,
        "run",
        make_loaders=make_loaders,
        data=digits,
        SEED=42,
        device="cpu",
        MNISTMLP=models.MNISTMLP,
        torch=torch,
        nn=nn,
        train_one_epoch=training.train_one_epoch,
        evaluate=training.evaluate,
    )
    train_loader, val_loader, _ = make_loaders(digits, seed=42, device="cpu")
    expected = train_model_with_optimizer(
        optimizer, 3, lr, train_loader=train_loader, val_loader=val_loader, seed=42
    )
    assert run(optimizer, 3, lr) == expected


# --- The days hand their results on ----------------------------------------------------------


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Day 35 run alone in an empty place, and run after the days that it gathers from.

    All on the stand-in, each notebook in a working folder of its own, the days in no order.
    """
    base = tmp_path_factory.mktemp("weeks")

    def run(week, day):
        folder = base / week / f"day {day}"
        folder.mkdir(parents=True)
        environment = {
            **os.environ,
            "NNWEEK_DATASET": "stand-in",
            "NNWEEK_DATA": str(base / week / "data"),
            "NNWEEK_RESULTS": str(base / week / "results.jsonl"),
            "OMP_NUM_THREADS": "1",  # two notebooks run at once
        }
        notebook = nbformat.read(source(day).with_suffix(".ipynb"), as_version=4)
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=environment)
        printed = "".join(
            output.get("text", "")
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            if output.output_type == "stream"
        )
        return folder, printed

    with ThreadPoolExecutor(2) as two:
        jobs = [("whole", 33), ("alone", 35), ("whole", 32), ("whole", 30), ("whole", 29)]
        futures = {job: two.submit(run, *job) for job in jobs}
        ran = {job: future.result() for job, future in futures.items()}
    ran["whole", 35] = run("whole", 35)
    return {
        week: {
            "said": [
                line for line in ran[week, 35][1].splitlines() if re.match(r"Day \d+: ", line)
            ],
            "report": (ran[week, 35][0] / "my-week-5.md").read_text(encoding="utf-8"),
            "results": {
                entry["name"]: (entry["value"], entry["dataset"], entry["day"])
                for line in (base / week / "results.jsonl").read_text("utf-8").splitlines()
                if line
                for entry in [json.loads(line)]
            },
        }
        for week in ("alone", "whole")
    }


def test_day_35_alone_in_an_empty_place_measures_everything(weeks):
    assert len(weeks["alone"]["said"]) == 4
    assert all(line.endswith(" measured now") for line in weeks["alone"]["said"])


def test_day_35_finds_what_the_days_recorded_in_any_order_and_any_folder(weeks):
    assert len(weeks["whole"]["said"]) == 4
    assert all(" was recorded on " in line for line in weeks["whole"]["said"])


def test_day_35_measures_what_the_days_measured_to_the_last_digit(weeks):
    measured, recorded = weeks["alone"]["results"], weeks["whole"]["results"]
    of_other_days = {name: found for name, found in measured.items() if found[2] != 35}
    assert len(of_other_days) == 4
    assert measured == {name: recorded[name] for name in measured}


def test_day_35s_report_is_the_same_however_its_numbers_came(weeks):
    assert weeks["alone"]["report"] == weeks["whole"]["report"]
    assert "__" not in weeks["alone"]["report"], "a blank was left"
    assert "stand-in" in weeks["alone"]["report"], "the report does not say what it was measured on"
