"""Several processes end where one does. Started by torchrun, as a reader starts them."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

import nnweek
from nnweek import distributed
from nnweek.distributed import Share
from nnweek.experiments import train_baseline
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.training import fit

EPOCHS = 3  # of 11 steps; the last batch has 13 images, so two processes take 7 and 6
CURVES = ("train_loss", "train_acc", "val_loss", "val_acc")

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no processes")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="torchrun is tried on Linux only")


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    """Its last batch cannot be divided by two, and it is there without a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNWEEK_DATASET", "stand-in")
        yield load_mnist()


def torchrun(what, checkpoint):
    """Start two processes; `what` is a list of arguments, of a module or a script."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", *what, f"--epochs={EPOCHS}", f"--checkpoint={checkpoint}"]
    paths = [str(Path(nnweek.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    settings = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, timeout=300
    )


def kept(checkpoint):
    """The weights and the history in a checkpoint."""
    state = torch.load(checkpoint, weights_only=True)
    return state["model"], state["history"]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What `torchrun -m nnweek.distributed` prints, and the checkpoint that it leaves."""
    checkpoint = tmp_path_factory.mktemp("two") / "state.pt"
    done = torchrun(["-m", "nnweek.distributed"], checkpoint)
    assert done.returncode == 0, done.stderr
    return done.stdout, checkpoint


@pytest.fixture(scope="module")
def one_process(stand_in):
    """The week's own baseline."""
    return train_baseline(stand_in, epochs=EPOCHS, device="cpu")


# --- Equal but for rounding ----------------------------------------------------------------


@pytest.fixture(scope="module")
def rounding(stand_in, one_process):
    """How far rounding alone carries one process, in its weights and in its losses.

    The measure is the same run in float64, whose own rounding is half a billion times
    smaller. Several processes add up in another order, which rounds otherwise but not
    more: so they may differ from one process by a few times as much.
    """
    train_loader, val_loader, _ = (
        BatchLoader(
            loader.dataset.tensors[0].double(),
            loader.dataset.tensors[1],
            loader.batch_size,
            shuffle_seed=loader.shuffle_seed,
        )
        for loader in make_loaders(stand_in, device="cpu")
    )
    model = MNISTMLP(seed=42).double()
    exact = fit(
        model,
        train_loader,
        val_loader,
        torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=EPOCHS,
        progress=False,
    )
    return distances(
        one_process.model.state_dict(),
        vars(one_process.history),
        model.state_dict(),
        vars(exact),
    )


def distances(weights, history, other_weights, other_history):
    """The largest difference of two runs in a weight, and in a loss."""
    return (
        max((weights[name] - other_weights[name]).abs().max().item() for name in weights),
        max(
            np.abs(np.subtract(history[curve], other_history[curve])).max()
            for curve in ("train_loss", "val_loss")
        ),
    )


FEW = 8


@on_linux
def test_two_processes_learn_what_one_does_but_for_rounding(two_processes, one_process, rounding):
    weights, history = kept(two_processes[1])
    found = distances(weights, history, one_process.model.state_dict(), vars(one_process.history))
    assert 0 < rounding[0] < 1e-5, "the measure itself"
    assert found[0] <= FEW * rounding[0]
    assert found[1] <= FEW * rounding[1]
    assert history["train_acc"] == pytest.approx(one_process.history.train_acc, abs=2 / 1294)
    assert history["val_acc"] == pytest.approx(one_process.history.val_acc, abs=2 / 143)


PLAIN_MEAN = """
from nnweek import distributed
# What PyTorch does by itself: every process counts alike, however large its share is.
distributed.Share.weight = property(lambda share: 1 / share.processes, lambda *_: None)
distributed.main()
"""


@on_linux
def test_shares_that_are_not_weighted_learn_something_else(tmp_path, one_process, rounding):
    """Or the test above would see nothing: 3 of 33 steps, each a little wrong, are enough."""
    script = tmp_path / "plain_mean.py"
    script.write_text(PLAIN_MEAN)
    done = torchrun([str(script)], tmp_path / "state.pt")
    assert done.returncode == 0, done.stderr
    found = distances(
        *kept(tmp_path / "state.pt"), one_process.model.state_dict(), vars(one_process.history)
    )
    assert found[0] > 10 * FEW * rounding[0]
    assert found[1] > 10 * FEW * rounding[1]


@on_linux
def test_only_the_first_process_speaks(two_processes):
    printed, checkpoint = two_processes
    assert printed.startswith("2 process(es) on cpu (gloo, 1 thread(s) each)\n")
    assert printed.count("test accuracy: ") == 1
    _, history = kept(checkpoint)
    rows = [line.split() for line in printed.splitlines() if line.split()[0].isdigit()][1:]
    assert [row[:3] for row in rows] == [
        [str(i + 1), f"{history['train_loss'][i]:.4f}", f"{history['val_loss'][i]:.4f}"]
        for i in range(EPOCHS)
    ]


# --- Broken off and taken up again -----------------------------------------------------------

KILLED = """
import os
import signal
from pathlib import Path
from torch.optim.optimizer import register_optimizer_step_pre_hook
from nnweek import checkpoints, distributed

folder, steps, atomic_write = Path(__file__).parent, 0, checkpoints.atomic_write

def die(*_):
    global steps
    steps += 1
    if steps == 15:  # in the second epoch
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)

def note(path):
    with open(folder / "written", "a") as file:
        print(os.environ["RANK"], Path(path).name, file=file)
    return atomic_write(path)

checkpoints.atomic_write = note
if os.environ["RANK"] == "1" and not (folder / "killed").exists():
    register_optimizer_step_pre_hook(die)
distributed.main()
"""


@on_linux
def test_after_one_process_was_killed_a_new_start_ends_with_the_same_bits(tmp_path, two_processes):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    assert torchrun([str(script)], tmp_path / "state.pt").returncode != 0
    assert (tmp_path / "killed").exists()
    assert len(kept(tmp_path / "state.pt")[1]["seconds"]) == 1, "one epoch was whole"

    done = torchrun([str(script)], tmp_path / "state.pt")
    assert done.returncode == 0, done.stderr

    weights, history = kept(tmp_path / "state.pt")
    expected_weights, expected = kept(two_processes[1])
    assert all(torch.equal(weights[name], expected_weights[name]) for name in expected_weights)
    assert [history[curve] for curve in CURVES] == [expected[curve] for curve in CURVES]
    written = [line.split() for line in (tmp_path / "written").read_text().splitlines()]
    assert {rank for rank, name in written if name == "state.pt"} == {"0"}, (
        "only the first keeps it"
    )


# --- One process -------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """Pretend that torchrun started this process, and no other."""
    if sys.platform != "linux":
        pytest.skip("processes are tried on Linux only")
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


def test_one_process_is_the_baseline_bit_for_bit(alone, tmp_path, one_process):
    distributed.main([f"--epochs={EPOCHS}", f"--checkpoint={tmp_path / 'state.pt'}"])
    weights, history = kept(tmp_path / "state.pt")
    expected = one_process.model.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert [history[curve] for curve in CURVES] == [
        getattr(one_process.history, curve) for curve in CURVES
    ]


@on_linux
def test_one_process_goes_on_with_the_checkpoint_of_two(
    alone, tmp_path, two_processes, one_process, stand_in, rounding
):
    checkpoint = shutil.copy(two_processes[1], tmp_path)
    distributed.main([f"--epochs={EPOCHS + 1}", f"--checkpoint={checkpoint}"])
    weights, history = kept(checkpoint)
    whole = train_baseline(stand_in, epochs=EPOCHS + 1, device="cpu")
    found = distances(weights, history, whole.model.state_dict(), vars(whole.history))
    assert len(history["seconds"]) == EPOCHS + 1
    assert found[0] <= FEW * rounding[0]


# --- Shares --------------------------------------------------------------------------------------


def loader(n=37, batch_size=8, **options):
    return BatchLoader(torch.arange(n * 2.0).reshape(n, 2), torch.arange(n), batch_size, **options)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_the_shares_of_all_processes_are_the_batch(processes):
    shares = [Share(loader(shuffle_seed=5), rank, processes) for rank in range(processes)]
    whole = loader(shuffle_seed=5)
    for _ in range(2):  # two epochs, in two orders
        batches = list(zip(whole, *shares, strict=True))
        assert len(batches) == len(shares[0]) == 5
        for (images, labels), *parts in batches:
            assert torch.equal(torch.cat([part[0] for part in parts]), images)
            assert torch.equal(torch.cat([part[1] for part in parts]), labels)
            sizes = [len(part[1]) for part in parts]
            assert max(sizes) - min(sizes) <= 1


def test_the_weight_of_a_share_is_that_of_the_present_batch():
    shares = [Share(loader(n=11), rank, 2) for rank in range(2)]
    weights = [tuple(share.weight for share in shares) for _ in zip(*shares, strict=True)]
    assert weights == [(4 / 8, 4 / 8), (2 / 3, 1 / 3)]


def test_the_epoch_of_a_share_is_the_loaders():
    share = Share(loader(shuffle_seed=5), 0, 2)
    first = [labels.tolist() for _, labels in share]
    assert share.epoch == 1
    assert [labels.tolist() for _, labels in share] != first
    share.epoch = 0
    assert [labels.tolist() for _, labels in share] == first


@pytest.mark.parametrize(("n", "batch_size"), [(37, 4), (37, 36), (1, 128)])
def test_a_batch_with_fewer_images_than_processes_is_refused(n, batch_size):
    Share(loader(n, batch_size), 0, 1)
    with pytest.raises(
        ValueError, match="a batch of 1 image.* cannot be shared by 2 processes: ta"
    ):
        Share(loader(n, batch_size), 0, 2)


# --- Sentences for those who start it -------------------------------------------------------------


def test_without_torchrun_it_says_how_to_start_it(monkeypatch):
    for name in distributed.FROM_TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit, match="torchrun --standalone --nproc-per-node 2 -m nnweek"):
        distributed.main([])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs=0"], "Process 0: epochs must be at least 1, got 0"),
        (["--lr=-1"], "Process 0: lr must be a finite number above 0, got -1"),
        (["--batch-size=0"], "Process 0: batch_size must be at least 1, got 0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, said, alone):
    with pytest.raises(SystemExit, match=said):
        distributed.main(arguments)


def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(alone, tmp_path):
    checkpoint = tmp_path / "state.pt"
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(SystemExit, match=r"Process 0: .*state\.pt is not a readable checkpoint"):
        distributed.main([f"--checkpoint={checkpoint}"])
    assert checkpoint.read_bytes() == b"no checkpoint"
