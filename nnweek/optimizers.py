"""One step of each optimizer, written out, and PyTorch's optimizers by name (Day 33).

The steps take numbers, arrays and tensors alike. With one more axis in front of `w`, one entry
per model, and `lr` of shape (K, 1, …), each function steps K models at once, each at its own rate.
"""

from nnweek._validate import one_of, positive_float


def momentum_step(w, g, v, lr, mu=0.9):
    """One step of SGD with momentum, in PyTorch's convention. Introduced on Day 33.

    Args:
        w: the weights.
        g: their gradient, like w.
        v: the velocity so far, like w; zeros before the first step.
        lr: the learning rate.
        mu: how much of the velocity stays.

    Returns:
        w, v: after the step.
    """
    v = mu * v + g
    return w - lr * v, v


def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step of Adam. Introduced on Day 33.

    Args:
        w: the weights.
        g: their gradient, like w.
        m, v: running means of g and of g², like w; zeros before the first step.
        t: the number of this step, from 1.
        lr: the learning rate.
        beta1, beta2: how much of m and v stays.
        eps: keeps the quotient finite where all gradients were 0.

    Returns:
        w, m, v: after the step.

    Source: Kingma and Ba (2015), *Adam: a method for stochastic optimization*, algorithm 1.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def adamw_step(w, g, m, v, t, lr=0.001, weight_decay=0.01):
    """One step of AdamW: shrink the weights, then step as Adam. Introduced on Day 33.

    Args:
        w, g, m, v, t, lr: as in `adam_step`.
        weight_decay: the share of w that is taken away, times lr.

    Returns:
        w, m, v: after the step.

    Source: Loshchilov and Hutter (2019), *Decoupled weight decay regularization*.
    """
    return adam_step(w - lr * weight_decay * w, g, m, v, t, lr)


# How many memories an optimizer keeps of each parameter, and its step:
# (w, g, *memories, t, lr) → (w, *memories).
STEPS = {
    "SGD": (0, lambda w, g, t, lr: (w - lr * g,)),
    "Momentum": (1, lambda w, g, v, t, lr: momentum_step(w, g, v, lr)),
    "Adam": (2, adam_step),
    "AdamW": (2, adamw_step),
}


def make_optimizer(name, model, lr):
    """Make an optimizer of PyTorch's for a model's parameters. Introduced on Day 33.

    Args:
        name: "SGD", "Momentum" (SGD with momentum 0.9), "Adam" or "AdamW".
        model: an `nn.Module`.
        lr: the learning rate, above 0; everything else is as PyTorch has it.

    Raises:
        TypeError, ValueError: if the name is unknown or `lr` is not above 0.
    """
    import torch

    name, lr = known_optimizer("name", name), positive_float("lr", lr)
    if name == "Momentum":
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return getattr(torch.optim, name)(model.parameters(), lr=lr)


def known_optimizer(argument, name):
    """Return an optimizer's name as `STEPS` spells it. Introduced on Day 33.

    Args:
        argument: the argument's name, for the error message.
        name: "SGD", "Momentum", "Adam" or "AdamW", in upper or lower case.

    Raises:
        ValueError: if the name is unknown.
    """
    spelled = {known.lower(): known for known in STEPS}
    name = spelled.get(name.lower(), name) if isinstance(name, str) else name
    return one_of(argument, name, tuple(STEPS))
