"""An entry as it is now, to be sent to a mirror, and as it is to be at one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class State:
    """All that an entry says of itself. `parent` is a GUID, None of the mirrored directory; `image` is the first site's
    id, None of a directory. `released`: (view, revision) of its image's that somebody let out of quarantine."""

    guid: UUID
    parent: UUID | None
    name: str
    image: UUID | None
    acl: list[dict[str, Any]] | None
    default_acl: list[dict[str, Any]] | None
    default_view: str | None
    delivery: dict[str, str] | None
    views: list[str] | None
    only_view: str | None
    opaque: bool | None
    force: bool | None
    created: datetime
    modified: datetime
    released: list[tuple[str, int]]
    rejected: int | None
    """The code by which rejection notes hide it, the images of these (`notes`)."""
    notes: list[UUID]


class Found(NamedTuple):
    state: State
    here: bool
    """Whether there is something to send: a directory, or a file whose bytes are not in a PACS only."""


_STATE = """
select e.guid, p.guid as parent, e.name, e.image, coalesce(i.online, false) as online, own.rules as acl,
    def.rules as default_acl, e.default_view, e.delivery, e.views, e.only_view, e.opaque, e.force, e.created,
    e.modified, coalesce(i.released, '[]') as released, e.rejected,
    array(select note from rejections where e.rejected is not null and image = e.image limit 100) as notes
from up cross join lateral (select * from entries where id = up.id limit 1) e
    left join lateral (select guid from entries where id = e.parent limit 1) p on true
    left join lateral (select rules from acls where id = e.acl limit 1) own on true
    left join lateral (select rules from acls where id = e.default_acl limit 1) def on true
    left join lateral (
        select doomed is null and locality in ('ONLINE', 'ONLINE_AND_NEARLINE') as online,
            (select jsonb_agg(jsonb_build_array(r.view, r.revision)) from releases r where r.image = images.id)
                as released
        from images where id = e.image limit 1) i on true
"""


def _found(row: asyncpg.Record) -> Found:
    told = dict(row.items())
    told["released"] = [(view, revision) for view, revision in told["released"]]
    state = State(**{name: told[name] for name in State.__slots__})
    return Found(state, state.image is None or row["online"])


async def of_guids(db: Connection, directory: int, guids: Collection[UUID]) -> list[Found]:
    """Of those that are at or below a directory, and of all directories between: those above before what is in them."""
    rows = await db.fetch(
        "with recursive up (id, parent, origin, height) as ("
        "  select id, parent, id, 0 from entries where guid = any($2::uuid[])"
        "  union all select e.id, e.parent, up.origin, up.height + 1 from up cross join lateral ("
        "    select id, parent from entries where id = up.parent limit 1) e where up.id <> $1"
        "), inside as (select origin from up where id = $1)"
        ", ways as (select id, max(height) as height from up where origin in (select origin from inside) group by id)"
        f" {_STATE.replace('from up', 'from ways up')} order by up.height desc, e.guid",
        directory,
        list(guids),
    )
    # The deepest way decides: a directory stands before all that lies in it.
    return [_found(row) for row in rows]


async def of_page(db: Connection, directory: UUID, after: str, count: int) -> list[tuple[UUID, str]]:
    """GUID and name of what is in a directory, some, after a name."""
    rows = await db.fetch(
        "select guid, name from entries where parent = (select id from entries where guid = $1) and name > $2"
        " order by name limit $3",
        directory,
        after,
        count,
    )
    return [(row["guid"], row["name"]) for row in rows]
