"""Head and tail of an original, for the server itself: to make views of it, or to compare names with its patient's."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.part10 import Kind, Piece, Splitter
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading import stream
from mdm_async.images.reading.view import ReadyView

_PIECES = 8


async def head_and_tail(
    blobs: BlobStore, cipher: CipherPool, original: ReadyView, most: int
) -> tuple[bytes | None, bytes]:
    """Head (None when they are larger than `most` bytes) and tail; of a deflated file inflated. Raises Damaged."""
    if _is_deflated(original):
        return await _inflated(blobs, cipher, original, most)
    sizes = [part.record.size for part in original.parts]
    if sizes[0] + sum(sizes[2:]) > most:
        return None, b""
    head = await _bytes(blobs, original, 0, sizes[0])
    return head, await _bytes(blobs, original, sum(sizes[:2]), sum(sizes))


async def head(blobs: BlobStore, cipher: CipherPool, original: ReadyView, most: int) -> bytes | None:
    """As `head_and_tail`, without the tail."""
    if _is_deflated(original):
        return (await _inflated(blobs, cipher, original, most))[0]
    size = original.parts[0].record.size
    return await _bytes(blobs, original, 0, size) if size <= most else None


async def beginning(blobs: BlobStore, cipher: CipherPool, original: ReadyView, most: int) -> bytes:
    """The head, or as much of it as `most` bytes; nothing of a deflated one that is larger. Raises Damaged."""
    if _is_deflated(original):
        return (await _inflated(blobs, cipher, original, most))[0] or b""
    return await _bytes(blobs, original, 0, min(original.parts[0].record.size, most))


def _is_deflated(original: ReadyView) -> bool:
    return original.parts[0].row.kind == Kind.ORIGINAL.value


async def _bytes(blobs: BlobStore, original: ReadyView, start: int, stop: int) -> bytes:
    return b"".join([bytes(piece) async for piece in stream.clear(blobs, original, start, stop)])


async def _inflated(
    blobs: BlobStore, cipher: CipherPool, original: ReadyView, most: int
) -> tuple[bytes | None, bytes]:
    """Head and tail of a deflated file; no head when they are larger than may be scrubbed."""
    kept = {Kind.HEAD: bytearray(), Kind.TAIL: bytearray()}
    splitter = Splitter(force=True)  # what is stored was let in
    async for chunk in stream.clear(blobs, original, 0, original.size):
        pieces = splitter.stream(chunk)
        # Off the loop, and a few at a time: a chunk may inflate to a thousand times its size.
        while some := await cipher.run(partial(_some, pieces)):
            for piece in some:
                if piece.kind in kept:
                    kept[piece.kind] += piece.data
            if sum(map(len, kept.values())) > most:
                return None, b""
    return bytes(kept[Kind.HEAD]), bytes(kept[Kind.TAIL])


def _some(pieces: Iterator[Piece]) -> list[Piece]:
    return list(islice(pieces, _PIECES))
