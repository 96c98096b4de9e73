"""Crypt4GH segments (Crypt4GH 1.0 §3.4): their sizes, their nonces, and runs of them sealed and opened.

A *part* is a plaintext cut into segments of 65,536 bytes, the last one 1 to 65,536; an empty part has none.
On the wire a segment is nonce(12) ‖ ciphertext ‖ tag(16). Our nonces are the STREAM construction of age and
Tink, prefix(7) ‖ counter(4, big endian) ‖ last(1): a segment tells its place in its part, so swapped,
repeated, dropped and cut segments are found, which Crypt4GH alone does not do. To other readers they are
ordinary nonces.
"""

from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mdm_async.errors import BadSeal

SEGMENT: Final = 65_536
NONCE: Final = 12
TAG: Final = 16
OVERHEAD: Final = NONCE + TAG
CIPHER_SEGMENT: Final = SEGMENT + OVERHEAD
PREFIX: Final = 7
RUN: Final = 16
"""Segments per job (one mebibyte): long enough to be worth a thread, short enough to be cancelled soon."""
MAX_SEGMENTS: Final = 2**32

Bytes: TypeAlias = bytes | bytearray | memoryview


def segment_count(plain: int) -> int:
    """How many segments `plain` bytes make."""
    if plain < 0:
        raise ValueError("a size is negative")
    return -(-plain // SEGMENT)


def cipher_size(plain: int) -> int:
    """The size in bytes of `plain` bytes once sealed (without header)."""
    return plain + segment_count(plain) * OVERHEAD


def plain_size(cipher: int) -> int:
    """The plaintext size of `cipher` bytes of segments. BadSeal when no plaintext has that size sealed."""
    if cipher < 0:
        raise ValueError("a size is negative")
    whole, rest = divmod(cipher, CIPHER_SEGMENT)
    if 0 < rest <= OVERHEAD:
        raise BadSeal(f"no run of segments is {cipher} bytes long", remedy="fetch the data again")
    return whole * SEGMENT + (rest - OVERHEAD if rest else 0)


def padded(plain: int) -> int:
    """`plain` rounded up to whole segments."""
    return segment_count(plain) * SEGMENT


def covering(start: int, stop: int) -> range:
    """The segments that hold the plaintext bytes start ≤ i < stop."""
    if not 0 <= start <= stop:
        raise ValueError("not a range of bytes")
    first = start // SEGMENT
    return range(first, segment_count(stop) if stop > start else first)


def cipher_span(segments: range, plain: int) -> tuple[int, int]:
    """Where `segments` of a part of `plain` bytes lie in its ciphertext: start and stop, in bytes."""
    total = cipher_size(plain)
    return min(segments.start * CIPHER_SEGMENT, total), min(segments.stop * CIPHER_SEGMENT, total)


class SegmentKey:
    """One part's key and nonce prefix. Safe to share between threads: calls keep no state.

    Never seal two different plaintexts with the same key and prefix.
    """

    __slots__ = ("_aead", "_prefix")

    def __init__(self, key: bytes | bytearray, prefix: bytes) -> None:
        if len(key) != 32 or len(prefix) != PREFIX:
            raise ValueError("a segment key is 32 bytes, its prefix 7")
        self._aead = ChaCha20Poly1305(key)
        self._prefix = bytes(prefix)

    def nonce(self, index: int, last: bool) -> bytes:
        """The nonce of segment `index`; `last` on the part's final one."""
        if not 0 <= index < MAX_SEGMENTS:
            raise ValueError("a part has at most 2^32 segments")
        return self._prefix + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")

    def encrypt_run(self, plain: Bytes, first_index: int, final: bool) -> bytearray:
        """Seal consecutive segments beginning at `first_index`; `final` when the part ends with this run.

        Only a final run may end in a short segment (ValueError). An empty run gives nothing.
        """
        sealed = bytearray(cipher_size(len(plain)))
        self.encrypt_run_into(plain, sealed, first_index, final)
        return sealed

    def encrypt_run_into(
        self, plain: Bytes, out: bytearray | memoryview, first_index: int, final: bool
    ) -> int:
        """As `encrypt_run`, into the beginning of `out`; returns the bytes written."""
        size = len(plain)
        written = cipher_size(size)
        if size % SEGMENT and not final:
            raise ValueError("only a part's last segment may be short")
        if len(out) < written:
            raise ValueError("the output buffer is too small")
        source, sink = memoryview(plain), memoryview(out)
        position = 0
        for index, start in enumerate(range(0, size, SEGMENT), first_index):
            stop = min(start + SEGMENT, size)
            nonce = self.nonce(index, final and stop == size)
            end = position + stop - start + OVERHEAD
            sink[position : position + NONCE] = nonce
            self._aead.encrypt_into(nonce, source[start:stop], None, sink[position + NONCE : end])
            position = end
        return written

    def decrypt_run(self, cipher: Bytes, first_index: int, total_segments: int) -> bytearray:
        """Open consecutive segments beginning at `first_index` of a part that has `total_segments`.

        BadSeal, and no plaintext, unless every nonce is the one its place demands and every tag is right.
        """
        opened = bytearray(plain_size(len(cipher)))
        self.decrypt_run_into(cipher, opened, first_index, total_segments)
        return opened

    def decrypt_run_into(
        self, cipher: Bytes, out: bytearray | memoryview, first_index: int, total_segments: int
    ) -> int:
        """As `decrypt_run`, into the beginning of `out`; returns the bytes written, all zero on BadSeal."""
        written = plain_size(len(cipher))
        if len(out) < written:
            raise ValueError("the output buffer is too small")
        source, sink = memoryview(cipher), memoryview(out)
        self._demand_places(source, first_index, total_segments)
        position = 0
        for index, start in enumerate(range(0, len(cipher), CIPHER_SEGMENT), first_index):
            stop = min(start + CIPHER_SEGMENT, len(cipher))
            end = position + stop - start - OVERHEAD
            nonce, body = source[start : start + NONCE], source[start + NONCE : stop]
            try:
                self._aead.decrypt_into(nonce, body, None, sink[position:end])
            except InvalidTag:
                # The cipher has already written what it could not authenticate.
                sink[:written] = bytes(written)
                raise BadSeal(f"segment {index} was changed or sealed with another key") from None
            position = end
        return written

    def _demand_places(self, cipher: memoryview, first_index: int, total_segments: int) -> None:
        last = total_segments - 1
        for index, start in enumerate(range(0, len(cipher), CIPHER_SEGMENT), first_index):
            if index > last:
                raise BadSeal(f"segment {index} lies past the end of its part")
            if cipher[start : start + NONCE] != self.nonce(index, index == last):
                raise BadSeal(f"segment {index} is not the one that belongs there")
            if len(cipher) - start < CIPHER_SEGMENT and index != last:
                raise BadSeal(f"segment {index} is cut")
