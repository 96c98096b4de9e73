"""Memory that views are decrypted into, and used again: fresh memory costs more, in page faults, than to decrypt."""

from typing import Final

from mdm_async.crypt4gh.segment import RUN, SEGMENT

_LARGEST: Final = RUN * SEGMENT
"""Bytes of each that is kept: those of a run."""
_LEAST: Final = _LARGEST // 8
"""Of fewer, fresh memory costs next to nothing."""
_KEPT: Final = 16


class _Buffer(bytearray):
    """Told apart from all other memory of the same size."""


_free: list[_Buffer] = []


def buffer(size: int) -> memoryview:
    """So many bytes, a run's at the most, of whatever content."""
    if size < _LEAST:
        return memoryview(bytearray(size))
    try:
        return memoryview(_free.pop())[:size]
    except IndexError:
        return memoryview(_Buffer(_LARGEST))[:size]


def give_back(piece: object) -> None:
    """Whoever asked for a buffer, or was given a piece of one, and is done with it, may let others use it; but need
    not. Nobody else may have a piece of it. Other memory is left as it is."""
    if isinstance(piece, memoryview) and isinstance(piece.obj, _Buffer) and len(_free) < _KEPT:
        _free.append(piece.obj)
