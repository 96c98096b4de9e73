"""Whole Crypt4GH streams of other people's making: uploads opened by the server, sealed by a client.

`Unsealer` reads what any Crypt4GH tool writes: random nonces, maybe several data keys, maybe an edit list.
Such a stream does not tell that whole segments were dropped or swapped: compare the plaintext's size and
checksum.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mdm_async.crypt4gh.exchange import new_private_key
from mdm_async.crypt4gh.header import (
    MAGIC,
    MAX_HEADER,
    MAX_PACKETS,
    DataKey,
    Header,
    HeaderReader,
    header_length,
    open_header,
    seal_header,
)
from mdm_async.crypt4gh.segment import (
    CIPHER_SEGMENT,
    NONCE,
    OVERHEAD,
    PREFIX,
    RUN,
    SEGMENT,
    Bytes,
    SegmentKey,
    cipher_size,
    plain_size,
)
from mdm_async.errors import BadSeal

MAX_KEYS: Final = 32
"""Data keys tried for a segment. One is usual; with thousands, a segment would cost thousands of trials."""


def looks_sealed(first_bytes: Bytes) -> bool:
    """Whether a stream that begins with these bytes (at least 8) is a Crypt4GH stream."""
    return bytes(first_bytes[: len(MAGIC)]) == MAGIC


def sealed_size(plain: int) -> int:
    """The size in bytes of the stream that a `Sealer` makes of `plain` bytes."""
    return header_length(1, None) + cipher_size(plain)


class Unsealer:
    """Opens a Crypt4GH stream fed in pieces of any size. After a BadSeal it opens nothing more.

    Limits: `max_header` in bytes (at most MAX_HEADER), `max_packets`, `max_keys` different data keys.

    `header` is the opened header, None until it is complete.
    """

    def __init__(
        self,
        recipient_private: bytes,
        *,
        max_header: int = MAX_HEADER,
        max_packets: int = MAX_PACKETS,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self.header: Header | None = None
        self._recipient_private = recipient_private
        self._max_keys = max_keys
        self._header_reader = HeaderReader(max_size=max_header, max_packets=max_packets)
        self._ciphers: list[ChaCha20Poly1305] = []
        self._editor: _Editor | None = None
        self._buffer = bytearray()
        self._segments = 0
        self._over = False

    def feed(self, chunk: Bytes) -> list[memoryview]:
        """Take the next bytes and give the plaintext they complete. BadSeal before any of a bad segment's."""
        self._demand_going()
        self._over = True  # A BadSeal below leaves it so.
        plain = self._take(chunk)
        self._over = False
        return plain

    def close(self) -> list[memoryview]:
        """The stream has ended: give the last, short segment's plaintext. BadSeal when the stream was cut."""
        self._demand_going()
        self._over = True
        if self.header is None:
            raise BadSeal("the stream ends inside its header")
        return self._open(len(self._buffer)) if self._buffer else []

    def _demand_going(self) -> None:
        if self._over:
            raise BadSeal("the stream was already closed or refused")

    def _take(self, chunk: Bytes) -> list[memoryview]:
        if self.header is not None:
            self._buffer += chunk
        elif self._header_reader.feed(chunk):
            self._open_header()
        plain = []
        while len(self._buffer) >= CIPHER_SEGMENT:
            plain += self._open(min(len(self._buffer) // CIPHER_SEGMENT, RUN) * CIPHER_SEGMENT)
        return plain

    def _open_header(self) -> None:
        header = open_header(self._header_reader.header, recipient_private=self._recipient_private)
        keys = dict.fromkeys(header.keys)
        if len(keys) > self._max_keys:
            raise BadSeal(f"the header has {len(keys)} data keys; {self._max_keys} are tried")
        self.header = header
        self._ciphers = [ChaCha20Poly1305(key) for key in keys]
        self._editor = None if header.edit_list is None else _Editor(header.edit_list)
        self._buffer += self._header_reader.rest

    def _open(self, size: int) -> list[memoryview]:
        """Open the first `size` bytes of the buffer: whole segments, or at the end a short one."""
        if size % CIPHER_SEGMENT == OVERHEAD:
            opened = bytearray()  # Some writers end a full last segment with an empty one.
            with memoryview(self._buffer) as cipher:
                self._open_segment(cipher, opened)
        else:
            opened = bytearray(plain_size(size))
            with memoryview(self._buffer) as cipher, memoryview(opened) as plain:
                for number, start in enumerate(range(0, size, CIPHER_SEGMENT)):
                    stop = min(start + CIPHER_SEGMENT, size)
                    place = number * SEGMENT
                    self._open_segment(cipher[start:stop], plain[place : place + stop - start - OVERHEAD])
        del self._buffer[:size]
        view = memoryview(opened).toreadonly()
        return [view] if self._editor is None else self._editor.keep(view)

    def _open_segment(self, cipher: memoryview, out: memoryview | bytearray) -> None:
        for place, aead in enumerate(self._ciphers):
            try:
                aead.decrypt_into(cipher[:NONCE], cipher[NONCE:], None, out)
            except InvalidTag:
                continue
            if place:
                # Its neighbours were likely sealed with the same key.
                self._ciphers.insert(0, self._ciphers.pop(place))
            self._segments += 1
            return
        raise BadSeal(f"segment {self._segments} was cut, changed or sealed with another key")


class _Editor:
    """Applies an edit list (Crypt4GH 1.0 §4.3) to a plaintext that comes in pieces, and may end before the list."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        self._lengths = iter(lengths)
        self._keeping = bool(lengths)
        self._left: int | None = 0 if lengths else None

    def keep(self, plain: memoryview) -> list[memoryview]:
        """The pieces of `plain`, which follows what was given before, that are kept."""
        kept = []
        position = 0
        while position < len(plain):
            while self._left == 0:
                self._next()
            rest = len(plain) - position
            length = rest if self._left is None else min(self._left, rest)
            if self._keeping:
                kept.append(plain[position : position + length])
            if self._left is not None:
                self._left -= length
            position += length
        return kept

    def _next(self) -> None:
        """Go to the next length: None past the list's end, where all the rest is kept or dropped."""
        self._keeping = not self._keeping
        self._left = next(self._lengths, None)


class Sealer:
    """Seals one stream for one recipient, with a fresh sender key, data key and nonce prefix."""

    def __init__(self, recipient_public: bytes) -> None:
        data_key = os.urandom(32)
        self._key = SegmentKey(data_key, os.urandom(PREFIX))
        self._header = seal_header(
            [DataKey(data_key)],
            sender_private=new_private_key(),
            recipient_public=recipient_public,
            nonces=[os.urandom(NONCE)],
        )
        self._buffer = bytearray()
        self._segments = 0
        self._closed = False

    def header(self) -> bytes:
        """The header, to be sent first."""
        return self._header

    def feed(self, chunk: Bytes) -> list[bytearray]:
        """Take the next plaintext and give the segments it completes.

        The latest segment is held back until it is known whether it is the last, which its nonce tells.
        """
        if self._closed:
            raise ValueError("the stream is already closed")
        self._buffer += chunk
        sealed = []
        while len(self._buffer) > SEGMENT:
            sealed.append(self._seal(min((len(self._buffer) - 1) // SEGMENT, RUN) * SEGMENT, final=False))
        return sealed

    def close(self) -> list[bytearray]:
        """The plaintext has ended: give the last segment (none for an empty plaintext)."""
        if self._closed:
            raise ValueError("the stream is already closed")
        self._closed = True
        return [self._seal(len(self._buffer), final=True)] if self._buffer else []

    def _seal(self, size: int, *, final: bool) -> bytearray:
        with memoryview(self._buffer) as plain:
            sealed = self._key.encrypt_run(plain[:size], self._segments, final)
        del self._buffer[:size]
        self._segments += -(-size // SEGMENT)
        return sealed
