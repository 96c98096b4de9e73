"""Digests of bytes as they stream by, under the names of RFC 9530's registry."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

ADLER32: Final = "adler32"
MD5: Final = "md5"
SHA256: Final = "sha-256"
SIZES: Final[Mapping[str, int]] = {ADLER32: 4, MD5: 16, "sha-1": 20, SHA256: 32, "sha-512": 64}
"""Bytes of a digest, by algorithm: of all that are known."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What somebody says of bytes; `value` as long as `SIZES` has it."""

    algorithm: str
    value: bytes


class Hashing:
    """Several digests of the same bytes."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        wanted = set(algorithms)
        self._adler = 1 if ADLER32 in wanted else None
        # Nobody trusts these to keep secrets: they tell whether bytes arrived as they were.
        self._hashes = {
            name: hashlib.new(name.replace("-", ""), usedforsecurity=False) for name in wanted - {ADLER32}
        }

    def update(self, data: bytes | bytearray | memoryview) -> None:
        if self._adler is not None:
            self._adler = zlib.adler32(data, self._adler)
        for hashed in self._hashes.values():
            hashed.update(data)

    def digests(self) -> dict[str, bytes]:
        """By algorithm."""
        found = {name: hashed.digest() for name, hashed in self._hashes.items()}
        if self._adler is not None:
            found[ADLER32] = self._adler.to_bytes(4, "big")
        return found
