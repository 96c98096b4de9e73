"""The names of public attributes in one word, as PS3.6 gives them: PatientName for (0010,0010)."""

from functools import lru_cache

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.tag import Tag


@lru_cache(maxsize=8192)
def keyword_of(tag: int) -> str:
    """The keyword of an attribute, repeating groups included; "" when it is not in the dictionary."""
    keyword: str = keyword_for_tag(Tag(tag))
    return keyword


def tag_of(keyword: str) -> int | None:
    """The attribute of this keyword; None when there is none, or one in each of the repeating groups."""
    tag: int | None = tag_for_keyword(keyword)
    return tag
