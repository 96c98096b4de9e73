"""What is to be encrypted by TLS, piece by piece."""

from collections.abc import Iterator
from typing import Final

_STRIDE: Final = 128 << 10
"""Bytes. OpenSSL's memory for more, and Python's copy of it, are fresh each time: a fifth more CPU, in page faults."""


def strides(piece: bytes | bytearray | memoryview) -> Iterator[memoryview]:
    whole = memoryview(piece)
    for start in range(0, len(whole), _STRIDE):
        yield whole[start : start + _STRIDE]
