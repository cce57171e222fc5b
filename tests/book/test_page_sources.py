"""The sources of the book's own pages: every number is computed, measured or quoted."""

import itertools
import os
import re

import numpy as np
import pytest
import torch
from scipy import stats

from nnweek.loaders import pixel_statistics
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from support import text_of
from support.contents import PAGES

SHEET = text_of("book/cheat-sheet.md")
PARAMETERS = sum(p.numel() for p in MNISTMLP(seed=0).parameters())
T = {n: stats.t.ppf(0.975, n - 1) for n in (5, 10)}
HALF_WIDTHS = [196 * (p * (1 - p) / 10_000) ** 0.5 for p in (0.98, 0.97)]  # in points

# Results of arithmetic, in the form that the page shows.
COMPUTED = [
    f"| {np.log(10):.4f} |",
    f"| {-np.log(np.e / (np.e + 9)):.4f} |",
    f"loss never below {-np.log(np.e / (np.e + 9)):.4f}",
    f"| {PARAMETERS:,} |",
    f"| {-(-54_000 // 128)} |",
    f"| ±{HALF_WIDTHS[0]:.2f}, ±{HALF_WIDTHS[1]:.2f} |",
    f"| {T[5]:.3f}, {T[10]:.3f} |",
    rf"| ${np.finfo(np.float32).eps * 1e7:.1f} \cdot 10^{{-7}}$, "
    rf"${np.finfo(np.float64).eps * 1e16:.1f} \cdot 10^{{-16}}$ |",
    rf"| ${0.25**10 * 1e7:.1f} \cdot 10^{{-7}}$ |",
    f"| {1135 / 10_000:.2%} |".replace("%", " %"),
    f"| {980 / 10_000:.2%} |".replace("%", " %"),
    rf"\pm {stats.norm.ppf(0.975):.2f} \sqrt",
]
# What others measured or recommend: the page names each source.
QUOTED = {
    "LeCun et al., 1998": [
        "linear 12.0 %", "784-300-10 4.7 %", "784-1000-10 4.5 %", "LeNet-5 0.95 %",
    ],
    "Simard et al., 2003": ["784-800-10 with cross-entropy 1.6 %"],
    "Kingma and Ba": [r"$\eta$ 0.001", r"$\beta_1$ 0.9", r"$\beta_2$ 0.999"],
}  # fmt: skip
OF_THE_DATA = ["| 0.1307, 0.3081 |"]  # compared with MNIST below


def test_every_decimal_number_of_the_cheat_sheet_is_computed_or_quoted():
    text = " ".join(SHEET.split())
    assert not [source for source in QUOTED if source not in text]
    pieces = [*COMPUTED, *OF_THE_DATA, *itertools.chain.from_iterable(QUOTED.values())]
    assert not [piece for piece in pieces if piece not in text]
    for piece in pieces:
        text = text.replace(piece, "")
    assert not re.findall(r".{20}\d\.\d+.{20}", text)


def test_numbers_about_mnist_on_the_cheat_sheet_are_right():
    if os.environ.get("NNWEEK_DATASET") != "mnist":
        pytest.skip("NNWEEK_DATASET is not mnist, so MNIST may not be available.")
    data = load_mnist()
    counts = np.bincount(data.test_labels)
    assert counts.argmax() == 1
    assert f"{counts[1]:,} of 10,000" in SHEET
    assert f"{counts[0]:,} of 10,000" in SHEET
    mean, std = pixel_statistics(data.train_images)
    assert [f"| {mean:.4f}, {std:.4f} |"] == OF_THE_DATA


def test_training_loop_of_the_cheat_sheet_trains(digits):
    from nnweek.loaders import make_loaders

    code = re.search(r"```python\n(.*?)```", SHEET, re.DOTALL)[1]
    train_loader, _, _ = make_loaders(digits, batch_size=30, device="cpu")
    model = MNISTMLP(seed=0)
    names = {"torch": torch, "model": model, "train_loader": train_loader}
    names["optimizer"] = torch.optim.SGD(model.parameters(), lr=0.1)
    names["criterion"] = torch.nn.CrossEntropyLoss()
    exec(code, names)
    first = names["loss"].item()
    for _ in range(10):
        exec(code, names)
    assert names["loss"].item() < first / 2
    assert not model.training


def test_pages_have_names_with_hyphens_that_will_stay():
    assert {"teachers", "cheat-sheet"} <= set(PAGES)
    assert not [page for page in PAGES if not re.fullmatch(r"(notebooks/)?[a-z0-9-]+", page)]
