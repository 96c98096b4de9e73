"""How a file may break PS3.10 so that its reader has to guess: such a file is taken when somebody vouches for it.

What is guessed is what pydicom and dcmtk guess: the VR encoding from the first elements, implicit VR little endian
where nothing tells.
"""

from typing import Final

from mdm_async.dicom.elements import (
    BLANK_VRS,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    Buffer,
    Encoding,
)
from mdm_async.errors import Malformed

NO_PREAMBLE: Final = "no preamble"
NO_META: Final = "no file meta information"
NO_SYNTAX: Final = "no transfer syntax in the file meta information (0002,0010)"
IMPLICIT_META: Final = "file meta information in implicit VR"
IMPLICIT: Final = "an implicit VR data set under a transfer syntax of explicit VR"
EXPLICIT: Final = "an explicit VR data set under the transfer syntax of implicit VR"
PRIVATE_GE: Final = "a private transfer syntax of GE (implicit VR with big endian pixels)"

GE: Final = "1.2.840.113619.5.2"
IMPLICIT_SYNTAX: Final = "1.2.840.10008.1.2"
EXPLICIT_SYNTAX: Final = "1.2.840.10008.1.2.1"
BIG_SYNTAX: Final = "1.2.840.10008.1.2.2"

LOOKED_AT: Final = 512
"""Bytes of a data set that are enough to tell its encoding."""
_FIRST_GROUPS: Final = frozenset((b"\x02\0", b"\x08\0"))
_ZEROS: Final = bytes(4)


def demand_force(quirk: str, force: bool) -> None:
    """Raises Malformed for a file that nobody vouches for."""
    if not force:
        raise Malformed(
            f"the file has {quirk}",
            remedy='if it is DICOM all the same, store it with --force (mdm put, "force" in the interfaces), '
            "or let its directory take such files: mdm intake set LFN --force yes",
        )


def may_be_data_set(data: Buffer) -> bool:
    """Whether these, a file's first bytes, could be those of a file meta information or a data set."""
    return len(data) >= 8 and (bytes(data[:2]) in _FIRST_GROUPS or _is_big_endian(data, 0))


def undeclared(data: Buffer, at: int) -> str:
    """The transfer syntax that the data set at `at` may have where none is named."""
    if _is_big_endian(data, at):
        return BIG_SYNTAX
    explicit = encoding_seen(data, at, IMPLICIT_LITTLE).explicit
    return EXPLICIT_SYNTAX if explicit else IMPLICIT_SYNTAX


def _is_big_endian(data: Buffer, at: int) -> bool:
    return data[at : at + 2] == b"\0\x08" and has_vr(data, at)


def has_vr(data: Buffer, at: int) -> bool:
    """Whether a VR is written in the element at `at`."""
    vr = bytes(data[at + 4 : at + 6])
    return vr in SHORT_VRS or vr in LONG_VRS


def encoding_seen(data: Buffer, at: int, declared: Encoding) -> Encoding:
    """The encoding of the data set at `at`, of whose beginning LOOKED_AT bytes or all are there.

    It is the declared one unless the first element that has a value is certainly of the other.
    """
    end = len(data)
    while end - at >= 8 and data[at + 4 : at + 8] == _ZEROS:  # empty in either encoding
        at += 8
    if end - at < 8 or declared.items.is_at(data, at):
        return declared
    if declared.explicit:
        implicit = not has_vr(data, at) and bytes(data[at + 4 : at + 6]) not in BLANK_VRS
        if implicit and not declared.big_endian and data[at + 7] in (0, 0xFF):
            return IMPLICIT_LITTLE
        return declared
    after = at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    if bytes(data[at + 4 : at + 6]) not in SHORT_VRS or end - after < 8:
        return declared
    return EXPLICIT_LITTLE if has_vr(data, after) else declared
