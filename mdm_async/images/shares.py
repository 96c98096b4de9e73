"""Storage shares: where what is stored lies, as those plan who fill it. Space tokens of SRM and the storage report name
the same ones."""

from dataclasses import dataclass
from typing import Final

from mdm_async.errors import Unauthenticated
from mdm_async.images.disks import BLOBS, Disks
from mdm_async.names import Caller

GIB: Final = 1 << 30
IMAGES: Final = "images"
"""The name of the share that all images lie in."""


@dataclass(frozen=True, slots=True)
class Share:
    """Bytes, in whole GiB: to the byte they would tell the size of what others store. None where it is not known."""

    name: str
    total: int | None = None
    used: int | None = None
    left: int | None = None
    """What may still be taken in before uploads are refused."""


def shares(disks: Disks, caller: Caller) -> tuple[Share, ...]:
    """All there are. Raises Unauthenticated: how much there is concerns only those who could fill it."""
    if caller.is_anonymous:
        raise Unauthenticated("storage shares are told to callers with a credential")
    for room in disks.rooms:
        if room.disk.name == BLOBS:
            total, left = (size // GIB * GIB for size in (room.size, max(0, room.free - room.disk.reserve)))
            return (Share(IMAGES, total, total - room.free // GIB * GIB, left),)
    return (Share(IMAGES),)
