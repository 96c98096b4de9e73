"""Rows of a query: entries that a caller may know of, of which its condition is asked only then.

Two ways lead to them. Directory by directory (`page`): what is visible, so many at a time, however few of them match.
Or by ids (`among`), which indexes have given (`candidates`) and of which the decision point has been asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.catalog.metadata.columns import (
    SAID,
    SAID_BY_ORIGINALS,
    Arguments,
    DicomAttribute,
    all_values,
    chosen,
)
from mdm_async.catalog.metadata.conditions import holds
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.visible import VISIBLE, Cursor, Seen, may_get_metadata, may_read, view_of
from mdm_async.dicom.indexed import by_keyword
from mdm_async.names import IDENTIFIED, Lfn, Right, View
from mdm_async.postgres.database import Connection
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.conditions import Condition, attributes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, and what is to be told of it.

    `view`: None for each entry's default view. `needs_view`: only entries of which it may be read match; else
    directories do too. `versions`: of all views, those that may be served, the newest first.
    """

    condition: Condition
    chosen: tuple[Attribute, ...]
    everything: bool
    """All that the view's bytes say is told too."""
    view: View | None
    needs_view: bool
    versions: Sequence[str]
    unseen: bool = False
    """With `needs_view`: that right is enough; else it takes the right to get the metadata too."""

    @property
    def named(self) -> list[Attribute]:
        """All that it asks or tells by name."""
        return [*attributes(self.condition), *self.chosen]

    @property
    def columns(self) -> tuple[Attribute, ...]:
        """All that is told."""
        every = (
            [DicomAttribute.of(name, row) for name, row in by_keyword().items()] if self.everything else []
        )
        return tuple({one.name: one for one in (*every, *self.chosen)}.values())


@dataclass(frozen=True, slots=True)
class Row:
    """An entry that matches. `view`: if that may be read; `version`: if that is ready."""

    id: int
    parent: int
    name: str
    guid: UUID
    image: UUID | None
    view: View | None
    version: str | None
    values: dict[str, Any]
    joined: dict[str, Any] | None
    turn: int
    """Its place among those that were asked about."""
    directory: UUID
    """The GUID of the one that it is in."""
    lfn: Lfn | None
    """If it was known beforehand."""


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that the caller may know of, and the view of it that counts. `readable`: whether that may be read."""

    id: int
    image: UUID | None
    view: View
    readable: bool
    lfn: Lfn | None = None
    joined: dict[str, Any] | None = None
    """The values of joined entries, by the names that the query has for them."""


async def page(
    db: Connection, seen: Seen, wanted: Wanted, count: int, after: Cursor
) -> tuple[list[Row], Cursor | None]:
    """Those that match of some `count` entries after one, in the order of `visible.files`; where the next are to be
    looked for, None at the end."""
    apart = {one.entry.id: one for one in seen.apart if one.entry is not None}
    alone = [
        Known(
            id_,
            one.entry.image,
            wanted.view or one.default_view,
            not one.entry.is_directory and acl.allows(seen.caller, one, Right.READ, wanted.view),
        )
        for id_, one in apart.items()
        if one.entry is not None and (wanted.unseen or acl.allows(seen.caller, one, Right.GET_METADATA))
    ]
    arguments = Arguments(list(seen.arguments))
    view = arguments.add(wanted.view, "text")
    most = arguments.add(count, "bigint")
    directory, name = arguments.add(after[0], "bigint"), arguments.add(after[1], "text")
    left_out = arguments.add(list(apart), "bigint[]")
    may_be_read = f"image is not null and {may_read('v', 'e', view)}"
    may = "true" if wanted.unseen else may_get_metadata("v", "e")
    may += f" and {may_be_read}" if wanted.needs_view else ""
    columns = "id, parent, name, guid, image"
    # Directory by directory, until there are enough. Nothing sorts what the lateral join gives: it comes in the order
    # of the directories before it, and a sort might want all of it first.
    rows = await db.fetch(
        f"with recursive {VISIBLE}, page as materialized ("
        f"  select * from ("
        f"    (select e.* from ("
        f"      select * from visible where directory >= {directory} order by directory offset 0"
        f"    ) v cross join lateral ("
        f"      select {columns}, {view_of('v', 'e', view)} as view, {may_be_read} as readable,"
        f"      null::jsonb as joined, 0 as turn"
        f"      from entries e where parent = v.directory"
        f"        and name > case v.directory when {directory} then {name} else '' end"
        f"        and id <> all({left_out}) and {may}"
        f"      order by name limit {most}) e limit {most})"
        f"    union all"
        f"    select e.id, e.parent, e.name, e.guid, e.image, k.view, k.readable, null::jsonb, 0"
        f"    from {_known(alone, arguments)} cross join lateral (select * from entries where id = k.id limit 1) e"
        f'    where (e.parent, e.name) > ({directory}, {name} collate "C")'
        f"      {'and k.readable' if wanted.needs_view else ''}"
        f"  ) e order by parent, name limit {most}"
        f") {_select(wanted, arguments)}",
        *arguments.values,
    )
    end = (rows[-1]["parent"], rows[-1]["name"]) if rows and rows[-1]["place"] >= count else None
    return [_row(row, None) for row in rows if row["matched"]], end


async def among(db: Connection, known: Sequence[Known], wanted: Wanted) -> list[Row]:
    """Those of them that match, in the same order; of each join of theirs, one row."""
    arguments = Arguments()
    rows = await db.fetch(
        f"with page as materialized ("
        f"  select e.id, e.parent, e.name, e.guid, e.image, k.view, k.readable, k.joined, k.turn"
        f"  from {_known([one for one in known if one.readable or not wanted.needs_view], arguments)}"
        f"    cross join lateral (select * from entries where id = k.id limit 1) e"
        f"  where e.image is not distinct from k.image"
        f") {_select(wanted, arguments)}",
        *arguments.values,
    )
    lfns = {one.id: one.lfn for one in known}
    return [_row(row, lfns[row["id"]]) for row in rows if row["matched"]]


async def said(
    db: Connection, views: Sequence[tuple[UUID, View]], versions: Sequence[str]
) -> list[dict[str, Any]]:
    """All that these views' bytes say, by keyword, in their order; of those that are not ready nothing."""
    arguments = Arguments()
    images = arguments.add([image for image, _ in views], "uuid[]")
    names = arguments.add([view for _, view in views], "text[]")
    indexed = SAID.replace("{VERSIONS}", arguments.add(list(versions), "text[]"))
    rows = await db.fetch(
        f"select coalesce({all_values()}, '{{}}') as said from ("
        f"  select image, view, true as readable, turn from unnest({images}, {names})"
        f"   with ordinality as w (image, view, turn)) e {indexed} order by e.turn",
        *arguments.values,
    )
    return [row["said"] for row in rows]


def _known(known: Sequence[Known], arguments: Arguments) -> str:
    columns = (
        arguments.add([one.id for one in known], "bigint[]"),
        arguments.add([one.image for one in known], "uuid[]"),
        arguments.add([one.view for one in known], "text[]"),
        arguments.add([one.readable for one in known], "boolean[]"),
        arguments.add([one.joined for one in known], "jsonb[]"),
    )
    return f"unnest({', '.join(columns)}) with ordinality as k (id, image, view, readable, joined, turn)"


def _select(wanted: Wanted, arguments: Arguments) -> str:
    """Of the rows of `page`, those that match, and the last one."""
    if wanted.view == IDENTIFIED:
        said = SAID_BY_ORIGINALS
    else:
        said = SAID.replace("{VERSIONS}", arguments.add(list(wanted.versions), "text[]"))
    matched = holds(wanted.condition, arguments)
    if wanted.needs_view:
        # Of what is not ready nothing is known; so it is not among those of which something is unknown.
        matched = f"instance.version is not null and {matched}"
    told = chosen(wanted.chosen, arguments)
    if wanted.everything:
        told = f"coalesce({all_values()}, '{{}}') || {told}"
    return (
        f"select e.*, (select guid from entries where id = e.parent limit 1) as directory from ("
        f"  select e.*, instance.version, m.matched, case when m.matched then {told} end as told,"
        f"    row_number() over (order by e.parent, e.name, e.turn) as place, count(*) over () as places"
        f"  from page e {said} cross join lateral (select {matched} as matched) m"
        f") e where matched or place = places order by place"
    )


def _row(row: asyncpg.Record, lfn: Lfn | None) -> Row:
    return Row(
        row["id"],
        row["parent"],
        row["name"],
        row["guid"],
        row["image"],
        View(row["view"]) if row["readable"] else None,
        row["version"],
        {name: said for name, said in row["told"].items() if said is not None},
        row["joined"],
        row["turn"],
        row["directory"],
        lfn,
    )
