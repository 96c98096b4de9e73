"""Whether views that somebody names are made by a profile: those that are not show nothing, and nobody says so."""

from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mdm_async.errors import MdmError
from mdm_async.rules import EVERY_VIEW

if TYPE_CHECKING:
    from mdm_async.client.client import Client

_ALWAYS_THERE: Final = frozenset({"basic", "identified", EVERY_VIEW})


async def unknown(client: "Client", views: Collection[str]) -> set[str]:
    """Those that no profile makes; none where the server does not say, for it tells administrators alone."""
    wanted = set(views) - _ALWAYS_THERE
    if wanted:
        with suppress(MdmError):
            return wanted - {str(one["name"]) for one in await client.profiles.listing()}
    return set()
