"""Pictures of frames: the very bytes that a view's frames have, drawn by a process that has nothing."""

from dataclasses import replace
from typing import Final

from mdm_async.blobs.store import BlobStore, FileRange, Piece
from mdm_async.dicom.pictures.asked import MOST_PIXELS, Picture
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.errors import BadQuery, NotAcceptable, NotSupported, ScrubRefused, TooLarge
from mdm_async.images.reading import stream
from mdm_async.images.reading.representation import ClearView
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies.frame_jobs import Draw, can_be_drawn
from mdm_async.images.studies.frames import Frame
from mdm_async.images.studies.little_endian import in_little
from mdm_async.images.views.scrubbing import Scrubber

MOST_DECODED: Final = 128 << 20
"""Bytes of one frame's samples."""
_COPIES: Final = 3
"""Of what goes to a process."""


def demand_drawable(pixels: Placed, frame: Frame, asked: Picture) -> None:
    """Before any of it is read. Raises NotSupported, NotAcceptable, TooLarge, BadQuery."""
    if not can_be_drawn():
        raise NotSupported(
            "this server draws no pictures",
            remedy="retrieve the frames, or have the administrator install mdm_async[decoders]",
        )
    layout = pixels.layout
    if layout is None or not layout.rows or not layout.columns:
        raise NotAcceptable("the image does not say how its frames lie", remedy="retrieve the instance")
    if max(replace(layout, frames=1).in_full, _size(frame)) > MOST_DECODED:
        raise TooLarge(
            f"pictures are made of frames of up to {MOST_DECODED >> 20} MiB", remedy="retrieve the frame"
        )
    box = asked.viewport.box(layout.columns, layout.rows)
    if box is None:
        raise BadQuery("the viewport shows nothing of the image")
    width, height = asked.viewport.size(box)
    if width * height > MOST_PIXELS:
        raise TooLarge(
            f"the picture would have more than {MOST_PIXELS >> 20} Mi pixels",
            remedy="ask for a smaller one: ?viewport=1024,1024",
        )


def weight(view: ReadyView, pixels: Placed, frame: Frame, asked: Picture) -> int:
    """Bytes of this server's memory that it takes at the most."""
    layout = pixels.layout
    assert layout is not None
    box = asked.viewport.box(layout.columns, layout.rows)
    assert box is not None
    width, height = asked.viewport.size(box)
    return _COPIES * (view.parts[0].record.size + _size(frame)) + 4 * width * height


async def picture(
    blobs: BlobStore,
    scrubber: Scrubber,
    view: ReadyView,
    pixels: Placed,
    frame: Frame,
    number: int,
    asked: Picture,
    *,
    begun: bool = False,
) -> bytes:
    """Of a frame that is `drawable`. `begun`: for an answer that has, which waits for its turn. Raises NotAcceptable
    where it cannot be drawn, TooManyRequests, Damaged."""
    async with scrubber.decoding(bulk=False, begun=begun):
        head = await stream.first_part(blobs, view)
        fragments = await _fragments(ClearView(view, blobs), pixels, frame)
        try:
            return await scrubber.run(Draw(head, fragments, pixels.in_little, number, asked))
        except ScrubRefused as why:
            raise NotAcceptable(
                f"no picture can be made of this frame: {why}", remedy="retrieve the frame"
            ) from why


async def _fragments(view: ClearView, pixels: Placed, frame: Frame) -> list[bytes]:
    source = in_little(view, (pixels.start, pixels.end), pixels.word)
    async with source.open(frame, files=False) as pieces:
        return [b"".join([_plain(piece) async for piece in pieces(*span)]) for span in frame]


def _plain(piece: Piece) -> bytes:
    assert not isinstance(piece, FileRange)
    return bytes(piece)


def _size(frame: Frame) -> int:
    return sum(stop - start for start, stop in frame)
