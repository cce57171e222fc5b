"""Reference solutions that need PyTorch (Days 31, 32 and 35).

They are in a module of their own so that the NumPy days need no torch; `nnweek.checks.solutions`
returns them under the same names.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader


def mlp():
    return nn.Sequential(
        nn.Flatten(),  # (B, 1, 28, 28) → (B, 784)
        nn.Linear(28 * 28, 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, 10),  # raw scores: the loss contains the softmax
    )


def train_step(model, images, labels, optimizer, criterion):
    optimizer.zero_grad()  # forget the last batch's gradients
    logits = model(images)
    loss = criterion(logits, labels)
    # Fill every parameter's .grad, then move every parameter.
    loss.backward()
    optimizer.step()
    return loss.item()  # a plain number, so that the graph can go


def accumulate(model, batches, optimizer, criterion):
    count = sum(len(labels) for _, labels in batches)
    optimizer.zero_grad()  # once, before the first batch
    total = 0.0
    for images, labels in batches:
        # A mean over this batch, times its share of all examples.
        loss = criterion(model(images), labels) * len(labels) / count
        loss.backward()  # adds to what the batches before have left
        total += loss.item()
    optimizer.step()
    return total


def to_tensors(images, labels, device):
    x = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 255
    y = torch.tensor(labels, dtype=torch.int64)
    return x.to(device), y.to(device)


def seeded_loader(images, labels, batch_size, seed):
    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(labels)

        def __getitem__(self, i):
            return images[i], labels[i]

    own = torch.Generator().manual_seed(seed)
    return DataLoader(Pairs(), batch_size, shuffle=True, generator=own)


def train_one_epoch(model, loader, optimizer, criterion):
    model.train()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for images, labels in loader:
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        total_count += len(labels)
        total_correct += (logits.argmax(dim=1) == labels).sum().item()
        # The batch's mean, weighted by its size: the last batch may be smaller.
        total_loss += loss.item() * len(labels)
    return total_loss / total_count, total_correct / total_count


@torch.no_grad()
def evaluate(model, loader, criterion):
    model.eval()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for images, labels in loader:
        logits = model(images)
        loss = criterion(logits, labels)
        total_count += len(labels)
        total_correct += (logits.argmax(dim=1) == labels).sum().item()
        total_loss += loss.item() * len(labels)
    return total_loss / total_count, total_correct / total_count


def fit_temperature(logits, labels):
    candidates = torch.logspace(-1, 1, 201)  # from a tenth to ten
    losses = [nn.functional.cross_entropy(logits / T, labels) for T in candidates]
    return candidates[torch.stack(losses).argmin()].item()


def my_idea(steps):
    """The rate falls along half a cosine, from its start to almost nothing."""
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(28 * 28, 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return network, optimizer, schedule
