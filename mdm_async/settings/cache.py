"""The section `[cache]`: how much of what archives have is kept here."""

from typing import Literal

from pydantic import Field

from mdm_async.settings.sections import Section


class CacheSettings(Section):
    """Images that were brought from archives; what was put, pushed or stored here is no part of it."""

    quota: int | None = Field(
        None,
        ge=1,
        description="bytes of ciphertext that all nodes keep of such images, in all; what was used the least goes for"
        " what is asked for. None: as much as there is room for",
    )
    when_full: Literal["queue", "refuse"] = Field(
        "queue",
        description="whoever asks while all that is here is pinned waits for room, or is refused",
    )
