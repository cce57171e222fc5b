"""Training with several processes, started by torchrun as a reader starts them."""

import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed as dist

from nnweek import distributed, experiments
from nnweek.distributed import Share
from nnweek.experiments import train_baseline
from nnweek.loaders import BatchLoader
from nnweek.mnist import load_mnist
from support import ROOT
from support.double import float64

EPOCHS = 2
UNEVEN = 117  # a batch size that two processes cannot halve, nor the last batch of 7 images
CURVES = ("train_loss", "train_acc", "val_loss", "val_acc")

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no processes")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="torchrun is tested on Linux only")


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    """Small, and available without a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNWEEK_DATASET", "stand-in")
        yield load_mnist()


def torchrun(*arguments, fails=False):
    """Start two processes; return what they print."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    settings = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [*command, "--nproc-per-node=2", *map(str, arguments)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode != 0) is fails, done.stderr
    return done.stdout


def read(checkpoint):
    """The weights and the history in a checkpoint."""
    state = torch.load(checkpoint, weights_only=True)
    return state["model"], state["history"]


def assert_same_bits(weights, history, other_weights, other_history):
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert [history[curve] for curve in CURVES] == [other_history[curve] for curve in CURVES]


# The rounding unit of float64 is 1.1e-16. Weights and losses of order 1 after 24 steps, with sums
# over at most 784 terms, collect at most about 2e4 units, 2e-12, even if none of them cancel.
ROUNDING = 1e-11


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Checkpoints of two processes: the baseline, and in float64 with and without weighted shares.

    One start for all, because each start imports PyTorch three times.
    """
    folder = tmp_path_factory.mktemp("two")
    torchrun("-m", "support.two_processes", folder, EPOCHS, UNEVEN)
    return folder


def one_process(data, epochs):
    """The week's own baseline, in float64."""
    with float64(experiments):
        run = train_baseline(data, epochs=epochs, batch_size=UNEVEN, device="cpu")
    return run.model.state_dict(), vars(run.history)


def distance(weights, history, other_weights, other_history):
    """The largest difference between two runs in any weight, and in any loss."""
    assert all(weights[name].dtype == torch.float64 for name in weights)
    return (
        max((weights[name] - other_weights[name]).abs().max().item() for name in weights),
        max(
            np.abs(np.subtract(history[curve], other_history[curve])).max()
            for curve in ("train_loss", "val_loss")
        ),
    )


@on_linux
@pytest.mark.slow
def test_two_processes_match_one_except_for_rounding(two_processes, stand_in):
    exact, expected = read(two_processes / "exact.pt"), one_process(stand_in, epochs=1)
    assert max(distance(*exact, *expected)) < ROUNDING
    for curve in ("train_acc", "val_acc"):
        assert exact[1][curve] == pytest.approx(expected[1][curve], abs=1e-12)
    unweighted = read(two_processes / "unweighted.pt")
    assert min(distance(*unweighted, *expected)) > 1e6 * ROUNDING, "the test proves nothing"


@on_linux
@pytest.mark.slow
def test_one_process_resumes_from_the_checkpoint_of_two(alone, tmp_path, two_processes, stand_in):
    checkpoint = shutil.copy(two_processes / "exact.pt", tmp_path)
    with float64(distributed):
        dist.init_process_group("gloo")
        distributed.train(stand_in, epochs=2, batch_size=UNEVEN, checkpoint=checkpoint)
    resumed = read(checkpoint)
    assert len(resumed[1]["seconds"]) == 2
    assert max(distance(*resumed, *one_process(stand_in, epochs=2))) < ROUNDING


# Rank 1 kills itself in the second epoch, once.
KILLED = """
import os
import runpy
import signal
from pathlib import Path
from torch.optim.optimizer import register_optimizer_step_pre_hook
from nnweek import checkpoints

folder, steps, atomic_write = Path(__file__).parent, 0, checkpoints.atomic_write

def die(*_):
    global steps
    steps += 1
    if steps == 15:
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)

def recording_write(path):
    with open(folder / "written", "a") as file:
        print(os.environ["RANK"], Path(path).name, file=file)
    return atomic_write(path)

checkpoints.atomic_write = recording_write
if os.environ["RANK"] == "1" and not (folder / "killed").exists():
    register_optimizer_step_pre_hook(die)
runpy.run_module("nnweek.distributed", run_name="__main__")  # as `-m` does
"""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The folder of a training that was killed and then started again, and what it printed."""
    folder = tmp_path_factory.mktemp("killed")
    script, checkpoint = folder / "killed.py", folder / "state.pt"
    script.write_text(KILLED)
    command = script, f"--epochs={EPOCHS}", f"--checkpoint={checkpoint}"

    torchrun(*command, fails=True)
    assert (folder / "killed").exists()
    assert len(read(checkpoint)[1]["seconds"]) == 1, "one epoch was complete"
    return folder, torchrun(*command)


@on_linux
@pytest.mark.slow
def test_training_resumes_bit_for_bit_after_a_process_was_killed(resumed, two_processes):
    folder, _ = resumed
    assert_same_bits(*read(folder / "state.pt"), *read(two_processes / "baseline.pt"))
    written = [line.split() for line in (folder / "written").read_text().splitlines()]
    assert {rank for rank, name in written if name == "state.pt"} == {"0"}


@on_linux
@pytest.mark.slow
def test_only_rank_0_prints(resumed):
    folder, printed = resumed
    assert printed.startswith("2 process(es) on cpu (gloo, 1 thread(s) each)\n")
    assert printed.count("test accuracy: ") == 1
    _, history = read(folder / "state.pt")
    rows = [line.split() for line in printed.splitlines() if line.split()[0].isdigit()][1:]
    assert [row[:3] for row in rows] == [
        [str(i + 1), f"{history['train_loss'][i]:.4f}", f"{history['val_loss'][i]:.4f}"]
        for i in range(EPOCHS)
    ]


@pytest.fixture
def alone(monkeypatch):
    """Pretend that torchrun started this process and no other."""
    if sys.platform != "linux":
        pytest.skip("processes are tested on Linux only")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **dict.fromkeys(["RANK", "LOCAL_RANK"], "0"),
        **dict.fromkeys(["WORLD_SIZE", "LOCAL_WORLD_SIZE"], "1"),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: False)
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


def test_one_process_equals_the_baseline_bit_for_bit(alone, tmp_path, stand_in):
    distributed.main(["--epochs=1", f"--checkpoint={tmp_path / 'state.pt'}"])
    baseline = train_baseline(stand_in, epochs=1, device="cpu")
    assert_same_bits(
        *read(tmp_path / "state.pt"), baseline.model.state_dict(), vars(baseline.history)
    )


def loader(n=37, batch_size=8, **options):
    return BatchLoader(torch.arange(n * 2.0).reshape(n, 2), torch.arange(n), batch_size, **options)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_shares_of_all_processes_form_the_batch(processes):
    shares = [Share(loader(shuffle_seed=5), rank, processes) for rank in range(processes)]
    full = loader(shuffle_seed=5)
    for _ in range(2):  # two epochs, in two orders
        batches = list(zip(full, *shares, strict=True))
        assert len(batches) == len(shares[0]) == 5
        for (images, labels), *parts in batches:
            assert torch.equal(torch.cat([part[0] for part in parts]), images)
            assert torch.equal(torch.cat([part[1] for part in parts]), labels)
            sizes = [len(part[1]) for part in parts]
            assert max(sizes) - min(sizes) <= 1


def test_weight_is_the_fraction_of_the_current_batch():
    shares = [Share(loader(n=11), rank, 2) for rank in range(2)]
    weights = [tuple(share.weight for share in shares) for _ in zip(*shares, strict=True)]
    assert weights == [(4 / 8, 4 / 8), (2 / 3, 1 / 3)]


def test_share_uses_the_epoch_of_its_loader():
    share = Share(loader(shuffle_seed=5), 0, 2)
    first = [labels.tolist() for _, labels in share]
    assert share.epoch == 1
    assert [labels.tolist() for _, labels in share] != first
    share.epoch = 0
    assert [labels.tolist() for _, labels in share] == first


@pytest.mark.parametrize(("n", "batch_size"), [(37, 4), (37, 36), (1, 128)])
def test_batch_smaller_than_the_number_of_processes_is_refused(n, batch_size):
    Share(loader(n, batch_size), 0, 1)
    with pytest.raises(ValueError, match="a batch of 1 image.* among 2 processes"):
        Share(loader(n, batch_size), 0, 2)


def test_error_without_torchrun_shows_the_command(monkeypatch):
    for name in distributed.FROM_TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit, match="torchrun --standalone --nproc-per-node 2 -m nnweek"):
        distributed.main([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs=0"], "Process 0: epochs must be at least 1, got 0"),
        (["--lr=-1"], "Process 0: lr must be a finite number above 0, got -1"),
        (["--batch-size=0"], "Process 0: batch_size must be at least 1, got 0"),
    ],
)
def test_error_names_the_argument(arguments, message, alone):
    with pytest.raises(SystemExit, match=message):
        distributed.main(arguments)
