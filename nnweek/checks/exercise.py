"""Declare an exercise, and check a submission against it (from Day 29 on).

An *exercise* consists of a right answer, probes and mistakes. The right answer is a function
whose keyword-only arguments are its steps; a *mistake* replaces one or two of these steps, so
two mistakes made at once are simply both replacements. A *probe* is a set of inputs:

    def _mean(x, *, total=np.sum): return total(x) / len(x)

    Exercise(name="mean", right=_mean, outputs=("the mean",), probes=lambda: [Probe((x,))], …,
             mistakes=(Mistake("no-sum", "…", "…", "…", variants=({"total": np.max},)),))

A check calls the learner's function on every probe (`running`), compares each output with the
right one and with what every mistake would have produced (`comparing`, `recognising`), and
says what it found (`wording`). No source code is read. Side effects, such as a warning or a
changed input, are recorded; a mistake that shows in them has a `detect`.

To add a mistake, add one `Mistake` with the step that it replaces, a sentence on what it means
and two hints.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from nnweek.checks import (
    prerequisites,
    progress_store,
    recognising,
    running,
    sandbox,
    wording,
)
from nnweek.checks.comparing import close, kind
from nnweek.checks.verdict import Verdict, show_at_once


@dataclass(frozen=True)
class Probe:
    """Inputs to try.

    Attributes:
        args: what the function is called with, positionally; each call gets copies.
        context: numbers for the sentences, such as {"N": 8}.
        targets: the mistake that this probe was built for; if only such probes fail, that is
            the mistake. What is no mistake's id only sets the probe apart from the ordinary ones.
        accept: (output, right output) → bool, if more than one answer is right.
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
        explanation: one or two sentences: what this pattern in the numbers means.
        question: the first hint: what to look at.
        advice: the hint after that, more direct.
        variants: dictionaries of replaced steps; several if there are several ways to make
            the mistake.
        detect: (list of `Observation`s) → falsy, or true, or a dictionary of numbers for
            `finding`.
        finding: what the learner's numbers show, a format string over `wording.quotable`; by
            default the first disagreement.
        slip: (right, wrong): code that stands once in the reference solution, and what to write
            in its place to make the mistake. It is shown once both hints have not helped.
        forgiven: whether the answer passes nevertheless, with the explanation as a remark.
    """

    id: str
    explanation: str
    question: str
    advice: str
    variants: tuple = ()
    detect: Callable | None = None
    finding: str = "{first}"
    slip: tuple = ()
    forgiven: bool = False

    @property
    def hints(self):
        """The hints, from general to direct; each further attempt gets the next."""
        if not self.slip:
            return self.question, self.advice
        right, wrong = (_lines_of(code) for code in self.slip)
        example = "" if len(self.variants) == 1 else ", for example,"
        kept = [line for line in wrong if line != "pass" and not line.startswith("#")]
        if len(kept) < len(right) and [line for line in right if line in kept] == kept:
            missing = [f"`{line.rstrip(',')}`" for line in right if line not in kept]
            which = "the line" if len(missing) == 1 else "the lines"
            beside = f"Without {which} {' and '.join(missing)}{example} it would make this mistake."
        elif len(right) == len(wrong) == 1:
            beside = (
                f"The solution has `{right[0]}`; with `{wrong[0]}` instead{example} it would make this "
                "mistake."
            )
        else:
            blocks = ["\n".join(f"    {line}" for line in lines) for lines in (right, wrong)]
            beside = (
                f"The solution has\n{blocks[0]}\nThis{example} instead of it would make this mistake:\n"
                f"{blocks[1]}"
            )
        return self.question, self.advice, beside


def _lines_of(code):
    """Return the lines of a `slip`, whose first one lacks the indentation of the others."""
    first, *rest = code.splitlines()
    indented = len(rest[0]) - len(rest[0].lstrip()) if rest else 0
    return [first, *(line[indented - 4 * first.endswith(":") :] for line in rest)]


class _Task:
    """What an `Exercise` and a `Question` share: they describe themselves and give hints."""

    def __repr__(self):
        return f"Day {self.day}: {self.signature} – {self.task}"

    def hint(self):
        """Return the next hint without an attempt: on the last mistake, or on the task."""
        mistake, hints = progress_store.last_hints(self.name) or ("", self.hints)
        return progress_store.next_hint(self.name, mistake, hints)

    def _your_turn(self):
        return f"Your turn: `{self.signature}` {self.task}."

    def _next_hint(self, mistake):
        """Return the next hint on a mistake without hints of its own; at first there is none."""
        return progress_store.next_hint(self.name, mistake, ("", *self.hints, *self._last_hint))

    @property
    def _last_hint(self):
        """The hint that remains after all others, so that none is repeated."""
        return (f'There is no further hint; `checks.solution("{self.name}")` shows a solution.',)

    def _verdict(self, mistake, hint):
        """Return the `Verdict`; record a pass, after which the hints start again."""
        if mistake is None:
            progress_store.forget(self.name)
            progress_store.keep_pass(self.name, self.day)
        return Verdict(self.name, mistake is None, mistake, hint)


@dataclass(frozen=True, eq=False, repr=False)
class Question(_Task):
    """A question about what was measured: call it with your answer. Introduced on Day 33.

    Attributes:
        name, day: the question's name and the day that asks it.
        signature: how it is called, as text.
        task: one sentence: what the answer says.
        judge: (answer, …) → None if it is right, or (id, what the answer shows);
            (None, remark) if it is right and deserves a remark.
        mistakes: `Mistake`s with the ids that `judge` may give, besides the generic ones.
        hints: hints on the question itself, for learners who have no answer yet.
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
        return show_at_once(self._judged(*answer, **named), sys._getframe(1))

    def _judged(self, *answer, **named):
        if _is_blank(next(iter((*answer, *named.values())), None)):
            hint = progress_store.next_hint(self.name, "not-attempted", self.hints)
            return self._verdict("not-attempted", f"{self._your_turn()}\n{hint}")
        with sandbox.undisturbed():
            mistake, finding = self.judge(*answer, **named) or (None, "")
        if mistake is None:
            return self._verdict(None, finding)
        known = next((m for m in self.mistakes if m.id == mistake), None)
        if known is None:
            return self._verdict(mistake, wording.lines(finding, self._next_hint(mistake)))
        hints = known.hints if known.slip else (*known.hints, *self._last_hint)
        hint = progress_store.next_hint(self.name, mistake, hints)
        return self._verdict(mistake, wording.lines(finding, known.explanation, hint))


def _is_blank(answer):
    """Return whether an answer, or a part of it, is still the placeholder."""
    if answer is None or answer is Ellipsis:
        return True
    if isinstance(answer, dict):
        return not answer or any(_is_blank(value) for value in answer.values())
    return False


class _Answers:
    """The outputs of the right answer, with some steps replaced, by the number of the probe."""

    def __init__(self, exercise, steps):
        self._exercise, self._steps, self._computed = exercise, steps, {}

    def __getitem__(self, number):
        if number not in self._computed:
            probe = self._exercise._probes[number]
            self._computed[number] = running.reference(self._exercise, probe, self._steps)
        return self._computed[number]


@dataclass(frozen=True, eq=False, repr=False)
class Exercise(_Task):
    """An exercise and its check: call it with your function. Introduced on Day 29.

    Attributes:
        name, day: the exercise's name and the day that poses it.
        signature: how the function is called, as text.
        task: one sentence: what the function does.
        right: the right answer; its keyword-only arguments are its steps.
        outputs: names of what it returns.
        probes: a function that makes the probes.
        mistakes: all `Mistake`s; of two that explain the same, the first is named.
        hints: hints on the exercise itself, for learners who have no answer yet.
        may_change: arguments that may be changed in place.
        trial: (function, *probe.args) → `TrialRun` or what the function returned; by default
            the function is called with the probe's arguments.
        matches: (array, array) → bool, whether an output is what a mistake would produce.
        max_simultaneous: how many mistakes at once are recognised by their numbers.
        adapters: each (function) → the same for arguments in another form, such as tensors;
            the first that is right is checked, else the first that does not raise.
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
    trial: Callable | None = None
    matches: Callable = close
    max_simultaneous: int = 2
    adapters: tuple = ()

    def __call__(self, function):
        """Check `function` and return a `Verdict`."""
        with sandbox.undisturbed():
            verdict = self._verdict(*self._judge_alone(function))
        return show_at_once(verdict, sys._getframe(1))

    def takes_the_probes(self, function):
        """Return whether a right answer takes the arguments as they are, without an adapter."""
        with sandbox.undisturbed():
            return running.adapt(self, function, self._probes[0], self.answers()[0]) is function

    def answers(self, steps=()):
        """Return the right outputs on every probe, with some steps replaced.

        They are computed when they are first read, each once.

        Args:
            steps: a tuple of (name of a step, its replacement).
        """
        if steps not in self._cache:
            self._cache[steps] = _Answers(self, dict(steps))
        return self._cache[steps]

    def _judge_alone(self, function):
        """Return (mistake or None, hint), as if the other exercises were solved.

        If the function fails and uses the learner's answers to other exercises that fail, too,
        it is judged again with right ones. If it passes then, the others are what to fix. If a
        mistake is left, that one counts, unless the function cannot cope with the right ones: its
        own `forward` may return more than was asked for.
        """
        before = progress_store.given_hints()
        mistake, hint = self._judge(function)
        wrong = () if mistake is None else self._unsolved(function)
        if not wrong:
            return mistake, hint
        after = progress_store.given_hints()
        progress_store.set_given_hints(before)
        from nnweek.checks import solutions

        with prerequisites.replaced(function, {name: getattr(solutions, name) for name in wrong}):
            alone, hint_alone = self._judge(function)
        names = wording.in_words(wrong)
        do = "does" if len(wrong) == 1 else "do"
        if alone is None:
            note = f"Your {names} {do} not pass yet; with a right one, `{self.name}` passes."
        elif alone == mistake or alone in ("raised", "wrong-type", "wrong-shape"):
            note = ""
        else:
            note = f"Your {names} {do} not pass yet, so a right one was used here."
            return alone, wording.lines(note, hint_alone)
        progress_store.set_given_hints(after)
        return mistake, wording.lines(note, hint)

    def _unsolved(self, function):
        """Return the names of the exercises that the function uses and that do not pass."""
        from nnweek.checks import EXERCISES

        others = {
            name for name, e in EXERCISES.items() if isinstance(e, Exercise) and e is not self
        }
        before = progress_store.given_hints()
        used = prerequisites.used_by(function, others)
        wrong = [name for name, own in used.items() if EXERCISES[name]._judge(own)[0] is not None]
        progress_store.set_given_hints(before)
        return wrong

    def _judge(self, function):
        """Return (mistake or None, hint)."""
        if function is None or function is Ellipsis:
            return self._generic("not-attempted", "There is no function here yet.")
        if not callable(function):
            return self._generic(
                "wrong-type",
                f"The check needs the function itself, got {kind(function)}. Pass its name "
                f"without calling it: `checks.{self.name}({self.name})`.",
            )
        # First, since what the right answer imports is not the learner's time.
        right = [self.answers()[number] for number in range(len(self._probes))]
        function = running.adapt(self, function, self._probes[0], right[0])
        observations = []
        for number, probe in enumerate(self._probes):
            observation = running.observe(self, function, number, probe, right[number])
            observations.append(observation)
            problem = observation.problem
            if problem and (problem.id == "not-attempted" or observation.timed_out):
                return self._generic(problem.id, problem.text)
        explanation = recognising.recognise(self, observations)
        if explanation:
            return self._named(observations, explanation)
        id_, text = wording.unnamed(self, observations)
        if id_:
            return self._generic(id_, text)
        return None, next((o.remark for o in observations if o.remark), "")

    def _named(self, observations, explanation):
        """Return (id, hint) for mistakes with a name: the first of them is named."""
        mistake = explanation.mistakes[0]
        numbers = wording.quotable(observations, explanation.shown_by)
        numbers |= explanation.numbers or {}
        # The explanation tells apart several patterns that share the id "wrong".
        hints = mistake.hints if mistake.slip else (*mistake.hints, *self._last_hint)
        hint = progress_store.next_hint(self.name, (mistake.id, mistake.explanation), hints)
        rest = "" if explanation.is_all else "That is not all: check again once this is fixed."
        is_a_multiple = "{ratio}" not in mistake.finding or numbers["ratio"] != "?"
        finding = mistake.finding if is_a_multiple else "{first}"
        finding = wording.sentence(finding.format_map(numbers))
        if mistake.forgiven and explanation.is_all:
            return None, wording.lines(finding, mistake.explanation)
        return mistake.id, wording.lines(finding, mistake.explanation, hint, rest)

    def _generic(self, id_, text):
        """Return (id, hint) for what can happen in every exercise."""
        if id_ == "not-attempted":
            text += (
                f"\n{self._your_turn()} If you have already written code, does every path through "
                "it end in a `return`?"
            )
        if id_ in ("raised", "wrong-shape", "modifies-input"):
            progress_store.forget(self.name)  # hints on the exercise would not help with these
            return id_, text
        return id_, wording.lines(text, self._next_hint(id_))

    @cached_property
    def _probes(self):
        return tuple(self.probes())

    @cached_property
    def _cache(self):
        return {}
