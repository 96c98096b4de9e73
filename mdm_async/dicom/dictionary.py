"""What the public data dictionary (PS3.6) says about a tag; pydicom carries it."""

from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_description, get_entry, keyword_for_tag, tag_for_keyword
from pydicom.tag import Tag


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> bytes | None:
    """The VR of a public attribute, repeating groups included; None when it is not in the dictionary.

    Where the dictionary leaves a choice ("US or SS", "OB or OW") the first is given.
    """
    try:
        vr: str = get_entry(Tag(tag))[0]
    except KeyError:
        return None
    return vr[:2].encode()


@lru_cache(maxsize=8192)
def vrs_of(tag: int) -> frozenset[bytes]:
    """Every VR that the dictionary allows for a public attribute; none when the attribute is not in it."""
    try:
        vr: str = get_entry(Tag(tag))[0]
    except KeyError:
        return frozenset()
    return frozenset(vr.encode().split(b" or "))


@lru_cache(maxsize=8192)
def most_values(tag: int) -> int | None:
    """How many values a public attribute may have; None for any number, and when it is not in the dictionary."""
    try:
        multiplicity: str = get_entry(Tag(tag))[1]
    except KeyError:
        return None
    most = multiplicity.rpartition("-")[2]
    return int(most) if most.isdigit() else None


@lru_cache(maxsize=4096)
def for_people(tag: int) -> tuple[str, str]:
    """An attribute as "(0010,0010)" and by its name, which is "" when it is not in the dictionary."""
    try:
        name: str = dictionary_description(Tag(tag))
    except KeyError:
        name = ""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})", name


_TAG_DIGITS: Final = 8


@lru_cache(maxsize=4096)
def keyword_of(name: str) -> str | None:
    """The keyword of a public attribute that is named by it or by its tag (`00100020`); None for what is neither."""
    if tag_for_keyword(name) is not None:
        return name
    if len(name) != _TAG_DIGITS or not name.isascii() or not name.isalnum():
        return None
    try:
        return keyword_for_tag(int(name, 16)) or None
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def tag_of(keyword: str) -> int:
    """Raises KeyError."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag
