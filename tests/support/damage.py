"""Damaging the content of a file on purpose."""


def flip_bit(content, bit):
    """Flip one bit of some bytes; `bit` is taken modulo their number of bits."""
    changed = bytearray(content)
    changed[bit // 8 % len(content)] ^= 1 << bit % 8
    return bytes(changed)
