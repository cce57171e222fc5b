"""MNIST in miniature: four small files in its format, and a stub of torchvision for other processes."""

import gzip
import hashlib
import sys
import types

import numpy as np

from nnweek import mnist


def packed(array):
    """An array as MNIST's files store it: a header and the bytes, compressed with gzip."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def drawn(n):
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n)


SMALL = mnist.Digits(*drawn(40), *drawn(10), name="MNIST", is_stand_in=False)
FILES = {
    # gzip ignores trailing zeros: here they make one compressed file larger than its content.
    "train-images-idx3-ubyte.gz": packed(SMALL.train_images) + bytes(2**16),
    "train-labels-idx1-ubyte.gz": packed(SMALL.train_labels),
    "t10k-images-idx3-ubyte.gz": packed(SMALL.test_images),
    "t10k-labels-idx1-ubyte.gz": packed(SMALL.test_labels),
}
CHECKSUMS = [(name, hashlib.md5(content).hexdigest()) for name, content in FILES.items()]
UNPACKED = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in FILES.items()}
SUMS_UNPACKED = {name: hashlib.sha256(content).hexdigest() for name, content in UNPACKED.items()}


def put(folder, files=FILES):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pretend_in_this_process(mirrors=()):
    """Replace MNIST by the small one for good, without loading torchvision, which is slow."""
    mnist.UNPACKED = SUMS_UNPACKED
    stub = types.SimpleNamespace(resources=CHECKSUMS, mirrors=list(mirrors))
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision.datasets"] = types.SimpleNamespace(MNIST=stub)


def load():
    """Load it, and fail unless every array is that of `SMALL`."""
    np.testing.assert_equal(vars(mnist.load_mnist()), vars(SMALL))
