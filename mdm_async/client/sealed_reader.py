"""The strict reader of sealed transfers: it opens exactly what was announced, and nothing else.

What the server announced when it prepared the transfer came over an authenticated channel: the sender's
public key (one per transfer), the parts, the sizes. The stream itself may have crossed plain HTTP and
anyone's storage. So the reader demands that exactly the expected packets are there, all from that sender, that
the edit list is the one that follows from the parts, that each segment's nonce is the one its place demands,
that padding is zero and that the size is exact. A BadSeal comes before any plaintext of its segment.

Pure: bytes in, bytes out. Opening releases the interpreter lock, so calls belong in a thread.
"""

from collections.abc import Sequence

from mdm_async.crypt4gh.header import open_header
from mdm_async.crypt4gh.layout import Covering, SealedLayout, SealedPart, packet_order
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, RUN, SEGMENT, Bytes, SegmentKey, segment_count
from mdm_async.errors import BadSeal

_AGAIN = "fetch it again; if that does not help, prepare the transfer again"


class SealedReader:
    """Reads one sealed transfer, from its beginning (`feed`, `close`) or by ranges (`open_header`,
    `decrypt_range`).

    `parts` in stream order; `sealed_size` and `plain_size` as announced, in bytes. BadSeal when they
    contradict each other. `layout` tells where everything lies.
    """

    def __init__(
        self,
        parts: Sequence[SealedPart],
        *,
        recipient_private: bytes,
        sender_public: bytes,
        sealed_size: int,
        plain_size: int,
    ) -> None:
        self.layout = SealedLayout(parts)
        if (self.layout.stream_size, self.layout.plain_size) != (sealed_size, plain_size):
            raise BadSeal("the announced sizes and parts contradict each other", remedy="prepare it again")
        self._recipient_private = recipient_private
        self._sender_public = sender_public
        self._keys: tuple[SegmentKey, ...] = ()
        self._buffer = bytearray()
        self._received = 0
        self._part = 0
        self._segment = 0
        self._over = False

    def open_header(self, data: Bytes) -> None:
        """Open the header: the first `layout.header_size` bytes of the stream (more may follow in `data`)."""
        size = self.layout.header_size
        header = open_header(
            data[:size], recipient_private=self._recipient_private, expected_sender=self._sender_public
        )
        order = packet_order(len(self.layout.parts))
        if header.size != size or len(header.keys) != len(order):
            raise BadSeal("the header does not have the announced packets", remedy=_AGAIN)
        if header.edit_list != self.layout.edit_list:
            raise BadSeal("the header's edit list is not that of the announced parts", remedy=_AGAIN)
        key_of = dict(zip(order, header.keys, strict=True))
        self._keys = tuple(
            SegmentKey(key_of[part], announced.prefix) for part, announced in enumerate(self.layout.parts)
        )

    def feed(self, chunk: Bytes) -> list[memoryview]:
        """Take the next bytes of the stream and give the plaintext they complete."""
        self._demand_going()
        self._over = True  # A BadSeal below leaves it so.
        self._received += len(chunk)
        if self._received > self.layout.stream_size:
            raise BadSeal("the stream is longer than announced", remedy=_AGAIN)
        self._buffer += chunk
        plain = self._read()
        self._over = False
        return plain

    def close(self) -> list[memoryview]:
        """The stream has ended: BadSeal if bytes are missing. Nothing is left to give, `feed` gave it all."""
        self._demand_going()
        self._over = True
        if self._received != self.layout.stream_size:
            raise BadSeal("the stream is shorter than announced", remedy=_AGAIN)
        return []

    def covering(self, plain_start: int, plain_stop: int) -> tuple[int, int]:
        """What to fetch, start and stop in the stream, for the view's bytes plain_start ≤ i < plain_stop."""
        found = self.layout.locate(plain_start, plain_stop)
        return (found[0].cipher_start, found[-1].cipher_stop) if found else (0, 0)

    def decrypt_range(self, plain_start: int, plain_stop: int, cipher: Bytes) -> list[memoryview]:
        """The view's bytes plain_start ≤ i < plain_stop, from exactly the ciphertext that `covering` names.

        The header must be open (ValueError). Calls may run side by side.
        """
        if not self._keys:
            raise ValueError("the header is not open")
        start, stop = self.covering(plain_start, plain_stop)
        if len(cipher) != stop - start:
            raise BadSeal("the fetched range does not have the size asked for", remedy=_AGAIN)
        with memoryview(cipher) as view:
            return [
                self._open(found, view[found.cipher_start - start : found.cipher_stop - start])
                for found in self.layout.locate(plain_start, plain_stop)
            ]

    def _demand_going(self) -> None:
        if self._over:
            raise BadSeal("the stream was already closed or refused", remedy=_AGAIN)

    def _read(self) -> list[memoryview]:
        if not self._keys:
            size = self.layout.header_size
            if len(self._buffer) < size:
                return []
            self.open_header(self._buffer)
            del self._buffer[:size]
        plain = []
        while (run := self._next_run()) is not None:
            size = run.cipher_stop - run.cipher_start
            with memoryview(self._buffer) as view:
                plain.append(self._open(run, view[:size]))
            del self._buffer[:size]
            self._segment = run.stop_segment
        return plain

    def _next_run(self) -> Covering | None:
        """The next segments that the buffer holds completely, at most a run; None when there are none yet."""
        segments = self.layout.segments
        while self._part < len(segments) and self._segment == segments[self._part]:
            self._part, self._segment = self._part + 1, 0
        if self._part == len(segments):
            return None
        run = self.layout.run(self._part, self._segment, min(self._segment + RUN, segments[self._part]))
        if len(self._buffer) >= run.cipher_stop - run.cipher_start:
            return run
        held = len(self._buffer) // CIPHER_SEGMENT
        return self.layout.run(self._part, self._segment, self._segment + held) if held else None

    def _open(self, found: Covering, cipher: memoryview) -> memoryview:
        size = self.layout.parts[found.part].plain_size
        opened = self._keys[found.part].decrypt_run(cipher, found.first_segment, segment_count(size))
        rest = size - found.first_segment * SEGMENT
        if len(opened) > rest and opened.count(0, rest) != len(opened) - rest:
            raise BadSeal(f"the padding of part {found.part} is not zero")
        return memoryview(opened)[found.cut_start : found.cut_stop].toreadonly()
