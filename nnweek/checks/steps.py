"""Replacements for steps that the mistakes of several days share."""


def identity(x):
    """Return the argument: the step is left out."""
    return x


def zero(*_):
    """Return 0: the step contributes nothing to a sum."""
    return 0


def none(*_):
    """Return None: a call that does nothing."""
