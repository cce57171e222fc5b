"""The one mechanism behind every check (Day 29).

An *exercise* is a right answer, probes and mistakes. The right answer is a function whose
keyword-only arguments are its steps; a *mistake* replaces a step or two, so that two
mistakes made at once are simply both replacements. A *probe* is a set of inputs.

A check runs the learner's function on every probe and compares each output with the right
one and with what every mistake would have produced. No source code is read. What an answer
does besides (a warning, an input left changed, the same numbers for every seed) is
observed, and a mistake that shows itself that way says so with `tells`.

Where numbers alone do not tell (a training loop, a network), the exercise *plays* the
function: it calls it in surroundings of its own, a small network whose steps are logged, and
hands back what was returned, further outputs and the log. The right answer and its mistaken
variants are played in the same surroundings.

To add a mistake: add one `Mistake` with the step that it replaces and a sentence on what
it means.
"""

import copy
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nnweek.checks import progress_store, sandbox
from nnweek.checks.sandbox import Problem
from nnweek.checks.verdict import Verdict


@dataclass(frozen=True)
class Probe:
    """Inputs to try.

    Attributes:
        args: what the function is called with, positionally; each call gets copies.
        about: numbers for the hints, such as {"N": 8}.
        reveals: the mistake that this probe was built for; where nothing but such probes
            fails, that is the mistake.
        accept: (output, right output) → bool, where more than one answer is right.
    """

    args: tuple
    context: dict = field(default_factory=dict)
    targets: str | None = None
    accept: Callable | None = None


@dataclass(frozen=True)
class Mistake:
    """A mistake with a name.

    Attributes:
        id: its name in the contract; "wrong" for a pattern that has an explanation but no name.
        means: one sentence: what this pattern in the numbers means.
        hints: what to look at, from general to direct; one more each time it is asked.
        ways: each a dictionary of replaced steps; several where one mistake can be made
            in several ways.
        tells: (list of `Seen`) → falsy, or true, or a dictionary of numbers for `seen`.
        seen: what the learner's numbers show, a format string over `Exercise.numbers`;
            by default the first disagreement.
    """

    id: str
    explanation: str
    hints: tuple
    variants: tuple = ()
    detect: Callable | None = None
    finding: str = "{first}"


@dataclass
class Observation:
    """What one probe showed: named outputs or a problem, warnings, changed inputs."""

    number: int
    probe: Probe
    right: dict
    outputs: dict = field(default_factory=dict)
    problem: Problem | None = None
    warnings: list = field(default_factory=list)
    changed: dict = field(default_factory=dict)  # name of an input → by how much at most
    wrong: list = field(default_factory=list)  # names of outputs that are not right
    log: object = None  # what a play noted besides


@dataclass
class TrialRun:
    """What came of playing a function.

    Attributes:
        value: what the function returned.
        observed: further outputs, {name: numbers}.
        log: whatever the mistakes' `tells` look at.
        changed: {input: by how much at most}, for inputs that are not the probe's own.
        problem: why there is nothing to compare, if so.
    """

    value: object = None
    observed: dict = field(default_factory=dict)
    log: object = None
    changed: dict = field(default_factory=dict)
    problem: Problem | None = None


class _Task:
    """What an `Exercise` and a `Question` share: they name themselves and give hints."""

    __test__ = False  # for pytest: one exercise is called test_suite

    def __repr__(self):
        return f"Day {self.day}: {self.signature} – {self.task}"

    def hint(self):
        """Return the next hint without an attempt: on the last mistake, or on the task."""
        mistake, hints = progress_store.last_hints(self.name) or ("", self.hints)
        return progress_store.next_hint(self.name, mistake, hints)

    def _verdict(self, mistake, hint):
        """Return the `Verdict`; a pass is kept, and its hints start again."""
        if mistake is None:
            progress_store.forget(self.name)
            progress_store.keep_pass(self.name, self.day)
        return Verdict(self.name, mistake is None, mistake, hint)


@dataclass(frozen=True, eq=False, repr=False)
class Question(_Task):
    """A question about what was measured: call it with your answer. Introduced on Day 33.

    Attributes:
        name, day: the question's name and the day that asks it.
        signature: the call that is asked for, as text.
        task: one sentence: what the answer says.
        judge: (answer, …) → None where it is right, or (id, what was seen in the answer);
            (None, remark) where it is right and deserves a remark.
        mistakes: `Mistake`s with the ids that `judge` may give, besides the generic ones.
        hints: hints on the question itself, for those who have no answer yet.
    """

    name: str
    day: int
    signature: str
    task: str
    judge: Callable
    mistakes: tuple
    hints: tuple

    def __call__(self, *answer, **named):
        """Check an answer and return a `Verdict`."""
        if _blank(next(iter((*answer, *named.values())), None)):
            return self._verdict(
                "not-attempted",
                f"Your turn: `{self.signature}` {self.task}.\n"
                + progress_store.next_hint(self.name, "not-attempted", self.hints),
            )
        with sandbox.undisturbed():
            mistake, observation = self.judge(*answer, **named) or (None, "")
        if mistake is None:
            return self._verdict(None, observation)
        known = next((m for m in self.mistakes if m.id == mistake), None)
        lines = [observation, known.explanation] if known else [observation]
        # The first hint on what has no name of its own is what was seen.
        hints = known.hints if known else ("", *self.hints)
        lines.append(progress_store.next_hint(self.name, mistake, hints))
        return self._verdict(mistake, "\n".join(line for line in lines if line))


def _blank(answer):
    """Whether an answer is still the placeholder: nothing, or a part of it empty."""
    if answer is None or answer is Ellipsis:
        return True
    if isinstance(answer, dict):
        return not answer or any(_blank(value) for value in answer.values())
    return False


@dataclass(frozen=True, eq=False, repr=False)
class Exercise(_Task):
    """An exercise and its check: call it with your function. Introduced on Day 29.

    Attributes:
        name: the exercise's name.
        day: the day that sets it.
        signature: the call that is asked for, as text.
        task: one sentence: what the function does.
        right: the right answer; its keyword-only arguments are its steps.
        outputs: names of what it returns.
        probes: a function that makes the probes.
        mistakes: all `Mistake`s; of two that explain the same, the first is named.
        hints: hints on the exercise itself, for those who have no answer yet.
        may_change: arguments that may be changed in place.
        row_or_flat: whether (1, H) is as good as (H,).
        when_raised: the answer that an exception stands for; None where it is a failure.
        alike: (array, array) → bool, whether an output is what a mistake would produce.
        play: (function, *probe.args) → `Played`; by default the function is called with the
            probe's arguments.
        together: how many mistakes at once are looked for by their numbers.
        remarks: each (list of `Seen`) → falsy, or a remark on an answer that passed.
        forms: (function) → the same for arguments in another form, such as tensors; the first
            that does not raise is checked, where the arrays themselves raise.
    """

    name: str
    day: int
    signature: str
    task: str
    right: Callable
    outputs: tuple
    probes: Callable
    mistakes: tuple
    hints: tuple
    may_change: tuple = ()
    row_or_flat: bool = False
    when_raised: object = None
    matches: Callable = None
    trial: Callable = None
    max_simultaneous: int = 2
    remarks: tuple = ()
    adapters: tuple = ()

    def __call__(self, function):
        """Check `function` and return a `Verdict`."""
        with sandbox.undisturbed():
            return self._verdict(*self._judge(function))

    # --- Looking -----------------------------------------------------------------------------

    def _judge(self, function):
        """Return (mistake or None, hint)."""
        if function is None or function is Ellipsis:
            return self._generic("not-attempted", "There is no function here yet.")
        if not callable(function):
            return self._generic(
                "wrong-type",
                f"The check wants the function itself, got {kind(function)}. Hand over its "
                f"name without calling it: `checks.{self.name}({self.name})`.",
            )
        function = self._in_form(function)
        observations = []
        for number, probe in enumerate(self._probes):
            observation = self._look(function, number, probe)
            observations.append(observation)
            if observation.problem and observation.problem.id in ("not-attempted", "timed-out"):
                id_ = observation.problem.id.replace("timed-out", "raised")
                return self._generic(id_, observation.problem.text)
        return self._recognise(observations)

    def _in_form(self, function):
        """Return the function, or that one of its `forms` which does not raise."""
        if not self.adapters:
            return function
        errors = []
        for tried in filter(None, [function, *(form(function) for form in self.adapters)]):
            problem = sandbox.call(tried, self._probes[0].args).problem
            if not problem or problem.id != "raised":
                return tried
            errors.append((tried, problem.text))
        # All raise. An error that has nothing to do with the form is the one to show.
        about_form = ("AttributeError", "TypeError")
        telling = (tried for tried, text in errors if not text.startswith(about_form))
        return next(telling, function)

    def _look(self, function, number, probe):
        """Run the function on one probe and note everything that it did."""
        right = self._answers(())[number]  # first: what it imports is not the learner's time
        outcome = sandbox.call(self._trial_of(function), probe.args)
        observation = Observation(
            number, probe, right, problem=outcome.problem, warnings=outcome.warnings
        )
        if outcome.timed_out:
            observation.problem = Problem("timed-out", outcome.problem.text)
            return observation
        if (
            observation.problem
            and observation.problem.id == "raised"
            and self.when_raised is not None
        ):
            outcome.value, observation.problem = self.when_raised, None
            observation.warnings.append(f"raised {outcome.problem.text}")
        run = outcome.value if isinstance(outcome.value, TrialRun) else TrialRun(outcome.value)
        observation.log, observation.problem = run.log, observation.problem or run.problem
        observation.changed.update(run.changed)
        asked = {name: right[name] for name in right if name not in run.observed}
        if not observation.problem and (asked or run.value is None or run.value is Ellipsis):
            observation.outputs, observation.problem = self._unpack(run.value, asked)
        for name, value in run.observed.items():
            observation.outputs[name], _ = self._array(name, value, right.get(name))
        for name, before, after in zip(
            self._arguments, probe.args, outcome.arguments, strict=False
        ):
            change = _change(before, after)
            if change:
                observation.changed[name] = change
        observation.wrong = self._wrong(probe, observation.outputs, right)
        return observation

    def _trial_of(self, function):
        """Return the function as it is to be called with a probe's arguments."""
        return functools.partial(self.trial, function) if self.trial else function

    def _unpack(self, value, right):
        """Return ({name: array}, problem) from whatever came back."""
        if value is None or value is Ellipsis:
            return {}, Problem("not-attempted", f"It returned {value}.")
        if not self._several:
            (name, wanted), *_ = right.items()
            array, problem = self._array(name, value, wanted)
            return ({} if array is None else {name: array}), problem
        if not isinstance(value, (list, tuple)):
            wants = ", ".join(right)
            return {}, Problem(
                "wrong-type", f"It returned {kind(value)}, where ({wants}) was expected."
            )
        names = self._names(len(value))
        empty = [n for n, v in zip(names, value, strict=True) if v is None or v is Ellipsis]
        if empty:
            return {}, Problem("not-attempted", f"{_and(empty)} came back empty.")
        outputs, problem = {}, None
        for name, item in zip(names, value, strict=True):
            array, trouble = self._array(name, item, right.get(name))
            if array is not None:
                outputs[name] = array
            problem = problem or trouble
        if len(value) != len(right):
            problem = problem or Problem(
                "wrong-shape",
                f"It returned {len(value)} arrays, where {len(right)} were expected: "
                f"{', '.join(right)}.",
            )
        return outputs, problem

    def _array(self, name, value, wanted):
        """Return (array, None), or (None, problem) for what is not numbers."""
        if wanted is not None and wanted.dtype == bool:
            array = as_numbers(value)
            if array is None or array.size != 1 or not (array == array.astype(bool)).all():
                return None, Problem(
                    "wrong-type", f"It returned {kind(value)}, where True or False was expected."
                )
            return array.astype(bool).reshape(()), None
        array = as_numbers(value)
        a_number = wanted is not None and wanted.ndim == 0
        # A tuple stands for an array where it has its shape, not where it holds several.
        several = (
            isinstance(value, tuple) and wanted is not None and np.shape(array) != wanted.shape
        )
        if array is None or several or (a_number and getattr(value, "requires_grad", False)):
            what = "a number" if a_number else "an array of numbers"
            problem = Problem("wrong-type", f"{name} is {kind(value)}, where {what} was expected.")
            return None, problem
        if a_number and array.size == 1:
            array = array.reshape(())
        if (
            self.row_or_flat
            and wanted is not None
            and wanted.ndim == 1
            and array.shape == (1, *wanted.shape)
        ):
            array = array[0]
        return array, None

    # --- Recognising -------------------------------------------------------------------------

    def _recognise(self, observations):
        """Return (mistake or None, hint) from all that was seen, the surest sign first."""
        failing = [observation for observation in observations if observation.wrong]
        full, partly = self._explain(observations, 1)
        if full:
            return self._named(observations, *full)
        for mistake in self.mistakes:
            told = mistake.detect and mistake.detect(observations)
            if told:
                return self._named(observations, [mistake], told=told)
        targets = {observation.probe.targets for observation in failing}
        if failing and None not in targets:
            first = failing[0]
            mistake = next(m for m in self.mistakes if m.id == first.probe.targets)
            return self._named(observations, [mistake], (first, first.wrong[0]))
        both, partly_both = (
            self._explain(observations, 2) if self.max_simultaneous > 1 else (None, partly)
        )
        if both:
            return self._named(observations, *both)
        best = max(partly, partly_both, key=lambda found: found[0])
        if best[0]:
            return self._named(observations, *best[1:], more=True)
        return self._unnamed(observations, failing)

    def _explain(self, observations, size):
        """Look for `size` mistakes whose answers these are.

        Every output is right, or what the mistakes would have produced, or neither. An
        explanation is full where nothing is left over, but for probes that were built to
        reveal another mistake and so may show that one. A partial explanation must explain
        more than chance could: several numbers, in several outputs. And no explanation
        holds where a probe would show the mistake, but came out right.

        Returns:
            full: (mistakes, the (seen, output) that shows them), or None.
            partial: (how many outputs it explains, mistakes, (seen, output)).
        """
        failing = [observation for observation in observations if observation.wrong]
        partial = (0, None, None)
        for mistakes, answers in self._wrong_answers(size) if failing else ():
            matches = [
                (self._matches(observation, name, answers[observation.number]), observation, name)
                for observation in failing
                for name in observation.wrong
            ]
            shown = [match for match in matches if match[0] is not None]
            if not shown or any(
                self._wrong(observation.probe, answers[observation.number], observation.right)
                for observation in observations
                if not observation.wrong
            ):
                continue
            telling = next((match for match in shown if match[0]), shown[0])[1:]
            plain = [match[0] for match in matches if not match[1].probe.targets]
            if len(shown) == len(matches) or (plain and None not in plain):
                return (mistakes, telling), partial  # of several, the one listed first
            if len(shown) > max(partial[0], 1) and sum(match[0] for match in shown) > 1:
                partial = len(shown), mistakes, telling
        return None, partial

    def _wrong(self, probe, outputs, right):
        """Return the names of the outputs that are not right."""
        accept = probe.accept or close
        wrong = []
        for name, wanted in right.items():
            got = outputs.get(name)
            if got is None or got.shape != wanted.shape or not accept(got, wanted):
                wrong.append(name)
        return wrong + [name for name in outputs if name not in right]

    def _matches(self, observation, name, answer):
        """Return how many numbers, not counting 0 and NaN, show the mistake; None if not all do."""
        got, wanted, right = (
            observation.outputs.get(name),
            answer.get(name),
            observation.right.get(name),
        )
        if got is None or wanted is None:
            # A list that is too short, in the same way as the mistake's.
            return 0 if got is wanted and observation.outputs and answer else None
        got, wanted = np.squeeze(got), np.squeeze(wanted)
        if got.shape != wanted.shape or not (self.matches or close)(got, wanted):
            return None
        if right is not None and right.shape == wanted.shape and close(wanted, right):
            return None  # here the mistake makes no difference: no evidence for it
        return int((np.isfinite(wanted) & (wanted != 0)).sum())

    def _wrong_answers(self, size):
        """Yield (mistakes, their answers) for every `size` of them that go together."""
        steps = [(mistake, way) for mistake in self.mistakes for way in mistake.variants]
        for group in itertools.combinations(steps, size):
            mistakes = [mistake for mistake, _ in group]
            replaced = [item for _, way in group for item in way.items()]
            if len(dict(replaced)) == len(replaced) and len({m.id for m in mistakes}) == size:
                yield mistakes, self._answers(tuple(replaced))

    def _answers(self, steps):
        """Return the outputs on every probe with some steps replaced; computed once."""
        if steps not in self._cache:
            self._cache[steps] = [self._answer(probe, dict(steps)) for probe in self._probes]
        return self._cache[steps]

    def _answer(self, probe, steps):
        try:
            with np.errstate(all="ignore"):
                right = functools.partial(self.right, **steps)
                value = self._trial_of(right)(*copy.deepcopy(probe.args))
        except (ValueError, IndexError):  # a mistake may be impossible with these shapes
            return {}
        run = value if isinstance(value, TrialRun) else TrialRun(value)
        values = run.value if isinstance(run.value, (list, tuple)) else [run.value]
        named = zip(self._names(len(values)), values, strict=True)
        return {n: np.asarray(v) for n, v in (*named, *run.observed.items())}

    # --- Saying so ---------------------------------------------------------------------------

    def _named(self, observations, mistakes, telling=None, *, told=None, more=False):
        """Return (id, hint) for mistakes with a name: the first of them is named."""
        mistake = mistakes[0]
        numbers = self._numbers(observations, telling)
        if isinstance(told, dict):
            numbers.update(told)
        # The sentence tells apart several patterns that share the id "wrong".
        hint = progress_store.next_hint(self.name, (mistake.id, mistake.explanation), mistake.hints)
        lines = [mistake.finding.format_map(numbers), mistake.explanation, hint]
        if more or len(mistakes) > 1:
            lines.append("That is not all: check again once this is mended.")
        return mistake.id, "\n".join(lines)

    def _generic(self, id_, text):
        """Return (id, hint) for what can happen in every exercise."""
        if id_ == "not-attempted":
            text += (
                f"\nYour turn: `{self.signature}` {self.task}. If there is code already, does "
                "every path through it end in a `return`?"
            )
        further = progress_store.next_hint(self.name, id_, ("", *self.hints))
        return id_, f"{text}\n{further}".rstrip()

    def _unnamed(self, observations, failing):
        """Return (id or None, hint) where no mistake with a name was recognised."""
        for id_ in ("raised", "wrong-type", "wrong-shape", "not-finite"):
            for observation in observations:
                if observation.problem and observation.problem.id == id_:
                    return self._generic(id_, f"{_with(observation)}{observation.problem.text}")
        numbers = self._numbers(observations)
        for observation in failing:
            for name in observation.wrong:
                got, wanted = observation.outputs[name], observation.right[name]
                if got.shape != wanted.shape:
                    return self._generic(
                        "wrong-shape",
                        f"{_with(observation)}{name} has shape {got.shape}, where {wanted.shape} was "
                        "expected.",
                    )
        for observation in failing:
            for name in observation.wrong:
                got, wanted = observation.outputs[name], observation.right[name]
                bad = np.isfinite(wanted) & ~np.isfinite(got)
                if bad.any():
                    where = tuple(np.argwhere(bad)[0])
                    return self._generic(
                        "not-finite",
                        f"{_with(observation)}{_place(name, where)} is {got[where]:g}, where "
                        f"{wanted[where]:.4g} was expected. "
                        f"{int(bad.sum())} of {got.size} numbers are not finite.",
                    )
        for observation in observations:
            for name in observation.changed:
                if name not in self.may_change:
                    return self._generic(
                        "modifies-input",
                        f"After the call, `{name}` is not what it was: your function wrote into "
                        "the caller's array.\nWhoever uses it next gets other numbers. Which line "
                        "assigns into it, or uses `+=`, `-=`, `*=`, `/=` or `out=` on it?",
                    )
        if failing:
            text = numbers["first"]
            if len(self.outputs) > 1:
                text += f"\n{numbers['agree']} came out right; {numbers['outputs']} did not."
            if numbers["constant"]:
                text += (
                    f"\nAll of {numbers['output']} is {numbers['ratio']} times what it should be."
                )
            return self._generic("wrong", text)
        remarks = (remark(observations) for remark in self.remarks)
        return None, next(filter(None, remarks), "")

    def _numbers(self, observations, telling=None):
        """Return what a hint may quote: the first disagreement, or the telling one."""
        failing = [observation for observation in observations if observation.wrong]
        observation = telling[0] if telling else failing[0] if failing else observations[0]
        name = (
            telling[1]
            if telling
            else observation.wrong[0]
            if observation.wrong
            else next(iter(observation.right))
        )
        got, wanted = observation.outputs.get(name), observation.right.get(name)
        numbers = {
            **observation.probe.context,
            "output": name,
            "outputs": _and(observation.wrong),
            "agree": _and([n for n in observation.right if n not in observation.wrong])
            or "No output",
            "ratio": "?",
            "constant": False,
            "got": "missing" if got is None else f"an array of shape {got.shape}",
            "expected": "nothing" if wanted is None else f"an array of shape {wanted.shape}",
            "where": name,
            "problem": observation.problem.text if observation.problem else "",
        }
        if got is not None and wanted is not None and got.shape == wanted.shape:
            off = np.atleast_1d(~_close(got, wanted))
            where = tuple(np.argwhere(off)[0]) if off.any() else (0,) * off.ndim
            # Adding 0 makes −0 a plain 0.
            numbers["got"] = f"{np.atleast_1d(got)[where] + 0:.5g}"
            numbers["expected"] = f"{np.atleast_1d(wanted)[where] + 0:.5g}"
            numbers["where"] = _place(name, where if got.ndim else ())
            numbers["mean"], numbers["std"] = f"{got.mean():.3g}", f"{got.std():.3g}"
            numbers["right_std"] = f"{wanted.std():.3g}"
            norm = float((wanted * wanted).sum())
            if norm > 0 and np.isfinite(got).all() and np.isfinite(norm):
                ratio = float((got * wanted).sum()) / norm
                numbers["ratio"] = f"{ratio:.4g}"
                numbers["constant"] = got.size > 1 and close(got, ratio * wanted)
        numbers["first"] = (
            f"{_with(observation)}{numbers['where']} is {numbers['got']}, where {numbers['expected']} "
            "was expected."
        )
        if observation.problem:
            numbers["first"] = f"{_with(observation)}{observation.problem.text}"
        return numbers

    # --- What is computed once -----------------------------------------------------------------

    @cached_property
    def _probes(self):
        return tuple(self.probes())

    @cached_property
    def _cache(self):
        return {}

    @cached_property
    def _arguments(self):
        """Names of the arguments, from the signature."""
        inside = self.signature.partition("(")[2].rpartition(")")[0]
        return [part.partition("=")[0].strip() for part in inside.split(",")]

    @property
    def _several(self):
        return len(self.outputs) > 1 or "{}" in self.outputs[0]

    def _names(self, count):
        """Name `count` outputs; those beyond what is expected get a number."""
        if "{}" in self.outputs[0]:
            return [self.outputs[0].format(i) for i in range(count)]
        return [*self.outputs, *(f"output {i}" for i in range(len(self.outputs), count))][:count]


def close(got, wanted):
    """Whether two arrays of one shape agree to float32 accuracy, NaN and infinity included."""
    return bool(_close(got, wanted).all())


def _close(got, wanted):
    finite = wanted[np.isfinite(wanted)]
    # What counts as nothing is measured by the whole array: a sum of terms that cancel
    # is not zero in floating point, only small beside the terms.
    scale = max(0.1, float(np.abs(finite).max())) if finite.size else 0.1
    return np.isclose(got, wanted, rtol=1e-4, atol=1e-5 * scale, equal_nan=True)


def as_numbers(value):
    """Return a new float64 array, or None where `value` does not hold real numbers."""
    if hasattr(value, "detach"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        return None if value.is_complex() else value.double().numpy().copy()
    try:
        array = np.ma.asarray(value) if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        array = None
    if isinstance(value, (list, tuple)) and (array is None or array.dtype == object):
        parts = [as_numbers(item) for item in value]
        if any(part is None for part in parts) or len({part.shape for part in parts}) != 1:
            return None
        return np.array(parts)
    if array is None or array.dtype.kind not in "biufO":
        return None
    try:
        array = array.astype(np.float64)
    except (ValueError, TypeError):
        return None
    return array.filled(np.nan) if isinstance(array, np.ma.MaskedArray) else array


def _change(before, after):
    """Return by how much an input changed at most, 0 where only rounding did."""
    if isinstance(before, (list, tuple)):
        if len(before) != len(after):
            return np.inf
        return max((_change(b, a) for b, a in zip(before, after, strict=True)), default=0)
    if not isinstance(before, np.ndarray):
        return 0
    if before.shape != np.shape(after):
        return np.inf
    change = np.abs(np.subtract(after, before, dtype=float)).max()
    rounding = 4 * np.finfo(float).eps * np.abs(before).max()
    return 0 if change <= rounding else float(change)


def kind(value):
    """Name a value's type, with its length or shape."""
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    if isinstance(value, (list, tuple, dict)):
        return f"{article} {name} of {len(value)}"
    shape = getattr(value, "shape", None)
    if getattr(value, "requires_grad", False):
        return f"{article} {name} with a graph hanging on it"
    return f"{article} {name} of shape {tuple(shape)}" if shape else f"{article} {name}"


def _place(name, where):
    return f"{name}[{', '.join(map(str, where))}]" if where else name


def _with(observation):
    about = ", ".join(f"{key} = {value}" for key, value in observation.probe.context.items())
    return f"With {about}: " if about else ""


def _and(names):
    names = [str(name) for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
