"""Requests: what their callers may still do with all the grants that one of them made."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from mdm_async.catalog.grants.grants import SELECT, Grant, grant_of
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection

_OWNER = "owner || ''"
"""So written it is no way to find them: somebody may have millions of grants, and a request or an entry has few."""


async def of_request(db: Connection, request: UUID, caller: Caller) -> list[Grant]:
    """A caller's request, item by item; empty when there is none of his."""
    rows = await db.fetch(
        f"{SELECT} where request = $1 and {_OWNER} = $2 order by item", request, caller.owner
    )
    return [grant_of(row) for row in rows]


async def created(db: Connection, request: UUID, caller: Caller) -> datetime | None:
    """When a caller's request was made; None when there is none of his."""
    made: datetime | None = await db.fetchval(
        f"select created from grants where request = $1 and {_OWNER} = $2 limit 1", request, caller.owner
    )
    return made


async def forget(db: Connection, request: UUID, caller: Caller) -> None:
    """What is known of a request whose files are brought online, or were to be."""
    await db.execute(
        f"delete from grants where request = $1 and {_OWNER} = $2 and operation = 'bring_online'",
        request,
        caller.owner,
    )


async def requests_of(db: Connection, caller: Caller, description: str | None) -> list[tuple[UUID, datetime]]:
    """A caller's requests, newest first, with the time each was made."""
    # Each has a first item, which stands for it. The newest of each day, and of these the newest.
    rows = await db.fetch(
        "select request, created from grants where owner = $1 and item = 0"
        f"{' and description = $2' if description is not None else ''} order by created desc limit 1000",
        *((caller.owner,) if description is None else (caller.owner, description)),
    )
    return [(row["request"], row["created"]) for row in rows]


_WAITS = "state in ('pinned', 'queued', 'staging')"
_ONLINE = "state = 'done' and operation = 'bring_online' and image is not null and expires > now()"
"""What was brought online is held here until its life ends."""
_RELEASE = (
    "with asked as materialized ("
    "  select *, min(turn) over (partition by request, owner) as first"
    "   from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[], $5::text[])"
    "   with ordinality as a (request, owner, surls, source, caller, turn)"
    "), released as ("
    "  update grants g set state = 'released' where request = any($1::uuid[])"
    f" and ({_WAITS} or {_ONLINE}) and exists (select from asked a where a.request = g.request"
    "   and a.owner = g.owner and (a.surls is null or a.surls ? g.surl))"
    "   returning turl, guid, view, request, owner, surl"
    "), ended as ("
    "  select turl, guid, view, (select min(turn) from asked a where a.request = r.request"
    "   and a.owner = r.owner and (a.surls is null or a.surls ? r.surl)) as by from released r"
    "), audited as (insert into audit (caller, source, act, outcome, guid, view)"
    "  select caller, source, 'release', 'success', guid, view from ended join asked on turn = by)"
    " select turn, surl, g.turl, state <> 'done' as waited, by"
    " from grants g join asked a on a.request = g.request and a.owner = g.owner and a.turn = a.first"
    " left join ended e on e.turl = g.turl"
    " where g.request = any($1::uuid[]) order by turn, item"
)


@dataclass(frozen=True, slots=True)
class Release:
    """A caller's request whose pins are to end: all (None), or those of some SURLs."""

    caller: Caller
    request: UUID
    surls: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """An item of such a request. `waited`: it was none that had just to be online; `ended`: by this release."""

    surl: str
    turl: bytes
    waited: bool
    ended: bool


async def release(db: Connection, asked: Sequence[Release]) -> list[list[Released]]:
    """End pins of requests, each named any number of times: of each all its items, of one that its caller has not made
    none. What several name is ended by the first.

    Repeating it is no error. One statement, its audit included.
    """
    rows = await db.fetch(
        _RELEASE,
        [one.request for one in asked],
        [one.caller.owner for one in asked],
        # As keys: lists in a list would be an array of two dimensions.
        [dict.fromkeys(one.surls) if one.surls is not None else None for one in asked],
        [one.caller.source or None for one in asked],
        [one.caller.name for one in asked],
    )
    items: dict[tuple[UUID, str], list[Released]] = {(one.request, one.caller.owner): [] for one in asked}
    found = [items[one.request, one.caller.owner] for one in asked]
    ended: dict[int, list[int]] = {}
    for turn, surl, turl, waited, by in rows:
        all_ = found[turn - 1]
        if by is not None:
            ended.setdefault(by - 1, []).append(len(all_))
        all_.append(Released(surl, turl, waited, False))
    for turn, places in ended.items():
        found[turn] = list(found[turn])
        for place in places:
            found[turn][place] = replace(found[turn][place], ended=True)
    return found


async def release_entries(
    db: Connection, caller: Caller, entries: Sequence[int]
) -> tuple[set[int], Counter[UUID]]:
    """End all of a caller's pins on these entries, whatever request made them: the entries that he ever pinned, and how
    many pins of each request this ended."""
    rows = await db.fetch(
        "with released as ("
        f"  update grants set state = 'released' where entry = any($1::bigint[]) and {_OWNER} = $2"
        f"  and {_WAITS} returning guid, view, request"
        "), left_off as ("
        f"  update grants set state = 'released' where entry = any($1::bigint[]) and {_OWNER} = $2"
        f"  and {_ONLINE} returning guid, view"
        "), audited as (insert into audit (caller, source, act, outcome, guid, view)"
        "  select $4, $3, 'release', 'success', guid, view"
        "  from (select guid, view from released union all select guid, view from left_off) r)"
        f" select distinct entry, null::uuid as request from grants where entry = any($1::bigint[]) and {_OWNER} = $2"
        " union all select null, request from released",
        list(entries),
        caller.owner,
        caller.source or None,
        caller.name,
    )
    ended = Counter(row["request"] for row in rows if row["request"] is not None)
    return {row["entry"] for row in rows if row["entry"] is not None}, ended


async def abort(db: Connection, caller: Caller, request: UUID, surls: Collection[str] | None) -> list[Grant]:
    """End what a request still holds, pins and unfinished uploads; the items as they now are."""
    rows = await db.fetch(
        f"with g as (update grants set state = 'aborted' where request = $1 and {_OWNER} = $2"
        " and state in ('queued', 'staging', 'pinned', 'open', 'uploaded')"
        " and ($3::text[] is null or surl = any($3)) returning *)"
        f" {SELECT.replace('grants g', 'g')}",
        request,
        caller.owner,
        list(surls) if surls is not None else None,
    )
    return [grant_of(row) for row in rows]


async def extend(
    db: Connection, caller: Caller, request: UUID, surls: Collection[str] | None, seconds: int
) -> list[Grant]:
    """Give live items a new life from now; the items as they now are. What they keep of the cache is counted anew by
    whoever asks (`grants.keep`).
    """
    rows = await db.fetch(
        f"with g as (update grants set expires = now() + make_interval(secs => $4), keeps = null"
        f" where request = $1 and {_OWNER} = $2 and state in ('pinned', 'open', 'uploaded') and expires > now()"
        f" and ($3::text[] is null or surl = any($3)) returning *)"
        f" {SELECT.replace('grants g', 'g')}",
        request,
        caller.owner,
        list(surls) if surls is not None else None,
        seconds,
    )
    return [grant_of(row) for row in rows]
