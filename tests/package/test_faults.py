"""Real faults: killed processes, full disks, read-only folders, no network, no home folder.

Nothing may be lost or loaded wrongly, and a message must say what happened.

Full disks and the like need a separate environment, which `unshare` creates if the system
permits it (Linux, as root or with user namespaces). Elsewhere these tests are skipped; the
tests of the modules simulate a full disk with `RLIMIT_FSIZE` and /dev/full.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnweek.results import recorded
from support import ROOT

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests")])


def run(code, *arguments, front=(), cwd=None, **environment):
    """Run code in a new interpreter, without the settings of this one; return its output."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NNWEEK_", "XDG_", "PYTHON"))
    }
    done = subprocess.run(
        [*front, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**plain, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1", **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Shared by several programs below: a small training run in which resuming can go wrong in many
# ways (dropout draws random numbers; batch norm and Adam have state), and its result.
TRAINING = """
import hashlib, json, os, sys
from dataclasses import asdict
import numpy as np, torch
from torch import nn
from nnweek.loaders import BatchLoader
from nnweek.training import fit

def digest(model):
    parts = [value.numpy().tobytes() for value in model.state_dict().values()]
    return hashlib.sha256(b"".join(parts)).hexdigest()

def curves(history):
    return {k: [v.hex() for v in vs] for k, vs in asdict(history).items() if k != "seconds"}

def train(epochs, **options):
    images = torch.randn(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    loader = BatchLoader(images, torch.arange(60) % 3, 16, shuffle_seed=5)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(),
                          nn.Dropout(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = fit(model, loader, loader, optimizer, epochs=epochs, progress=False, **options)
    return {"weights": digest(model), **curves(history)}
"""

# --- The same seed ------------------------------------------------------------------------------

ALL_WAYS = (
    TRAINING
    + """
from nnweek.experiments import train_baseline, train_together
from nnweek.optimizers import make_optimizer
from nnweek.loaders import make_loaders
from nnweek.mnist import Digits
from nnweek.models import MNISTMLP
from nnweek.tracking import open_run

rng = np.random.default_rng(0)
images, labels = rng.integers(0, 256, (150, 28, 28), dtype=np.uint8), np.arange(150) % 10
data = Digits(images, labels, images[:100], labels[:100], "noise", True)

def small(**options):
    train_loader, val_loader, _ = make_loaders(data, device="cpu")
    torch.manual_seed(1)
    model = nn.Sequential(MNISTMLP(hidden=64, seed=42), nn.Dropout(0.1))
    optimizer = make_optimizer("Adam", model, 0.001)
    history = fit(model, train_loader, val_loader, optimizer, epochs=2, **options)
    return {"weights": digest(model), **curves(history)}

def baseline():
    run = train_baseline(data, epochs=2, device="cpu")
    return {"weights": digest(run.model), **curves(run.history), "test": run.test_loss.hex()}

def together():
    train_loader, val_loader, _ = make_loaders(data, device="cpu")
    models = [MNISTMLP(hidden=64, seed=seed) for seed in range(2)]
    histories = train_together(models, train_loader, val_loader, "Adam", [0.001, 0.01], epochs=2)
    return [[digest(m), curves(h)] for m, h in zip(models, histories)]

results = {}
for threads in (1, 2):
    torch.set_num_threads(threads)
    with open_run(os.path.join(sys.argv[1], str(threads))) as writer:
        tracked = small(writer=writer)
    runs = {"plain": small(progress=False), "with a bar": small(progress=True), "tracked": tracked,
            "with a checkpoint": small(checkpoint=os.path.join(sys.argv[1], f"{threads}.pt"))}
    results[threads] = {**runs, "baseline": baseline(), "together": together()}
print("\\n" + json.dumps(results))
"""
)


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_in_every_process(tmp_path):
    """For each number of threads, with and without bar, log and checkpoint.

    The hash seed of Python differs on purpose.
    """
    with ThreadPoolExecutor() as pool:
        ran = pool.map(lambda n: run(ALL_WAYS, tmp_path / n, PYTHONHASHSEED=n), "12")
        first, second = (json.loads(printed.splitlines()[-1]) for printed in ran)
    assert first == second
    for runs in first.values():
        for way in ("with a bar", "tracked", "with a checkpoint"):
            assert runs[way] == runs["plain"], way


# --- Killed -------------------------------------------------------------------------------------

# A single process loads PyTorch; each training run is a fork of it, which is really killed.
KILLS = (
    TRAINING
    + '''
import random, resource, signal, time
from nnweek.tracking import open_run, read_scalars

torch.set_num_threads(1)
folder, EPOCHS = sys.argv[1], 6
with open_run(f"{folder}/warm-up") as writer:  # imports here spare each child the import
    train(1, writer=writer)

def in_a_child(name, prepare=lambda: None, kill_after=None):
    """Train, or resume; return how the process ended. It writes its result to a file."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.manual_seed(os.getpid())
            prepare()
            with open_run(f"{folder}/{name}/log") as writer:
                result = train(EPOCHS, checkpoint=f"{folder}/{name}/state.pt", writer=writer)
            with open(f"{folder}/{name}/result", "w") as file:
                json.dump(result, file)
            code = 0
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def result(name):
    with open(f"{folder}/{name}/result") as file:
        return json.load(file), read_scalars(f"{folder}/{name}/log")

def killing(function, call, after):
    """Make a process kill itself at its n-th call of a function, before or after it is done."""
    real, calls = getattr(os, function), []
    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*args, **kwargs)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(os, function, wrapped)

def limited_to(size):
    """Make the kernel end a process during a write, when a file reaches this size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

began = time.monotonic()
assert in_a_child("uninterrupted") == 0
seconds = time.monotonic() - began
expected = result("uninterrupted")
size = os.path.getsize(f"{folder}/uninterrupted/state.pt")

# At chosen moments: before and after each step of writing a checkpoint, and during it.
moments = [(lambda f=f, c=c, a=a: killing(f, c, a), f"{f} {c} {a}")
           for f in ("fsync", "replace") for c in (1, 2, EPOCHS) for a in (False, True)]
rng = random.Random(0)
moments += [(lambda s=s: limited_to(s), f"size {s}")
            for s in [1, size - 1, *rng.sample(range(2, size - 1), 4)]]
for i, (prepare, label) in enumerate(moments):
    assert in_a_child(str(i), prepare) in (-signal.SIGKILL, -signal.SIGXFSZ), label
    assert in_a_child(str(i)) == 0, label
    assert result(str(i)) == expected, label

# At random moments.
rng, kills = random.Random(1), 0
for i in ("a", "b", "c"):
    for _ in range(15):
        ended = in_a_child(i, kill_after=rng.uniform(0, 0.7 * seconds))
        assert ended in (0, -signal.SIGKILL), ended
        kills += ended < 0
        if ended == 0:
            break
    assert in_a_child(i) == 0
    assert result(i) == expected, i
print("kills:", len(moments), kills)
'''
)


@NEEDS_FORK
@pytest.mark.slow
def test_killed_training_resumes_to_the_same_bits_and_log(tmp_path):
    pytest.importorskip("resource")
    printed = run(KILLS, tmp_path, CUDA_VISIBLE_DEVICES="")  # CUDA does not survive a fork
    chosen, at_random = map(int, printed.rpartition(":")[2].split())
    assert chosen == 18
    assert at_random >= 1


RECORDING = """
import sys
from nnweek.results import record
i = int(sys.argv[1])
while True:
    record(f"result {i}", "x" * 5000, dataset="MNIST", day=29)
    print(i, flush=True)
    i += 1
"""


@pytest.mark.skipif(os.name == "nt", reason="the test kills with SIGKILL")
def test_killed_notebook_loses_no_recorded_result(tmp_path, monkeypatch):
    file = tmp_path / "results.jsonl"
    monkeypatch.setenv("NNWEEK_RESULTS", str(file))
    last = -1
    for pause in (0.0, 0.013, 0.05):
        command = [sys.executable, "-c", RECORDING, str(last + 1)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        last = int(rest[-1]) if rest else last + 1
    results = recorded("MNIST")
    assert {f"result {i}" for i in range(last + 1)} <= results.keys()
    assert all(entry["value"] == "x" * 5000 for entry in results.values())


# --- Lack of space, network or home folder ----------------------------------------------------------------


@functools.cache
def unshared(*flags):
    """The prefix that runs a command in namespaces of its own, or None if that is not permitted."""
    front = ("unshare", *flags)
    try:
        works = subprocess.run([*front, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return front if works else None


def needs(*flags):
    front = unshared(*flags)
    if front is None:
        pytest.skip(f"this system does not permit: unshare {' '.join(flags)}")
    return front


def disk(folder, options):
    """The prefix that gives a command a file system in memory, which only the command sees."""
    folder.mkdir(exist_ok=True)
    mount = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    return [*needs("--map-root-user", "--mount"), "sh", "-c", mount, "sh", options, str(folder)]


SMALL_MNIST = """
import os, sys
from pathlib import Path
from support.small_mnist import FILES, UNPACKED, load, pretend_in_this_process, put
pretend_in_this_process()
"""


def test_unpacked_files_that_do_not_fit_are_not_needed(tmp_path):
    """The next load takes longer, but downloads nothing."""
    disk_folder = tmp_path / "disk"
    code = f"""{SMALL_MNIST}
os.environ["NNWEEK_DATA"], mirror = sys.argv[1:]
packed_size, unpacked_size = (sum(map(len, files.values())) for files in (FILES, UNPACKED))
assert packed_size + 8192 < 124 * 1024 < packed_size + unpacked_size, packed_size
put(Path(mirror))
os.environ["NNWEEK_MNIST_MIRROR"] = mirror
load()
del os.environ["NNWEEK_MNIST_MIRROR"]
load()
assert not list(Path(sys.argv[1]).rglob("*.part"))
"""
    printed = run(code, disk_folder, tmp_path / "mirror", front=disk(disk_folder, "size=124k"))
    assert printed.splitlines() == [f"MNIST: 4 file(s) from {tmp_path / 'mirror'}"]


@pytest.mark.parametrize("options", ["size=64k", "ro"], ids=["full", "read-only"])
def test_mnist_is_loaded_even_if_it_cannot_be_saved(options, tmp_path):
    disk_folder = tmp_path / "disk"
    code = f"""{SMALL_MNIST}
os.environ["NNWEEK_DATA"], os.environ["NNWEEK_MNIST_MIRROR"] = sys.argv[1:]
put(Path(sys.argv[2]))
load()
assert not list(Path(sys.argv[1]).rglob("*.part"))
"""
    printed = run(code, disk_folder, tmp_path / "mirror", front=disk(disk_folder, options))
    assert f"MNIST could not be saved in {disk_folder}" in printed
    assert "Set NNWEEK_DATA" in printed


def test_read_only_folder_with_the_files_is_used_silently(tmp_path):
    """Like a teacher's folder for a class. Here it becomes read-only after it was filled."""
    disk_folder = tmp_path / "disk"
    code = f"""{SMALL_MNIST}
import subprocess
os.environ["NNWEEK_DATA"] = sys.argv[1]
put(Path(sys.argv[1], "MNIST", "raw"))
subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
load()
assert len(list(Path(sys.argv[1]).rglob("*ubyte*"))) == 4
"""
    assert run(code, disk_folder, front=disk(disk_folder, "size=1m")) == ""


def test_full_disk_loses_no_result_silently(tmp_path):
    """A nearly full disk takes the beginning of a line without an error."""
    disk_folder = tmp_path / "disk"
    code = """
import contextlib, io, os, sys
from pathlib import Path
from nnweek.results import record, recorded
folder = Path(sys.argv[1])
os.environ["NNWEEK_RESULTS"] = str(folder / "results.jsonl")
(folder / "ballast").write_bytes(bytes(16_000))
saved, lost = set(), set()
for i in range(60):
    with contextlib.redirect_stderr(io.StringIO()) as message:
        record(f"result {i}", "x" * 1500, dataset="MNIST", day=29)
    is_lost = f"'result {i}' could not be saved" in message.getvalue()
    (lost if is_lost else saved).add(f"result {i}")
assert len(saved) > 10 and len(lost) > 10
assert recorded("MNIST").keys() == saved
(folder / "ballast").unlink()
record("after", 1, dataset="MNIST", day=29)
assert recorded("MNIST").keys() == saved | {"after"}
"""
    run(code, disk_folder, front=disk(disk_folder, "size=64k"))


@pytest.mark.slow
def test_full_disk_leaves_the_checkpoint_intact(tmp_path):
    disk_folder = tmp_path / "disk"
    code = f"""{TRAINING}
from pathlib import Path
folder = Path(sys.argv[1])
torch.set_num_threads(1)
expected = train(4)
train(2, checkpoint=folder / "state.pt")
content = (folder / "state.pt").read_bytes()
with open(folder / "ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(1000))
    except OSError:
        ballast.truncate(ballast.tell() - 8192)  # room for a part of it
try:
    train(4, checkpoint=folder / "state.pt")
except OSError as error:
    print(error)
assert (folder / "state.pt").read_bytes() == content
assert sorted(path.name for path in folder.iterdir()) == ["ballast", "state.pt"]
(folder / "ballast").unlink()
assert train(4, checkpoint=folder / "state.pt") == expected
"""
    printed = run(code, disk_folder, front=disk(disk_folder, "size=128k"))
    assert len(printed.splitlines()) == 1
    for phrase in (str(disk_folder / "state.pt"), "epoch 3", "No space left", "Free some disk"):
        assert phrase in printed


@pytest.mark.slow
def test_stand_in_is_loaded_promptly_without_a_network(tmp_path):
    """With torchvision's mirrors, in a namespace without a network. The refusal gives advice."""
    code = """
import os, time
from nnweek.mnist import load_mnist
import torchvision, sklearn.datasets
began = time.monotonic()
assert load_mnist().is_stand_in
assert time.monotonic() - began < 60
os.environ["NNWEEK_DATASET"] = "mnist"
try:
    load_mnist()
except OSError as error:
    print(error)
"""
    front = needs("--map-root-user", "--net")
    printed = run(code, front=front, NNWEEK_DATA=str(tmp_path / "data"))
    announced, _, refused = printed.partition("forbids the stand-in")
    assert "uses the stand-in" in announced
    assert "check the network connection" in announced
    assert "check the network connection" in refused
    assert not list(tmp_path.rglob("*"))


def test_user_without_a_home_folder_can_save_data_and_results(tmp_path):
    code = f"""{SMALL_MNIST}
from nnweek.results import record, recorded
try:
    Path.home()
except RuntimeError:
    pass
else:
    raise AssertionError("this user has a home folder")
put(Path(sys.argv[1]))
os.environ["NNWEEK_MNIST_MIRROR"] = sys.argv[1]
load()
load()
record("accuracy", 0.9, dataset="MNIST", day=32)
assert recorded("MNIST")["accuracy"]["value"] == 0.9
"""
    front = ["env", "-u", "HOME", *needs("--user", "--map-user=54321")]
    printed = run(code, tmp_path / "mirror", front=front, TMPDIR=str(tmp_path))
    assert printed == f"MNIST: 4 file(s) from {tmp_path / 'mirror'}\n"
    assert (tmp_path / "nnweek" / "results.jsonl").exists()
    assert len(list((tmp_path / "nnweek" / "MNIST" / "raw").iterdir())) == 8
