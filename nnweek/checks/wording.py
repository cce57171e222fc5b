"""Put what a check found into sentences (Day 29).

The sentences of a mistake are format strings over the numbers that `quotable` returns:

    {first}       the first disagreement: "With N = 8: `dW1[0, 2]` is 0.4, where 0.1 was expected."
    {where}       the entry: "`dW1[0, 2]`"        {got}, {expected}  the two numbers there
    {output}      the output: "`dW1`"             {outputs}  all outputs that are not right,
                  or those of them that are multiples of the right ones by the same {ratio}
    {agreement}   a clause: "`dW2` and `db2` are right; `dW1` and `db1` are not"
    {ratio}       how many times too large the output is as a whole: "7" or "1/7"; if it is no
                  multiple of the right one, {first} takes the place of the sentence
    {mean}, {std}, {right_std}, {problem}         and the numbers of `Probe.context`
"""

import re

import numpy as np

from nnweek.checks.comparing import close, entries_close

# For `Mistake.finding`: which outputs are right and which are not, and the first that is not.
SOME_RIGHT = "{agreement}: {where} is {got}, where {expected} was expected."


def in_words(names):
    """Join names: "`dW1`, `db1` and `dW2`". Names that are phrases get no backticks."""
    names = [f"`{name}`" if re.fullmatch(r"\w+(\[.*\])?", str(name)) else name for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def lines(*texts):
    """Join texts, one per line, without empty lines and spaces at the end of one."""
    each = (line.rstrip() for text in texts for line in text.splitlines())
    return "\n".join(line for line in each if line)


def sentence(text):
    """Begin a text with a capital if its first word is one, such as "the loss is 2", not "v"."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]{2,} ", text) else text


def in_context(observation, text):
    """Put the probe's context before a sentence: "With N = 8: …"."""
    context = ", ".join(f"{key} = {value}" for key, value in observation.probe.context.items())
    if not context:
        return text
    text = "it" + text[2:] if text.startswith("It ") else text
    return f"With {context}: {text}"


def conclusive(observations):
    """Leave out the probes that were built for one mistake, unless all others are right."""
    ordinary = [observation for observation in observations if observation.is_ordinary]
    return ordinary if any(observation.wrong for observation in ordinary) else observations


def quotable(observations, shown_by=None):
    """Return the numbers that a sentence may quote.

    Args:
        observations: all `Observation`s of a submission.
        shown_by: (observation, output) to take the numbers from; by default the first
            output that is not right, on an ordinary probe if there is one.
    """
    if shown_by:
        observation, name = shown_by
    else:
        observation = next((o for o in conclusive(observations) if o.wrong), observations[0])
        name = next(iter(observation.wrong or observation.right))
    got, wanted = observation.outputs.get(name), observation.right.get(name)
    agree = [n for n in observation.right if n not in observation.wrong]
    numbers = {
        **observation.probe.context,
        "output": in_words([name]),
        "outputs": in_words(observation.wrong),
        "agreement": _agreement(agree, observation.wrong),
        "ratio": "?",
        "got": "missing" if got is None else _array(got),
        "expected": "nothing" if wanted is None else _array(wanted),
        "where": in_words([name]),
        "problem": observation.problem.text if observation.problem else "",
    }
    if got is not None and wanted is not None and got.shape == wanted.shape:
        numbers |= _compared(observation, name, got, wanted)
        numbers |= _multiples(observation, name)
    first = f"{numbers['where']} is {numbers['got']}, where {numbers['expected']} was expected."
    if numbers.get("at"):
        first = f"at {numbers['at']}, {first}"
    numbers["first"] = sentence(in_context(observation, numbers["problem"] or first))
    return numbers


def _array(array):
    return f"an array of shape {array.shape}" if array.ndim else "a single number"


def _compared(observation, name, got, wanted):
    """Return the quotable numbers of an output that has the right shape."""
    off = _off(observation.probe, got, wanted)
    where = tuple(np.argwhere(off)[0]) if off.any() else (0,) * off.ndim
    numbers = {
        "got": number(np.atleast_1d(got)[where], 5),
        "expected": number(np.atleast_1d(wanted)[where], 5),
        "where": in_words([_entry(name, where if got.ndim else ())]),
        "mean": f"{got.mean():.3g}",
        "std": f"{got.std():.3g}",
        "right_std": f"{wanted.std():.3g}",
    }
    if observation.entries and off.any():
        (argument, values), *_ = observation.entries.items()
        numbers["at"] = f"{argument} = {number(values[where], 5)}"
        if observation.probe.accept and _is_accepted(observation.probe, wanted, where):
            numbers["expected"] += " (for example)"
    return numbers


def _off(probe, got, wanted):
    """Return a Boolean array: which entries are not right; all if no entry alone is wrong."""
    off = np.atleast_1d(~entries_close(got, wanted))
    if probe.accept and wanted.ndim and wanted.size <= 100:
        for where in np.argwhere(off):
            off[tuple(where)] = not _is_accepted(probe, wanted, tuple(where), got)
        if not off.any():
            return np.atleast_1d(~entries_close(got, wanted))
    return off


def _is_accepted(probe, wanted, where, got=None):
    """Return whether the right answer with one other entry, by default a bit larger, is right."""
    other = wanted.astype(float)
    other[where] = other[where] + 0.25 if got is None else got[where]
    return bool(probe.accept(other, wanted))


def _multiples(observation, name):
    """Return {ratio} and the {outputs} that it holds for, if there are any."""
    ratios = {}
    for each in dict.fromkeys([name, *observation.wrong]):
        got, wanted = observation.outputs.get(each), observation.right.get(each)
        ratio = _ratio(got, wanted)
        if ratio is not None and close(got, ratio * wanted):
            ratios[each] = number(ratio, 4, fraction=True)
    if not ratios:
        return {}
    ratio = ratios.get(name) or next(iter(ratios.values()))
    outputs = [each for each, other in ratios.items() if other == ratio]
    return {"ratio": ratio, "outputs": in_words(outputs)}


def _ratio(got, wanted):
    """Return the factor between an output and the right one, as far as there is one, or None."""
    if got is None or wanted is None or got.shape != wanted.shape:
        return None
    with np.errstate(all="ignore"):
        norm = float((wanted * wanted).sum())
        ratio = float((got * wanted).sum()) / norm if norm > 0 else np.inf
    return ratio if np.isfinite(ratio) and np.isfinite(got).all() else None


def number(value, digits, fraction=False):
    """Write a number: "0.4", "10,000" rather than 1e+04 and, if asked for, "1/7"."""
    text = f"{value + 0:.{digits}g}"  # adding 0 makes −0 a plain 0
    if fraction and 0 < abs(value) < 0.9:
        n = round(1 / value)
        if abs(n) <= 1000 and abs(n * value - 1) < 1e-4:
            return f"{'-' if n < 0 else ''}1/{abs(n)}"
    return f"{float(text):,.0f}" if "e+" in text and abs(value) < 1e9 else text


def _entry(name, where):
    return f"{name}[{', '.join(map(str, where))}]" if where else name


def _agreement(agree, wrong):
    """Say which outputs are right and which are not."""
    if not agree:
        few = "Neither" if len(wrong) == 2 else "None"
        return f"{few} of {in_words(wrong)} is right"
    right = "is" if len(agree) == 1 else "are"
    not_right = "is not" if len(wrong) == 1 else "are not"
    return f"{in_words(agree)} {right} right; {in_words(wrong)} {not_right}"


def unnamed(exercise, observations):
    """Return (generic id, text) for answers that no mistake explains; (None, "") if right.

    The first description that applies is reported.
    """
    observations = conclusive(observations)
    for describe in (_problem, _wrong_shape, _not_finite, _changed_input, _wrong):
        described = describe(exercise, observations)
        if described:
            return described
    return None, ""


def _problem(exercise, observations):
    for id_ in ("raised", "wrong-type", "wrong-shape", "not-finite"):
        for observation in observations:
            if observation.problem and observation.problem.id == id_:
                return id_, sentence(in_context(observation, observation.problem.text))
    return None


def _wrong_pairs(observations):
    """Yield (observation, name, got, wanted) for every output that is not right."""
    for observation in observations:
        for name in observation.wrong:
            yield observation, name, observation.outputs[name], observation.right[name]


def _wrong_shape(exercise, observations):
    for observation, name, got, wanted in _wrong_pairs(observations):
        if got.shape != wanted.shape:
            text = f"has shape {got.shape}, where {wanted.shape or 'a single number'} was expected."
            if not got.ndim:
                text = f"is a single number, where {_array(wanted)} was expected."
            text = f"{in_words([name])} {text}"
            return "wrong-shape", sentence(in_context(observation, text))
    return None


def _not_finite(exercise, observations):
    for observation, name, got, wanted in _wrong_pairs(observations):
        bad = np.isfinite(wanted) & ~np.isfinite(got)
        if bad.any():
            where, count = tuple(np.argwhere(bad)[0]), int(bad.sum())
            text = (
                f"{in_words([_entry(name, where)])} is {got[where]:g}, where {wanted[where]:.4g} "
                f"was expected. {count} of {got.size} numbers {'is' if count == 1 else 'are'} not finite."
            )
            return "not-finite", sentence(in_context(observation, text))
    return None


def _changed_input(exercise, observations):
    for observation in observations:
        for name in observation.changed:
            if name not in exercise.may_change:
                return "modifies-input", (
                    f"Your function changed the caller's `{name}`.\nThe code that uses it next "
                    "gets different numbers. Which line assigns into it, or uses `+=`, `-=`, `*=`, "
                    "`/=` or `out=` on it?"
                )
    return None


def _wrong(exercise, observations):
    if not any(observation.wrong for observation in observations):
        return None
    numbers = quotable(observations)
    agreement = f"{numbers['agreement']}." if len(exercise.outputs) > 1 else ""
    observation = next(o for o in conclusive(observations) if o.wrong)
    return "wrong", lines(numbers["first"], sentence(agreement), _multiple(observation))


def _multiple(observation):
    """Say by which factor outputs with several numbers are not right, if it is one factor."""
    for name in observation.wrong:
        if np.size(observation.outputs.get(name)) < 2:
            continue
        numbers = _multiples(observation, name)
        ratio, outputs = numbers.get("ratio", "1"), numbers.get("outputs")
        if ratio == "1":
            continue
        special = {"0": f"All of {outputs} is 0.", "-1": f"The sign of {outputs} is flipped."}
        times = "of" if "/" in ratio else "times"
        return special.get(ratio, f"All of {outputs} is {ratio} {times} what it should be.")
    return ""
