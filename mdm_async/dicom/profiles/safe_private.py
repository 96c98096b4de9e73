"""Private attributes that hold nothing identifying: PS3.15 Table E.3.10-1, for the option Retain Safe Private."""

import csv
from functools import cache
from typing import Final, NamedTuple

from mdm_async.dicom.profiles import table

_OPAQUE: Final = frozenset((b"OB", b"OW", b"UN", b""))


class PrivateKey(NamedTuple):
    """Which private attribute, wherever its block lies (PS3.5 §7.8.1): the block's number is not part of it."""

    creator: str
    group: int
    element: int
    """The two low digits."""


def private_key(creator: str, tag: int) -> PrivateKey:
    """The key of a private element as found; spaces around the creator's name mean nothing (PS3.5 §6.2, LO)."""
    return PrivateKey(creator.strip(" \0"), tag >> 16, tag & 0xFF)


@cache
def safe_private() -> dict[PrivateKey, bytes]:
    """VR of every listed attribute; b"" where the table gives none, or a choice (which it does for pixels)."""
    found = {}
    for row in csv.DictReader(table.lines("e3-10-1-safe-private")):
        group, element = int(row["element"][1:5], 16), int(row["element"][8:10], 16)
        vr = row["vr"].encode()
        found[PrivateKey(row["private_creator"], group, element)] = vr if len(vr) == 2 else b""
    return found


KEPT_TEXTS: Final = {
    PrivateKey("GEMS_ACQU_01", 0x0019, 0x9E): "sequence-name",
    PrivateKey("GEMS_PARM_01", 0x0043, 0x27): "pitch-ratio",
    PrivateKey("Philips Imaging DD 001", 0x2001, 0x6D): "font",
    PrivateKey("Philips Imaging DD 001", 0x2001, 0x87): "nuclide",
    PrivateKey("Philips Imaging DD 001", 0x2001, 0x8B): "coil",
}
"""What listed texts have to pass to stay whole (`values.kept_text`), as their public counterparts do."""


def can_be_kept(vr: bytes) -> bool:
    """Whether the option keeps a listed attribute of this VR.

    Not what is just bytes: some of these are pixels, whole files or the state of an application, into which nobody can
    look; a site that knows them can keep them by a rule of its own. PS3.15 §E.3.10 retains what the de-identifier knows
    to be safe.
    """
    return vr not in _OPAQUE
