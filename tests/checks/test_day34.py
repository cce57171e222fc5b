"""The checks of Day 34: the length of a step, and *Diagnose this run*."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import faulty_runs, progress_store, solutions
from nnweek.mnist import load_mnist
from nnweek.tracking import read_scalars

ANSWERS = solutions.answers()


@pytest.fixture(autouse=True)
def no_hints_given():
    progress_store.forget("diagnose")
    progress_store.forget("update_ratio")


def by_loops(before, after):
    change = size = 0.0
    for old, new in zip(before.ravel(), after.ravel(), strict=True):
        change += (new - old) ** 2
        size += old**2
    return (change / size) ** 0.5


@pytest.mark.parametrize(
    "right",
    [
        solutions.update_ratio,
        by_loops,
        lambda b, a: np.sqrt(np.mean((b - a) ** 2) / np.mean(b**2)),
        lambda b, a: torch.tensor(a - b).norm() / torch.tensor(b).norm(),
        lambda b, a: np.float32(np.linalg.norm((a - b).astype("f4")) / np.linalg.norm(b)),
        lambda b, a: [np.linalg.norm((a - b).ravel(), 2) / np.sqrt((b * b).sum())],
    ],
)
def test_right_ratio_passes_in_any_style(right):
    assert checks.update_ratio(right)


@pytest.mark.parametrize(
    ("mistake", "wrong"),
    [
        ("not-a-ratio", lambda b, a: np.linalg.norm(a - b)),
        ("not-a-ratio", lambda b, a: by_loops(b, a) * np.linalg.norm(b)),
        ("not-a-ratio", lambda b, a: float(np.sqrt(((b - a) ** 2).sum()))),
        ("upside-down", lambda b, a: np.linalg.norm(b) / np.linalg.norm(a - b)),
        ("upside-down", lambda b, a: 1 / by_loops(b, a)),
        ("upside-down", lambda b, a: torch.tensor(b).norm() / torch.tensor(b - a).norm()),
        ("difference-of-norms", lambda b, a: abs(1 - np.linalg.norm(a) / np.linalg.norm(b))),
        ("difference-of-norms", lambda b, a: np.linalg.norm(a) / np.linalg.norm(b) - 1),
        ("difference-of-norms", lambda b, a: 1 - np.sqrt((a**2).sum() / (b**2).sum())),
        ("no-root", lambda b, a: ((a - b) ** 2).sum() / (b**2).sum()),
        ("no-root", lambda b, a: by_loops(b, a) ** 2),
        ("no-root", lambda b, a: np.mean((a - b) ** 2) / np.mean(b**2)),
        ("mean-of-ratios", lambda b, a: np.abs((a - b) / b).mean()),
        ("mean-of-ratios", lambda b, a: np.mean([abs(x / y - 1) for x, y in zip(a.flat, b.flat)])),  # noqa: B905
        ("mean-of-ratios", lambda b, a: ((a - b) / b).mean()),
    ],
)
def test_every_mistake_is_named(mistake, wrong):
    verdict = checks.update_ratio(wrong)
    assert verdict.mistake == mistake, verdict


def test_unknown_mistake_is_wrong():
    verdict = checks.update_ratio(lambda b, a: np.linalg.norm(a - b) / np.linalg.norm(a))
    assert verdict.mistake == "wrong"


def test_solution_passes_and_is_true():
    assert faulty_runs.true_causes() == ANSWERS
    assert sorted(ANSWERS.values()) == sorted(faulty_runs.CAUSES)
    assert checks.diagnose(ANSWERS)
    assert checks.diagnose(answers=ANSWERS)
    assert checks.progress().passed["diagnose"]


@pytest.mark.parametrize(
    "spelled",
    [
        str.upper,
        lambda cause: cause.replace("-", "_"),
        lambda cause: f"  {cause.replace('-', ' ').title()} ",
        lambda cause: cause.replace("-", ""),
    ],
)
def test_spelling_of_names_does_not_matter(spelled):
    assert checks.diagnose({spelled(run): spelled(cause) for run, cause in ANSWERS.items()})
    assert checks.diagnose({f"runs/diagnose/{run}/": cause for run, cause in ANSWERS.items()})


@pytest.mark.parametrize(
    "answer", [None, ..., {}, dict.fromkeys(ANSWERS), dict.fromkeys(ANSWERS, ...), {"alder": " "}]
)
def test_blank_answers_are_not_attempted(answer):
    assert checks.diagnose(answer).mistake == "not-attempted"
    assert checks.diagnose().mistake == "not-attempted"


@pytest.mark.parametrize(
    "answer",
    [[("alder", "healthy")], "healthy", 3, lambda: ANSWERS, ANSWERS | {"elder": 3}, np.ones(3)],
)
def test_other_answers_have_the_wrong_type(answer):
    assert checks.diagnose(answer).mistake == "wrong-type"


def test_verdict_names_the_next_run_but_not_its_cause():
    for run, given_instead in itertools.product(ANSWERS, faulty_runs.CAUSES):
        if given_instead == ANSWERS[run]:
            continue
        progress_store.forget("diagnose")
        verdict = checks.diagnose(ANSWERS | {run: given_instead})
        assert verdict.mistake == "wrong"
        assert verdict.hint.startswith("7 of 8 right.")
        assert f"Look at `{run}` next. If it were `{given_instead}`" in verdict.hint
        assert ANSWERS[run] not in verdict.hint
        again = checks.diagnose(ANSWERS | {run: given_instead})
        assert again.hint != verdict.hint, "a more direct hint"
        assert ANSWERS[run] not in again.hint


def test_unanswered_runs_are_counted_and_named():
    some = {run: cause if run < "elder" else ... for run, cause in ANSWERS.items()}
    verdict = checks.diagnose(some)
    assert verdict.mistake == "wrong"
    assert "3 of 8 right, 5 not answered yet." in verdict.hint
    assert "right. Look at `elder` next." in verdict.hint


def test_unknown_names_get_the_nearest_suggestion():
    answers = ANSWERS | {"elder": "healty", "hazel": "gremlins", "willows": "healthy"}
    hint = checks.diagnose(answers).hint
    assert re.search("`healty` .* did you mean `healthy`", hint)
    assert re.search("`gremlins` .* They are: dead-at-start, ", hint)
    assert re.search("no run `willows`.* did you mean `willow`", hint)
    assert hint.startswith("6 of 8 right.")
    verdict = checks.diagnose(ANSWERS | {"oak": "healthy"})
    assert "8 of 8 right." in verdict.hint
    assert not verdict


def test_repeated_cause_is_reported():
    hint = checks.diagnose(ANSWERS | {"elder": "overfitting"}).hint
    assert "`overfitting` 2 times" in hint


@given(st.dictionaries(st.sampled_from(faulty_runs.RUNS), st.sampled_from(faulty_runs.CAUSES)))
def test_random_answers_pass_only_if_true(answers):
    assert bool(checks.diagnose(answers)) == (answers == ANSWERS)


LOG_10 = np.log(10)


def diagnosis(curves):
    """Find the cause from the curves alone, as a reader of the figures does."""
    tags = {tag: np.array(values) for tag, (_, values) in curves.items()}
    if (tags["Gradient/layer 1"] == 0).all() and (tags["Dead units"] == 1).all():
        return "dead-at-start"
    if tags["Update ratio/layer 1"][0] > 0.5:
        return "learning-rate-too-high"
    if tags["Update ratio/layer 1"][0] < 2e-3:
        return "learning-rate-too-low"
    if tags["Accuracy/val"][-5:].mean() < 0.2 and tags["Loss/train"][-1] < 0.8 * LOG_10:
        return "labels-shuffled"
    if tags["Loss/step"][-100:].std() > 0.4:
        return "no-shuffle"
    if (tags["Predicted/rarest"][5:] == 0).all():
        return "relu-on-logits"
    if tags["Accuracy/train"][-1] == 1 and tags["Loss/val"][-1] > tags["Loss/val"].min() + 0.02:
        return "overfitting"
    return "healthy"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("NNWEEK_DATASET", "stand-in")
    folder = tmp_path_factory.mktemp("diagnose")
    before = torch.get_rng_state(), torch.get_num_threads()
    names = faulty_runs.log_faulty_runs(load_mnist(), folder)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    patch.undo()
    return {name: read_scalars(folder / name) for name in names}


@pytest.mark.slow
def test_every_injected_fault_shows_in_its_curves(runs):
    assert {run: diagnosis(curves) for run, curves in runs.items()} == ANSWERS


def test_runs_have_the_same_tags_and_steps(runs):
    first, *others = runs.values()
    for curves in others:
        assert curves.keys() == first.keys()
        for tag, (steps, values) in curves.items():
            assert steps == first[tag][0]
            assert np.isfinite(values).all(), tag
    assert first["Loss/step"][0] == list(range(faulty_runs.STEPS + 1))
    assert first["Loss/val"][0] == list(range(0, faulty_runs.STEPS + 1, faulty_runs.EVERY))


def test_curves_show_what_the_page_says(runs):
    curves = {cause: runs[run] for run, cause in ANSWERS.items()}

    def of(cause, tag):
        return np.array(curves[cause][tag][1])

    assert np.abs(of("dead-at-start", "Loss/val") - LOG_10).max() < 0.05
    assert of("learning-rate-too-high", "Loss/step")[:20].max() > 1.5 * LOG_10
    assert of("learning-rate-too-high", "Dead units")[-1] > 0.3
    assert of("labels-shuffled", "Loss/val")[-1] > of("labels-shuffled", "Loss/val")[0] + 0.4
    assert of("overfitting", "Accuracy/val")[-1] > 0.4
    slow = of("learning-rate-too-low", "Loss/val")
    line = np.polyval(np.polyfit(np.arange(len(slow)), slow, 1), np.arange(len(slow)))
    assert np.abs(slow - line).max() < 0.05
    assert slow[-1] < slow[0] - 0.05
    for cause in faulty_runs.CAUSES:
        if cause != "dead-at-start":
            assert of(cause, "Gradient/layer 1")[0] > 0
            assert of(cause, "Dead units")[0] < 0.3
    assert of("healthy", "Loss/val")[-1] == min(of(c, "Loss/val")[-1] for c in faulty_runs.CAUSES)
    assert (of("healthy", "Predicted/rarest")[10:] > 0).all()


def test_names_of_runs_do_not_reveal_the_cause():
    assert list(ANSWERS.values()) != list(faulty_runs.CAUSES)
    assert not any(cause[:3] in run for run, cause in ANSWERS.items())
