"""Replacements for steps that the mistakes of several days share."""


def both_or_one(**steps):
    """Return variants of a mistake that take both of these steps, or only one of them."""
    return (steps, *({name: step} for name, step in steps.items()))


def identity(x):
    """Return the argument: the step is left out."""
    return x


def zero(*_):
    """Return 0: the step contributes nothing to a sum."""
    return 0


def one(*_):
    """Return 1: the step contributes nothing to a product."""
    return 1


def none(*_):
    """Return None: a call that does nothing."""
