"""What was in force at entries when they went: kept by those who pin them, whose right to them must not come back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.names import Lfn, View
from mdm_async.postgres.database import Connection

Last = Mapping[str, Any]
"""As it is kept: `lfn`, `acl`, `path`, `view`, `delivery`."""


def of_file(place: Place) -> Last:
    return _last(place, place.acl.id, place.path)


def in_directory(place: Place) -> Last:
    """What was in force at a directory, as what is in it inherits it."""
    return _last(place, place.heritage.id, (*place.path, place.acl))


def _last(place: Place, acl: int, path: Sequence[Acl]) -> Last:
    return {
        "lfn": place.lfn,
        "acl": acl,
        "path": [one.id for one in path],
        "view": place.default_view,
        "delivery": dict(place.delivery),
    }


async def note(db: Connection, went: Mapping[int, Last]) -> None:
    """Of those of these entries that cohorts have, in the transaction that removes them."""
    await db.execute(
        "insert into entries_gone (entry, last) select w.entry, w.last"
        " from unnest($1::bigint[], $2::jsonb[]) as w (entry, last)"
        " where exists (select from cohort_members m where m.entry = w.entry offset 0) on conflict do nothing",
        list(went),
        list(went.values()),
    )


def acls_in(lasts: Collection[Last]) -> set[int]:
    return {id_ for last in lasts for id_ in (last["acl"], *last["path"])}


def place_of(near: Place, last: Last, acls: Mapping[int, Acl]) -> Place:
    """Where the entry was, without it. `near`: a place that there is; `acls`: those that it names."""
    return replace(
        near.child("", None),
        lfn=Lfn(last["lfn"]),
        acl=acls[last["acl"]],
        path=tuple(acls[id_] for id_ in last["path"]),
        default_view=View(last["view"]),
        delivery=last["delivery"],
    )
