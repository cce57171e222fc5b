"""Finding, verifying and loading MNIST, or its stand-in (from Day 29 on).

`load_mnist` tries four sources in this order and uses the first that works:

1. the data folder (`NNWEEK_DATA`, see `nnweek.runtime.data_folder`),
2. `NNWEEK_MNIST_MIRROR`, a folder or a URL with the four original files,
3. torchvision's mirrors,
4. the stand-in: scikit-learn's handwritten digits at MNIST's size, so that the week
   also runs without a network. A message always says so.

`NNWEEK_DATASET=mnist` forbids the stand-in, `NNWEEK_DATASET=stand-in` forces it.

The first load saves the four files twice, compressed and unpacked. Later loads read the unpacked
files, which takes a fraction of a second and needs neither PyTorch nor torchvision. Every load
verifies the checksums of what it reads, so a damaged or foreign file is never used as MNIST.
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
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nnweek._console import printable
from nnweek._validate import one_of
from nnweek.files import atomic_write
from nnweek.loaders import make_loaders, split
from nnweek.runtime import data_folder

__all__ = ["Digits", "load_mnist", "make_loaders"]  # make_loaders: kept from an earlier version

PATIENCE = 8.0  # seconds without an answer after which the next source is tried
SLOWEST = 4_000  # bytes per second; a slower server counts as not answering
LARGEST = 64 * 2**20  # bytes; every file of MNIST is smaller
CHUNK = 2**16  # bytes read at a time
UNQUOTED = "/:%!$&'()*+,;=@~"  # characters of a URL that are kept as they are

UNPACKED = {  # MNIST's unpacked files, and the SHA-256 of each
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
        name: "MNIST", or the name of the stand-in.
        is_stand_in: True if this is not MNIST.
    """

    train_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    name: str
    is_stand_in: bool

    def small(self):
        """Return a tenth of MNIST, for a quick run. Introduced on Day 31.

        The name says so, and results are recorded per name, so they are never mixed.

        Returns:
            `Digits` with the first 6,000 training and 1,000 test images, or all if there are fewer.
        """
        return replace(
            self,
            train_images=self.train_images[:6_000],
            train_labels=self.train_labels[:6_000],
            test_images=self.test_images[:1_000],
            test_labels=self.test_labels[:1_000],
            name=f"{self.name}, small",
        )


def load_mnist():
    """Load MNIST from the first available source. Introduced on Day 31.

    Nothing is printed if MNIST is in the data folder and passes verification. Otherwise a
    message says where the data came from, what failed and what to do about it.

    Returns:
        `Digits`.

    Raises:
        OSError: if MNIST is not available and `NNWEEK_DATASET=mnist` forbids the stand-in.
        ValueError: if `NNWEEK_DATASET` is neither unset, "mnist" nor "stand-in".
    """
    wanted = one_of(
        "NNWEEK_DATASET", os.environ.get("NNWEEK_DATASET", ""), ("", "mnist", "stand-in")
    )
    if wanted == "stand-in":
        print("NNWEEK_DATASET=stand-in:", _STAND_IN_NOTICE)
        return _load_stand_in()

    folder = data_folder() / "MNIST" / "raw"  # torchvision uses the same folder
    unpacked = _find_unpacked(folder)
    if unpacked is not None:
        return _read_mnist(unpacked)
    contents, failures = _find_files(folder)
    if len(contents) == len(UNPACKED):
        return _read_mnist(_unpack(contents, folder))
    report = f"{_listed(failures)}\n{_ADVICE}"
    if wanted == "mnist":
        raise OSError(
            f"MNIST is not available, and NNWEEK_DATASET=mnist forbids the stand-in.\n{report}"
        )
    print(printable(f"MNIST is not available: {_STAND_IN_NOTICE}\n{report}"))
    return _load_stand_in()


_STAND_IN_NOTICE = (
    "this run uses the stand-in, scikit-learn's 1,797 small handwritten digits enlarged to "
    "28 by 28 pixels. Everything works, but the results are not those of MNIST."
)
_ADVICE = (
    "To get MNIST, check the network connection and run this again. Or put the four original "
    ".gz files into a folder and set NNWEEK_MNIST_MIRROR to that folder."
)


def _listed(failures):
    return "\n".join(["These sources failed:", *(f"  - {failure}" for failure in failures)])


def _find_unpacked(folder):
    """Read what an earlier load unpacked: {name: bytes}, or None unless all four are MNIST's."""
    contents = {}
    for name, checksum in UNPACKED.items():
        try:
            # Read, not memory-mapped: the bytes that are verified are those that are used,
            # even if the file changes meanwhile.
            data = _read(folder / name)
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != checksum:
            return None
        contents[name] = data
    return contents


def _unpack(contents, folder):
    """Unpack the four verified files, and save the result for the next load if possible."""
    unpacked = {name.removesuffix(".gz"): gzip.decompress(contents[name]) for name in contents}
    with contextlib.suppress(OSError):  # otherwise the next load just takes longer
        for name, data in unpacked.items():
            with atomic_write(folder / name) as file:
                file.write(data)
    return unpacked


def _find_files(folder):
    """Collect the verified files: ({name: bytes} of those found, list of failures)."""
    from torchvision.datasets import MNIST

    checksums = dict(MNIST.resources)
    contents, failures = {}, []

    # None would mean False, too.
    _collect(str(folder), checksums, contents, failures, report_missing=False)  # pragma: no mutate
    if len(contents) == len(checksums):
        return contents, failures

    present = set(contents)
    mirror = os.environ.get("NNWEEK_MNIST_MIRROR")
    for source in ([mirror] if mirror else []) + list(MNIST.mirrors):
        before = len(contents)
        _collect(source, checksums, contents, failures)
        if len(contents) > before:
            print(printable(f"MNIST: {len(contents) - before} file(s) from {source}"))
        if len(contents) == len(checksums):
            break
    try:
        for name in contents.keys() - present:
            with atomic_write(folder / name) as file:
                file.write(contents[name])
    except OSError as error:
        message = (
            f"MNIST could not be saved in {folder} ({_reason(error)}), so it will be fetched "
            f"again next time. Set NNWEEK_DATA to a folder with 70 MB of free space."
        )
        print(printable(message))
    if failures and len(contents) == len(checksums):
        print(printable(_listed(failures)))
    return contents, failures


def _collect(source, checksums, contents, failures, report_missing=True):
    """Add the missing files that `source`, a folder or a URL, has to `contents`."""
    is_url = "://" in source
    folder = Path(os.path.expanduser(source))
    for name in [name for name in checksums if name not in contents]:
        try:
            data = _download(source, name) if is_url else _read(folder / name)
        except FileNotFoundError as error:
            if report_missing:
                failures.append(f"{source}: {_reason(error)}")
            continue
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}".splitlines()[0]
            error.close()
            failures.append(f"{source}: {name}: the server answered {reason}")
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            # If a source fails for one file it will fail for the rest; try the next source.
            failures.append(f"{source}: {_reason(error)}")
            return
        problem = _damage(data, checksums[name])
        if problem:
            failures.append(f"{source}: {name} {problem}")
        else:
            contents[name] = data


def _read(path):
    """Read a file; of one that is larger than MNIST's, enough to fail the checksum."""
    with open(path, "rb") as file:
        return file.read(LARGEST)


def _damage(data, checksum):
    """Describe what is wrong with a file's bytes, or return None if they match the checksum."""
    # None would mean False, too.
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()  # pragma: no mutate
    if digest == checksum:
        return None
    if not data:
        return "is empty"
    if data.lstrip()[:1] == b"<":
        return "is a web page, not the data (a login page of the network?)"
    return f"is damaged or incomplete: its {len(data):,} bytes fail the checksum"


def _reason(error):
    """Describe an exception in a few words."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _download(source, name):
    """Download a file, giving up on a server that stops answering.

    A socket's timeout covers neither name resolution nor a server that sends a byte now
    and then. So another thread receives the data, and this one watches the clock.

    Raises:
        OSError, http.client.HTTPException, ValueError: if the download fails.
    """
    folder = urllib.parse.urlsplit(source if source.endswith("/") else source + "/")
    path = urllib.parse.quote(folder.path + name, safe=UNQUOTED)
    url = folder._replace(path=path).geturl()
    chunks = queue.SimpleQueue()  # of bytes, then b"" for the end; or an exception
    given_up = threading.Event()

    def receive():
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                while (chunk := response.read1(CHUNK)) and not given_up.is_set():
                    chunks.put(chunk)
            chunks.put(b"")  # pragma: no mutate (None would end the file, too)
        except Exception as error:
            chunks.put(error)

    threading.Thread(target=receive, daemon=True).start()
    data = bytearray()
    try:
        while True:  # one iteration per `PATIENCE` seconds
            deadline = time.monotonic() + PATIENCE
            # Not mutated: a test of the exact speed would depend on the machine.
            enough = len(data) + SLOWEST * PATIENCE  # pragma: no mutate
            while len(data) < enough:  # pragma: no mutate
                try:
                    chunk = chunks.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    raise TimeoutError(
                        f"no answer for {PATIENCE:g} seconds, or fewer than {SLOWEST:,} "
                        f"bytes per second"
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


def _read_mnist(contents):
    """Turn the four verified and unpacked files into `Digits`.

    A file begins with two zero bytes, one byte for the type (8 is uint8) and one for the number
    of axes, followed by the length of each axis as a 4-byte big-endian integer. The rest is the
    array.

    Source: the file format section of http://yann.lecun.com/exdb/mnist/.
    """

    def read(name):
        data = contents[name]
        axes = data[3]
        shape = np.frombuffer(data, ">i4", count=axes, offset=4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)

    return Digits(
        # Copies are writable; arrays that share the memory of `bytes` are not.
        train_images=read("train-images-idx3-ubyte").copy(),
        train_labels=read("train-labels-idx1-ubyte").astype(np.int64),
        test_images=read("t10k-images-idx3-ubyte").copy(),
        test_labels=read("t10k-labels-idx1-ubyte").astype(np.int64),
        name="MNIST",
        is_stand_in=False,
    )


def _load_stand_in():
    """Load scikit-learn's digits in MNIST's format: 20×20 pixels of ink in a 28×28 frame."""
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
