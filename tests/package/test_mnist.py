"""What `nnweek.mnist` promises: MNIST from wherever it can be had, whole and soon.

The faults are real: servers on this machine that misbehave, folders that take no
file, two processes at once. Four small files stand in MNIST's place.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from itertools import chain, count, repeat
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.error import URLError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import MNIST

from nnweek import mnist
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics, split
from nnweek.runtime import data_folder

FOREVER, SOON = 20, 15  # seconds: how long servers keep silent here, and what no call may take

# --- MNIST in small ------------------------------------------------------------------


def packed(array):
    """An array as MNIST's files hold it: a header and the bytes, gzipped."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def drawn(n):
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n)


SMALL = mnist.Digits(*drawn(40), *drawn(10), name="MNIST", is_stand_in=False)
FILES = {
    # gzip ignores zeros at the end: here they make one file larger than what is in it.
    "train-images-idx3-ubyte.gz": packed(SMALL.train_images) + bytes(2**16),
    "train-labels-idx1-ubyte.gz": packed(SMALL.train_labels),
    "t10k-images-idx3-ubyte.gz": packed(SMALL.test_images),
    "t10k-labels-idx1-ubyte.gz": packed(SMALL.test_labels),
}
CHECKSUMS = [(name, hashlib.md5(content).hexdigest()) for name, content in FILES.items()]
UNPACKED = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in FILES.items()}
SUMS_UNPACKED = {name: hashlib.sha256(content).hexdigest() for name, content in UNPACKED.items()}
KEPT = FILES | UNPACKED  # what a data folder holds after the first load


def put(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the files will be kept; and no settings and no proxy of whoever runs the tests."""
    data = tmp_path / "data"
    values = {"NNWEEK_DATA": str(data), "NNWEEK_DATASET": "", "NNWEEK_MNIST_MIRROR": ""}
    for name, value in {**values, "no_proxy": "*"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(mnist, "UNPACKED", SUMS_UNPACKED)
    monkeypatch.setattr(MNIST, "resources", CHECKSUMS)
    monkeypatch.setattr(MNIST, "mirrors", [])
    return data / "MNIST" / "raw"


def assert_whole(folder):
    wrong = [path.name for path in folder.glob("*") if path.read_bytes() != KEPT.get(path.name)]
    assert not wrong, f"half-written or foreign files stay: {wrong}"


@pytest.fixture
def load(folder, monkeypatch, capsys):
    """`load(mirror, *torchvision's mirrors)` returns what `load_mnist` printed.

    It must end soon, leave nothing but whole files, and return MNIST, if not the stand-in.
    """

    def load(mirror="", *mirrors, stand_in=False):
        monkeypatch.setenv("NNWEEK_MNIST_MIRROR", str(mirror))
        monkeypatch.setattr(MNIST, "mirrors", list(mirrors))
        began = time.monotonic()
        try:
            digits = mnist.load_mnist()
        finally:
            assert time.monotonic() - began < SOON, "a source held the learner up"
            assert_whole(folder)
        assert digits.is_stand_in == stand_in
        if not stand_in:
            np.testing.assert_equal(vars(digits), vars(SMALL))
        return capsys.readouterr().out

    return load


# --- Servers, good and bad -----------------------------------------------------------


class Handler(StreamRequestHandler):
    """Plays what `server.answer(file)` lists: bytes to send, seconds to wait, None to reset."""

    def handle(self):
        path = self.rfile.readline().split()[1].decode()
        self.server.folder, name = re.match(r"(.*/)([\w-]+\.gz)", path).groups()
        self.server.asked.append(name)
        while self.rfile.readline().strip():
            pass
        with contextlib.suppress(OSError):  # that the client hangs up is what is tested here
            for step in self.server.answer(FILES[name]):
                if step is None:
                    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                elif isinstance(step, bytes):
                    self.connection.sendall(step)
                elif self.server.over.wait(step):
                    return


class Server(ThreadingTCPServer):
    daemon_threads = True
    shutdown_request = ThreadingTCPServer.close_request  # so that a reset is not a good-bye


HEAD = b"HTTP/1.0 200 OK\r\n"
OK, LIE = HEAD + b"\r\n", HEAD + b"Content-Length: %d\r\n\r\n"


@pytest.fixture
def serve():
    """`serve(answer).url` starts a server; its `.asked` lists the files it was asked for."""
    with contextlib.ExitStack() as stack:

        def serve(answer=lambda file: [OK, file]):
            server = stack.enter_context(Server(("127.0.0.1", 0), Handler))
            server.answer, server.asked, server.over = answer, [], threading.Event()
            server.folder = None  # the one that it is asked for the files of
            server.url = f"http://127.0.0.1:{server.server_address[1]}/a/path"
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
            stack.callback(server.over.set)
            return server

        yield serve


DRIP, SILENCE = (
    [b".", 0.05] * 20 * FOREVER,
    "no answer for 1 seconds, or one slower than 4,000 bytes|timed out",
)
FAULTS = {  # of a mirror: what its server plays, or else its address; and what must be said of it
    "says nothing": (lambda file: [FOREVER], SILENCE),
    "falls silent half way": (lambda file: [OK, file[:-9], FOREVER], SILENCE),
    "drips its headers": (lambda file: [HEAD, b"X: ", *DRIP], SILENCE),
    "drips the file": (lambda file: [OK, *DRIP], SILENCE),
    "sends no end of headers": (lambda file: chain([HEAD], repeat(b"X: x\r\n", 9999)), "headers"),
    "sends no end of a file": (lambda file: chain([OK], repeat(bytes(2**16), 999)), "is larger"),
    "promises too much and waits": (lambda file: [LIE % 2**17, file, FOREVER], SILENCE),
    "promises too much and leaves": (lambda file: [LIE % 2**17, file[:-1]], "cut short"),
    "promises too little": (lambda file: [LIE % 9, file], "cut short"),
    "cuts the file short": (lambda file: [OK, file[:-9]], "cut short"),
    "sends nothing": (lambda file: [OK], "is empty"),
    "sends a page to log in": (lambda file: [OK, b"\n<!doctype html>"], "is a web page"),
    "has no such file": (lambda file: [b"HTTP/1.0 404 Not Found\r\n\r\n"], "404 Not Found"),
    "redirects in circles": (lambda file: [b"HTTP/1.0 302 .\r\nLocation: ?\r\n\r\n"], "302"),
    "speaks another protocol": (lambda file: [b"SSH-2.0\r\n"], "BadStatusLine"),
    "hangs up": (lambda file: [], "closed connection"),
    "resets the connection": (lambda file: [HEAD, None], ""),  # each system has its own words
    "refuses": ("http://127.0.0.1:1", ""),
    "is looked up for ever": ("http://mirror.example", SILENCE),  # no socket's time-out covers it
    "has no host": ("http://", "no host"),
    "is half an address": ("http://[::1", "IPv6"),
    "is of an unknown kind": ("s3://bucket", "unknown url type: '?s3"),
    "is nobody's folder": ("~nobody-here/mnist", ""),
}


def receiving():
    """The threads that are still at work on a download."""
    return [thread for thread in threading.enumerate() if "(receive)" in thread.name]


# --- Finding MNIST -------------------------------------------------------------------


def test_no_server_may_keep_silent_for_more_than_ten_seconds():
    assert mnist.PATIENCE <= 10


@pytest.mark.parametrize("fault", FAULTS)
def test_where_a_mirror_fails_the_next_one_serves(fault, load, serve, monkeypatch):
    answer, words = FAULTS[fault]
    good, look_up = serve(), socket.getaddrinfo
    bad = answer if isinstance(answer, str) else serve(answer).url

    def slow_look_up(host, *args, **kwargs):
        if host != "mirror.example":
            return look_up(host, *args, **kwargs)
        good.over.wait(FOREVER)
        raise socket.gaierror("not found in the end")

    monkeypatch.setattr(socket, "getaddrinfo", slow_look_up)
    monkeypatch.setattr(mnist, "PATIENCE", 1.0)
    monkeypatch.setattr(mnist, "LARGEST", 2**20)
    said = load(bad, good.url)
    assert f"4 file(s) from {good.url}" in said
    assert said.count("file(s) from") == 1, "what served nothing is not named as a source"
    assert re.search(f"- {re.escape(bad)}: .*({words})", said), f"not {words!r}, but: {said}"
    assert all(thread.daemon for thread in receiving()), "the program could not end"


@pytest.mark.parametrize(
    ("form", "asked_for"),
    [
        ("{folder}/", None),
        ("~/a mïrror", None),
        ("{uri}", None),
        ("{url}", "/a/path/"),
        ("{url}/", "/a/path/"),
        ("{url}/ü b%20+c", "/a/path/%C3%BC%20b%20+c/"),
    ],
)
def test_a_mirror_may_be_written_in_any_usual_way(
    form, asked_for, load, serve, tmp_path, monkeypatch
):
    monkeypatch.setattr(mnist, "LARGEST", max(map(len, FILES.values())))
    server, folder = serve(), put(tmp_path / "a mïrror", FILES)
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    said = load(form.format(folder=folder, uri=folder.as_uri(), url=server.url))
    assert re.fullmatch(r"MNIST: 4 file\(s\) from .*\n", said)
    assert server.folder == asked_for


def test_each_source_serves_what_those_before_it_lack(folder, load, serve, tmp_path):
    first, second, third, fourth = FILES
    put(folder, {first: FILES[first], second: b""})
    mirror = put(tmp_path / "mirror", {second: FILES[second], third: b"<html>"})
    partial = serve(lambda file: [OK, file if file == FILES[third] else file[:-9]])
    last, unused = serve(), serve()
    said = load(mirror, partial.url, last.url, unused.url)
    assert all(f"1 file(s) from {source}" in said for source in (mirror, partial.url, last.url))
    assert f"- {folder}: {second} is empty" in said
    assert f"- {mirror}: {third} is a web page" in said
    assert f"- {partial.url}: {fourth} is damaged or cut short" in said
    assert (set(partial.asked), last.asked) == ({third, fourth}, [fourth])
    assert load(unused.url) == "", "verified files need no word"
    assert unused.asked == [], "verified files need no server"


def test_a_source_that_lacks_a_file_still_serves_the_others(load, serve, tmp_path):
    first, second, *_ = FILES
    mirror = put(tmp_path / "mirror", {second: FILES[second]})
    not_there = FAULTS["has no such file"][0]
    partial = serve(lambda file: not_there(file) if file == FILES[first] else [OK, file])
    last = serve()
    said = load(mirror, partial.url, last.url)
    lacking = [name for name in FILES if name != second]
    assert said.splitlines() == [
        f"MNIST: 1 file(s) from {mirror}",
        f"MNIST: 2 file(s) from {partial.url}",
        f"MNIST: 1 file(s) from {last.url}",
        "On the way:",
        *[f"  - {mirror}: No such file or directory ({mirror / name})" for name in lacking],
        f"  - {partial.url}: {first}: the server answered 404 Not Found",
    ]
    assert last.asked == [first]


def test_settings_may_be_empty_or_not_there_at_all(serve, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [serve().url])
    for name in ("NNWEEK_DATASET", "NNWEEK_MNIST_MIRROR"):
        monkeypatch.delenv(name)
    np.testing.assert_equal(vars(mnist.load_mnist()), vars(SMALL))


def test_a_machine_that_forbids_md5_for_security_lets_it_find_damaged_files(
    load, serve, monkeypatch
):
    """As machines under the rules of the American government do (FIPS)."""
    md5 = hashlib.md5

    def guarded(data, usedforsecurity=True):
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return md5(data, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "md5", guarded)
    assert "4 file(s) from" in load("", serve().url)


@pytest.mark.parametrize("fault", ["says nothing", "drips the file"])
def test_no_thread_stays_with_a_server_that_was_given_up(fault, load, serve, monkeypatch):
    monkeypatch.setattr(mnist, "PATIENCE", 0.5)
    load(serve(FAULTS[fault][0]).url, serve().url)
    for thread in receiving():
        thread.join(FOREVER / 2)  # the server goes on for twice as long
    assert receiving() == []


NO_FILE, NO_SERVER = "No such file or directory", "Connection refused"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, NO_FILE, "a/b"), f"{NO_FILE} (a/b)"),
        (ConnectionRefusedError(111, NO_SERVER), NO_SERVER),
        (URLError(ConnectionRefusedError(111, NO_SERVER)), NO_SERVER),
        (URLError("no host given"), "URLError: <urlopen error no host given>"),
        (TimeoutError("no answer"), "TimeoutError: no answer"),
        (ValueError(), "ValueError"),
    ],
    ids=repr,
)
def test_what_went_wrong_is_put_into_a_few_words(error, words):
    assert mnist._reason(error) == words


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("a file in its place", ""),  # each system has its own words
        ("no permission", "Permission denied"),
        ("a limit to files", "File too large"),
    ],
)
def test_what_cannot_be_kept_can_still_be_used(obstacle, words, folder, load, serve, tmp_path):
    with contextlib.ExitStack() as undo:
        if obstacle == "a file in its place":
            (tmp_path / "data").touch()
        elif obstacle == "no permission":
            if os.name == "nt" or os.geteuid() == 0:
                pytest.skip("root may write everywhere, and Windows has no such permissions")
            (tmp_path / "data").mkdir(mode=0o500)
        else:  # to the operating system the same as a full disk
            resource = pytest.importorskip("resource", reason="Windows knows no such limit")
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            undo.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
        said = load(serve().url)
    assert f"could not be kept in {folder} ({words}" in said
    assert "Set NNWEEK_DATA" in said


FETCH = """
import json, os, sys
from torchvision.datasets import MNIST
from nnweek import mnist
from nnweek.mnist import load_mnist
MNIST.resources, mnist.UNPACKED, MNIST.mirrors, folders = json.loads(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for os.environ["NNWEEK_DATA"] in folders:
    assert not load_mnist().is_stand_in
"""


def test_a_copy_that_a_class_shares_is_only_read(folder, load, monkeypatch):
    """So its owner may take the right to write away from everybody."""
    put(folder, FILES)

    def refuse(path):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(mnist, "atomic_write", refuse)
    before = {path: path.stat().st_mtime_ns for path in folder.parents[1].rglob("*")}
    assert load() == ""
    assert {path: path.stat().st_mtime_ns for path in folder.parents[1].rglob("*")} == before


def test_two_processes_may_fetch_at_once(serve, tmp_path, monkeypatch):
    mirrors, folders = [serve().url], [str(tmp_path / str(i)) for i in range(10)]
    monkeypatch.setattr(MNIST, "mirrors", mirrors)
    command = [
        sys.executable,
        "-c",
        FETCH,
        json.dumps([CHECKSUMS, SUMS_UNPACKED, mirrors, folders]),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "ready\n"
        print(file=other.stdin, flush=True)
        for folder in folders:
            monkeypatch.setenv("NNWEEK_DATA", folder)
            np.testing.assert_equal(vars(mnist.load_mnist()), vars(SMALL))
        assert other.communicate(timeout=60)
    assert other.returncode == 0
    for kept in (tmp_path / folder / "MNIST" / "raw" for folder in folders):
        assert_whole(kept)
        assert {path.name for path in kept.iterdir()} == set(KEPT)


# --- Reading what an earlier load has kept ---------------------------------------------


def test_from_the_second_load_on_neither_torch_nor_torchvision_is_needed(
    folder, load, serve, monkeypatch
):
    load("", serve().url)
    assert {path.name for path in folder.iterdir()} == set(KEPT)
    for library in ("torch", "torchvision", "torchvision.datasets"):
        monkeypatch.setitem(sys.modules, library, None)  # from now on, it cannot be imported
    np.testing.assert_equal(vars(mnist.load_mnist()), vars(SMALL))


def test_what_is_loaded_may_be_written_to_and_the_next_load_does_not_see_it(load, serve):
    load("", serve().url)
    digits = mnist.load_mnist()
    for array in (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels):
        array[:] = 3
    assert load() == ""


def test_the_checksums_are_those_of_the_files_that_torchvision_vouches_for(monkeypatch):
    """Where MNIST itself is at hand: both lists of checksums name the same contents."""
    monkeypatch.undo()
    raw = data_folder() / "MNIST" / "raw"
    if not all((raw / name).exists() for name, _ in MNIST.resources):
        pytest.skip("MNIST itself is not in the data folder")
    for name, checksum in MNIST.resources:
        packed = (raw / name).read_bytes()
        assert hashlib.md5(packed).hexdigest() == checksum
        unpacked = hashlib.sha256(gzip.decompress(packed)).hexdigest()
        assert mnist.UNPACKED[name.removesuffix(".gz")] == unpacked


def other(name):
    """What may stand in a file's place by mistake: labels for images, or images for labels."""
    swapped = {"images-idx3": "labels-idx1", "labels-idx1": "images-idx3"}
    return re.sub("|".join(swapped), lambda found: swapped[found[0]], name)


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8 % len(content)] ^= 1 << bit % 8
    return bytes(changed)


STATES = st.one_of(
    st.sampled_from(
        [
            lambda name: None,  # missing
            lambda name: KEPT[name],
            lambda name: KEPT[other(name)],  # of the wrong kind
            lambda name: KEPT[name.replace("train", "t10k")],
            lambda name: KEPT[name.removesuffix(".gz")],  # not packed
            lambda name: KEPT[name.removesuffix(".gz") + ".gz"],  # not unpacked
            lambda name: b"\n<!doctype html>",
        ]
    ),
    st.integers(0).map(lambda bit: lambda name: flipped(KEPT[name], bit)),
    st.integers(0).map(lambda length: lambda name: KEPT[name][: length % len(KEPT[name])]),
    st.binary(max_size=99).map(lambda junk: lambda name: junk),
    st.binary(min_size=1, max_size=9).map(lambda junk: lambda name: KEPT[name] + junk),
)


def states(names):
    """Of each file; or all are whole."""
    whole = dict.fromkeys(names, lambda name: KEPT[name])
    return st.just(whole) | st.fixed_dictionaries(dict.fromkeys(names, STATES))


@settings(max_examples=120)
@given(packed=states(FILES), unpacked=states(UNPACKED), online=st.booleans())
def test_whatever_lies_in_the_folder_mnist_is_loaded_right_or_refused(packed, unpacked, online):
    with contextlib.ExitStack() as stack:
        new = lambda: Path(stack.enter_context(tempfile.TemporaryDirectory()))  # noqa: E731
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        data, mirror = new(), new() / "mirror"
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        put(mirror, FILES)
        patch.setenv("NNWEEK_DATA", str(data))
        patch.setenv("NNWEEK_DATASET", "mnist")
        patch.setenv("NNWEEK_MNIST_MIRROR", str(mirror) if online else "")
        contents = {name: state(name) for name, state in (packed | unpacked).items()}
        put(data / "MNIST" / "raw", {k: v for k, v in contents.items() if v is not None})
        whole = [contents[name] == KEPT[name] for name in KEPT]
        if not online and not all(whole[:4]) and not all(whole[4:]):
            with pytest.raises(OSError, match="could not be had"):
                mnist.load_mnist()
            return
        for _ in range(2):
            np.testing.assert_equal(vars(mnist.load_mnist()), vars(SMALL))
        kept = data / "MNIST" / "raw"
        assert all((kept / name).read_bytes() == content for name, content in UNPACKED.items())


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"])
def test_an_enormous_file_in_the_folder_is_not_read_to_its_end(name, folder, load, serve):
    folder.mkdir(parents=True)
    with open(folder / name, "wb") as file:
        try:
            file.truncate(2**40)  # a tebibyte of holes
        except OSError:
            pytest.skip("this file system holds no file of this size")
    load("", serve().url)


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps_while_files_are_fetched_is_not_looked_at(
    jump, load, serve, monkeypatch
):
    """Patience is measured on a clock that nobody sets."""
    jumps = count()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump * next(jumps))
    half = lambda file: [OK, file[: len(file) // 2], 0.3, file[len(file) // 2 :]]  # noqa: E731
    said = load("", serve(half).url)
    assert "4 file(s) from" in said
    assert "On the way" not in said


# --- The stand-in --------------------------------------------------------------------


def test_where_nothing_serves_the_stand_in_is_announced_or_refused(load, serve, monkeypatch):
    sources = [serve(FAULTS[fault][0]).url for fault in ("has no such file", "sends nothing")]
    announced = load(*sources, stand_in=True)
    monkeypatch.setenv("NNWEEK_DATASET", "mnist")
    with pytest.raises(OSError, match="could not be had") as refused:
        load(*sources)
    not_there, empty = sources
    tried = [
        "What was tried:",
        *[f"  - {not_there}: {name}: the server answered 404 Not Found" for name in FILES],
        *[f"  - {empty}: {name} is empty" for name in FILES],
    ]
    for message in (announced, str(refused.value)):
        first, *lines, last = message.splitlines()
        assert first.startswith("MNIST could not be had")
        assert "the stand-in" in first
        assert lines == tried
        assert "network" in last
        assert "NNWEEK_MNIST_MIRROR" in last


def test_the_stand_in_has_mnists_form_and_asks_no_server(load, serve, monkeypatch):
    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    server = serve()
    said = load(server.url, stand_in=True)
    assert re.fullmatch(r"NNWEEK_DATASET=stand-in: this run uses the stand-in, .*\n", said)
    assert server.asked == []
    digits = mnist.load_mnist()
    parts = [(digits.train_images, digits.train_labels), (digits.test_images, digits.test_labels)]
    for images, labels in parts:
        assert (images.dtype, images.shape) == (np.uint8, (len(labels), 28, 28))
        assert (labels.dtype, set(labels)) == (np.int64, set(range(10)))
        assert images.min() == images[:, :4].max() == 0, "paper is 0, and there is a margin"
        assert images.max() > 200, "ink is bright"


def test_the_stand_in_is_scikit_learns_digits_enlarged(load, monkeypatch):
    """Bilinear is linear along the rows and then along the columns, edges held."""
    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    stand_in, original = mnist.load_mnist(), load_digits()
    assert stand_in.name == "the stand-in (scikit-learn's digits)"
    at = (np.arange(20) + 0.5) * 8 / 20 - 0.5  # the middles of 20 pixels, in units of 8

    def widen(images):
        return np.apply_along_axis(lambda row: np.interp(at, range(8), row), 2, images)

    large = widen(widen(original.images).swapaxes(1, 2)).swapaxes(1, 2)
    expected = np.pad(large * 255 / 16, [(0, 0), (4, 4), (4, 4)])
    train, test = split(1797, 0.2, 0)
    for images, labels, chosen in [
        (stand_in.train_images, stand_in.train_labels, train),
        (stand_in.test_images, stand_in.test_labels, test),
    ]:
        np.testing.assert_array_equal(labels, original.target[chosen])
        np.testing.assert_allclose(images, expected[chosen], rtol=0, atol=0.501)  # rounded


def test_an_unknown_data_set_is_refused_by_name(load, monkeypatch):
    monkeypatch.setenv("NNWEEK_DATASET", "MNIST")
    with pytest.raises(ValueError, match="^NNWEEK_DATASET .*'MNIST'"):
        load()


# --- Splitting and batching ----------------------------------------------------------


@given(st.integers(2, 300), st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 9))
def test_a_split_holds_every_index_once_and_follows_from_its_seed(n, val_ratio, seed):
    train, val = split(n, val_ratio, seed)
    assert sorted([*train, *val]) == list(range(n))
    assert len(train) >= 1
    assert len(val) == max(1, int(n * val_ratio))
    np.testing.assert_array_equal(np.concatenate(split(n, val_ratio, seed)), [*train, *val])


def numbers(n, batch_size, seed):
    """A loader whose examples are their own numbers, and whose labels are the negatives."""
    return BatchLoader(torch.arange(n), -torch.arange(n), batch_size, shuffle_seed=seed)


def order(loader):
    return torch.cat([images for images, _ in loader]).tolist()


@given(st.integers(1, 50), st.integers(1, 60), st.none() | st.integers(0, 9))
def test_a_pass_holds_every_example_once_with_its_label(n, batch_size, seed):
    loader = numbers(n, batch_size, seed)
    batches = list(loader)
    found = torch.cat([images for images, _ in batches]).tolist()
    assert (found if seed is None else sorted(found)) == list(range(n))
    assert all(torch.equal(images, -labels) for images, labels in batches)
    *full, last = [len(images) for images, _ in batches]
    assert set(full) <= {batch_size}, "only the last batch may be smaller"
    assert 1 <= last <= batch_size
    assert (len(loader), len(loader.dataset)) == (len(batches), n)


def test_the_order_follows_from_the_seed_and_the_epoch_alone():
    loader, twin = numbers(50, 8, seed=1), numbers(50, 20, seed=1)
    first, second, third = (order(loader) for _ in range(3))
    assert [first, second, third] == [order(twin) for _ in range(3)], "one seed, one order"
    assert first != second != third != first, "every epoch is reshuffled"
    assert first != order(numbers(50, 8, seed=2)), "another seed, another order"
    assert loader.epoch == 3
    loader.epoch = 0
    next(iter(loader))  # a pass that is left has begun all the same
    assert order(loader) == second, "a pass that was left may not disturb the next"
    loader.epoch = 0
    assert order(loader) == first, "an epoch that is set back is repeated"


@pytest.mark.parametrize("batch_size", [1, 7, 36, 100])
def test_batches_equal_those_of_torchvisions_pipeline(batch_size, load, serve, tmp_path):
    load("", serve().url)  # torchvision finds the files where `load_mnist` keeps them
    digits = mnist.load_mnist()
    mean, std = pixel_statistics(digits.train_images)
    usual = transforms.Compose([transforms.ToTensor(), transforms.Normalize((mean,), (std,))])
    train, test = (MNIST(tmp_path / "data", part, usual, download=True) for part in (True, False))
    train_idx, val_idx = split(len(train), 0.1, 42)
    train_idx = train_idx[order(numbers(len(train_idx), batch_size, seed=42))]
    subsets = Subset(train, train_idx), Subset(train, val_idx), test
    for loader, subset in zip(make_loaders(digits, batch_size), subsets, strict=True):
        for batch, wanted in zip(loader, DataLoader(subset, batch_size), strict=True):
            for got, expected in zip(batch, wanted, strict=True):
                torch.testing.assert_close(got.cpu(), expected)


def test_batches_lie_on_the_device_that_is_asked_for():
    """`meta` is a device without memory, which no machine takes by itself."""
    for loader in make_loaders(SMALL, device="meta"):
        assert loader.batch_size == 128
        for part in (*loader.dataset.tensors, *next(iter(loader))):
            assert part.device.type == "meta"


@given(st.binary(max_size=200).map(lambda pixels: b"01" + pixels))
def test_the_statistics_are_those_of_all_pixels_from_0_to_1(pixels):
    images = np.frombuffer(pixels, np.uint8)
    expected = (images / 255).mean(), (images / 255).std()
    np.testing.assert_allclose(pixel_statistics(images), expected, rtol=1e-9)


WRONG = [
    (ValueError, "n ", lambda: split(1, 0.5, 0)),
    (TypeError, "n ", lambda: split(2.5, 0.5, 0)),
    (ValueError, "val_ratio", lambda: split(9, 0, 0)),
    (ValueError, "val_ratio", lambda: split(9, 1.0, 0)),
    (ValueError, "val_ratio", lambda: split(9, float("nan"), 0)),
    (TypeError, "val_ratio", lambda: make_loaders(SMALL, val_ratio=None)),
    (ValueError, "batch_size", lambda: make_loaders(SMALL, batch_size=0)),
    (TypeError, "batch_size", lambda: make_loaders(SMALL, batch_size=2.0)),
    (TypeError, "seed", lambda: make_loaders(SMALL, seed=None)),
    (ValueError, "seed", lambda: make_loaders(SMALL, seed=-1)),
    (ValueError, "images and labels", lambda: BatchLoader(torch.ones(3), torch.ones(2), 1)),
    (ValueError, "images", lambda: BatchLoader(torch.ones(0), torch.ones(0), 1)),
    (ValueError, "batch_size", lambda: BatchLoader(torch.ones(2), torch.ones(2), 0)),
    (TypeError, "images", lambda: pixel_statistics(np.ones(3))),
    (ValueError, "images", lambda: pixel_statistics(np.ones(0, np.uint8))),
    (ValueError, "images", lambda: pixel_statistics(np.ones(3, np.uint8))),
]


@pytest.mark.parametrize(("error", "names", "call"), WRONG)
def test_a_wrong_argument_is_named(error, names, call):
    with pytest.raises(error, match=f"^{names}"):
        call()
