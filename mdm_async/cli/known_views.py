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
    if none_of(views, ()):
        with suppress(MdmError):
            return none_of(views, {str(one["name"]) for one in await client.profiles.listing()})
    return set()


def none_of(views: Collection[str], profiles: Collection[str]) -> set[str]:
    """Those that none of these profiles makes."""
    return set(views) - _ALWAYS_THERE - set(profiles)
