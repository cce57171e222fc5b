"""The checks of Day 34: the length of a step, and *Diagnose this run*."""

import itertools
import math
import re
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import faulty_runs, progress_store, solutions
from nnweek.gradcheck import norm_ratio
from nnweek.mnist import load_mnist
from nnweek.tracking import read_scalars
from support.promises import cases, only_right_answers_pass, promises
from support.submissions import first_verdict, style

ANSWERS = solutions.answers()


@pytest.fixture(autouse=True)
def no_hints_given():
    progress_store.forget("diagnose")
    progress_store.forget("read_chart")
    progress_store.forget("update_ratio")


IDS = {
    "update_ratio": "not-a-ratio upside-down difference-of-norms no-root divided-by-after "
    "norm-ratio spectral-norm mean-absolute std-ratio percent log10 mean-of-ratios"
}
IDS = {name: ids.split() for name, ids in IDS.items()}


@style
def ratio_by_numpy(bugs, before, after):
    def norm(x):
        if "std-ratio" in bugs:
            return np.std(x)
        if "mean-absolute" in bugs:
            return np.mean(np.abs(x))
        return np.linalg.norm(x, 2 if "spectral-norm" in bugs else None)

    change, base = norm(after - before), norm(before)
    if "difference-of-norms" in bugs:
        change = abs(norm(after) - norm(before))
    if "divided-by-after" in bugs:
        base = norm(after)
    if "norm-ratio" in bugs:
        base = norm(after) + norm(before)
    if "not-a-ratio" in bugs:
        base = 1
    if "mean-of-ratios" in bugs:
        change, base = np.mean(np.abs((after - before) / before)), 1
    ratio = base / change if "upside-down" in bugs else change / base
    ratio = ratio**2 if "no-root" in bugs else ratio
    ratio = 100 * ratio if "percent" in bugs else ratio
    return np.log10(ratio) if "log10" in bugs else ratio


@style
def ratio_by_loops(bugs, before, after):
    old = [float(x) for row in before for x in row]
    new = [float(x) for row in after for x in row]

    def length(values):
        if "mean-absolute" in bugs:
            return sum(map(abs, values))
        if "std-ratio" in bugs:
            return statistics.pstdev(values)
        if "spectral-norm" in bugs:
            matrix = np.reshape(values, before.shape)
            return max(np.linalg.eigvalsh(matrix.T @ matrix)) ** 0.5
        total = sum(x * x for x in values)
        return total if "no-root" in bugs else math.sqrt(total)

    moved = [b - a for a, b in zip(old, new, strict=True)]
    if "mean-of-ratios" in bugs:
        return sum(m / a for m, a in zip(moved, old, strict=True)) / len(old)
    top = length(new) - length(old) if "difference-of-norms" in bugs else length(moved)
    below = length(new if "divided-by-after" in bugs else old)
    if "norm-ratio" in bugs:
        below = length(old) + length(new)
    below = 1.0 if "not-a-ratio" in bugs else below
    if "upside-down" in bugs:
        top, below = below, top
    below = below / 100 if "percent" in bugs else below
    return math.log(abs(top / below), 10) if "log10" in bugs else top / below


@style
def ratio_by_torch(bugs, before, after):
    before, after = torch.as_tensor(before), torch.as_tensor(after)

    def size(x):
        if "spectral-norm" in bugs:
            return torch.linalg.matrix_norm(x, ord=2)
        if "mean-absolute" in bugs:
            return x.abs().mean()
        if "std-ratio" in bugs:
            return x.std()
        return (x * x).mean() if "no-root" in bugs else (x * x).mean().sqrt()

    if "mean-of-ratios" in bugs:
        return (after / before - 1).abs().mean()
    if "not-a-ratio" in bugs:
        return (before - after).norm()
    if "difference-of-norms" in bugs:
        return after.norm() / before.norm() - 1
    below = size(after) if "divided-by-after" in bugs else size(before)
    if "norm-ratio" in bugs:
        below = torch.maximum(size(before), size(after))
    ratio = size(before - after) / below
    ratio = 1 / ratio if "upside-down" in bugs else ratio
    ratio = ratio * 100 if "percent" in bugs else ratio
    return ratio.log10().item() if "log10" in bugs else ratio.item()


STYLES = {"update_ratio": (ratio_by_numpy, ratio_by_loops, ratio_by_torch)}
RIGHT = {
    "update_ratio": [
        solutions.update_ratio,
        *(make(set()) for make in STYLES["update_ratio"]),
        lambda b, a: np.linalg.norm(b - a, "fro") / np.linalg.norm(b, "fro"),
        lambda b, a: [np.linalg.norm((a - b).ravel(), 2) / np.sqrt((b * b).sum())],
        lambda b, a: np.sqrt(np.einsum("ij,ij", a - b, a - b) / np.vdot(b, b)),
        lambda b, a: np.float32(np.linalg.norm((a - b).astype("f4")) / np.linalg.norm(b)),
        lambda b, a: np.linalg.norm(a - b) / (np.linalg.norm(b) + 1e-8),
    ]
}
# A style returns early, or one of the two leaves nothing for the other to change.
NOT_BOTH = ({"difference-of-norms", "log10"},)  # the logarithm of a negative number
(
    test_every_mistake_is_named,
    test_right_answers_pass,
    test_one_of_two_mistakes_is_named,
    test_ids_are_those_of_the_contract,
) = promises(IDS, STYLES, RIGHT, NOT_BOTH, numeric=True)
test_random_answer_passes_only_if_it_is_right = only_right_answers_pass(STYLES)


def spoils_before(before, after):
    size = np.linalg.norm(before)
    before -= after
    return np.linalg.norm(before) / size


UNUSUAL = {
    ("update_ratio", "not-a-ratio"): [
        lambda b, a: float(np.sqrt(((b - a) ** 2).sum())),
        lambda b, a: np.sqrt(((b - a) ** 2).mean()),
    ],
    ("update_ratio", "difference-of-norms"): [
        lambda b, a: 1 - np.sqrt((a**2).sum() / (b**2).sum()),
        lambda b, a: abs(1 - np.linalg.norm(a) / np.linalg.norm(b)),
    ],
    ("update_ratio", "no-root"): [
        lambda b, a: ((a - b) ** 2).sum() / (b**2).sum(),
        lambda b, a: ((a - b) ** 2).sum() / np.linalg.norm(b),
        lambda b, a: np.linalg.norm(a - b) / (b**2).sum(),
    ],
    ("update_ratio", "divided-by-after"): [lambda b, a: solutions.update_ratio(a, b)],
    ("update_ratio", "norm-ratio"): [
        norm_ratio,
        lambda b, a: 2 * np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)),
    ],
    ("update_ratio", "mean-absolute"): [
        lambda b, a: np.linalg.norm((a - b).ravel(), 1) / np.linalg.norm(b.ravel(), 1)
    ],
    ("update_ratio", "std-ratio"): [lambda b, a: np.sqrt(np.var(a - b) / np.var(b))],
    ("update_ratio", "modifies-input"): [spoils_before],
    ("update_ratio", "wrong-shape"): [
        lambda b, a: np.linalg.norm(a - b, axis=0) / np.linalg.norm(b, axis=0),
        lambda b, a: (a - b) / b,
    ],
    ("update_ratio", "wrong-type"): [
        lambda b, a: f"{solutions.update_ratio(b, a):.2%}",
        lambda b, a: (solutions.update_ratio(b, a), np.linalg.norm(b)),
    ],
    ("update_ratio", "wrong"): [
        lambda b, a: np.log(solutions.update_ratio(b, a)),
        lambda b, a: np.linalg.norm(a - b, 1) / np.linalg.norm(b, 1),
        lambda b, a: np.abs(a - b).max() / np.abs(b).max(),
        lambda b, a: solutions.update_ratio(b, a) ** 0.5,
    ],
}


@pytest.mark.parametrize(("name", "mistake", "function"), cases(UNUSUAL))
def test_unusual_ratio_gets_the_right_verdict(name, mistake, function):
    verdict = first_verdict(name, function)
    assert (verdict.passed, verdict.mistake) == (False, mistake), verdict


def length(x):
    return np.linalg.norm(x)


@pytest.mark.parametrize(
    ("function", "mistake", "phrase"),
    [
        (lambda b, a: length(a) / length(b), "wrong", "nothing was subtracted"),
        (lambda b, a: length(a) - length(b) / length(b), "wrong", "`a - b / c`"),
        (lambda b, a: length(a - b / length(b)), "wrong", "`a - b / c`"),
        (lambda b, a: round(length(a - b) / length(b), 3), "wrong", "was rounded"),
        (lambda b, a: round(float(length(a - b) / length(b)), 2), "wrong", "was rounded"),
        (lambda b, a: np.linalg.norm(a - b, 2) / length(b), "spectral-norm", "spectral norm"),
        (lambda b, a: np.std(a - b) / length(b), "std-ratio", "Standard deviations"),
        (lambda b, a: 0.0, "wrong", "where 0."),
        (lambda b, a: 1.0, "wrong", "where 0."),
        (lambda b, a: length(a), "wrong", "where 0."),
    ],
)
def test_first_hint_on_a_ratio_says_what_is_wrong(function, mistake, phrase):
    verdict = first_verdict("update_ratio", function)
    assert verdict.mistake == mistake, verdict
    assert phrase in verdict.hint


def test_swapped_arguments_are_asked_for():
    def swapped(after, before):
        return length(after - before) / length(before)

    first_verdict("update_ratio", swapped)
    assert "Does your `def` line read `(before, after)`?" in checks.update_ratio(swapped).hint


def test_no_hint_on_the_ratio_shows_the_entire_solution():
    for mistake in checks.update_ratio.mistakes:
        shown = " ".join(mistake.hints)
        assert not ("`np.linalg.norm(after - before)`" in shown and "`change / np" in shown)
        assert "np.linalg.norm(after - before) / np.linalg.norm(before)" not in shown


def test_relative_change_is_the_ratio_for_tensors():
    before, after = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 3.0]])
    assert faulty_runs.relative_change(before, after) == pytest.approx(0.2)


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


@pytest.mark.parametrize("cause", [str, str.upper, lambda cause: cause.replace("-", " ")])
def test_inverted_dictionary_gets_one_sentence(cause):
    inverted = {cause(name): run for run, name in ANSWERS.items()}
    for answer in (inverted, inverted | {cause("healthy"): ...}):
        progress_store.forget("diagnose")
        verdict = checks.diagnose(answer)
        assert verdict.mistake == "wrong"
        assert verdict.hint == (
            "Your dictionary is the other way round.\n"
            'Each run is a key, and its cause the value: {"alder": "healthy"}.'
        )


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
    assert "`overfitting` twice; each cause occurs once." in hint


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(faulty_runs.RUNS), st.sampled_from(faulty_runs.CAUSES)))
def test_random_answers_pass_only_if_true(answers):
    assert bool(checks.diagnose(answers)) == (answers == ANSWERS)


@pytest.mark.parametrize("step", [faulty_runs.SPOILED_STEP, 255.0, np.int64(272)])
@pytest.mark.parametrize("cause", ["bad-batch", "Bad batch", "BAD_BATCH"])
def test_chart_read_as_exactly_as_the_axis_allows_passes(step, cause):
    assert checks.read_chart({"step": step, "cause": cause})
    assert checks.read_chart(solutions.reading())
    assert checks.read_chart(solutions.reading), "a function, as in the solution"
    assert checks.progress().passed["read_chart"]


@pytest.mark.parametrize(
    ("answer", "mistake", "phrase"),
    [
        (None, "not-attempted", "Your turn"),
        ({"step": ..., "cause": "bad-batch"}, "not-attempted", "Your turn"),
        ({"step": 263, "cause": ...}, "not-attempted", "Your turn"),
        (263, "wrong-type", "a dictionary"),
        ({"step": 263}, "wrong-type", "has no `cause`"),
        ({"step": "263", "cause": "bad-batch"}, "wrong-type", "`step` should be a number"),
        ({"step": 263, "cause": 1}, "wrong-type", "`cause` should be a string"),
        ({"step": 0, "cause": "bad-batch"}, "start-of-the-run", "hardly learnt anything"),
        ({"step": -5, "cause": "bad-batch"}, "start-of-the-run", "hardly learnt anything"),
        ({"step": 1.7e9, "cause": "bad-batch"}, "off-the-axis", "*Relative*"),
        ({"step": 280, "cause": "bad-batch"}, "nearby", "one every twenty steps"),
        ({"step": 140, "cause": "bad-batch"}, "wrong", "like those before and after"),
        ({"step": math.nan, "cause": "bad-batch"}, "wrong", "You gave step nan."),
        ({"step": 260, "cause": "bad batches"}, "wrong", "did you mean `bad-batch`"),
        ({"step": 260, "cause": "No shuffle"}, "no-shuffle", "How many leaps"),
        ({"step": 260, "cause": "overfitting"}, "overfitting", "comes on slowly"),
        (
            {"step": 260, "cause": "learning-rate-too-high"},
            "learning-rate-too-high",
            "Step 260 is right.",
        ),
    ],
)
def test_chart_read_wrongly_gets_its_own_hint(answer, mistake, phrase):
    verdict = checks.read_chart(answer)
    assert (verdict.passed, verdict.mistake) == (False, mistake), verdict
    assert phrase in verdict.hint
    assert "263" not in verdict.hint.replace("step 263", "")
    assert checks.read_chart(answer).hint != verdict.hint, "a more direct hint"


LOG_10 = np.log(10)


def diagnosis(curves):
    """Find the cause from the curves alone, as a reader of the figures does."""
    tags = {tag: np.array(values) for tag, (_, values) in curves.items()}
    if (tags["train/Gradient/layer 1"] == 0).all() and (tags["val/Dead units"] == 1).all():
        return "dead-at-start"
    if tags["train/Update ratio/layer 1"][0] > 0.5:
        return "learning-rate-too-high"
    if tags["train/Update ratio/layer 1"][0] < 2e-3:
        return "learning-rate-too-low"
    if tags["val/Accuracy"][-5:].mean() < 0.2 and tags["train/Loss"][-1] < 0.8 * LOG_10:
        return "labels-shuffled"
    if tags["train/Batch loss"][-100:].std() > 0.4:
        return "no-shuffle"
    if (tags["val/Predicted/rarest"][5:] == 0).all():
        return "relu-on-logits"
    if tags["train/Accuracy"][-1] == 1 and tags["val/Loss"][-1] > tags["val/Loss"].min() + 0.02:
        return "overfitting"
    return "healthy"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("NNWEEK_DATASET", "stand-in")
    folder = tmp_path_factory.mktemp("diagnose")
    before = torch.get_rng_state(), torch.get_num_threads()
    names = faulty_runs.log_faulty_runs(load_mnist(), folder)
    faulty_runs.log_spoiled_run(load_mnist(), folder / "oak")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    patch.undo()
    return {name: read_scalars(folder / name) for name in [*names, "oak"]}


@pytest.mark.slow
def test_every_injected_fault_shows_in_its_curves(runs):
    assert {run: diagnosis(runs[run]) for run in ANSWERS} == ANSWERS


@pytest.mark.slow
def test_spoiled_batch_shows_in_its_step_only(runs):
    losses = np.array(runs["oak"]["train/Batch loss"][1])
    step = faulty_runs.SPOILED_STEP
    assert losses.argmax() == step
    assert losses[step] > 5 * losses[step + 1 : step + 4].max()
    assert losses[step] > 2 * losses[:step].max()
    healthy = runs[next(run for run, cause in ANSWERS.items() if cause == "healthy")]
    np.testing.assert_array_equal(losses[:step], healthy["train/Batch loss"][1][:step])
    after, before = (dict(zip(*runs["oak"]["val/Loss"], strict=True))[k] for k in (280, 260))
    assert after < 2 * before


@pytest.mark.slow
def test_runs_have_the_same_tags_and_steps(runs):
    first, *others = runs.values()
    for curves in others:
        assert curves.keys() == first.keys()
        for tag, (steps, values) in curves.items():
            assert steps == first[tag][0]
            assert np.isfinite(values).all(), tag
    assert first["train/Batch loss"][0] == list(range(faulty_runs.STEPS + 1))
    assert first["val/Loss"][0] == list(range(0, faulty_runs.STEPS + 1, faulty_runs.EVERY))


@pytest.mark.slow
def test_curves_show_what_the_page_says(runs):
    curves = {cause: runs[run] for run, cause in ANSWERS.items()}

    def of(cause, tag):
        return np.array(curves[cause][tag][1])

    assert np.abs(of("dead-at-start", "val/Loss") - LOG_10).max() < 0.05
    assert of("learning-rate-too-high", "train/Batch loss")[:20].max() > 1.5 * LOG_10
    assert of("learning-rate-too-high", "val/Dead units")[-1] > 0.3
    assert of("labels-shuffled", "val/Loss")[-1] > of("labels-shuffled", "val/Loss")[0] + 0.4
    assert of("overfitting", "val/Accuracy")[-1] > 0.4
    slow = of("learning-rate-too-low", "val/Loss")
    line = np.polyval(np.polyfit(np.arange(len(slow)), slow, 1), np.arange(len(slow)))
    assert np.abs(slow - line).max() < 0.05
    assert slow[-1] < slow[0] - 0.05
    for cause in faulty_runs.CAUSES:
        if cause != "dead-at-start":
            assert of(cause, "train/Gradient/layer 1")[0] > 0
            assert of(cause, "val/Dead units")[0] < 0.3
    assert of("healthy", "val/Loss")[-1] == min(of(c, "val/Loss")[-1] for c in faulty_runs.CAUSES)
    assert (of("healthy", "val/Predicted/rarest")[10:] > 0).all()


def test_names_of_runs_do_not_reveal_the_cause():
    assert list(ANSWERS.values()) != list(faulty_runs.CAUSES)
    assert not any(cause[:3] in run for run, cause in ANSWERS.items())
