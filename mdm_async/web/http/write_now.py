"""An answer written at once, as far as the network takes it."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mdm_async.blobs.store import FileRange, Piece
from mdm_async.web.http.connection import Connection

_STRIDE: Final = 128 << 10
"""Bytes that TLS is given at once. OpenSSL's memory for half a mebibyte, and Python's copy of it, are fresh each time:
a fifth more CPU, in page faults."""


@dataclass(frozen=True, slots=True)
class Left:
    """What the network did not take."""

    head: memoryview
    pieces: Sequence[Piece]
    is_waiting: bool = False
    """Some was handed to the transport, which still looks into its memory."""

    @property
    def of_body(self) -> int:
        return sum(map(len, self.pieces))

    def __bool__(self) -> bool:
        return bool(self.head or self.pieces or self.is_waiting)


def write_now(connection: Connection, head: bytes, pieces: Sequence[Piece]) -> Left:
    """Where nothing unsent lies before it only. What is encrypted is handed over whole."""
    wire = connection.transport
    assert wire is not None
    if connection.is_encrypted:
        wire.write(head)
        for piece in _leading(pieces):
            for start in range(0, len(piece), _STRIDE):
                wire.write(memoryview(piece)[start : start + _STRIDE])
        return Left(memoryview(b""), [], connection.writing_paused or wire.get_write_buffer_size() > 0)
    own = wire.get_extra_info("socket")
    # uvloop's stand-in for a socket cannot send. This one has its descriptor as long as nothing is waited for.
    network = socket.socket(own.family, own.type, own.proto, fileno=own.fileno())
    try:
        left = _written(network, [head, *pieces])
    finally:
        network.detach()
    if len(left) > len(pieces):
        return Left(memoryview(head)[-len(left[0]) :], pieces)
    return Left(memoryview(b""), left)


def _written(network: socket.socket, pieces: list[Piece]) -> list[Piece]:
    """What is left of them."""
    try:
        while pieces:
            first = pieces[0]
            if isinstance(first, FileRange):
                sent = os.sendfile(network.fileno(), first.descriptor, first.offset, first.size)
                if sent == 0:  # The file is shorter: whoever sends the rest says so.
                    break
            else:
                memory = _leading(pieces)
                sent = network.sendmsg(memory, (), socket.MSG_MORE if len(memory) < len(pieces) else 0)
            pieces = _without(pieces, sent)
    except OSError:
        pass  # It takes no more now, or never: whoever sends the rest finds out.
    return pieces


def _leading(pieces: Sequence[Piece]) -> list[bytes | memoryview]:
    """Those before the first range of a file."""
    found: list[bytes | memoryview] = []
    for piece in pieces:
        if isinstance(piece, FileRange):
            break
        found.append(piece)
    return found


def _without(pieces: list[Piece], sent: int) -> list[Piece]:
    """What is left of them when so many bytes have gone."""
    for place, piece in enumerate(pieces):
        if sent < len(piece):
            if isinstance(piece, FileRange):
                rest: Piece = FileRange(piece.descriptor, piece.offset + sent, piece.size - sent)
            else:
                rest = memoryview(piece)[sent:]
            return [rest, *pieces[place + 1 :]]
        sent -= len(piece)
    return []
