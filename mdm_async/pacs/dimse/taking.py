"""Who takes images that leave by C-STORE: in which transfer syntax each of them, if in any."""

from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mdm_async.dicom.quirks import EXPLICIT_SYNTAX, IMPLICIT_SYNTAX
from mdm_async.images.studies.decoding import can_be_decoded
from mdm_async.images.studies.rewriting import REWRITTEN
from mdm_async.pacs.dimse.negotiation import Answered

_NATIVE: Final = (EXPLICIT_SYNTAX, IMPLICIT_SYNTAX)


@dataclass(frozen=True, slots=True)
class Sent:
    """An image on its way: its data set, in the transfer syntax of a presentation context."""

    context: int
    sop_class: str
    instance: str
    data_set: AsyncIterable[bytes | memoryview]


class Lost(Exception):
    """Whoever takes images has gone: no more of them can be sent."""


class Taker(Protocol):
    """Where images go. `take` raises Lost, or what ends the association that asked for them."""

    def way(self, sop_class: str, stored: str) -> tuple[int, str] | None:
        """Context and transfer syntax by which an image that is stored so is taken; None when it is not."""
        ...

    async def take(self, sent: Sent) -> int:
        """The status that it is answered with."""
        ...

    def cut(self) -> None:
        """End what is on its way, at once."""
        ...


def ways(stored: str) -> Sequence[str]:
    """Transfer syntaxes in which an image can leave that is stored so, in the order in which they are preferred."""
    others = _NATIVE if stored in REWRITTEN or can_be_decoded(stored) else ()
    return tuple(dict.fromkeys((stored, *others)))


def way(contexts: Iterable[Answered], sop_class: str, stored: str) -> tuple[int, str] | None:
    """As it is stored, or else in another VR encoding or decoded."""
    taken = {one.syntax: one.id for one in contexts if one.takes and one.abstract == sop_class}
    for syntax in ways(stored):
        if syntax in taken:
            return taken[syntax], syntax
    return None
