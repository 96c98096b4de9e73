"""Compressed frames made native, some at a time, by a process that has nothing."""

import importlib.util
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.pixels.inspector import NATIVE
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.pixels.plain_frames import DEFLATED_FRAMES, UNCOMPRESSED
from mdm_async.dicom.pixels.video.streams import SYNTAXES as VIDEOS
from mdm_async.errors import NotAcceptable, ScrubRefused
from mdm_async.images.reading import stream
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies.frame_jobs import Decompress
from mdm_async.images.studies.frames import Frame
from mdm_async.images.studies.pictures import MOST_DECODED
from mdm_async.images.views.scrubbing import Scrubber

_TOGETHER: Final = 16 << 20
"""Bytes of frames that are decoded in one go, of which there is one at the least."""
_COPIES: Final = 3
_JPEG: Final = "1.2.840.10008.1.2.4."
_PLUGINS: Final = {
    **{f"{_JPEG}{number}": ("numpy", "pylibjpeg", "libjpeg") for number in (50, 51, 57, 70, 80, 81)},
    **{f"{_JPEG}{number}": ("numpy", "pylibjpeg", "openjpeg") for number in (90, 91, 201, 202, 203)},
    **dict.fromkeys(("1.2.840.10008.1.2.5", UNCOMPRESSED, DEFLATED_FRAMES), ()),
}
"""What decodes frames, of what `mdm_async[decoders]` has, by transfer syntax."""


def can_be_decoded(transfer_syntax: str) -> bool:
    """Whether this installation makes native frames of those in this transfer syntax."""
    plugins = _PLUGINS.get(transfer_syntax)
    return plugins is not None and _are_installed(plugins)


@cache
def _are_installed(names: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(name) for name in names)


def size_of(pixels: Placed) -> int | None:
    """Bytes of each frame once it is native; None of those that are not decoded here."""
    layout = pixels.layout
    if layout is None or pixels.transfer_syntax in NATIVE or pixels.transfer_syntax in VIDEOS:
        return None
    size = replace(layout, frames=1).frame_size
    return size if 0 < size <= MOST_DECODED and layout.bits % 8 == 0 else None


def weight(size: int, frames: Sequence[Frame]) -> int:
    """Bytes of this server's memory that it takes at the most."""
    return max(_COPIES * (sum(map(_encoded, some)) + len(some) * size) for some in _batches(size, frames))


async def decoded(
    blobs: BlobStore,
    scrubber: Scrubber,
    view: ReadyView,
    pixels: Placed,
    frames: Sequence[Frame],
    *,
    begun: bool = False,
) -> AsyncGenerator[bytes, None]:
    """One after the other. `begun`: the answer has, with others. Raises NotAcceptable where they cannot be decoded,
    TooManyRequests before the first of an answer alone, Damaged."""
    size = size_of(pixels)
    assert size is not None
    for some in _batches(size, frames):
        async with scrubber.decoding(bulk=False, begun=begun):
            encoded = [
                [
                    b"".join([bytes(piece) async for piece in stream.clear(blobs, view, *span)])
                    for span in frame
                ]
                for frame in some
            ]
            try:
                found = await scrubber.run(Decompress(replace(pixels, extended=None), encoded))
            except ScrubRefused as why:
                raise NotAcceptable(
                    f"the frames are had as they are stored alone: {why}",
                    remedy="ask for transfer-syntax=*",
                ) from why
            if [len(one) for one in found] != [size] * len(some):
                raise NotAcceptable(
                    "the frames are not of the size described", remedy="ask for transfer-syntax=*"
                )
        begun = True
        for one in found:
            yield one


def _batches(size: int, frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    several = max(1, _TOGETHER // size)
    return (frames[at : at + several] for at in range(0, len(frames), several))


def _encoded(frame: Frame) -> int:
    return sum(stop - start for start, stop in frame)
