"""Call a function on a probe and record what it did (Day 29).

`observe` runs a submission in the sandbox and returns an `Observation`; `reference` runs the
right answer, or a mistaken variant of it, in the same way and returns its outputs.

If an exercise has a `trial`, the trial calls the function in surroundings of its own, such as
a small network whose optimizer logs each step, and returns a `TrialRun`:

    def trial(function, n, seed):  # the arguments after the function are the probe's
        value = function(n, seed)
        again = function(n, seed)
        return TrialRun(value, observed={"reproducible": value == again})
"""

import copy
import functools
import itertools
import re
from dataclasses import dataclass, field, replace

import numpy as np

from nnweek.checks import sandbox
from nnweek.checks.comparing import as_numbers, close, kind, largest_change, wrong_outputs
from nnweek.checks.sandbox import Problem
from nnweek.checks.wording import in_words


@dataclass
class TrialRun:
    """The result of a trial.

    Attributes:
        value: what the function returned.
        observed: further outputs, {name: numbers}.
        log: what the mistakes' `detect` functions read.
        changed: {input: largest change}, for inputs that are not the probe's own.
        problem: why there is nothing to compare, if so.
        remark: what the verdict says if the function passes.
    """

    value: object = None
    observed: dict = field(default_factory=dict)
    log: object = None
    changed: dict = field(default_factory=dict)
    problem: Problem | None = None
    remark: str = ""


@dataclass
class Observation:
    """What a submission did on one probe.

    Attributes:
        number: the probe's position among the exercise's probes.
        probe: the `Probe`.
        right: {output: what is expected}.
        outputs: {output: what was returned}, as float64 arrays.
        problem: why there is nothing to compare, if so.
        timed_out: whether the call had to be stopped.
        warnings: the texts of the warnings that were issued.
        changed: {input: largest change}.
        wrong: the names of the outputs that are not right.
        log, remark: those of the `TrialRun`.
        entries: {argument: array}, if each entry of the output depends on one of that array.
    """

    number: int
    probe: object
    right: dict
    outputs: dict = field(default_factory=dict)
    problem: Problem | None = None
    timed_out: bool = False
    warnings: list = field(default_factory=list)
    changed: dict = field(default_factory=dict)
    wrong: list = field(default_factory=list)
    log: object = None
    remark: str = ""
    entries: dict = field(default_factory=dict)

    @property
    def is_ordinary(self):
        """Whether the probe was not built for one mistake."""
        return self.probe.targets is None

    @property
    def raised(self):
        """Whether the call ended in an exception."""
        return self.problem is not None and self.problem.id == "raised"

    @property
    def has_programming_error(self):
        """Whether the call ended in an exception that does not depend on the numbers."""
        return self.raised and not self.problem.is_numerical


def observe(exercise, function, number, probe, right):
    """Call a submission on one probe and return the `Observation`, whatever happens."""
    outcome = sandbox.call(_with_trial(exercise, sandbox.guarded(function)), probe.args)
    observation = Observation(
        number,
        probe,
        right,
        problem=outcome.problem,
        timed_out=outcome.timed_out,
        warnings=outcome.warnings,
    )
    if outcome.timed_out:
        return observation
    run = _as_run(outcome.value)
    observation.problem = observation.problem or run.problem
    if (
        observation.raised
        and observation.problem.at_call
        and "argument" in observation.problem.text
    ):
        observation.problem = replace(
            observation.problem,
            text=f"{observation.problem.text}\nThe check calls it as `{exercise.signature}`: does your "
            "`def` line have the same arguments in the same order?",
        )
    observation.log, observation.remark = run.log, run.remark
    observation.changed.update(run.changed)
    returned = {name: right[name] for name in right if name not in run.observed}
    if not observation.problem and (returned or _is_placeholder(run.value)):
        observation.outputs, observation.problem = _unpack(exercise, run.value, returned)
    for name, value in run.observed.items():
        observation.outputs[name], _ = _read(name, value, right.get(name))
    names = argument_names(exercise.signature)
    for name, before, after in zip(names, probe.args, outcome.arguments, strict=False):
        change = largest_change(before, after)
        if change:
            observation.changed[name] = change
    observation.wrong = wrong_outputs(probe, observation.outputs, right)
    if observation.wrong and _is_elementwise(exercise, probe, right):
        observation.entries = {names[0]: probe.args[0]}
    return observation


def _is_elementwise(exercise, probe, right):
    """Return whether each entry of the only output depends on one of the only argument."""
    if len(right) != 1 or [type(a) for a in probe.args] != [np.ndarray]:
        return False
    (wanted,), (x,) = right.values(), probe.args
    if wanted.shape != x.shape or not x.ndim:
        return False
    alone = [exercise.right(np.full((1,) * x.ndim, value)).item() for value in x.flat]
    return close(np.reshape(alone, x.shape), wanted)


def reference(exercise, probe, steps):
    """Return {output: array} of the right answer with some of its steps replaced."""
    function = functools.partial(exercise.right, **steps)
    try:
        with np.errstate(all="ignore"):
            value = _with_trial(exercise, function)(*copy.deepcopy(probe.args))
    except (ValueError, IndexError):  # a mistake may be impossible with these shapes
        return {}
    run = _as_run(value)
    values = run.value if isinstance(run.value, (list, tuple)) else [run.value]
    named = zip(_output_names(exercise, len(values)), values, strict=True)
    return {name: np.asarray(value) for name, value in (*named, *run.observed.items())}


def adapt(exercise, function, probe, right):
    """Return the function, or that one of its adapted forms that suits it best.

    That is the first that is right on the probe, else the first that does not raise. If all of
    them raise, the error to report is one that has nothing to do with the form of the arguments.
    """
    if not exercise.adapters:
        return function
    tried = []
    forms = (adapter(function) for adapter in exercise.adapters)
    for candidate in filter(None, [function, *forms]):
        observation = observe(exercise, candidate, 0, probe, right)
        if not observation.wrong or observation.timed_out:
            return candidate
        tried.append((candidate, observation))
    returned = [form for form, observation in tried if not observation.raised]
    of_the_form = ("AttributeError", "TypeError")
    others = [form for form, o in tried if o.raised and not o.problem.text.startswith(of_the_form)]
    return next(iter([*returned, *others]), function)


def argument_names(signature):
    """Return the names of the arguments in a signature such as "forward(X, W1, b1)"."""
    inside = signature.partition("(")[2].rpartition(")")[0]
    return [part.partition("=")[0].strip() for part in inside.split(",")]


def _with_trial(exercise, function):
    """Return the function as it is to be called with a probe's arguments."""
    return functools.partial(exercise.trial, function) if exercise.trial else function


def _as_run(value):
    return value if isinstance(value, TrialRun) else TrialRun(value)


def _is_placeholder(value):
    return value is None or value is Ellipsis


def _output_names(exercise, count):
    """Name `count` outputs; those beyond the expected ones are numbered."""
    outputs = exercise.outputs
    if "{}" in outputs[0]:
        return [outputs[0].format(i) for i in range(count)]
    return [*outputs, *(f"output {i}" for i in range(len(outputs), count))][:count]


def _unpack(exercise, value, right):
    """Return ({name: array}, problem) from the returned value."""
    if _is_placeholder(value):
        return {}, Problem("not-attempted", f"It returned {value}.")
    if len(exercise.outputs) == 1 and "{}" not in exercise.outputs[0]:
        (name, wanted), *_ = right.items()
        array, problem = _read(name, value, wanted)
        return ({} if array is None else {name: array}), _with_advice(problem, value, right)
    if not isinstance(value, (list, tuple)):
        expected = "a list of arrays" if "{}" in exercise.outputs[0] else f"({', '.join(right)})"
        text = f"It returned {kind(value)}, where {expected} was expected."
        if hasattr(value, "__next__"):  # a generator, a map or a zip
            text = f"{text[:-1]}: `list(…)` collects the items."
        return {}, _with_advice(Problem("wrong-type", text), value, right)
    named = dict(zip(_output_names(exercise, len(value)), value, strict=True))
    empty = [name for name, item in named.items() if _is_placeholder(item)]
    if empty:
        verb = "is" if len(empty) == 1 else "are"
        done = [name for name, item in named.items() if _is_right(name, item, right.get(name))]
        rest = f"; {in_words(done)} {'is' if len(done) == 1 else 'are'} right" if done else ""
        return {}, Problem("not-attempted", f"{in_words(empty)} {verb} still empty{rest}.")
    outputs, problem = {}, None
    for name, item in named.items():
        array, trouble = _read(name, item, right.get(name))
        if array is not None:
            outputs[name] = array
        problem = problem or trouble
    if len(value) != len(right) and not problem:
        arrays = "1 array" if len(value) == 1 else f"{len(value)} arrays"
        text = f"It returned {arrays}, where {len(right)} were expected: {', '.join(right)}."
        problem = Problem("wrong-shape", text + _missing(value, right))
    return outputs, _with_advice(problem, value, right)


def _is_right(name, item, wanted):
    array = None if item is None or wanted is None else _read(name, item, wanted)[0]
    return array is not None and array.shape == wanted.shape and close(array, wanted)


def _missing(value, right):
    """Say which outputs are missing, if the shapes of the others show it."""
    shapes = [_shape(item) for item in value]
    found = [
        names
        for names in itertools.combinations(right, len(value))
        if [np.squeeze(right[name]).shape for name in names] == shapes
    ]
    if len(found) != 1:
        return ""
    missing = [name for name in right if name not in found[0]]
    return f" By the shapes, {in_words(missing)} {'is' if len(missing) == 1 else 'are'} missing."


_ORDINALS = "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"


def _with_advice(problem, value, right):
    """Add to a problem which part of a returned tuple or dictionary is what was expected."""
    advice = problem and _part_to_return(value, right)
    return replace(problem, text=f"{problem.text}\n{advice}") if advice else problem


def _part_to_return(value, right):
    """Say which part of a value to return alone, such as the gradients of (loss, gradients)."""
    names, shapes = list(right), [np.squeeze(array).shape for array in right.values()]
    if isinstance(value, dict):
        keys = [_key(value, name) for name in names]
        if None in keys:
            return ""
        entries = ", ".join(f"d[{key!r}]" for key in keys)
        return f"If your dictionary is `d`, return `{entries}`."
    if not isinstance(value, (list, tuple)) or not 1 < len(value) <= len(_ORDINALS):
        return ""
    of_all = f"of your {len(value)} items"
    if len(names) > 1:
        for ordinal, item in zip(_ORDINALS, value, strict=False):
            if isinstance(item, dict) and None not in [_key(item, name) for name in names]:
                return f"Return only the {ordinal} {of_all}. {_part_to_return(item, right)}"
            if isinstance(item, (list, tuple)) and [_shape(part) for part in item] == shapes:
                return f"Return only the {ordinal} {of_all}, with the {len(names)} arrays."
    # One output, or the expected ones and some more.
    found = [
        places
        for places in itertools.combinations(range(len(value)), len(names))
        if [_shape(value[place]) for place in places] == shapes
    ]
    if len(found) > 1 and len(names) == 1:
        return f"Return only {in_words(names)}, without anything else."
    if len(found) != 1 or len(found[0]) == len(value):
        return ""
    places = [_ORDINALS[place] for place in found[0]]
    if len(places) == 1:
        return f"Return only the {places[0]} {of_all}, which has the right shape."
    listed = f"{', '.join(places[:-1])} and {places[-1]}"
    return f"Return only the {listed} {of_all}, which have the right shapes."


def _key(dictionary, name):
    """Return the key under which a dictionary contains an output: "dW1", "W1" or "grad_w1"."""
    name = name.split()[-1]  # "the loss" is `loss`
    for spelling in (name, name.lower(), name.removeprefix("d").lower()):
        for key in dictionary:
            plain = re.sub(r"^(grads?|d)?_?", "", key.lower()) if isinstance(key, str) else None
            if spelling in (key, plain):
                return key
    return None


def _shape(value):
    """Return the shape of an array of numbers without its axes of length 1, or None."""
    array = None if isinstance(value, (tuple, dict)) else as_numbers(value)
    return None if array is None else np.squeeze(array).shape


def _read(name, value, wanted):
    """Return (array, None), or (None, problem) if `value` does not contain what is expected."""
    array = as_numbers(value)
    if wanted is not None and wanted.dtype == bool:
        if array is None or array.size != 1 or not (array == array.astype(bool)).all():
            text = f"It returned {kind(value)}, where True or False was expected."
            return None, Problem("wrong-type", text)
        return array.astype(bool).reshape(()), None
    a_number = wanted is not None and wanted.ndim == 0
    # A tuple counts as an array only if its shape matches, not if it contains several answers.
    several = isinstance(value, tuple) and wanted is not None and np.shape(array) != wanted.shape
    if array is None or several or (a_number and getattr(value, "requires_grad", False)):
        what = "a number" if a_number else "an array of numbers"
        text = f"{in_words([name])} is {_kind(value)}, where {what} was expected."
        return None, Problem("wrong-type", text)
    if a_number and array.size == 1:
        array = array.reshape(())
    return array, None


def _kind(value):
    """Name a value's type, or what a list of words contains."""
    try:
        of_text = not isinstance(value, (str, bytes)) and np.asarray(value).dtype.kind in "US"
    except Exception:
        of_text = False
    return "an array of text" if of_text else kind(value)
