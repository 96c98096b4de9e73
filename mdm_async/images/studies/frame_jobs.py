"""The jobs of drawing a frame, and of decoding some, which a scrubber does in a process of its own."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from mdm_async.dicom.pictures.asked import Picture
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.pixels.single import as_described, native
from mdm_async.errors import ScrubRefused


def can_be_drawn() -> bool:
    """Whether this installation has what pictures are drawn with."""
    return all(importlib.util.find_spec(name) for name in ("numpy", "PIL"))


@dataclass(frozen=True, slots=True, repr=False)
class Draw:
    """As `drawn`."""

    head: bytes
    fragments: Sequence[bytes]
    placed: Placed
    number: int
    asked: Picture

    @property
    def size(self) -> int:
        return len(self.head) + sum(map(len, self.fragments))

    alone = True

    def run(self) -> bytes:
        # Imported here: it is not everywhere, and only the processes that draw need it.
        from mdm_async.dicom.pictures.drawing import drawn

        try:
            return drawn(self.head, self.fragments, self.placed, self.number, self.asked)
        except (ScrubRefused, MemoryError):
            raise
        except Exception:
            # Whatever they stumble over is a reason, and its text may quote data.
            raise ScrubRefused("what it says of its pixels does not hold together") from None


@dataclass(frozen=True, slots=True, repr=False)
class Decompress:
    """Frames as the image describes native ones; each is given as its fragments."""

    placed: Placed
    frames: Sequence[Sequence[bytes]]

    @property
    def size(self) -> int:
        return sum(len(fragment) for frame in self.frames for fragment in frame)

    alone = True

    def run(self) -> list[bytes]:
        described = self.placed.layout
        assert described is not None
        decoded = (native(self.placed.transfer_syntax, described, frame) for frame in self.frames)
        return [as_described(frame, layout, described) for frame, layout in decoded]
