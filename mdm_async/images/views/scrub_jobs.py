"""The jobs that a scrubber does, in a thread or in another process."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from mdm_async.dicom.mapping import Subject
from mdm_async.dicom.pixels.decoding import decode
from mdm_async.dicom.pixels.description import PixelFacts
from mdm_async.dicom.pixels.plan import PixelEdits, PixelPlan
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.scrub import Begun, Scrubbed, begin, finish
from mdm_async.errors import ScrubRefused

T_co = TypeVar("T_co", covariant=True)


class Job(Protocol[T_co]):
    """Work that can be pickled."""

    @property
    def size(self) -> int:
        """About how many bytes it goes through."""

    def run(self) -> T_co: ...


@dataclass(frozen=True, slots=True, repr=False)
class Begin:
    """Scrub a head, while the pixels may still be on their way."""

    profile: Profile
    key: bytes
    head: bytes
    edits: PixelEdits | None = None
    subject: Subject | None = None

    @property
    def size(self) -> int:
        return len(self.head)

    def run(self) -> Begun:
        return begin(self.head, profile=self.profile, key=self.key, edits=self.edits, subject=self.subject)


@dataclass(frozen=True, slots=True, repr=False)
class Finish:
    """Scrub the tail, and say whether the view can be served at all."""

    profile: Profile
    key: bytes
    begun: Begun
    tail: bytes
    pixels: PixelFacts
    released: bool = False

    @property
    def size(self) -> int:
        return len(self.tail)  # the head is done

    def run(self) -> Scrubbed:
        return finish(
            self.begun,
            self.tail,
            profile=self.profile,
            key=self.key,
            pixels=self.pixels,
            released=self.released,
        )


@dataclass(frozen=True, slots=True, repr=False)
class Decode:
    """Decode compressed pixels, whole, and blank regions of them; `limit` is the most bytes they may become."""

    plan: PixelPlan
    head: bytes
    pixels: bytes
    limit: int

    @property
    def size(self) -> int:
        return len(self.pixels)

    def run(self) -> tuple[PixelEdits, list[bytes]]:
        edits, pieces = decode(self.head, self.pixels, self.plan)
        decoded: list[bytes] = []
        size = 0
        for piece in pieces:
            decoded.append(piece)
            size += len(piece)
            if size > self.limit:
                raise ScrubRefused("the decoded pixels are larger than scrub.max_decoded")
        return edits, decoded
