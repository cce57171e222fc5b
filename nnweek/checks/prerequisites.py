"""Judge an exercise on its own, although it calls the learner's answers to others (Day 29).

`backward` may call the `softmax` of Exercise 1. If that is unsolved or wrong, the check of
`backward` puts a right one in its place, so that what it says is about `backward`.
"""

import contextlib


def used_by(function, names):
    """Return {name: function} of the learner's own answers that `function` uses.

    Args:
        function: a submission; functions of the same module that it calls are looked at, too.
        names: names of exercises.
    """
    found, read, to_read = {}, set(), [function]
    while to_read:
        reader = to_read.pop()
        if not hasattr(reader, "__code__"):
            continue
        read.add(reader)
        for name in _names(reader.__code__):
            value = reader.__globals__.get(name)
            if getattr(value, "__globals__", None) is not reader.__globals__:
                continue  # no function of the learner's own
            if name in names:
                found[name] = value
            elif value not in read:
                to_read.append(value)
    return found


def _names(code):
    """Yield the global names that a code object, or a function inside it, reads."""
    yield from code.co_names
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names(constant)


@contextlib.contextmanager
def replaced(function, right):
    """Let `function` find these {name: function} in place of the learner's own."""
    own = {name: function.__globals__[name] for name in right}
    function.__globals__.update(right)
    try:
        yield
    finally:
        function.__globals__.update(own)
