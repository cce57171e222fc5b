"""The update step of each optimizer, written out; PyTorch's optimizers by name (Day 33).

The steps work on numbers, arrays and tensors, and need no PyTorch. To update K models at once,
each with its own learning rate, stack their weights along a new first axis and pass `lr` with
shape (K, 1, …).
"""

from nnweek._validate import one_of, positive_float


def momentum_step(w, g, v, lr, mu=0.9):
    """One step of SGD with momentum, in PyTorch's convention. Introduced on Day 33.

    Args:
        w: weights.
        g: gradient, same shape as w.
        v: velocity, same shape as w; zeros before the first step.
        lr: learning rate.
        mu: momentum, the fraction of the velocity that is kept.

    Returns:
        w, v: their values after the step.
    """
    v = mu * v + g
    return w - lr * v, v


def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step of Adam. Introduced on Day 33.

    Args:
        w: weights.
        g: gradient, same shape as w.
        m, v: running means of g and g², same shape as w; zeros before the first step.
        t: number of this step, from 1.
        lr: learning rate.
        beta1, beta2: fractions of m and v that are kept.
        eps: keeps the quotient finite where all gradients have been 0.

    Returns:
        w, m, v: their values after the step.

    Source: Kingma and Ba (2015), *Adam: a method for stochastic optimization*, algorithm 1.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def adamw_step(
    w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01
):  # fmt: skip
    """One step of AdamW: shrink the weights, then take Adam's step. Introduced on Day 33.

    Args:
        w, g, m, v, t, lr, beta1, beta2, eps: as in `adam_step`.
        weight_decay: the fraction of w that is subtracted, times lr.

    Returns:
        w, m, v: their values after the step.

    Source: Loshchilov and Hutter (2019), *Decoupled weight decay regularization*.
    """
    return adam_step(w - lr * weight_decay * w, g, m, v, t, lr, beta1, beta2, eps)


# Each optimizer's number of state arrays per parameter, and its step:
# (w, g, *state, t, lr) → (w, *state).
STEPS = {
    "SGD": (0, lambda w, g, t, lr: (w - lr * g,)),
    "Momentum": (1, lambda w, g, v, t, lr: momentum_step(w, g, v, lr)),
    "Adam": (2, adam_step),
    "AdamW": (2, adamw_step),
}


def make_optimizer(name, model, lr):
    """Make a PyTorch optimizer for a model's parameters. Introduced on Day 33.

    Args:
        name: "SGD", "Momentum" (SGD with momentum 0.9), "Adam" or "AdamW".
        model: an `nn.Module`.
        lr: learning rate, above 0. All other settings are PyTorch's defaults.

    Returns:
        A `torch.optim.Optimizer`.

    Raises:
        TypeError, ValueError: if the name is unknown or `lr` is not above 0.
    """
    import torch

    name, lr = known_optimizer("name", name), positive_float("lr", lr)
    if name == "Momentum":
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return getattr(torch.optim, name)(model.parameters(), lr=lr)


def known_optimizer(argument, name):
    """Validate an optimizer's name and return it as `STEPS` spells it. Introduced on Day 33.

    Args:
        argument: name of the argument, for the error message.
        name: "SGD", "Momentum", "Adam" or "AdamW", in upper or lower case.

    Raises:
        ValueError: if the name is unknown.
    """
    spelled = {known.lower(): known for known in STEPS}
    name = spelled.get(name.lower(), name) if isinstance(name, str) else name
    return one_of(argument, name, tuple(STEPS))
