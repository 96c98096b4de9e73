"""What is kept with a seal to tell which of its rows was touched: each row's id and the start of its leaf's hash.

The seal has its SHA-256, so it says the truth or nothing. 12 bytes a row; the root alone says only "one of these".
"""

import hashlib
import struct
from collections.abc import Iterable

_ENTRY = struct.Struct(">q4s")


def encode(leaves: Iterable[tuple[int, bytes]]) -> bytes:
    """From ids and leaf hashes."""
    return b"".join(_ENTRY.pack(row, hashed[:4]) for row, hashed in leaves)


def decode(index: bytes, expected: str) -> dict[int, bytes] | None:
    """The start of each row's hash by its id; None when it is not the index whose SHA-256 (hex) is expected."""
    if digest(index) != expected or len(index) % _ENTRY.size:
        return None
    return dict(_ENTRY.iter_unpack(index))


def ids(index: bytes) -> list[int]:
    """The rows that an index names, whoever wrote it."""
    whole = len(index) - len(index) % _ENTRY.size
    return [row for row, _ in _ENTRY.iter_unpack(index[:whole])]


def digest(index: bytes) -> str:
    return hashlib.sha256(index).hexdigest()
