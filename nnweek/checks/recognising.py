"""Recognise which mistake explains what a submission returned (Day 29).

Every mistake can compute the outputs that it would produce, so recognising one means comparing
the wrong outputs with those. Say that a `backward` forgets ReLU's mask and also adds 1 to db2,
so that dW1, db1 and db2 are wrong on every probe:

- "missing-relu-mask" would produce this dW1 and this db1, but not this db2. It is a *partial*
  explanation. Without the second bug it would be *complete*.
- "missing-relu-mask" and "sign" together, with both steps replaced, would produce none of them.
- A mistake that would have changed a probe's correct outputs cannot be the explanation.

`recognise` tries, in this order: one mistake that explains everything; a mistake's own
`detect`; the mistake that the failing probes were built for; two mistakes made at once; and
last the partial explanation that covers most outputs.

Three rules keep a name from a mistake that was not made:

- Probes that were built for a mistake say something only if all ordinary probes are right.
- A partial explanation must explain an output on every ordinary probe on which it is wrong, and
  on at least two: on a single probe, a factor 2 may happen to equal N/C.
- An exception is not explained by its consequences, such as an entry that was not put back.
  Only a trial that caught it may show in its log what caused it.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from nnweek.checks.comparing import close, wrong_outputs


@dataclass
class Explanation:
    """Which mistakes explain the observations.

    Attributes:
        mistakes: one or two; the verdict names the first.
        shown_by: (observation, output) that shows them; None for the first that is wrong.
        numbers: further numbers for `Mistake.finding`.
        is_all: whether nothing is wrong besides the mistake that is named.
        explained: how many of the wrong outputs it explains.
    """

    mistakes: list
    shown_by: tuple | None = None
    numbers: dict | None = None
    is_all: bool = True
    explained: int = 0


def recognise(exercise, observations):
    """Return the `Explanation` of what is wrong, or None."""
    complete, partial = _explain(exercise, observations, 1)
    if complete:
        return complete
    failing = [observation for observation in observations if observation.wrong]
    targets = {observation.probe.targets for observation in failing}
    for mistake in _detectable(exercise, observations):
        detected = mistake.detect(observations)
        if detected:
            numbers = detected if isinstance(detected, dict) else None
            return Explanation([mistake], numbers=numbers)
    if failing and None not in targets and not any(o.has_programming_error for o in failing):
        first = failing[0]
        for mistake in exercise.mistakes:
            if mistake.id == first.probe.targets:
                return Explanation([mistake], (first, first.wrong[0]))
    complete, partial_pair = None, None
    if exercise.max_simultaneous > 1:
        complete, partial_pair = _explain(exercise, observations, 2)
    partials = [each for each in (partial, partial_pair) if each]
    return complete or max(partials, key=lambda each: each.explained, default=None)


def _detectable(exercise, observations):
    """Return the mistakes whose `detect` may be asked."""
    ordinary = [o for o in observations if o.is_ordinary]
    if any(o.raised and o.log is None for o in ordinary):
        return []
    targets = {o.probe.targets for o in observations}
    all_right = not any(o.wrong for o in ordinary)
    return [m for m in exercise.mistakes if m.detect and (all_right or m.id not in targets)]


def _explain(exercise, observations, size):
    """Look for `size` mistakes that would have produced the wrong outputs.

    A complete explanation leaves no wrong output over, except on probes that were built for
    another mistake and so may show that one as well. A partial explanation must cover more
    than chance could: an output on all ordinary probes on which it fails, at least two, and
    several numbers that are not 0; of two that cover as much, one with a name counts. A mistake
    that would have changed a probe's correct outputs is not an explanation.

    Returns:
        (complete, partial): an `Explanation` or None each. Of several complete ones, the
        mistake that is listed first counts.
    """
    failing = [observation for observation in observations if observation.wrong]
    failing.sort(key=lambda observation: not observation.is_ordinary)  # ordinary probes first
    partial = None
    for mistakes, answers in _wrong_answers(exercise, size) if failing else ():
        if _is_ruled_out(failing, answers, exercise.matches):
            continue
        matches = [
            (_evidence(observation, name, answers[observation.number], exercise.matches),
             observation, name)
            for observation in failing
            for name in observation.wrong
        ]  # fmt: skip
        shown = [match for match in matches if match[0] is not None]
        if not shown or any(
            wrong_outputs(observation.probe, answers[observation.number], observation.right)
            for observation in observations
            if not observation.wrong
        ):
            continue
        shown_by = next((match for match in shown if match[0]), shown[0])[1:]
        ordinary = [match for match in matches if match[1].is_ordinary]
        if len(shown) == len(matches) or (ordinary and all(m[0] is not None for m in ordinary)):
            return Explanation(mistakes, shown_by, is_all=size == 1), partial
        explained = _explained_on_every_probe(ordinary)
        before = (partial.explained, partial.mistakes[0].id != "wrong") if partial else (1, True)
        enough = (len(explained), mistakes[0].id != "wrong") > before
        if enough and sum(match[0] for match in explained) > 1:
            partial = Explanation(
                mistakes, explained[0][1:], is_all=False, explained=len(explained)
            )
    return None, partial


def _is_ruled_out(failing, answers, matches):
    """Return whether the first failing probe already shows that a mistake explains nothing.

    This saves computing what the mistake would produce on all other probes.
    """
    first = failing[0]
    if not first.is_ordinary or any(set(o.wrong) - set(first.wrong) for o in failing):
        return False
    answer = answers[first.number]
    return all(_evidence(first, name, answer, matches) is None for name in first.wrong)


def _explained_on_every_probe(matches):
    """Return the matches of outputs that are explained wherever they fail, at least twice."""
    by_name = {}
    for match in matches:
        by_name.setdefault(match[2], []).append(match)
    explained = [
        each for each in by_name.values() if len(each) > 1 and all(m[0] is not None for m in each)
    ]
    return list(itertools.chain(*explained))


def _wrong_answers(exercise, size):
    """Yield (mistakes, their answers on every probe) for all `size` that can be combined.

    Two variants can be combined if they belong to different mistakes and replace different
    steps; both replacements together are the two mistakes made at once.
    """
    variants = [(mistake, steps) for mistake in exercise.mistakes for steps in mistake.variants]
    for group in itertools.combinations(variants, size):
        mistakes = [mistake for mistake, _ in group]
        replaced = [item for _, steps in group for item in steps.items()]
        if len(dict(replaced)) == len(replaced) and len({m.id for m in mistakes}) == size:
            yield mistakes, exercise.answers(tuple(replaced))


def _evidence(observation, name, answer, matches):
    """Count the numbers in an output that are those of a mistake, without 0 and NaN.

    Returns:
        None if the output is not what the mistake would produce, or if the mistake makes no
        difference to it. 0 if it matches but proves little: an output of zeros, or one that
        is missing in both.
    """
    got, wanted = observation.outputs.get(name), answer.get(name)
    if got is None or wanted is None:
        return 0 if got is wanted and observation.outputs and answer else None
    got, wanted = np.squeeze(got), np.squeeze(wanted)
    if got.shape != wanted.shape or not matches(got, wanted):
        return None
    right = observation.right.get(name)
    right = None if right is None else np.squeeze(right)
    if right is not None and right.shape == wanted.shape and close(wanted, right):
        return None
    return int((np.isfinite(wanted) & (np.abs(wanted) > 1e-9)).sum())
