"""Loading MNIST: complete, promptly, and from the first source that works.

The faults are real: misbehaving servers on this machine, folders that cannot be written to,
two processes at once. Four small files take the place of MNIST's.
"""

import contextlib
import gzip
import hashlib
import io
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
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from nnweek import mnist
from nnweek.loaders import split
from nnweek.runtime import data_folder
from support import ROOT
from support.damage import flip_bit, limit_to_files
from support.small_mnist import CHECKSUMS, FILES, SMALL, SUMS_UNPACKED, UNPACKED, put
from support.small_mnist import load as load_small

FOREVER, SOON = 20, 15  # seconds: how long servers here do not answer; the limit of any call

SAVED = FILES | UNPACKED  # the content of a data folder after the first load


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of the files; settings and proxies of this machine are hidden."""
    data = tmp_path / "data"
    values = {"NNWEEK_DATA": str(data), "NNWEEK_DATASET": "", "NNWEEK_MNIST_MIRROR": ""}
    for name, value in {**values, "no_proxy": "*"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(mnist, "UNPACKED", SUMS_UNPACKED)
    monkeypatch.setattr(MNIST, "resources", CHECKSUMS)
    monkeypatch.setattr(MNIST, "mirrors", [])
    return data / "MNIST" / "raw"


def assert_complete(folder):
    wrong = [path.name for path in folder.glob("*") if path.read_bytes() != SAVED.get(path.name)]
    assert not wrong, f"incomplete or foreign files: {wrong}"


@pytest.fixture
def load(folder, monkeypatch, capsys):
    """`load(mirror, *torchvision's mirrors)` returns what `load_mnist` printed.

    It must end soon, leave only complete files, and return MNIST unless `stand_in` is set.
    """

    def load(mirror="", *mirrors, stand_in=False):
        monkeypatch.setenv("NNWEEK_MNIST_MIRROR", str(mirror))
        monkeypatch.setattr(MNIST, "mirrors", list(mirrors))
        began = time.monotonic()
        try:
            digits = mnist.load_mnist()
        finally:
            assert time.monotonic() - began < SOON, "a source caused a long delay"
            assert_complete(folder)
        assert digits.is_stand_in == stand_in
        if not stand_in:
            np.testing.assert_equal(vars(digits), vars(SMALL))
        return capsys.readouterr().out

    return load


class Handler(StreamRequestHandler):
    """Do what `server.answer(file)` lists: send bytes, wait seconds, or reset if None."""

    def handle(self):
        path = self.rfile.readline().split()[1].decode()
        self.server.folder, name = re.match(r"(.*/)([\w-]+\.gz)", path).groups()
        self.server.requested.append(name)
        while self.rfile.readline().strip():
            pass
        with contextlib.suppress(OSError):  # the client may close the connection
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
    shutdown_request = ThreadingTCPServer.close_request  # so that a reset is no orderly shutdown


HEAD = b"HTTP/1.0 200 OK\r\n"
OK, LIE = HEAD + b"\r\n", HEAD + b"Content-Length: %d\r\n\r\n"


@pytest.fixture
def serve():
    """`serve(answer).url` starts a server; its `.requested` lists the requested files."""
    with contextlib.ExitStack() as stack:

        def serve(answer=lambda file: [OK, file]):
            server = stack.enter_context(Server(("127.0.0.1", 0), Handler))
            server.answer, server.requested, server.over = answer, [], threading.Event()
            server.folder = None  # the requested folder
            server.url = f"http://127.0.0.1:{server.server_address[1]}/a/path"
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
            stack.callback(server.over.set)
            return server

        yield serve


DRIP, SILENCE = (
    [b".", 0.05] * 20 * FOREVER,
    "no answer for 0.3 seconds|timed out",
)
FAULTS = {  # of a mirror: its server's answer, or its address; and key words of the message
    "does not answer": (lambda file: [FOREVER], SILENCE),
    "stops half way": (lambda file: [OK, file[:-9], FOREVER], SILENCE),
    "drips its headers": (lambda file: [HEAD, b"X: ", *DRIP], SILENCE),
    "drips the file": (lambda file: [OK, *DRIP], SILENCE),
    "sends no end of headers": (lambda file: chain([HEAD], repeat(b"X: x\r\n", 9999)), "headers"),
    "sends no end of a file": (lambda file: chain([OK], repeat(bytes(2**16), 999)), "is larger"),
    "promises too much and waits": (lambda file: [LIE % 2**17, file, FOREVER], SILENCE),
    "promises too much and leaves": (lambda file: [LIE % 2**17, file[:-1]], "incomplete"),
    "promises too little": (lambda file: [LIE % 9, file], "incomplete"),
    "cuts the file short": (lambda file: [OK, file[:-9]], "incomplete"),
    "sends nothing": (lambda file: [OK], "is empty"),
    "sends a page to log in": (lambda file: [OK, b"\n<!doctype html>"], "is a web page"),
    "has no such file": (lambda file: [b"HTTP/1.0 404 Not Found\r\n\r\n"], "404 Not Found"),
    "redirects in circles": (lambda file: [b"HTTP/1.0 302 .\r\nLocation: ?\r\n\r\n"], "302"),
    "speaks another protocol": (lambda file: [b"SSH-2.0\r\n"], "BadStatusLine"),
    "hangs up": (lambda file: [], "closed connection"),
    "resets the connection": (lambda file: [HEAD, None], ""),  # the words depend on the system
    "refuses": ("http://127.0.0.1:1", ""),
    "is looked up for ever": ("http://mirror.example", SILENCE),  # no timeout of a socket covers it
    "has no host": ("http://", "no host"),
    "is half an address": ("http://[::1", "IPv6"),
    "is of an unknown kind": ("s3://bucket", "unknown url type: '?s3"),
    "has no such folder": ("~no-such-user/mnist", ""),
}


def receiving():
    """The threads of downloads that are still running."""
    return [thread for thread in threading.enumerate() if "(receive)" in thread.name]


def test_patience_is_at_most_ten_seconds():
    assert mnist.PATIENCE <= 10


@pytest.mark.parametrize("fault", FAULTS)
def test_next_mirror_is_used_if_one_fails(fault, load, serve, monkeypatch):
    answer, words = FAULTS[fault]
    good, look_up = serve(), socket.getaddrinfo
    bad = answer if isinstance(answer, str) else serve(answer).url

    def slow_look_up(host, *args, **kwargs):
        if host != "mirror.example":
            return look_up(host, *args, **kwargs)
        good.over.wait(FOREVER)
        raise socket.gaierror("not found in the end")

    monkeypatch.setattr(socket, "getaddrinfo", slow_look_up)
    monkeypatch.setattr(mnist, "PATIENCE", 0.3)
    monkeypatch.setattr(mnist, "LARGEST", 2**20)
    printed = load(bad, good.url)
    assert f"4 file(s) from {good.url}" in printed
    assert printed.count("file(s) from") == 1, "a source without files is not named"
    assert re.search(f"- {re.escape(bad)}: .*({words})", printed), f"not {words!r}, but: {printed}"
    assert all(thread.daemon for thread in receiving()), "the program could not end"


@pytest.mark.parametrize(
    ("form", "requested_folder"),
    [
        ("{folder}/", None),
        ("~/a mïrror", None),
        ("{uri}", None),
        ("{url}", "/a/path/"),
        ("{url}/", "/a/path/"),
        ("{url}/ü b%20+c", "/a/path/%C3%BC%20b%20+c/"),
    ],
)
def test_mirror_can_be_a_folder_or_any_url(
    form, requested_folder, load, serve, tmp_path, monkeypatch
):
    monkeypatch.setattr(mnist, "LARGEST", max(map(len, FILES.values())))
    server, folder = serve(), put(tmp_path / "a mïrror", FILES)
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    printed = load(form.format(folder=folder, uri=folder.as_uri(), url=server.url))
    assert re.fullmatch(r"MNIST: 4 file\(s\) from .*\n", printed)
    assert server.folder == requested_folder


def test_each_source_provides_only_the_missing_files(folder, load, serve, tmp_path):
    """A source without one of them still provides the others."""
    first, second, third, fourth = FILES
    put(folder, {first: FILES[first], second: b""})
    mirror = put(tmp_path / "mirror", {second: FILES[second], fourth: b"<html>"})
    not_there = FAULTS["has no such file"][0]
    partial = serve(lambda file: not_there(file) if file == FILES[third] else [OK, file])
    last, unused = serve(), serve()
    printed = load(mirror, partial.url, last.url, unused.url)
    for phrase in [
        *[f"1 file(s) from {source}\n" for source in (mirror, partial.url, last.url)],
        f"- {folder}: {second} is empty",
        f"- {mirror}: No such file or directory ({mirror / third})",
        f"- {mirror}: {fourth} is a web page",
        f"- {partial.url}: {third}: the server answered 404",
    ]:
        assert printed.count(phrase) == 1, phrase
    assert (partial.requested, last.requested) == ([third, fourth], [third])
    assert load(unused.url) == "", "verified files need no message"
    assert unused.requested == [], "verified files need no server"


@pytest.mark.parametrize(
    ("files", "words"), [(FILES, "4 file(s) from"), ({}, "These sources failed")]
)
def test_console_may_lack_a_character_of_a_path(files, words, load, tmp_path, monkeypatch):
    """Windows' code page 1252 has no Ł."""
    mirror = put(tmp_path / "Łx", files)
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    load(mirror, stand_in=not files)
    console.flush()
    printed = console.buffer.getvalue().decode("cp1252")
    assert words in printed
    assert str(tmp_path / "?x") in printed


def test_environment_variables_can_be_unset(serve, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [serve().url])
    for name in ("NNWEEK_DATASET", "NNWEEK_MNIST_MIRROR"):
        monkeypatch.delenv(name)
    load_small()


def test_md5_is_allowed_under_fips(load, serve, monkeypatch):
    """FIPS mode forbids MD5 for security purposes only."""
    md5 = hashlib.md5

    def guarded(data, usedforsecurity=True):
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return md5(data, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "md5", guarded)
    assert "4 file(s) from" in load("", serve().url)


@pytest.mark.parametrize("fault", ["does not answer", "drips the file"])
def test_download_thread_ends_after_giving_up(fault, load, serve, monkeypatch):
    monkeypatch.setattr(mnist, "PATIENCE", 0.2)
    load(serve(FAULTS[fault][0]).url, serve().url)
    for thread in receiving():
        thread.join(FOREVER / 2)  # the server continues for twice as long
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
def test_errors_are_described_in_a_few_words(error, words):
    assert mnist._reason(error) == words


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("a file in its place", ""),  # the words depend on the system
        ("no permission", "Permission denied"),
        ("a limit to files", "File too large"),
    ],
)
def test_files_that_cannot_be_saved_are_still_used(obstacle, words, folder, load, serve, tmp_path):
    with contextlib.ExitStack() as undo:
        if obstacle == "a file in its place":
            (tmp_path / "data").touch()
        elif obstacle == "no permission":
            if os.name == "nt" or os.geteuid() == 0:
                pytest.skip("root may write anywhere, and Windows has no such permissions")
            (tmp_path / "data").mkdir(mode=0o500)
        else:
            undo.enter_context(limit_to_files(2**16))
        printed = load(serve().url)
    assert f"could not be saved in {folder} ({words}" in printed
    assert "Set NNWEEK_DATA" in printed


DOWNLOAD = """
import os, sys
from support.small_mnist import load, pretend_in_this_process
pretend_in_this_process(sys.argv[1:2])
print("ready", flush=True)
sys.stdin.readline()
for os.environ["NNWEEK_DATA"] in sys.argv[2:]:
    load()
"""


def test_shared_copy_is_only_read(folder, load, monkeypatch):
    """So its owner may make it read-only for everybody."""
    put(folder, FILES)

    def refuse(path):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(mnist, "atomic_write", refuse)
    before = {path: path.stat().st_mtime_ns for path in folder.parents[1].rglob("*")}
    assert load() == ""
    assert {path: path.stat().st_mtime_ns for path in folder.parents[1].rglob("*")} == before


def test_two_processes_can_download_at_once(serve, tmp_path, monkeypatch):
    mirror, folders = serve().url, [str(tmp_path / str(i)) for i in range(10)]
    monkeypatch.setattr(MNIST, "mirrors", [mirror])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    command = [sys.executable, "-c", DOWNLOAD, mirror, *folders]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "ready\n"
        print(file=other.stdin, flush=True)
        for folder in folders:
            monkeypatch.setenv("NNWEEK_DATA", folder)
            load_small()
        assert other.communicate(timeout=60)
    assert other.returncode == 0
    for saved in (tmp_path / folder / "MNIST" / "raw" for folder in folders):
        assert_complete(saved)
        assert {path.name for path in saved.iterdir()} == set(SAVED)


def test_second_load_needs_neither_torch_nor_torchvision(folder, load, serve, monkeypatch):
    load("", serve().url)
    assert {path.name for path in folder.iterdir()} == set(SAVED)
    for library in ("torch", "torchvision", "torchvision.datasets"):
        monkeypatch.setitem(sys.modules, library, None)  # from now on, the import fails
    for array in vars(mnist.load_mnist()).values():
        if isinstance(array, np.ndarray):
            array[:] = 3  # must not affect the next load
    load_small()


def test_checksums_match_those_of_torchvision(monkeypatch):
    """If MNIST is available: both lists of checksums belong to the same content."""
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
    """The file that may take another's place by mistake: labels for images, or images for labels."""
    swapped = {"images-idx3": "labels-idx1", "labels-idx1": "images-idx3"}
    return re.sub("|".join(swapped), lambda match: swapped[match[0]], name)


STATES = st.one_of(
    st.sampled_from(
        [
            lambda name: None,  # missing
            lambda name: SAVED[name],
            lambda name: SAVED[other(name)],  # of the wrong kind
            lambda name: SAVED[name.replace("train", "t10k")],
            lambda name: SAVED[name.removesuffix(".gz")],  # not packed
            lambda name: SAVED[name.removesuffix(".gz") + ".gz"],  # not unpacked
            lambda name: b"\n<!doctype html>",
        ]
    ),
    st.integers(0).map(lambda bit: lambda name: flip_bit(SAVED[name], bit)),
    st.integers(0).map(lambda length: lambda name: SAVED[name][: length % len(SAVED[name])]),
    st.binary(max_size=99).map(lambda junk: lambda name: junk),
    st.binary(min_size=1, max_size=9).map(lambda junk: lambda name: SAVED[name] + junk),
)


def states(names):
    """One state per file; or all files are intact."""
    intact = dict.fromkeys(names, lambda name: SAVED[name])
    return st.just(intact) | st.fixed_dictionaries(dict.fromkeys(names, STATES))


@given(packed=states(FILES), unpacked=states(UNPACKED), online=st.booleans())
def test_any_folder_content_gives_mnist_or_an_error(packed, unpacked, online):
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
        intact = [contents[name] == SAVED[name] for name in SAVED]
        if not online and not all(intact[:4]) and not all(intact[4:]):
            with pytest.raises(OSError, match="MNIST is not available"):
                mnist.load_mnist()
            return
        for _ in range(2):
            load_small()
        saved = data / "MNIST" / "raw"
        assert all((saved / name).read_bytes() == content for name, content in UNPACKED.items())


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"])
def test_huge_file_is_not_read_completely(name, folder, load, serve):
    folder.mkdir(parents=True)
    with open(folder / name, "wb") as file:
        try:
            file.truncate(2**40)  # a tebibyte of holes
        except OSError:
            pytest.skip("this file system holds no file of this size")
    load("", serve().url)


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_clock_change_does_not_affect_the_download(jump, load, serve, monkeypatch):
    """Patience is measured with a monotonic clock."""
    jumps = count()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump * next(jumps))
    half = lambda file: [OK, file[: len(file) // 2], 0.1, file[len(file) // 2 :]]  # noqa: E731
    printed = load("", serve(half).url)
    assert "4 file(s) from" in printed
    assert "failed" not in printed


def test_stand_in_is_announced_or_refused(load, serve, monkeypatch):
    sources = [serve(FAULTS[fault][0]).url for fault in ("has no such file", "sends nothing")]
    announced = load(*sources, stand_in=True)
    monkeypatch.setenv("NNWEEK_DATASET", "mnist")
    with pytest.raises(OSError, match="MNIST is not available") as refused:
        load(*sources)
    not_there, empty = sources
    failures = [f"- {not_there}: {name}: the server answered 404" for name in FILES]
    failures += [f"- {empty}: {name} is empty" for name in FILES]
    for message in (announced, str(refused.value)):
        first, *_, last = message.splitlines()
        assert "MNIST is not available" in first
        assert "the stand-in" in first
        assert all(message.count(failure) == 1 for failure in failures)
        assert "network" in last
        assert "NNWEEK_MNIST_MIRROR" in last


def test_stand_in_is_scikit_learn_digits_in_the_format_of_mnist(load, serve, monkeypatch):
    """Bilinear interpolation is linear along the rows and then along the columns."""
    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    server = serve()
    assert "uses the stand-in" in load(server.url, stand_in=True)
    assert server.requested == []
    stand_in, original = mnist.load_mnist(), load_digits()
    assert stand_in.name == "the stand-in (scikit-learn's digits)"
    at = (np.arange(20) + 0.5) * 8 / 20 - 0.5  # the centres of 20 pixels, in units of 8 pixels

    def widen(images):
        return np.apply_along_axis(lambda row: np.interp(at, range(8), row), 2, images)

    large = widen(widen(original.images).swapaxes(1, 2)).swapaxes(1, 2)
    expected = np.pad(large * 255 / 16, [(0, 0), (4, 4), (4, 4)])
    train, test = split(1797, 0.2, 0)
    for images, labels, chosen in [
        (stand_in.train_images, stand_in.train_labels, train),
        (stand_in.test_images, stand_in.test_labels, test),
    ]:
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(labels, original.target[chosen])
        np.testing.assert_allclose(images, expected[chosen], rtol=0, atol=0.501)  # rounded


def test_small_data_is_the_first_images_under_a_name_of_its_own():
    images, labels = np.zeros((7000, 28, 28), dtype=np.uint8), np.arange(7000)
    small = mnist.Digits(images, labels, images[:900], labels[:900], "MNIST", False).small()
    assert len(small.train_images) == len(small.train_labels) == 6000
    assert len(small.test_images) == len(small.test_labels) == 900, "all, where there are fewer"
    assert (small.train_labels[-1], small.name) == (5999, "MNIST, small")


def test_unknown_data_set_is_refused_by_name(load, monkeypatch):
    monkeypatch.setenv("NNWEEK_DATASET", "MNIST")
    with pytest.raises(ValueError, match="^NNWEEK_DATASET .*'MNIST'"):
        load()
