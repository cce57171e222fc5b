"""Real full disks, read-only folders, no network and no home folder.

They need a separate environment, which `unshare` creates if the system permits it (Linux, as
root or with user namespaces). Elsewhere these tests are skipped; the tests of the modules
simulate a full disk with `RLIMIT_FSIZE` and /dev/full.
"""

import functools
import subprocess

import pytest

from support.programs import run


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
    code = """
import sys
from pathlib import Path
import torch
from support.training import adam, curves, make_data, run_fit, with_dropout
folder = Path(sys.argv[1])
torch.set_num_threads(1)

def train(epochs, **options):
    history, weights, steps = run_fit(make_data(), with_dropout, adam, epochs=epochs, **options)
    return curves(history), weights, steps

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
