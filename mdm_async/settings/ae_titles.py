"""AE titles, by which application entities of DICOM are called (PS3.5 §6.2)."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

_TITLE: Final = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )\Z")
"""Printable ASCII without a backslash; blanks around it do not count."""


def _demand_title(given: str) -> str:
    if not _TITLE.match(given):
        raise ValueError(f"{given!r} is no AE title: up to 16 printable ASCII characters without a backslash")
    return given


AeTitle = Annotated[str, Field(min_length=1, max_length=16), AfterValidator(_demand_title)]
