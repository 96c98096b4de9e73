"""ADLER32 of bytes that follow each other, from the checksums of the pieces (RFC 1950 §9)."""

_BASE = 65521


def combine(first: int, second: int, second_size: int) -> int:
    """The checksum of A‖B from those of A and B, and B's size in bytes."""
    a, b = first & 0xFFFF, first >> 16
    c, d = second & 0xFFFF, second >> 16
    return (a + c - 1) % _BASE | (b + d + second_size * (a - 1)) % _BASE << 16


def text(value: int) -> str:
    """Eight hex digits, as SRM and the Digest header write it."""
    return f"{value:08x}"
