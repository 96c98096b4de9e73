"""A mirrored directory as it stands alone: what it inherits from above is not at the other site."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.taking import taken_at
from mdm_async.catalog.rights.kept_acls import as_told
from mdm_async.errors import NotFound
from mdm_async.names import View
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Top:
    """What is in force in it, be it said there or above."""

    guid: UUID
    acl: list[dict[str, Any]]
    default_acl: list[dict[str, Any]]
    default_view: View
    delivery: dict[str, str]
    views: list[str]
    opaque: bool
    force: bool

    def over(self, state: State) -> State:
        return replace(
            state,
            parent=None,
            acl=self.acl,
            default_acl=self.default_acl,
            default_view=self.default_view,
            delivery=self.delivery or None,
            views=self.views,
            opaque=self.opaque,
            force=self.force,
        )


async def top_of(db: Connection, directory: int) -> Top:
    """Raises NotFound when it has been removed."""
    place = (await places.of_entries(db, [directory])).get(directory)
    if place is None or place.entry is None:
        raise NotFound("the mirrored directory has been removed", remedy="mdm mirror stop NAME")
    taken = await taken_at(db, directory)
    return Top(
        place.entry.guid,
        as_told(place.acl.rules),
        as_told(place.heritage.rules),
        place.default_view,
        dict(place.delivery),
        await profiles.enabled_at(db, directory),
        taken.opaque,
        taken.force,
    )
