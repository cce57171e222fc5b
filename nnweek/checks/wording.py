"""Put what a check found into sentences (Day 29).

The sentences of a mistake are format strings over the numbers that `quotable` returns:

    {first}       the first disagreement: "With N = 8: `dW1[0, 2]` is 0.4, where 0.1 was expected."
    {where}       the entry: "`dW1[0, 2]`"        {got}, {expected}  the two numbers there
    {output}      the output: "`dW1`"             {outputs}  all outputs that are not right
    {agreement}   a clause: "`dW2` and `db2` are right; `dW1` and `db1` are not"
    {ratio}       how many times too large the output is as a whole
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
        "constant": False,
        "got": "missing" if got is None else f"an array of shape {got.shape}",
        "expected": "nothing" if wanted is None else f"an array of shape {wanted.shape}",
        "where": in_words([name]),
        "problem": observation.problem.text if observation.problem else "",
    }
    if got is not None and wanted is not None and got.shape == wanted.shape:
        numbers |= _compared(name, got, wanted)
    first = f"{numbers['where']} is {numbers['got']}, where {numbers['expected']} was expected."
    numbers["first"] = sentence(in_context(observation, numbers["problem"] or first))
    return numbers


def _compared(name, got, wanted):
    """Return the quotable numbers of an output that has the right shape."""
    off = np.atleast_1d(~entries_close(got, wanted))
    where = tuple(np.argwhere(off)[0]) if off.any() else (0,) * off.ndim
    numbers = {
        "got": f"{np.atleast_1d(got)[where] + 0:.5g}",  # adding 0 makes −0 a plain 0
        "expected": f"{np.atleast_1d(wanted)[where] + 0:.5g}",
        "where": in_words([_entry(name, where if got.ndim else ())]),
        "mean": f"{got.mean():.3g}",
        "std": f"{got.std():.3g}",
        "right_std": f"{wanted.std():.3g}",
    }
    norm = float((wanted * wanted).sum())
    if norm > 0 and np.isfinite(got).all() and np.isfinite(norm):
        ratio = float((got * wanted).sum()) / norm
        numbers["ratio"] = f"{ratio:.4g}"
        numbers["constant"] = got.size > 1 and close(got, ratio * wanted)
    return numbers


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
            text = f"{in_words([name])} has shape {got.shape}, where {wanted.shape} was expected."
            return "wrong-shape", sentence(in_context(observation, text))
    return None


def _not_finite(exercise, observations):
    for observation, name, got, wanted in _wrong_pairs(observations):
        bad = np.isfinite(wanted) & ~np.isfinite(got)
        if bad.any():
            where = tuple(np.argwhere(bad)[0])
            text = (
                f"{in_words([_entry(name, where)])} is {got[where]:g}, where {wanted[where]:.4g} "
                f"was expected. {int(bad.sum())} of {got.size} numbers are not finite."
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
    multiple = ""
    if numbers["constant"]:
        special = {"0": "All of {output} is 0.", "-1": "The sign of {output} is flipped."}
        other = "All of {output} is {ratio} times what it should be."
        multiple = special.get(numbers["ratio"], other).format_map(numbers)
    return "wrong", lines(numbers["first"], sentence(agreement), multiple)
