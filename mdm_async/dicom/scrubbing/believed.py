"""Kept values are not believed: one stays only if it is a legal value of its VR, and says nothing but what it may.

Values are looked at where they lie; the verdicts on those that come again and again are remembered.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from pydicom._uid_dict import UID_dictionary

from mdm_async.dicom.dictionary import most_values
from mdm_async.dicom.elements import Buffer
from mdm_async.dicom.values.kept_text import passes
from mdm_async.dicom.values.lexical import BYTES_OF_ONE, is_legal
from mdm_async.dicom.values.terms import which_stay

Check = Callable[[Buffer, int, int], bool]
"""Whether the value between two offsets of a buffer may stay."""

STANDARD_UID: Final = "standard-uid"
OF_ANY: Final = "terms of any attribute"
"""Of private code strings, whose own terms nobody knows."""
_SPELT_IN: Final = 8
"""Bytes; fewer spell no name for certain, and are often letters by chance."""
_SPELT: Final = re.compile(rb"[A-Za-z0-9 ^,._-]{4,}\0*")
_LONGEST: Final = 1 << 32
_DAY: Final = re.compile(
    rb" *\+?0*(?:18[89]\d|19\d\d|20[0-3]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    rb"(?:(?:[01]\d|2[0-3])(?:[0-5]\d){0,2})?(?:\.\d*)?[ \0]*"
)
"""A number that reads as a day or a moment: 19600101, 19600101120000."""
_REMEMBERED: Final = 128
"""Values of one attribute. There are thousands of attributes, and the processes live long."""
_LONGEST_REMEMBERED: Final = 64


def check_of(tag: int | None, vr: bytes, keeps: str, terms: frozenset[bytes]) -> Check | None:
    """The check of an attribute with this VR; None when there is nothing to look at. `tag`: None of a private one.

    `keeps` as in `kept_text`; `terms` are what the site allows of code strings beside the known ones.
    """
    if vr in (b"OB", b"UN") and not keeps:
        return None
    if (size := BYTES_OF_ONE.get(vr)) is not None and not keeps:
        return _numbers(size, most_values(tag) if tag is not None else None)
    if vr == b"CS" and tag is not None:
        return _remembered(lambda value: all(which_stay(tag, value.split(b"\\"), terms)))
    if keeps == OF_ANY:
        return _remembered(lambda value: is_legal(vr, value) and all(which_stay(None, value.split(b"\\"))))
    if keeps == STANDARD_UID:
        return _remembered(are_of_the_standard)
    if keeps:
        return _remembered(lambda value: is_legal(vr, value) and passes(keeps, value))
    if vr in (b"DS", b"IS"):
        most = most_values(tag) if tag is not None else None
        return _remembered(lambda value: is_legal(vr, value) and _are_numbers(value, most))
    return _remembered(lambda value: is_legal(vr, value))


def _are_numbers(value: bytes, most: int | None) -> bool:
    """Of legal numbers in digits, whether there are no more than there may be, and none of them reads as a day."""
    return (most is None or value.count(b"\\") < most) and not any(map(_DAY.fullmatch, value.split(b"\\")))


def _numbers(size: int, most: int | None) -> Check:
    """Numbers of one size, no more than the attribute may have, and not such as spell a text."""
    longest = _LONGEST if most is None else most * size
    spells = _SPELT.fullmatch

    def check(data: Buffer, at: int, end: int) -> bool:
        length = end - at
        return not length % size and length <= longest and (length < _SPELT_IN or not spells(data, at, end))

    return check


def are_of_the_standard(value: bytes) -> bool:
    """Whether the standard names every one of these UIDs: any other could say something, as 1.2.19600101 does."""
    return all(not (bare := one.strip(b"\0 ")) or bare in _standard_uids() for one in value.split(b"\\"))


@cache
def _standard_uids() -> frozenset[bytes]:
    return frozenset(uid.encode() for uid in UID_dictionary)


def _remembered(allowed: Callable[[bytes], bool]) -> Check:
    good: set[bytes] = set()

    def check(data: Buffer, at: int, end: int) -> bool:
        value = bytes(data[at:end])
        if value in good:
            return True
        if not allowed(value):
            return False
        if len(value) <= _LONGEST_REMEMBERED:
            if len(good) >= _REMEMBERED:
                good.clear()
            good.add(value)
        return True

    return check
