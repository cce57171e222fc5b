"""Killed processes lose nothing, and every process computes the same bits."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnweek.results import recorded
from support import ROOT
from support.programs import run

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
SAME_BITS = """
import hashlib
import numpy as np, torch
from nnweek.experiments import train_baseline, train_together
from nnweek.loaders import make_loaders
from nnweek.mnist import Digits
from nnweek.models import MNISTMLP
from support.training import adam, curves, make_data, run_fit, snapshot, with_dropout

rng = np.random.default_rng(0)
images, labels = rng.integers(0, 256, (150, 28, 28), dtype=np.uint8), np.arange(150) % 10
data = Digits(images, labels, images[:100], labels[:100], "noise", True)

def with_random_numbers():
    history, weights, optimizer = run_fit(make_data(), with_dropout, adam)
    return curves(history), weights, optimizer

def baseline():
    run = train_baseline(data, epochs=2, device="cpu")
    return curves(run.history), snapshot(run.model.state_dict()), run.test_loss

def together():
    train_loader, val_loader, _ = make_loaders(data, device="cpu")
    models = [MNISTMLP(hidden=64, seed=seed) for seed in range(2)]
    histories = train_together(models, train_loader, val_loader, "Adam", [0.001, 0.01], epochs=2)
    return [(curves(h), snapshot(m.state_dict())) for m, h in zip(models, histories)]

for threads in (1, 2):
    torch.set_num_threads(threads)
    for train in (with_random_numbers, baseline, together):
        print(threads, train.__name__, hashlib.sha256(repr(train()).encode()).hexdigest())
"""


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_in_every_process():
    """For each number of threads. The hash seed of Python differs on purpose."""
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda seed: run(SAME_BITS, PYTHONHASHSEED=seed), "12")
    assert len(first.splitlines()) == 6
    assert first == second


# A single process loads PyTorch; each training run is a fork of it, which is really killed.
KILLS = '''
import os, random, resource, signal, sys
import torch
from nnweek.tracking import read_scalars
from support.training import adam, curves, make_data, run_fit, with_dropout

torch.set_num_threads(1)
folder, EPOCHS = sys.argv[1], 6

def train(epochs, **options):
    """Resuming can go wrong in many ways: dropout, batch norm and Adam all have a state."""
    data = make_data()
    history, *states = run_fit(data, with_dropout, adam, epochs=epochs, progress=False, **options)
    return repr((curves(history), states))

train(1, log_dir=f"{folder}/warm-up")  # imports here spare each child the import

def in_a_child(name, prepare=lambda: None):
    """Train, or resume; return how the process ended. It writes its result to a file."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.manual_seed(os.getpid())
            prepare()
            at = f"{folder}/{name}"
            result = train(EPOCHS, checkpoint=f"{at}/state.pt", log_dir=f"{at}/log")
            with open(f"{at}/result", "w") as file:
                file.write(result)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def result(name):
    with open(f"{folder}/{name}/result") as file:
        return file.read(), read_scalars(f"{folder}/{name}/log")

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

def killed_at(number):
    """Make a process kill itself at its n-th call of a Python function, of whichever."""
    calls = iter(range(1, number))
    def profile(frame, event, arg):
        if event == "call" and next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(profile)

assert in_a_child("uninterrupted") == 0
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
        ended = in_a_child(i, lambda: killed_at(rng.randrange(1, 20_000)))
        assert ended in (0, -signal.SIGKILL), ended
        kills += ended < 0
        if ended == 0:
            break
    assert in_a_child(i) == 0
    assert result(i) == expected, i
print("kills:", len(moments), kills)
'''


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
