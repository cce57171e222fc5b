"""Real faults: processes that are killed, disks that are full, folders that take no file, a
machine without a network, a user without a home. Nothing may be lost, nothing wrong loaded,
and the learner is told in one sentence.

Full disks and the like need a machine of their own, which `unshare` makes of this one where
the system lets it (Linux, as root or with user namespaces). Elsewhere these tests are skipped;
`RLIMIT_FSIZE` and /dev/full stand in for the full disk in the tests of the rooms.
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


def run(code, *arguments, front=(), cwd=None, **environment):
    """Run code in a new interpreter, in an environment that holds nothing of ours."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NNWEEK_", "XDG_", "PYTHON"))
    }
    done = subprocess.run(
        [*front, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**plain, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# What several of the programs below share: a small training with whatever can go wrong in it
# (dropout draws numbers, batch norm and Adam remember), and its result as plain values.
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
images, labels = rng.integers(0, 256, (300, 28, 28), dtype=np.uint8), np.arange(300) % 10
data = Digits(images, labels, images[:100], labels[:100], "noise", True)

def small(**options):
    train_loader, val_loader, _ = make_loaders(data, device="cpu")
    torch.manual_seed(1)
    model = nn.Sequential(MNISTMLP(seed=42), nn.Dropout(0.1))
    optimizer = make_optimizer("Adam", model, 0.001)
    history = fit(model, train_loader, val_loader, optimizer, epochs=2, **options)
    return {"weights": digest(model), **curves(history)}

def baseline():
    run = train_baseline(data, epochs=2, device="cpu")
    return {"weights": digest(run.model), **curves(run.history), "test": run.test_loss.hex()}

def together():
    train_loader, val_loader, _ = make_loaders(data, device="cpu")
    models = [MNISTMLP(seed=seed) for seed in range(2)]
    histories = train_together(models, train_loader, val_loader, "Adam", [0.001, 0.01], epochs=2)
    return [[digest(m), curves(h)] for m, h in zip(models, histories)]

found = {}
for threads in (1, 2):
    torch.set_num_threads(threads)
    with open_run(os.path.join(sys.argv[1], str(threads))) as writer:
        tracked = small(writer=writer)
    ways = {"plain": small(progress=False), "with a bar": small(progress=True), "tracked": tracked,
            "with a checkpoint": small(checkpoint=os.path.join(sys.argv[1], f"{threads}.pt"))}
    found[threads] = {**ways, "baseline": baseline(), "together": together()}
print("\\n" + json.dumps(found))
"""
)


def test_the_same_seed_gives_the_same_bits_in_every_process_and_however_it_is_watched(tmp_path):
    """Histories and weights, for each number of threads; Python's own hashes differ on purpose."""
    with ThreadPoolExecutor() as pool:
        ran = pool.map(lambda n: run(ALL_WAYS, tmp_path / n, PYTHONHASHSEED=n), "12")
        first, second = (json.loads(printed.splitlines()[-1]) for printed in ran)
    assert first == second
    for ways in first.values():
        for way in ("with a bar", "tracked", "with a checkpoint"):
            assert ways[way] == ways["plain"], way


# --- Killed -------------------------------------------------------------------------------------

# One process loads PyTorch once; each training is a fork of it, and is killed for good.
KILLS = (
    TRAINING
    + '''
import random, resource, signal, time
from nnweek.tracking import open_run, read_scalars

torch.set_num_threads(1)
folder, EPOCHS = sys.argv[1], 6
with open_run(f"{folder}/warm-up") as writer:  # what is imported now is not imported by each child
    train(1, writer=writer)

def in_a_child(name, prepare=lambda: None, kill_after=None):
    """Train, or go on; return how the process ended. It leaves its result in a file."""
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
    """Let a process kill itself at its n-th call of a function, before or after it is done."""
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

def breaking_off(size):
    """Let the kernel end a process in the midst of a write, when a file reaches this size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

began = time.monotonic()
assert in_a_child("whole") == 0
seconds = time.monotonic() - began
expected = result("whole")
size = os.path.getsize(f"{folder}/whole/state.pt")
'''
)

AT_CHOSEN_MOMENTS = (
    KILLS
    + """
moments = [(lambda f=f, c=c, a=a: killing(f, c, a), f"{f} {c} {a}")
           for f in ("fsync", "replace") for c in (1, 2, EPOCHS) for a in (False, True)]
rng = random.Random(0)
moments += [(lambda s=s: breaking_off(s), f"size {s}")
            for s in [1, size - 1, *rng.sample(range(2, size - 1), 4)]]
for i, (prepare, label) in enumerate(moments):
    assert in_a_child(str(i), prepare) in (-signal.SIGKILL, -signal.SIGXFSZ), label
    assert in_a_child(str(i)) == 0, label
    assert result(str(i)) == expected, label
print("kills:", len(moments))
"""
)

AT_RANDOM_MOMENTS = (
    KILLS
    + """
rng, kills = random.Random(1), 0
for i in range(4):
    for _ in range(15):
        ended = in_a_child(str(i), kill_after=rng.uniform(0, 0.7 * seconds))
        assert ended in (0, -signal.SIGKILL), ended
        kills += ended < 0
        if ended == 0:
            break
    assert in_a_child(str(i)) == 0
    assert result(str(i)) == expected, i
print("kills:", kills)
"""
)


@NEEDS_FORK
@pytest.mark.parametrize(
    ("program", "at_least"),
    [(AT_CHOSEN_MOMENTS, 18), (AT_RANDOM_MOMENTS, 1)],
    ids=["chosen", "random"],
)
def test_a_training_killed_at_any_moment_goes_on_to_the_same_bits_and_the_same_log(
    program, at_least, tmp_path
):
    """In the midst of an epoch; before, in and after each step of writing a checkpoint."""
    pytest.importorskip("resource")
    done = run(program, tmp_path, CUDA_VISIBLE_DEVICES="")  # a GPU's threads do not fork
    kills = int(done.rpartition(":")[2])
    assert kills >= at_least


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
def test_a_notebook_that_is_killed_while_it_records_loses_no_result(tmp_path, monkeypatch):
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
    found = recorded("MNIST")
    assert {f"result {i}" for i in range(last + 1)} <= found.keys()
    assert all(entry["value"] == "x" * 5000 for entry in found.values())


# --- Machines that lack something ----------------------------------------------------------------


@functools.cache
def unshared(*flags):
    """The words in front of a command that give it a machine of its own, or skip the test."""
    front = ("unshare", *flags)
    try:
        works = subprocess.run([*front, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return front if works else None


def needs(*flags):
    front = unshared(*flags)
    if front is None:
        pytest.skip(f"this system does not let us do: unshare {' '.join(flags)}")
    return front


def disk(folder, options):
    """In front of a command: a disk of its own, in memory, that only the command sees."""
    folder.mkdir(exist_ok=True)
    mount = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    return [*needs("--map-root-user", "--mount"), "sh", "-c", mount, "sh", options, str(folder)]


# MNIST in small, without torchvision, whose checksums would not fit and whose import is slow.
SMALL_MNIST = """
import gzip, hashlib, os, sys, types
from pathlib import Path
import numpy as np
from nnweek import mnist
from nnweek.mnist import load_mnist

def packed(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)

rng = np.random.default_rng(0)
ARRAYS = {name: rng.integers(0, 10, (n, 28, 28)[: 3 if "images" in name else 1])
          for name, n in zip(mnist.UNPACKED, (200, 200, 50, 50))}
FILES = {name + ".gz": packed(array) for name, array in ARRAYS.items()}
mnist.UNPACKED = {name.removesuffix(".gz"): hashlib.sha256(gzip.decompress(content)).hexdigest()
                  for name, content in FILES.items()}
sums = [(name, hashlib.md5(content).hexdigest()) for name, content in FILES.items()]
sys.modules["torchvision"] = types.ModuleType("torchvision")
sys.modules["torchvision.datasets"] = types.SimpleNamespace(
    MNIST=types.SimpleNamespace(resources=sums, mirrors=[]))

def put(folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        Path(folder, name).write_bytes(content)

def load():
    digits = load_mnist()
    for got, wanted in zip(list(vars(digits).values())[:4], ARRAYS.values()):
        np.testing.assert_array_equal(got, wanted)
    assert not digits.is_stand_in
"""


def test_on_a_disk_with_room_for_the_files_only_mnist_is_not_fetched_again(tmp_path):
    """The unpacked copies do not fit; that costs time at the next load, and nothing else."""
    disk_folder = tmp_path / "disk"
    code = f"""{SMALL_MNIST}
os.environ["NNWEEK_DATA"], mirror = sys.argv[1:]
packed_size = sum(map(len, FILES.values()))
assert packed_size < 140_000 < packed_size + 200 * 784, packed_size
put(mirror)
os.environ["NNWEEK_MNIST_MIRROR"] = mirror
load()
del os.environ["NNWEEK_MNIST_MIRROR"]
load()
kept = Path(sys.argv[1], "MNIST", "raw")
left = [path.name for path in kept.iterdir() if path.suffix == ".part"]
assert not left, left
"""
    said = run(code, disk_folder, tmp_path / "mirror", front=disk(disk_folder, "size=140k"))
    assert said.splitlines() == [f"MNIST: 4 file(s) from {tmp_path / 'mirror'}"]


@pytest.mark.parametrize("options", ["size=64k", "ro"], ids=["full", "read-only"])
def test_where_no_file_can_be_kept_mnist_is_loaded_all_the_same(options, tmp_path):
    disk_folder = tmp_path / "disk"
    code = f"""{SMALL_MNIST}
os.environ["NNWEEK_DATA"], os.environ["NNWEEK_MNIST_MIRROR"] = sys.argv[1:]
put(sys.argv[2])
load()
left = [path.name for path in Path(sys.argv[1]).rglob("*.part")]
assert not left, left
"""
    said = run(code, disk_folder, tmp_path / "mirror", front=disk(disk_folder, options))
    assert f"MNIST could not be kept in {disk_folder}" in said
    assert "Set NNWEEK_DATA to a folder with" in said


def test_a_read_only_folder_that_holds_the_files_serves_without_a_word(tmp_path):
    """As a teacher's folder for a class is one. Here it becomes read-only once it is filled."""
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


def test_when_the_disk_fills_up_no_result_is_lost_in_silence(tmp_path):
    """The last bytes of a disk take the beginning of a line, without an error."""
    disk_folder = tmp_path / "disk"
    code = """
import contextlib, io, os, sys
from pathlib import Path
from nnweek.results import record, recorded
folder = Path(sys.argv[1])
os.environ["NNWEEK_RESULTS"] = str(folder / "results.jsonl")
(folder / "ballast").write_bytes(bytes(16_000))
kept, lost = set(), set()
for i in range(60):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        record(f"result {i}", "x" * 1500, dataset="MNIST", day=29)
    (lost if f"'result {i}' could not be kept" in said.getvalue() else kept).add(f"result {i}")
assert len(kept) > 10 and len(lost) > 10
assert recorded("MNIST").keys() == kept
(folder / "ballast").unlink()
record("after", 1, dataset="MNIST", day=29)
assert recorded("MNIST").keys() == kept | {"after"}
"""
    run(code, disk_folder, front=disk(disk_folder, "size=64k"))


def test_when_the_disk_fills_up_the_checkpoint_stays_whole_and_training_goes_on_from_it(tmp_path):
    disk_folder = tmp_path / "disk"
    code = f"""{TRAINING}
from pathlib import Path
folder = Path(sys.argv[1])
torch.set_num_threads(1)
expected = train(4)
train(2, checkpoint=folder / "state.pt")
kept = (folder / "state.pt").read_bytes()
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
assert (folder / "state.pt").read_bytes() == kept
assert sorted(path.name for path in folder.iterdir()) == ["ballast", "state.pt"]
(folder / "ballast").unlink()
assert train(4, checkpoint=folder / "state.pt") == expected
"""
    said = run(code, disk_folder, front=disk(disk_folder, "size=128k")).splitlines()
    assert len(said) == 1
    assert (
        f"{disk_folder / 'state.pt'} could not be written after epoch 3 (No space left" in said[0]
    )
    assert "Make room" in said[0]


def test_without_a_network_the_stand_in_comes_soon_or_the_refusal_says_why(tmp_path):
    """With torchvision's own mirrors, on a machine that has no network at all."""
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
    said = run(code, front=front, NNWEEK_DATA=str(tmp_path / "data"))
    announced, _, refused = said.partition("forbids the stand-in")
    assert "this run uses the stand-in" in announced
    assert "check the network connection" in announced
    assert "check the network connection" in refused
    assert not list(tmp_path.rglob("*"))


def test_a_user_without_a_home_folder_keeps_data_and_results_all_the_same(tmp_path):
    code = f"""{SMALL_MNIST}
from nnweek.results import record, recorded
try:
    Path.home()
except RuntimeError:
    pass
else:
    raise AssertionError("this user has a home")
put(sys.argv[1])
os.environ["NNWEEK_MNIST_MIRROR"] = sys.argv[1]
load()
load()
record("accuracy", 0.9, dataset="MNIST", day=32)
assert recorded("MNIST")["accuracy"]["value"] == 0.9
"""
    front = ["env", "-u", "HOME", *needs("--user", "--map-user=54321")]
    said = run(code, tmp_path / "mirror", front=front, TMPDIR=str(tmp_path))
    assert said == f"MNIST: 4 file(s) from {tmp_path / 'mirror'}\n"
    assert (tmp_path / "nnweek" / "results.jsonl").exists()
    assert len(list((tmp_path / "nnweek" / "MNIST" / "raw").iterdir())) == 8
