"""Compressed views as native ones: another head and tail around frames that are decoded while they leave."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from mdm_async.blobs.store import BlobStore, Piece
from mdm_async.dicom.decompressed import in_native
from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.pixels.inspector import PIXEL_DATA
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.pixels.single import whole
from mdm_async.dicom.vr_encodings import pixel_header
from mdm_async.errors import NotAcceptable, NotDicom
from mdm_async.images.budget import Budget, Held
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading import heads
from mdm_async.images.reading.representation import Ending, Pieces, Representation, Span
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies.decoding import decoded, size_of, weight
from mdm_async.images.studies.frames import Frame, frames_of, pixels_of
from mdm_async.images.studies.rewriting import MOST_REWRITTEN, Rewritten, has_pixels, rewritten
from mdm_async.images.views.scrubbing import Scrubber

_LONGEST: Final = 0xFFFFFFFE
"""Bytes of a value (PS3.5 §7.1.1)."""
_PIECE: Final = 1 << 20


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class DecodedPixels:
    """The value of native Pixel Data. It is read as a whole, and decoded meanwhile; `begun` as in `decoded`."""

    blobs: BlobStore
    scrubber: Scrubber
    view: ReadyView
    pixels: Placed
    frames: Sequence[Frame]
    value: int
    """Bytes of all frames."""
    begun: bool
    ending: Ending

    sealed = False

    @property
    def size(self) -> int:
        """Bytes, which are an even number."""
        return self.value + self.value % 2

    @asynccontextmanager
    async def open(self, spans: Sequence[Span], *, files: bool) -> AsyncIterator[Pieces]:
        yield self._pieces

    async def _pieces(self, start: int, stop: int) -> AsyncGenerator[Piece, None]:
        """Raises as `decoded`."""
        assert (start, stop) == (0, self.size)
        frames = decoded(self.blobs, self.scrubber, self.view, self.pixels, self.frames, begun=self.begun)
        async with aclosing(frames) as each:
            async for frame in each:
                for at in range(0, len(frame), _PIECE):
                    yield memoryview(frame)[at : at + _PIECE]
        if self.value % 2:
            yield b"\0"


@dataclass(frozen=True, slots=True)
class Decompressor:
    """Of one node."""

    blobs: BlobStore
    cipher: CipherPool
    scrubber: Scrubber
    budget: Budget

    async def decompressed(
        self, served: Representation, held: Held, *, explicit: bool = True, begun: bool
    ) -> Rewritten:
        """A compressed view in Explicit (or Implicit) VR Little Endian. `held` grows by what it takes.

        `begun`: an answer that has begun waits for memory, and its turn to decode. Raises NotAcceptable where it cannot
        be, TooLarge, TooManyRequests.
        """
        view = served.plain
        assert view is not None
        if not has_pixels(view):
            return await rewritten(self.blobs, self.cipher, served, explicit=explicit)
        pixels = await pixels_of(self.blobs, self.scrubber, view, MOST_REWRITTEN, begun=begun)
        if pixels.layout is not None:
            pixels = replace(pixels, layout=whole(pixels.transfer_syntax, pixels.layout))
        size, layout = size_of(pixels), pixels.layout
        if size is None or layout is None or pixels.tag != PIXEL_DATA or size * layout.frames > _LONGEST:
            raise _refused()
        frames = await frames_of(self.blobs, view, pixels, None)
        most = 4 * MOST_REWRITTEN + weight(size, frames)
        self.budget.demand_possible(held.payer, most)
        await held.hold(most, begun=begun)
        head, tail = await heads.head_and_tail(self.blobs, self.cipher, view, MOST_REWRITTEN)
        if head is None:
            raise _refused()
        try:
            work = partial(in_native, head, tail, pixels.transfer_syntax, layout, explicit=explicit)
            before, after = await self.cipher.run(work)
        except NotDicom as why:
            raise _refused() from why
        value = DecodedPixels(
            self.blobs, self.scrubber, view, pixels, frames, size * len(frames), begun, served.ending
        )
        to = EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE
        return Rewritten(before + pixel_header(PIXEL_DATA, value.size, to), value, (0, value.size), after)


def _refused() -> NotAcceptable:
    return NotAcceptable(
        "a compressed image cannot be had decoded", remedy="ask for it as it is stored: transfer-syntax=*"
    )
