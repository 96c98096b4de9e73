"""The namespace: directories and files by name, each file pointing to one image."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.catalog.database import Connection
from mdm_async.errors import BadRequest, Exists, NotADirectory, NotEmpty, NotFound
from mdm_async.names import BASIC, ROOT, Lfn, View


@dataclass(frozen=True, slots=True)
class Entry:
    """A directory (`image` is None) or a file."""

    id: int
    guid: UUID
    parent: int | None
    name: str
    image: UUID | None
    created: datetime
    modified: datetime
    only_view: View | None = None
    """The one view that it gives: the entry is a research project's own."""

    @property
    def is_directory(self) -> bool:
        return self.image is None


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ACL: a principal's rights; `views` as in `names.Scope`."""

    principal: str
    rights: str
    views: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an LFN leads: its entry, or the nearest ancestor that exists, with what is inherited there."""

    lfn: Lfn
    entry: Entry | None
    ancestor: Entry
    missing: int
    """How many components of the LFN do not exist; 0 when `entry` is set."""
    rules: tuple[Rule, ...]
    """The ACL in force at the entry (or the ancestor)."""
    path_rules: tuple[tuple[Rule, ...], ...]
    """The ACLs of all directories above, for the right to traverse."""
    default_view: View

    @property
    def only_view(self) -> View | None:
        return self.entry.only_view if self.entry is not None else None

    @property
    def parent(self) -> Entry | None:
        """The directory that would hold a missing entry, when only its last component is missing."""
        return self.ancestor if self.missing == 1 and self.ancestor.is_directory else None


_RESOLVE = """
with recursive wanted as (
    select ord, string_to_array(ltrim(path, '/'), '/') as names
    from unnest($1::text[]) with ordinality as p (path, ord)
), walk as (
    select w.ord, 0 as depth, e.id, array[e.acl] as acls, e.default_view as view
    from wanted w, entries e where e.parent is null and e.name = ''
    union all
    select k.ord, k.depth + 1, e.id,
        case when e.acl is null then k.acls else k.acls || e.acl end,
        coalesce(e.default_view, k.view)
    from walk k join wanted w using (ord)
        join entries e on e.parent = k.id and e.name = w.names[k.depth + 1]
)
select distinct on (k.ord) k.depth, cardinality(w.names) as length, k.acls, k.view,
    e.id, e.guid, e.parent, e.name, e.image, e.created, e.modified, e.only_view, e.acl,
    -- All ACLs on all paths, told once.
    case k.ord when 1 then (
        select jsonb_object_agg(a.id, a.rules) from acls a where a.id in (select unnest(acls) from walk)
    ) end as rules
from walk k join wanted w using (ord) join entries e on e.id = k.id
order by k.ord, k.depth desc
"""


async def resolve(db: Connection, lfns: Sequence[Lfn]) -> list[Place]:
    """All LFNs with their ancestors' ACLs, in one query, in the order given."""
    rows = await db.fetch(_RESOLVE, list(lfns))
    rules = {int(acl): _rules(told) for acl, told in (rows[0]["rules"] if rows else {}).items()}
    return [_place(lfn, row, rules) for lfn, row in zip(lfns, rows, strict=True)]


async def resolve_one(db: Connection, lfn: Lfn) -> Place:
    return (await resolve(db, [lfn]))[0]


def _place(lfn: Lfn, row: asyncpg.Record, rules: dict[int, tuple[Rule, ...]]) -> Place:
    entry = _entry(row)
    found = row["depth"] == row["length"]
    acls = row["acls"]
    above = acls[:-1] if found and row["acl"] is not None else acls
    return Place(
        lfn=lfn,
        entry=entry if found else None,
        ancestor=entry,
        missing=row["length"] - row["depth"],
        rules=rules[acls[-1]],
        path_rules=tuple(rules[acl] for acl in above),
        default_view=View((row["only_view"] if found else None) or row["view"] or BASIC),
    )


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        row["id"],
        row["guid"],
        row["parent"],
        row["name"],
        row["image"],
        row["created"],
        row["modified"],
        row["only_view"],
    )


def _rules(told: list[dict[str, Any]]) -> tuple[Rule, ...]:
    return tuple(
        Rule(r["principal"], r["rights"], tuple(r["views"]) if r.get("views") is not None else None)
        for r in told
    )


_COLUMNS = "id, guid, parent, name, image, created, modified, only_view"


async def children(db: Connection, directory: int, offset: int, count: int) -> list[Entry]:
    """A directory's entries by name (byte order), a page of them."""
    rows = await db.fetch(
        f"select {_COLUMNS} from entries where parent = $1 order by name offset $2 limit $3",
        directory,
        offset,
        count,
    )
    return [_entry(row) for row in rows]


async def make_directory(db: Connection, parent: int, name: str) -> UUID:
    """A new directory's GUID. Raises Exists, or NotFound when the parent has just gone."""
    guid = await _insert(db, parent, name, None)
    if guid is None:
        raise Exists()
    return guid


async def add_file(
    db: Connection, parent: int, name: str, image: UUID, only_view: View | None = None
) -> UUID | None:
    """A new file's GUID, or None when the name is taken. Raises NotFound when the parent has just gone."""
    return await _insert(db, parent, name, image, only_view)


async def _insert(
    db: Connection, parent: int, name: str, image: UUID | None, only_view: View | None = None
) -> UUID | None:
    # The parent's row is locked against removal; a file is no parent.
    locked = await db.fetchval(
        "select true from entries where id = $1 and is_directory for key share", parent
    )
    if not locked:
        raise NotFound("the directory has just been removed")
    guid: UUID | None = await db.fetchval(
        "insert into entries (parent, name, image, is_directory, only_view)"
        " values ($1, $2, $3, $3::uuid is null, $4) on conflict do nothing returning guid",
        parent,
        name,
        image,
        only_view,
    )
    return guid


async def lock(db: Connection, directory: int) -> None:
    """Let nobody else who locks this directory go on until the transaction ends. Raises NotFound."""
    if not await db.fetchval("select true from entries where id = $1 for no key update", directory):
        raise NotFound("the directory has just been removed")


async def swap_image(db: Connection, parent: int, name: str, old: UUID, new: UUID) -> UUID | None:
    """Point a file to another image if it still points to `old`: its GUID, or None when it does not."""
    guid: UUID | None = await db.fetchval(
        "update entries set image = $4, only_view = null, modified = now()"
        " where parent = $1 and name = $2 and image = $3 returning guid",
        parent,
        name,
        old,
        new,
    )
    return guid


async def image_at(db: Connection, parent: int, name: str) -> tuple[UUID, UUID] | None:
    """GUID and image of the file of that name, if there is one."""
    row = await db.fetchrow(
        "select guid, image from entries where parent = $1 and name = $2 and image is not null", parent, name
    )
    return (row["guid"], row["image"]) if row else None


async def remove_files(db: Connection, ids: Collection[int]) -> dict[int, UUID]:
    """Remove files' entries; the images of those that were still there, by entry."""
    # Locked in one order, so that two removals of the same files wait for each other and no more.
    rows = await db.fetch(
        "with locked as ("
        "  select id from entries where id = any($1::bigint[]) and image is not null order by id for update"
        ") delete from entries where id in (select id from locked) returning id, image",
        list(ids),
    )
    return {row["id"]: row["image"] for row in rows}


async def remove_directory(db: Connection, entry: int) -> None:
    """Remove an empty directory. Raises NotEmpty, NotFound."""
    try:
        status = await db.execute(
            "delete from entries where id = $1 and is_directory and parent is not null", entry
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotEmpty(remedy="remove what is in it first, or remove recursively") from None
    if status == "DELETE 0":
        raise NotFound()


async def remove_tree(db: Connection, entry: int) -> list[UUID]:
    """Remove a directory and all below it; the images that its files pointed to."""
    try:
        rows = await db.fetch(
            "with recursive below as ("
            "  select id from entries where id = $1 and parent is not null"
            "  union all select e.id from entries e join below b on e.parent = b.id"
            ") delete from entries where id in (select id from below) returning image",
            entry,
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotEmpty("something was put there meanwhile", remedy="remove it again") from None
    if not rows:
        raise NotFound()
    return [row["image"] for row in rows if row["image"] is not None]


async def move(db: Connection, entry: int, parent: int, name: str) -> None:
    """Give an entry another parent and name.

    Ancestors of the target are locked in id order, so that two moves cannot make a cycle between them.
    Raises Exists, BadRequest when a directory would come to lie in itself, NotFound, NotADirectory.
    """
    ancestors = await db.fetch(
        "with recursive up as ("
        "  select id, parent from entries where id = $1"
        "  union all select e.id, e.parent from entries e join up on e.id = up.parent"
        ") select id from up",
        parent,
    )
    locked = sorted({row["id"] for row in ancestors} | {entry})
    await db.fetch("select id from entries where id = any($1::bigint[]) order by id for update", locked)
    cycle = await db.fetchval(
        "with recursive up as ("
        "  select id, parent from entries where id = $1"
        "  union all select e.id, e.parent from entries e join up on e.id = up.parent"
        ") select true from up where id = $2",
        parent,
        entry,
    )
    if cycle:
        raise BadRequest("a directory cannot be moved into itself")
    if not await db.fetchval("select is_directory from entries where id = $1", parent):
        raise NotADirectory()
    try:
        status = await db.execute(
            "update entries set parent = $2, name = $3, modified = now() where id = $1 and parent is not null",
            entry,
            parent,
            name,
        )
    except asyncpg.UniqueViolationError:
        raise Exists() from None
    if status == "UPDATE 0":
        raise NotFound() if entry else BadRequest(f"{ROOT} cannot be moved")
