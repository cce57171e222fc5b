"""The two-layer network of Days 29 and 30, written in NumPy only.

In all shapes, N is the number of examples, D of features, H of hidden units and C of classes.
"""

import numpy as np

from nnweek._validate import labels, matrix, one_of, positive_float, positive_int


def relu(z):
    """Compute max(0, z) elementwise. Introduced on Day 29."""
    return np.maximum(0, z)


def relu_grad(z):
    """The derivative of `relu` at z: 1 where z > 0, else 0. Introduced on Day 29.

    At the kink z = 0 any value between 0 and 1 is a subgradient; 0 is the usual choice.
    """
    return (z > 0).astype(z.dtype)


def sigmoid(z):
    """Compute 1 / (1 + exp(−z)) elementwise, without overflow. Introduced on Day 30.

    logaddexp(0, −z) computes log(1 + exp(−z)) without overflow, however negative z is.
    """
    return np.exp(-np.logaddexp(0, -z))


def sigmoid_grad(z):
    """The derivative of `sigmoid` at z, the pre-activation. Introduced on Day 30."""
    return sigmoid(z) * sigmoid(-z)


def tanh(z):
    """Compute the hyperbolic tangent elementwise. Introduced on Day 30."""
    return np.tanh(z)


def tanh_grad(z):
    """The derivative of `tanh` at z, the pre-activation. Introduced on Day 30."""
    return 1 - np.tanh(z) ** 2


ACTIVATIONS = {
    "relu": (relu, relu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
}


class TwoLayerMLP:
    """Input → hidden layer → output, trained with softmax cross-entropy. Introduced on Day 29.

    The forward pass is z1 = X W1 + b1, a1 = activation(z1), scores = a1 W2 + b2.
    Derivation of the backward pass: Day 29; Goodfellow, Bengio and Courville,
    *Deep Learning* (2016), section 6.5.

    Args:
        input_dim: D, number of features.
        hidden_dim: H, number of hidden units.
        output_dim: C, number of classes.
        activation: "relu", "sigmoid" or "tanh".
        weight_scale: standard deviation of the initial weights.
        seed: the same seed gives the same weights.

    Attributes:
        W1: (D, H), b1: (1, H), W2: (H, C), b2: (1, C). Any of them may be replaced by an
            array of the same shape; a bias may also have shape (H,) or (C,).

    Raises:
        TypeError, ValueError: if a size is not an integer of at least 1, the
            activation is unknown or the weight scale is not above 0.
    """

    def __init__(
        self, input_dim, hidden_dim, output_dim, activation="relu", weight_scale=0.01, seed=42
    ):
        input_dim = positive_int("input_dim", input_dim)
        hidden_dim = positive_int("hidden_dim", hidden_dim)
        output_dim = positive_int("output_dim", output_dim)
        weight_scale = positive_float("weight_scale", weight_scale)
        self.activation = one_of("activation", activation, ACTIVATIONS)

        rng = np.random.default_rng(seed)
        self.W1 = weight_scale * rng.standard_normal((input_dim, hidden_dim))
        self.b1 = np.zeros((1, hidden_dim))
        self.W2 = weight_scale * rng.standard_normal((hidden_dim, output_dim))
        self.b2 = np.zeros((1, output_dim))

    def forward(self, X):
        """Compute the scores of a batch.

        Args:
            X: (N, D) numbers, finite.

        Returns:
            scores: (N, C), the logits.
            cache: (X, z1, a1, scores), what `backward` needs.

        Raises:
            TypeError, ValueError: if X is not a finite (N, D) array of numbers.
        """
        X = matrix("X", X, columns=np.shape(self.W1)[0])
        activate, _ = ACTIVATIONS[one_of("activation", self.activation, ACTIVATIONS)]
        z1 = X @ self.W1 + self.b1  # (N, H)
        a1 = activate(z1)  # (N, H)
        scores = a1 @ self.W2 + self.b2  # (N, C)
        return scores, (X, z1, a1, scores)

    @staticmethod
    def softmax(logits):
        """Turn scores (N, C) into probabilities (N, C); each row sums to 1.

        Subtracting each row's maximum makes no difference in exact arithmetic and keeps
        every exponential at or below 1.

        Raises:
            ValueError: if `logits` is not of shape (N, C).
        """
        if np.ndim(logits) != 2:
            raise ValueError(f"logits must have shape (N, C), got {np.shape(logits)}")
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    @staticmethod
    def cross_entropy(probs, y):
        """Mean negative log-probability of the true classes, in nats.

        Probabilities below 1e-12 count as 1e-12, so that a confident wrong answer has a
        finite loss.

        Raises:
            TypeError, ValueError: if `probs` is not of shape (N, C), or y has the wrong shape,
                type or values.
        """
        probs = np.asarray(probs)
        if probs.ndim != 2:
            raise ValueError(f"probs must have shape (N, C), got {probs.shape}")
        y = labels("y", y, rows=len(probs), classes=probs.shape[1])
        return -np.log(np.maximum(probs[np.arange(len(y)), y], 1e-12)).mean()

    def loss(self, X, y):
        """Compute the loss of a batch.

        Args:
            X: (N, D) numbers, finite.
            y: (N,) integers in 0 … C − 1.

        Returns:
            L: the mean cross-entropy.
            probs: (N, C), the predicted probabilities.
            cache: what `backward` needs.

        Raises:
            TypeError, ValueError: if X or y has the wrong shape, type or values.
        """
        scores, cache = self.forward(X)
        probs = self.softmax(scores)
        return self.cross_entropy(probs, y), probs, cache

    def backward(self, probs, cache, y):
        """Compute the gradient of the mean cross-entropy by backpropagation.

        Args:
            probs: (N, C), from `loss`.
            cache: from `loss`.
            y: (N,) integers in 0 … C − 1.

        Returns:
            dW1, db1, dW2, db2: each shaped like its parameter.

        Raises:
            TypeError, ValueError: if y has the wrong shape, type or values.
        """
        X, z1, a1, _ = cache
        N, C = probs.shape
        y = labels("y", y, rows=N, classes=C)
        _, activation_grad = ACTIVATIONS[self.activation]

        # Gradient of softmax and cross-entropy combined: (p − one-hot) / N.
        dscores = probs.copy()  # (N, C)
        dscores[np.arange(N), y] -= 1.0
        dscores /= N

        dW2 = a1.T @ dscores  # (H, C)
        db2 = dscores.sum(axis=0).reshape(np.shape(self.b2))
        da1 = dscores @ np.transpose(self.W2)  # (N, H)

        dz1 = da1 * activation_grad(z1)  # (N, H)

        dW1 = X.T @ dz1  # (D, H)
        db1 = dz1.sum(axis=0).reshape(np.shape(self.b1))
        return dW1, db1, dW2, db2

    def predict(self, X):
        """Return the class with the highest score for each row of X: (N, D) → (N,) int.

        Raises:
            TypeError, ValueError: if X is not a finite (N, D) array of numbers.
        """
        scores, _ = self.forward(X)
        return scores.argmax(axis=1)


def train_numpy(model, X, y, lr=1.0, epochs=200, *, verbose=True):
    """Train by full-batch gradient descent. Introduced on Day 29.

    Args:
        model: a `TwoLayerMLP`; its four parameters are replaced by the trained ones.
        X: (N, D) numbers.
        y: (N,) labels.
        lr: learning rate, above 0.
        epochs: number of steps, each on all N examples; at least 1.
        verbose: print the loss four times, after each quarter of the epochs.

    Returns:
        losses: the loss before each step, a list of `epochs` floats.

    Raises:
        TypeError, ValueError: if an argument has the wrong shape, type or values.
    """
    lr = positive_float("lr", lr)
    epochs = positive_int("epochs", epochs)
    report_every = max(1, epochs // 4)
    losses = []
    for epoch in range(1, epochs + 1):
        L, probs, cache = model.loss(X, y)
        dW1, db1, dW2, db2 = model.backward(probs, cache, y)
        model.W1 = model.W1 - lr * dW1
        model.b1 = model.b1 - lr * db1
        model.W2 = model.W2 - lr * dW2
        model.b2 = model.b2 - lr * db2
        losses.append(float(L))
        if verbose and epoch % report_every == 0:
            print(f"Epoch {epoch}/{epochs} | Loss: {L:.4f}")
    return losses
