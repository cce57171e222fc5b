"""Damaging the content of a file on purpose, and limiting the size of files."""

import contextlib

import pytest


def flip_bit(content, bit):
    """Flip one bit of some bytes; `bit` is taken modulo their number of bits."""
    changed = bytearray(content)
    changed[bit // 8 % len(content)] ^= 1 << bit % 8
    return bytes(changed)


@contextlib.contextmanager
def limit_to_files(size):
    """Let no file grow beyond `size` bytes: the operating system treats it like a full disk."""
    resource = pytest.importorskip("resource", reason="Windows knows no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
