"""Finding, verifying and loading MNIST; the stand-in; batch loaders (Day 31).

`load_mnist` looks in four places and takes the first that works:

1. the data folder (`NNWEEK_DATA`, see `nnweek.runtime.data_folder`),
2. `NNWEEK_MNIST_MIRROR`, a folder or a URL that holds the four original files,
3. torchvision's mirrors,
4. the stand-in: scikit-learn's handwritten digits, brought to MNIST's size, so
   that the week also runs with no network at all. It is always announced.

`NNWEEK_DATASET=mnist` forbids the stand-in, `NNWEEK_DATASET=stand-in` forces it.

The first load keeps the four files twice: as they came, and unpacked beside them. From then on
the unpacked ones are read, which takes a fraction of a second and needs neither PyTorch nor
torchvision. Every load compares the contents of what it reads with MNIST's checksums, so
nothing damaged or foreign is ever taken for MNIST, whatever lies in the folder.
"""

import contextlib
import gzip
import hashlib
import http.client
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnweek._validate import one_of
from nnweek.files import atomic_write
from nnweek.loaders import make_loaders, split
from nnweek.runtime import data_folder

__all__ = ["Digits", "load_mnist", "make_loaders"]

PATIENCE = 8.0  # seconds that a server may keep silent before the next source is tried
SLOWEST = 4_000  # bytes a second; a server slower than this counts as silent
LARGEST = 64 * 2**20  # bytes; no file of MNIST is as large, so more is not MNIST

UNPACKED = {  # MNIST's files as they come out of their .gz, and the SHA-256 of each
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass(frozen=True)
class Digits:
    """Handwritten digits as `load_mnist` returns them. Introduced on Day 31.

    Attributes:
        train_images: (N, 28, 28) uint8, 0 (background) to 255 (ink); N = 60,000 for MNIST.
        train_labels: (N,) int64, 0 to 9.
        test_images: (M, 28, 28) uint8; M = 10,000 for MNIST.
        test_labels: (M,) int64.
        name: "MNIST", or the stand-in's name.
        is_stand_in: whether these are not MNIST.
    """

    train_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    name: str
    is_stand_in: bool


def load_mnist():
    """Load MNIST, from wherever it can be had. Introduced on Day 31.

    Nothing is printed where MNIST lies verified in the data folder; otherwise one
    message says where the data came from, what did not work, and what to do.

    Returns:
        `Digits`.

    Raises:
        OSError: if MNIST cannot be had and `NNWEEK_DATASET=mnist` forbids the stand-in.
        ValueError: if `NNWEEK_DATASET` is neither unset, "mnist" nor "stand-in".
    """
    wanted = one_of(
        "NNWEEK_DATASET", os.environ.get("NNWEEK_DATASET", ""), ("", "mnist", "stand-in")
    )
    if wanted == "stand-in":
        print("NNWEEK_DATASET=stand-in:", _STAND_IN_NOTICE)
        return _load_stand_in()

    folder = data_folder() / "MNIST" / "raw"  # where torchvision keeps its files, too
    unpacked = _find_unpacked(folder)
    if unpacked is not None:
        return _read_mnist(unpacked)
    contents, failures = _find_files(folder)
    if contents is not None:
        return _read_mnist(_unpack(contents, folder))
    report = "\n".join(["What was tried:", *(f"  - {failure}" for failure in failures), _ADVICE])
    if wanted == "mnist":
        raise OSError(
            f"MNIST could not be had, and NNWEEK_DATASET=mnist forbids the stand-in.\n{report}"
        )
    print(f"MNIST could not be had: {_STAND_IN_NOTICE}\n{report}")
    return _load_stand_in()


_STAND_IN_NOTICE = (
    "this run uses the stand-in, scikit-learn's 1,797 small handwritten digits brought to "
    "28 by 28. Everything works, but the numbers are not MNIST's."
)
_ADVICE = (
    "To get MNIST: check the network connection and run this again; or put the four original "
    ".gz files into a folder and set NNWEEK_MNIST_MIRROR to that folder."
)


# --- Finding the files -------------------------------------------------------------


def _find_unpacked(folder):
    """Read what an earlier load unpacked: {name: bytes}, or None unless all four are MNIST's."""
    contents = {}
    for name, checksum in UNPACKED.items():
        try:
            # Read, not mapped into memory: what is verified here is what is used, whatever
            # becomes of the file meanwhile.
            data = _read(folder / name)
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != checksum:
            return None
        contents[name] = data
    return contents


def _unpack(contents, folder):
    """Unpack the four verified files, and keep the result for the next load if that works."""
    unpacked = {name.removesuffix(".gz"): gzip.decompress(contents[name]) for name in contents}
    with contextlib.suppress(OSError):  # without it, the next load only takes longer
        for name, data in unpacked.items():
            with atomic_write(folder / name) as file:
                file.write(data)
    return unpacked


def _find_files(folder):
    """Gather the four verified files: ({name: bytes} or None, list of failures)."""
    from torchvision.datasets import MNIST

    checksums = dict(MNIST.resources)
    contents, failures = {}, []

    _collect(str(folder), checksums, contents, failures, missing_is_news=False)
    if len(contents) == len(checksums):
        return contents, failures

    had = set(contents)
    mirror = os.environ.get("NNWEEK_MNIST_MIRROR")
    for source in ([mirror] if mirror else []) + list(MNIST.mirrors):
        before = len(contents)
        _collect(source, checksums, contents, failures)
        if len(contents) > before:
            print(f"MNIST: {len(contents) - before} file(s) from {source}")
        if len(contents) == len(checksums):
            break
    try:
        for name in contents.keys() - had:
            with atomic_write(folder / name) as file:
                file.write(contents[name])
    except OSError as error:
        print(
            f"MNIST could not be kept in {folder} ({_reason(error)}), so it will be fetched "
            f"again next time. Set NNWEEK_DATA to a folder with 70 MB of room."
        )
    if len(contents) == len(checksums):
        if failures:
            print("On the way:\n" + "\n".join(f"  - {failure}" for failure in failures))
        return contents, failures
    return None, failures


def _collect(source, checksums, contents, failures, missing_is_news=True):
    """Add to `contents` what `source`, a folder or a URL, has of the files still missing."""
    is_url = "://" in source
    folder = Path(os.path.expanduser(source))
    for name in [name for name in checksums if name not in contents]:
        try:
            data = _download(source, name) if is_url else _read(folder / name)
        except FileNotFoundError as error:
            if missing_is_news:
                failures.append(f"{source}: {_reason(error)}")
            continue
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}".splitlines()[0]
            error.close()
            failures.append(f"{source}: {name}: the server answered {reason}")
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Whoever does not answer for one file will not for the next: leave this source.
            failures.append(f"{source}: {_reason(error)}")
            return
        fault = _fault(data, checksums[name])
        if fault:
            failures.append(f"{source}: {name} {fault}")
        else:
            contents[name] = data


def _read(path):
    """Read a file of the size of MNIST's; of a larger one, enough to fail the checksum."""
    with open(path, "rb") as file:
        return file.read(LARGEST)


def _fault(data, checksum):
    """Say what is wrong with a file's bytes, or return None if they are the original's."""
    if hashlib.md5(data, usedforsecurity=False).hexdigest() == checksum:
        return None
    if not data:
        return "is empty"
    if data.lstrip()[:1] == b"<":
        return "is a web page, not the data (a login page of the network?)"
    return f"is damaged or cut short: {len(data):,} bytes that fail the checksum"


def _reason(error):
    """Put an exception into a few words."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _download(source, name):
    """Fetch a file from a server, giving up on one that falls silent.

    A socket's time-out does not cover the look-up of a name, nor a server that
    sends a byte now and then. So a thread receives, and this one watches the clock.

    Raises:
        OSError, http.client.HTTPException, ValueError: whatever goes wrong.
    """
    folder = urllib.parse.urlsplit(source if source.endswith("/") else source + "/")
    path = urllib.parse.quote(folder.path + name, safe="/:%!$&'()*+,;=@~")
    url = folder._replace(path=path).geturl()
    chunks = queue.SimpleQueue()  # of bytes; then b"" for the end, or an exception
    given_up = threading.Event()

    def receive():
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                while (chunk := response.read1(2**16)) and not given_up.is_set():
                    chunks.put(chunk)
            chunks.put(b"")
        except Exception as error:
            chunks.put(error)

    threading.Thread(target=receive, daemon=True).start()
    data = bytearray()
    try:
        while True:  # one round for each stretch of `PATIENCE` seconds
            deadline = time.monotonic() + PATIENCE
            enough = len(data) + SLOWEST * PATIENCE
            while len(data) < enough:
                try:
                    chunk = chunks.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    raise TimeoutError(
                        f"no answer for {PATIENCE:g} seconds, or one slower than {SLOWEST:,} "
                        f"bytes a second"
                    ) from None
                if isinstance(chunk, Exception):
                    raise chunk
                if not chunk:
                    return bytes(data)
                data += chunk
                if len(data) > LARGEST:
                    raise ValueError(f"{name} is larger than {LARGEST:,} bytes: not MNIST")
    finally:
        given_up.set()


# --- Reading -------------------------------------------------------------------------


def _read_mnist(contents):
    """Turn the four verified and unpacked files into `Digits`.

    Such a file begins with two zeros, a type (8 is uint8) and the number of its axes, a byte
    each, then the length of each axis in four bytes, the highest first. The rest is the array.

    Source: the description on the page of MNIST, http://yann.lecun.com/exdb/mnist/.
    """

    def read(name):
        data = contents[name]
        axes = data[3]
        shape = np.frombuffer(data, ">i4", count=axes, offset=4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)

    return Digits(
        # Copies, which may be written to: the bytes of the file may not.
        train_images=read("train-images-idx3-ubyte").copy(),
        train_labels=read("train-labels-idx1-ubyte").astype(np.int64),
        test_images=read("t10k-images-idx3-ubyte").copy(),
        test_labels=read("t10k-labels-idx1-ubyte").astype(np.int64),
        name="MNIST",
        is_stand_in=False,
    )


def _load_stand_in():
    """scikit-learn's digits in MNIST's form: 20×20 pixels of ink in a 28×28 frame."""
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images).unsqueeze(1) / 16  # (1797, 1, 8, 8), 0 to 1
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bilinear")
    framed = torch.nn.functional.pad(large, (4, 4, 4, 4)).squeeze(1)
    images = (255 * framed).round().to(torch.uint8).numpy()
    labels = digits.target.astype(np.int64)
    train, test = split(len(images), val_ratio=0.2, seed=0)
    return Digits(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        name="the stand-in (scikit-learn's digits)",
        is_stand_in=True,
    )
