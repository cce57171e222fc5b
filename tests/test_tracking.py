"""TensorBoard logs, written and read back (Day 34)."""

import math

import numpy as np
import pytest
import torch

from nnweek.models import MNISTMLP
from nnweek.tracking import add_graph, open_run, read_scalars


def event_files(folder):
    return sorted(folder.glob("events.out.tfevents.*"))


def test_a_run_is_read_back_as_it_was_logged(tmp_path):
    with open_run(tmp_path / "new" / "run") as writer:
        for step, value in [(0, 2.5), (10, 1.25), (20, math.nan)]:
            writer.add_scalar("Loss/train", value, step)
        writer.add_scalar("Accuracy/val", 0.5, 20)

    curves = read_scalars(tmp_path / "new" / "run")

    assert curves.keys() == {"Loss/train", "Accuracy/val"}
    steps, values = curves["Loss/train"]
    assert steps == [0, 10, 20]
    np.testing.assert_array_equal(values, [2.5, 1.25, np.nan])
    assert curves["Accuracy/val"] == ([20], [0.5])


def test_a_second_run_replaces_the_first_and_touches_nothing_else(tmp_path):
    others = [
        tmp_path / "notes.txt",
        tmp_path / "model.pth",
        tmp_path / "adam" / "events.out.tfevents.1",
    ]
    with open_run(tmp_path) as writer:
        writer.add_scalar("Loss", 1.0, 1)
        writer.add_scalar("only in the first run", 1.0, 1)
    (tmp_path / "adam").mkdir()
    for path in others:
        path.write_text("keep me")

    with open_run(tmp_path) as writer:
        writer.add_scalar("Loss", 2.0, 1)

    assert read_scalars(tmp_path) == {"Loss": ([1], [2.0])}
    assert len(event_files(tmp_path)) == 1
    assert all(path.read_text() == "keep me" for path in others)


def test_long_runs_come_back_in_full(tmp_path):
    """TensorBoard's reader thins out at 10,000 points unless it is told not to."""
    n = 10_500
    with open_run(tmp_path) as writer:
        for step in range(n):
            writer.add_scalar("Loss", step / 4, step)
    assert read_scalars(tmp_path) == {"Loss": (list(range(n)), [step / 4 for step in range(n)])}


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_a_log_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no TensorBoard event file") as error:
        read_scalars(tmp_path / folder)
    assert str(tmp_path / folder) in str(error.value)


@pytest.mark.filterwarnings("error")
def test_a_graph_is_logged_without_a_warning_and_leaves_the_model_as_it_was(tmp_path):
    model = MNISTMLP(16, 4, 2, seed=0)
    before = [p.clone() for p in model.parameters()]
    with open_run(tmp_path) as writer:
        add_graph(writer, model, torch.zeros(1, 1, 4, 4))
    assert b"Linear" in event_files(tmp_path)[0].read_bytes()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert model.training
