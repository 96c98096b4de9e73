"""Sequences that are kept only for their references, and the members of the macro that says what is in them."""

from collections.abc import Mapping
from typing import Final

# PS3.3 Table 10-3, Image SOP Instance Reference Macro, and what PS3.3 puts beside it in these sequences: why the image
# is referred to, whether places are the same in it, which way it lies.
_IMAGE_REFERENCE: Final = frozenset({0x00081150, 0x00081155, 0x00081160, 0x0062000B, 0x0040A170})
_MEMBERS: Final[Mapping[int, frozenset[int]]] = {
    0x00081140: _IMAGE_REFERENCE,
    0x00082112: _IMAGE_REFERENCE | {0x0028135A, 0x00200020},
}


def members_of(tag: int) -> frozenset[int] | None:
    """The attributes that may stand in the items of a sequence with the code X/Z/U*; None for other attributes.

    Referenced Image Sequence and Source Image Sequence. Their own sequences are gone into as everywhere.
    """
    return _MEMBERS.get(tag)
