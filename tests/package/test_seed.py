"""The calls of the notebook that this course started from still work, with the same signatures.

Its definitions are replaced by imports, its data by a few generated digits.
"""

import inspect
from inspect import Parameter

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from nnweek.experiments import train_model_with_optimizer
from nnweek.gradcheck import grad_check
from nnweek.loaders import make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.plots import plot_series
from nnweek.runtime import set_seed
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.toy import make_toy_data
from nnweek.tracking import read_scalars
from nnweek.training import accuracy, evaluate, fit, train_one_epoch

SEED = 42
DEVICE = torch.device("cpu")

# --- Signatures ---------------------------------------------------------------------------------

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


# --- The notebook's cells, day by day ---------------------------------------------------------------


@pytest.fixture
def toy():
    return make_toy_data(80)


def test_day_29_toy_data(toy):
    X_toy, y_toy = toy
    assert X_toy.shape == (160, 2)
    assert y_toy.shape == (160,)
    assert np.bincount(y_toy).tolist() == [80, 80]


def test_day_29_gradient_check(toy):
    X_toy, y_toy = toy
    X_small, y_small = X_toy[:5], y_toy[:5]
    model_np = TwoLayerMLP(
        input_dim=2, hidden_dim=5, output_dim=2, activation="relu", weight_scale=1e-2
    )
    max_err, mean_err = grad_check(model_np, X_small, y_small)
    assert 0 <= mean_err <= max_err < 1e-4


def test_day_29_training(toy, shown):
    X_toy, y_toy = toy
    model_np = TwoLayerMLP(
        input_dim=2, hidden_dim=8, output_dim=2, activation="relu", weight_scale=1e-1
    )
    loss_curve = train_numpy(model_np, X_toy, y_toy, lr=0.5, epochs=200)
    plot_series(
        loss_curve,
        title="NumPy 2-Layer MLP - Training Loss (Toy Data)",
        xlabel="Epoch",
        ylabel="Loss",
    )
    assert len(shown[0].axes[0].lines[0].get_ydata()) == 200
    assert loss_curve[-1] < 0.1


def test_day_30_activations(toy, shown):
    X_toy, y_toy = toy
    loss_curves = {}
    for act in ["relu", "sigmoid"]:
        m = TwoLayerMLP(2, 16, 2, activation=act, weight_scale=0.1, seed=SEED)
        lc = train_numpy(m, X_toy, y_toy, lr=0.3, epochs=150)
        loss_curves[act] = lc
    plot_series(
        loss_curves["relu"], title="Activation: ReLU (Toy Data)", xlabel="Epoch", ylabel="Loss"
    )
    plot_series(
        loss_curves["sigmoid"],
        title="Activation: Sigmoid (Toy Data)",
        xlabel="Epoch",
        ylabel="Loss",
    )
    assert len(shown) == 2
    assert all(curve[-1] < curve[0] for curve in loss_curves.values())


@pytest.fixture
def loaders(digits):
    """The notebook's split and its three loaders, with generated digits."""

    def dataset(images, labels):
        pixels = torch.from_numpy(images).float().unsqueeze(1) / 255
        return TensorDataset((pixels - 0.1307) / 0.3081, torch.from_numpy(labels))

    train_dataset = dataset(digits.train_images, digits.train_labels)
    test_dataset = dataset(digits.test_images, digits.test_labels)

    val_ratio = 0.1
    n_val = int(len(train_dataset) * val_ratio)
    n_train = len(train_dataset) - n_val
    train_ds, val_ds = random_split(
        train_dataset, [n_train, n_val], generator=torch.Generator().manual_seed(SEED)
    )
    BATCH_SIZE = 32
    return (
        DataLoader(train_ds, batch_size=BATCH_SIZE, shuffle=True),
        DataLoader(val_ds, batch_size=BATCH_SIZE, shuffle=False),
        DataLoader(test_dataset, batch_size=BATCH_SIZE, shuffle=False),
    )


def test_days_31_and_32_baseline(loaders, shown, tmp_path):
    train_loader, val_loader, test_loader = loaders
    set_seed(SEED)
    model = MNISTMLP().to(DEVICE)
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


def test_saved_weights_have_the_names_of_the_notebook():
    """A file saved with the notebook's class loads into this one."""
    assert list(MNISTMLP().state_dict()) == [
        f"net.{layer}.{part}" for layer in (1, 3, 5) for part in ("weight", "bias")
    ]


def test_day_33_optimizers(monkeypatch, capsys):
    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    sgd_tr, sgd_va, sgd_acc = train_model_with_optimizer("SGD", epochs=2, lr=0.1)
    adam_tr, adam_va, adam_acc = train_model_with_optimizer("Adam", 2, 0.001)
    assert "stand-in" in capsys.readouterr().out
    for curve in (sgd_tr, sgd_va, sgd_acc, adam_tr, adam_va, adam_acc):
        assert len(curve) == 2
    assert adam_tr[1] < adam_tr[0]


def test_day_33_accepts_the_loaders_of_the_notebook(loaders):
    train_loader, val_loader, _ = loaders
    train_losses, val_losses, val_accs = train_model_with_optimizer(
        "adam", epochs=3, lr=0.001, train_loader=train_loader, val_loader=val_loader
    )
    assert len(train_losses) == len(val_losses) == len(val_accs) == 3
    assert train_losses[-1] < train_losses[0]


def test_day_34_tensorboard(loaders, tmp_path, monkeypatch):
    from torch.utils.tensorboard import SummaryWriter

    monkeypatch.chdir(tmp_path)
    train_loader, val_loader, _ = loaders
    log_dir = "runs/mnist_mlp"
    writer = SummaryWriter(log_dir=log_dir)
    model_tb = MNISTMLP().to(DEVICE)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model_tb.parameters(), lr=1e-3)

    EPOCHS_TB = 2
    global_step = 0
    for epoch in range(1, EPOCHS_TB + 1):
        model_tb.train()
        for xb, yb in train_loader:
            optimizer.zero_grad()
            logits = model_tb(xb)
            loss = criterion(logits, yb)
            loss.backward()
            optimizer.step()
            assert 0 <= accuracy(logits, yb) <= 1
            writer.add_scalar("Loss/train", loss.item(), global_step)
            global_step += 1
        val_loss, val_acc = evaluate(model_tb, val_loader, criterion)
        writer.add_scalar("Loss/val", val_loss, epoch)
        writer.add_scalar("Accuracy/val", val_acc, epoch)
    writer.flush()
    writer.close()

    curves = read_scalars(log_dir)
    assert curves["Loss/train"][0] == list(range(global_step))
    assert curves["Loss/val"][0] == curves["Accuracy/val"][0] == [1, 2]
