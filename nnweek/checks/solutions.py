"""Reference solutions, under the names of the exercises.

`nnweek.checks.solution(name)` shows one. Each is self-contained: it needs only NumPy (for
Student's t also SciPy) and, if a day builds on the one before, a function further up in this
file. The solutions that need PyTorch are in `solutions_torch.py`, which is imported when one of
them is looked up.
"""

import math

import numpy as np

from nnweek.scratch import TwoLayerMLP

_WITH_TORCH = (
    "accumulate",
    "evaluate",
    "fit_temperature",
    "mlp",
    "my_idea",
    "seeded_loader",
    "to_tensors",
    "train_one_epoch",
    "train_step",
)


def __getattr__(name):
    if name in _WITH_TORCH:
        from nnweek.checks import solutions_torch

        return getattr(solutions_torch, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)  # at most exp(0) = 1
    total = exponentials.sum(axis=1, keepdims=True)
    return exponentials / total


def cross_entropy(probs, y):
    of_true_class = probs[np.arange(len(y)), y]  # (N,)
    logs = np.log(np.maximum(of_true_class, 1e-12))
    return -logs.mean()


def forward(X, W1, b1, W2, b2):
    z1 = X @ W1 + b1  # (N, H)
    a1 = np.maximum(0, z1)  # (N, H)
    return a1 @ W2 + b2  # (N, C)


def nine_rows():
    return {
        "z1": (-0.25, 1.25),
        "a1": (0, 1.25),
        "scores": (2.5, 1.625),
        "probs": (0.7058, 0.2942),
        "loss": 0.3484,
        "dscores": (-0.2942, 0.2942),
        "da1": (-0.5885, -0.4413),
        "dz1": (0, -0.4413),
        "dW1": ((0, 0.8827), (0, 0.4413)),
    }


def layer_backward(inputs, W, dz):
    dW = inputs.T @ dz
    db = dz.sum(axis=0, keepdims=True)  # the bias has the input 1
    d_in = dz @ W.T  # what the layer below receives
    return dW, db, d_in


def backward(X, y, W1, b1, W2, b2):
    N = len(X)

    # Forward again, keeping what the backward pass needs.
    z1 = X @ W1 + b1  # (N, H)
    a1 = np.maximum(0, z1)  # (N, H)
    probs = softmax(a1 @ W2 + b2)  # (N, C)

    # The prediction minus the target, over the batch size.
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N

    dW2 = a1.T @ dscores  # (H, C)
    db2 = dscores.sum(axis=0, keepdims=True)  # (1, C)
    da1 = dscores @ W2.T  # (N, H)

    dz1 = da1 * (z1 > 0)  # a unit that was off passes nothing back

    dW1 = X.T @ dz1  # (D, H)
    db1 = dz1.sum(axis=0, keepdims=True)  # (1, H)
    return dW1, db1, dW2, db2


def numerical_gradient(f, x, eps=1e-5):
    x = np.array(x, dtype=float)  # a copy, and with room for fractions
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        old = x[index]
        x[index] = old + eps
        above = f(x)
        x[index] = old - eps
        below = f(x)
        x[index] = old
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def sgd_step(params, grads, lr):
    return [p - lr * g for p, g in zip(params, grads, strict=True)]


def backward_mse(X, T, W1, b1, W2, b2):
    N = len(X)
    a1 = np.tanh(X @ W1 + b1)
    scores = a1 @ W2 + b2

    dscores = (scores - T) / N  # the first change
    dW2, db2, da1 = layer_backward(a1, W2, dscores)
    dz1 = da1 * (1 - a1**2)  # the second
    dW1, db1, _ = layer_backward(X, W1, dz1)
    return dW1, db1, dW2, db2


def backward3(X, y, W1, b1, W2, b2, W3, b3):
    N = len(X)
    z1 = X @ W1 + b1
    a1 = np.maximum(0, z1)
    z2 = a1 @ W2 + b2
    a2 = np.maximum(0, z2)

    dscores = softmax(a2 @ W3 + b3)
    dscores[np.arange(N), y] -= 1
    dscores /= N

    dW3, db3, da2 = layer_backward(a2, W3, dscores)
    dz2 = da2 * (z2 > 0)
    dW2, db2, da1 = layer_backward(a1, W2, dz2)
    dz1 = da1 * (z1 > 0)
    dW1, db1, _ = layer_backward(X, W1, dz1)
    return dW1, db1, dW2, db2, dW3, db3


def culprits():
    # A: one bias only. B: everything by one factor, the batch size.
    # C: right in the last layer, wrong below; b2 has a gradient where the
    # true one is 0: no mask.
    return {"A": "db2", "B": "dscores", "C": "dz2"}


def relu_grad(z):
    return (z > 0).astype(z.dtype)


def sigmoid(z):
    # exp(−|z|) is at most 1, whichever sign z has.
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, small) / (1 + small)


def sigmoid_grad(z):
    s = sigmoid(z)
    return s * (1 - s)


def tanh_slope(a):
    return 1 - a**2


def backward_deep(X, y, Ws, bs):
    zs, activations = [], [X]
    for W, b in zip(Ws, bs, strict=True):
        zs.append(activations[-1] @ W + b)
        activations.append(np.maximum(0, zs[-1]))

    dz = softmax(zs[-1])  # the scores: the last layer has no activation
    dz[np.arange(len(y)), y] -= 1
    dz /= len(y)

    dWs, dbs = [], []
    for layer in reversed(range(len(Ws))):
        dWs.insert(0, activations[layer].T @ dz)
        dbs.insert(0, dz.sum(axis=0, keepdims=True))
        if layer > 0:
            dz = (dz @ Ws[layer].T) * (zs[layer - 1] > 0)
    return dWs, dbs


def variance():
    return {
        "z": 50 * 0.1**2,
        "a": 50 * 0.1**2 / 2,
        "after ten layers": (50 * 0.1**2 / 2) ** 10,
        "variance that keeps it": 2 / 50,
    }


def init_weights(fan_in, fan_out, rng):
    return rng.normal(0, np.sqrt(2 / fan_in), size=(fan_in, fan_out))


def bound():
    return {
        "one sigmoid": 1 / 4,
        "six sigmoids": (1 / 4) ** 6,
        "last over first": 4**6,
        "factor to make up for one": 4,
    }


def hypotheses():
    return {
        "bug 1": "weights too large",
        "bug 2": "gradients summed, not averaged",
        "bug 3": "bias summed over the wrong axis",
        "bug 4": "state left behind by a call",
        "bug 5": "type cannot hold the result",
        "bug 6": "parameter updated before it was used",
    }


def suite_inputs(rng):
    N, D, H, C = 6, 3, 5, 4  # all different
    X, y = rng.standard_normal((N, D)), np.arange(N) % C
    W1, W2 = rng.standard_normal((D, H)), rng.standard_normal((H, C))
    b1, b2 = rng.standard_normal((1, H)), rng.standard_normal((1, C))
    return X, y, W1, b1, W2, b2


def suite(backward):
    X, y, *params = suite_inputs(np.random.default_rng(0))

    model = TwoLayerMLP(*params[0].shape, params[2].shape[1])
    model.W1, model.b1, model.W2, model.b2 = params

    def loss():
        return model.loss(X, y)[0]

    # The first of two calls must not affect the second. And if a call changes an
    # array, it changes the loss below.
    backward(X, y, *params)
    gradients = backward(X, y, *params)

    for p, gradient in zip(params, gradients, strict=True):
        if np.size(gradient) != p.size:
            return False
        # A bias gradient may be (H,) or (1, H).
        gradient = np.reshape(gradient, p.shape)
        for index in np.ndindex(p.shape):
            kept = p[index]
            p[index] = kept + 1e-5
            above = loss()
            p[index] = kept - 1e-5
            below = loss()
            p[index] = kept
            # Absolute is enough here: these gradients are not small.
            if abs(gradient[index] - (above - below) / 2e-5) > 1e-6:
                return False
    return True


def read_autograd():
    return {
        "w.grad": 35,  # c is the constant 7: 7 + 2 y x
        "b.grad": 14,  # 2 y
        "w.grad after a second pass": 70,
        "d.requires_grad": False,
        "have a .grad": "w, b",
        "y.grad_fn": "AddBackward0",
    }


def wrong_rung():
    return {"rung": 6, "cause": "gradients were not cleared"}


def momentum_step(w, g, v, lr, mu):
    new_v = mu * v + g  # the old velocity, slowed down, and the new gradient
    return w - lr * new_v, new_v


def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g  # running mean of the gradient
    v = beta2 * v + (1 - beta2) * g**2  # and of its square

    # Both started at 0, so after t steps they are too small by these factors.
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)

    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
    w = w - lr * weight_decay * w  # the decay, outside of Adam's quotient
    return adam_step(w, g, m, v, t, lr, beta1, beta2, eps)


def best_rates(scores):
    # scores[name][rate] is the validation accuracy of one run.
    return {name: max(by_rate, key=by_rate.get) for name, by_rate in scores.items()}


def paired_interval(a, b):
    from scipy.special import stdtrit  # quantiles of Student's t

    d = np.asarray(a) - np.asarray(b)
    n = len(d)
    half_width = stdtrit(n - 1, 0.975) * d.std(ddof=1) / np.sqrt(n)
    return d.mean(), d.mean() - half_width, d.mean() + half_width


def mcnemar(hits_a, hits_b):
    only_a = int((hits_a & ~hits_b).sum())
    only_b = int((hits_b & ~hits_a).sum())

    # If the networks were equally good, each disagreement would be a fair coin.
    n = only_a + only_b
    at_most = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    return only_a, only_b, min(1, 2 * at_most)  # both sides


def split(n, val_ratio, seed):
    shuffled = np.random.default_rng(seed).permutation(n)
    n_val = round(n * val_ratio)
    return shuffled[n_val:], shuffled[:n_val]


def normalize(train, test):
    train, test = train / 255, test / 255  # floats from 0 to 1
    mean, std = train.mean(), train.std()  # of the training set alone
    return (train - mean) / std, (test - mean) / std


def accuracy_interval(hits, n):
    z = 1.96  # within 1.96 deviations lie 95 % of a normal distribution
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    half = half / (1 + z**2 / n)
    return centre - half, centre + half


def calibration_error(confidences, hits, bins):
    # A confidence of 1 belongs to the last bin, so only the inner edges are needed.
    bin_of = np.digitize(confidences, np.arange(1, bins) / bins)
    total = 0.0
    for k in range(bins):
        inside = bin_of == k
        if inside.any():
            gap = abs(hits[inside].mean() - confidences[inside].mean())
            total += inside.mean() * gap
    return total


def update_ratio(before, after):
    change = np.linalg.norm(after - before)
    return change / np.linalg.norm(before)


def reading():
    return {"step": 263, "cause": "bad-batch"}


def answers():
    return {
        "alder": "no-shuffle",
        "birch": "learning-rate-too-low",
        "cedar": "dead-at-start",
        "elder": "healthy",
        "hazel": "relu-on-logits",
        "maple": "overfitting",
        "rowan": "labels-shuffled",
        "willow": "learning-rate-too-high",
    }


# These exercises are not named after the function that answers them.
by_hand, bug_hunt = nine_rows, culprits
test_suite, lr_sweep, diagnose = suite, best_rates, answers
read_chart = reading
