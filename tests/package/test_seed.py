"""The calls of the notebook that this course started from still work, with the same signatures.

Its definitions are replaced by imports, its data by a few generated digits.
"""

import inspect
from inspect import Parameter

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnweek.experiments import train_model_with_optimizer
from nnweek.gradcheck import grad_check
from nnweek.loaders import make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.plots import plot_series
from nnweek.runtime import set_seed
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.toy import make_toy_data
from nnweek.training import accuracy, evaluate, fit, train_one_epoch

SEED = 42


CONTRACT = [
    (set_seed, "seed=42"),
    (plot_series, "y_values, title='Metric over epochs', xlabel='Epoch', ylabel='Value'"),
    (accuracy, "pred_logits, targets"),
    (make_toy_data, "n_per_class=100"),
    (
        TwoLayerMLP,
        "input_dim, hidden_dim, output_dim, activation='relu', weight_scale=0.01, seed=42",
    ),
    (TwoLayerMLP.forward, "self, X"),
    (TwoLayerMLP.softmax, "logits"),
    (TwoLayerMLP.cross_entropy, "probs, y"),
    (TwoLayerMLP.loss, "self, X, y"),
    (TwoLayerMLP.backward, "self, probs, cache, y"),
    (grad_check, "model, X, y, eps=1e-05"),
    (train_numpy, "model, X, y, lr=1.0, epochs=200"),
    (MNISTMLP, "in_dim=784, hidden=256, num_classes=10"),
    (train_one_epoch, "model, loader, optimizer, criterion"),
    (evaluate, "model, loader, criterion"),
    (train_model_with_optimizer, "optimizer_name='SGD', epochs=5, lr=0.001"),
    # Newer functions with a fixed signature.
    (load_mnist, ""),
    (make_loaders, "data, batch_size=128, val_ratio=0.1, seed=42, device=None"),
    (fit, "model, train_loader, val_loader, optimizer"),
]


@pytest.mark.parametrize(
    ("function", "expected"), CONTRACT, ids=lambda x: getattr(x, "__name__", "")
)
def test_positional_arguments_match_the_contract(function, expected):
    parameters = inspect.signature(function).parameters.values()
    positional = [p for p in parameters if p.kind is not Parameter.KEYWORD_ONLY]
    assert ", ".join(str(p) for p in positional) == expected
    assert all(p.kind is Parameter.POSITIONAL_OR_KEYWORD for p in positional)
    options = [p for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    required = {p.name for p in options if p.default is Parameter.empty}
    assert required == ({"epochs"} if function is fit else set())


def test_days_29_and_30_numpy_networks(shown):
    X_toy, y_toy = make_toy_data(80)
    model_np = TwoLayerMLP(
        input_dim=2, hidden_dim=8, output_dim=2, activation="relu", weight_scale=1e-1
    )
    max_err, mean_err = grad_check(model_np, X_toy[:5], y_toy[:5])
    assert 0 <= mean_err <= max_err < 1e-4

    loss_curve = train_numpy(model_np, X_toy, y_toy, lr=0.5, epochs=200)
    plot_series(
        loss_curve,
        title="NumPy 2-Layer MLP - Training Loss (Toy Data)",
        xlabel="Epoch",
        ylabel="Loss",
    )
    assert len(shown[0].axes[0].lines[0].get_ydata()) == 200
    assert loss_curve[-1] < 0.1

    for act in ["relu", "sigmoid"]:
        m = TwoLayerMLP(2, 16, 2, activation=act, weight_scale=0.1, seed=SEED)
        lc = train_numpy(m, X_toy, y_toy, lr=0.3, epochs=150)
        assert lc[-1] < lc[0]


@pytest.fixture
def loaders(digits):
    """Three loaders of PyTorch, as the notebook has them, with generated digits."""

    def loader(images, labels, **options):
        pixels = torch.from_numpy(images).float().unsqueeze(1) / 255
        return DataLoader(TensorDataset(pixels, torch.from_numpy(labels)), 32, **options)

    return (
        loader(digits.train_images[10:], digits.train_labels[10:], shuffle=True),
        loader(digits.train_images[:10], digits.train_labels[:10]),
        loader(digits.test_images, digits.test_labels),
    )


def test_days_31_to_33_baseline_and_optimizers(loaders, shown, tmp_path):
    train_loader, val_loader, test_loader = loaders
    set_seed(SEED)
    model = MNISTMLP().to("cpu")
    assert sum(p.numel() for p in model.parameters()) == 269_322

    EPOCHS = 5
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_losses, val_losses, val_accs = [], [], []
    for _epoch in range(1, EPOCHS + 1):
        tr_loss, _tr_acc = train_one_epoch(model, train_loader, optimizer, criterion)
        va_loss, va_acc = evaluate(model, val_loader, criterion)
        train_losses.append(tr_loss)
        val_losses.append(va_loss)
        val_accs.append(va_acc)
    plot_series(train_losses, title="MNIST MLP — Training Loss", xlabel="Epoch", ylabel="Loss")
    plot_series(val_losses, title="MNIST MLP — Validation Loss", xlabel="Epoch", ylabel="Loss")
    plot_series(
        val_accs, title="MNIST MLP — Validation Accuracy", xlabel="Epoch", ylabel="Accuracy"
    )
    test_loss, test_acc = evaluate(model, test_loader, criterion)
    assert len(shown) == 3
    assert train_losses[-1] < train_losses[0]
    assert {"test_loss": round(test_loss, 4), "test_acc": round(test_acc, 4)}["test_acc"] > 0.5

    save_path = tmp_path / "mnist_mlp.pth"
    torch.save(model.state_dict(), save_path)
    loaded = MNISTMLP()
    loaded.load_state_dict(torch.load(save_path))
    assert evaluate(loaded, test_loader, criterion) == (test_loss, test_acc)

    train_losses, val_losses, val_accs = train_model_with_optimizer(
        "adam", epochs=3, lr=0.001, train_loader=train_loader, val_loader=val_loader
    )
    assert len(train_losses) == len(val_losses) == len(val_accs) == 3
    assert train_losses[-1] < train_losses[0]


def test_saved_weights_have_the_names_of_the_notebook():
    """A file saved with the notebook's class loads into this one."""
    assert list(MNISTMLP().state_dict()) == [
        f"net.{layer}.{part}" for layer in (1, 3, 5) for part in ("weight", "bias")
    ]
