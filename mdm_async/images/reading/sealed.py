"""A sealed transfer: the Crypt4GH stream of one view for one recipient.

Blobs go out as they are stored, under their own keys, which the header hands to the recipient. What is small and
lies in the catalog is encrypted on the spot under keys from the transfer's seed. The same seed gives the same bytes.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from mdm_async.crypt4gh.exchange import public_key
from mdm_async.crypt4gh.header import DataKey, EditList, Packet, seal_header
from mdm_async.crypt4gh.layout import SealedLayout, SealedPart, packet_order
from mdm_async.crypt4gh.segment import SegmentKey
from mdm_async.errors import Unavailable
from mdm_async.images.parts import adler
from mdm_async.images.reading.view import ReadyPart, ReadyView
from mdm_async.keys.derive import FORMAT, SealedKeys, StreamKey


@dataclass(frozen=True, slots=True)
class BlobSlice:
    """Bytes of a blob, to be sent as they lie there."""

    blob: UUID
    offset: int
    size: int


@dataclass(frozen=True, slots=True, repr=False)
class SealedView:
    """The whole stream: bytes made on the spot and blobs, in order."""

    pieces: tuple[bytes | BlobSlice, ...]
    size: int
    adler32: int
    sender_public: bytes
    parts: tuple[SealedPart, ...]
    context: bytes
    registration: UUID
    """Of the keys by which its view was opened."""
    image: UUID
    elsewhere: bool
    """As the view has it."""

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.sender_public + self.context).hexdigest()[:32]}"'

    def blobs(self, start: int, stop: int) -> Iterator[tuple[UUID, int]]:
        """The blobs that the stream's bytes start ≤ i < stop lie in, and their sizes."""
        whole = {piece.blob: piece.size for piece in self.pieces if isinstance(piece, BlobSlice)}
        for piece in self.slices(start, stop):
            if isinstance(piece, BlobSlice):
                yield piece.blob, whole[piece.blob]

    def slices(self, start: int, stop: int) -> Iterator[memoryview | BlobSlice]:
        """What to send for the stream's bytes start ≤ i < stop."""
        begin = 0
        for piece in self.pieces:
            size = piece.size if isinstance(piece, BlobSlice) else len(piece)
            low, high = max(start - begin, 0), min(stop - begin, size)
            if low < high:
                if isinstance(piece, BlobSlice):
                    yield BlobSlice(piece.blob, piece.offset + low, high - low)
                else:
                    yield memoryview(piece)[low:high]
            begin += size


def seal(view: ReadyView, recipient: bytes, seed: bytes) -> SealedView:
    """Make the stream of `view` for `recipient` (an X25519 public key, 32 bytes). Raises BadSeal on a bad key."""
    context = _context(view, recipient)
    keys = SealedKeys(seed, context)
    stream_keys = [part.key if part.plain is None else keys.part(i) for i, part in enumerate(view.parts)]
    layout = SealedLayout(
        [
            SealedPart(part.record.size, key.prefix, padded=part.record.padded)
            for part, key in zip(view.parts, stream_keys, strict=True)
        ]
    )
    header = _header(layout, stream_keys, recipient, keys)
    pieces: list[bytes | BlobSlice] = [header]
    checksum = zlib.adler32(header)
    for place, (part, key) in enumerate(zip(view.parts, stream_keys, strict=True)):
        size = layout.cipher_sizes[place]
        if part.plain is None:
            pieces.append(_stored(part, size))
            checksum = adler.combine(checksum, part.row.cipher_adler, size)
        else:
            padding = bytes(layout.sealed_sizes[place] - len(part.plain))
            made = SegmentKey(key.key, key.prefix).encrypt_run(part.plain + padding, 0, final=True)
            pieces.append(bytes(made))
            checksum = zlib.adler32(made, checksum)
    sender = public_key(keys.sender_private())
    size, whose = layout.stream_size, (view.registration, view.image, view.elsewhere)
    return SealedView(tuple(pieces), size, checksum, sender, layout.parts, context, *whose)


def _stored(part: ReadyPart, size: int) -> BlobSlice:
    if part.row.blob is None or part.row.cipher_size != size:
        raise Unavailable("a stored part does not fit into a sealed stream", remedy="run mdm fsck")
    return BlobSlice(part.row.blob, 0, size)


def _context(view: ReadyView, recipient: bytes) -> bytes:
    """Digest of all that decides the stream's bytes: were any of it to change, no key or nonce would repeat."""
    digest = hashlib.sha256(bytes([FORMAT]) + recipient)
    for part in view.parts:
        digest.update(part.row.id.bytes + part.row.salt + part.record.size.to_bytes(8, "big"))
        digest.update(bytes([part.record.padded]))
        digest.update(hashlib.sha256(part.plain or b"").digest())
    return digest.digest()


def _header(layout: SealedLayout, stream_keys: list[StreamKey], recipient: bytes, keys: SealedKeys) -> bytes:
    packets: list[Packet] = [DataKey(stream_keys[place].key) for place in packet_order(len(stream_keys))]
    if layout.edit_list:
        packets.append(EditList(layout.edit_list))
    return seal_header(
        packets,
        sender_private=keys.sender_private(),
        recipient_public=recipient,
        nonces=[keys.packet_nonce(i) for i in range(len(packets))],
    )
