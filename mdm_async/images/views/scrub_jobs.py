"""The jobs that a scrubber does, in a thread or in another process."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.encode import code, element, preamble_and_meta
from mdm_async.dicom.mapping import Subject
from mdm_async.dicom.pixels.decoding import decode
from mdm_async.dicom.pixels.description import PixelFacts
from mdm_async.dicom.pixels.plan import PixelEdits, PixelPlan
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.scrub import Begun, Scrubbed, begin, finish
from mdm_async.errors import ScrubRefused

T_co = TypeVar("T_co", covariant=True)


class Job(Protocol[T_co]):
    """Work that can be pickled."""

    @property
    def size(self) -> int:
        """About how many bytes it goes through."""

    @property
    def alone(self) -> bool:
        """Whether it runs code that is not ours on foreign bytes, so that its process does nothing before or after."""

    def run(self) -> T_co: ...


@dataclass(frozen=True, slots=True, repr=False)
class Begin:
    """Scrub a head, while the pixels may still be on their way."""

    profile: Profile
    key: bytes
    head: bytes
    edits: PixelEdits | None = None
    subject: Subject | None = None
    issued_by: str | None = None

    @property
    def size(self) -> int:
        return len(self.head)

    alone = False

    def run(self) -> Begun:
        return begin(
            self.head,
            profile=self.profile,
            key=self.key,
            edits=self.edits,
            subject=self.subject,
            issued_by=self.issued_by,
        )


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

    alone = False

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

    alone = True

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


def warm() -> None:
    """Read the tables that scrubbing reads when it first needs them, in a process that forks those that scrub."""
    head = code(b"69536005", b"SCT", b"Head", EXPLICIT_LITTLE)
    elements = (
        (0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
        (0x00080018, b"UI", b"1.2"),
        (0x00080020, b"DA", b"20000101"),
        (0x00080060, b"CS", b"CT"),
        (0x00081030, b"LO", b"Head scan of 2000"),
        (0x00081032, b"SQ", head),
        (0x00090010, b"LO", b"NOBODY"),
        (0x00091001, b"LO", b"x"),
        (0x00100010, b"PN", b"Nobody"),
        (0x00100020, b"LO", b"0"),
        (0x00181030, b"LO", b"Head"),
    )
    data = b"".join(element(*each, EXPLICIT_LITTLE) for each in elements)
    begin(preamble_and_meta(b"1.2", b"1.2", b"1.2.840.10008.1.2.1") + data, profile=basic(), key=bytes(32))
