"""The namespace: directories and files by name, each file pointing to one image.

Trees are walked by lateral joins behind a fence (`offset 0`): each step is a look into an index, whatever Postgres
believed about the table when it made the plan that it keeps. Directories in a directory are those where `is_directory
and case when is_directory then parent end` is that directory: only their own index answers that, not the index of
names, in which they lie among files.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from mdm_async.catalog.namespace.bindings import Bind, bindings, renew
from mdm_async.errors import BadRequest, Exists, NoParent, NotADirectory, NotEmpty, NotFound
from mdm_async.names import MOST_LEVELS, View
from mdm_async.postgres.database import Connection


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
    acl: int | None = None
    """Its own ACL; None: it inherits one."""
    default_acl: int | None = None
    """What entries below inherit; None: its own ACL."""
    default_view: View | None = None
    delivery: dict[str, str] | None = None
    rejected: int | None = None
    """The code of DCM by which a rejection note hides it."""
    binding: bytes | None = None
    """To its image; None of a directory, and of what no node has bound yet."""

    @property
    def is_directory(self) -> bool:
        return self.image is None

    @property
    def has_own_acl(self) -> bool:
        return (self.acl or self.default_acl) is not None


COLUMNS = (
    "id, guid, parent, name, image, created, modified, only_view, acl, default_acl, default_view, delivery,"
    " rejected, binding"
)


ATTACHED = """exists (
    with recursive up as (
        select id, parent, name from entries where id = {0}
        union all select e.id, e.parent, e.name from up cross join lateral (
            select id, parent, name from entries where id = up.parent offset 0) e
    ) select from up where parent is null and name = '')"""
"""Whether the root is above an entry. What was removed with all below it is cut off from there, and goes by and by."""


def entry_of(row: asyncpg.Record) -> Entry:
    return Entry(
        row["id"],
        row["guid"],
        row["parent"],
        row["name"],
        row["image"],
        row["created"],
        row["modified"],
        row["only_view"],
        row["acl"],
        row["default_acl"],
        row["default_view"],
        row["delivery"],
        row["rejected"],
        row["binding"],
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """Which entries of a directory are listed: those without an ACL of their own or not, those with one of these
    ACLs, and those of these names whatever their ACL. None that is rejected is."""

    inheriting: bool
    acls: Collection[int] = ()
    names: Collection[str] = ()


async def own_acls(db: Connection, directory: int) -> list[int]:
    """The ACLs that entries of a directory have of their own: a look into an index for each, not for each entry."""
    rows = await db.fetch(
        "with recursive own as ("
        "  (select acl from entries where parent = $1 and acl is not null order by acl limit 1)"
        "  union all select (select e.acl from entries e where parent = $1 and e.acl > own.acl order by acl limit 1)"
        "    from own where own.acl is not null"
        ") select acl from own where acl is not null",
        directory,
    )
    return [row["acl"] for row in rows]


async def page(
    db: Connection, directory: int, listed: Listed, count: int, *, after: str = "", offset: int = 0
) -> list[Entry]:
    """Some `count` of a directory's listed entries by name (byte order): those after a name, an offset on."""
    below = f"select {COLUMNS} from entries where parent = $1 and name > $2 and rejected is null"
    if listed.inheriting:
        query = f"{below} and (acl is null or acl = any($3::bigint[]) or name = any($4::text[]))"
    else:
        # Among any number that are not listed: the first of each ACL, by an index, and of these the first.
        query = (
            "select distinct on (name) * from ("
            "  select e.* from unnest($3::bigint[]) as listed (acl) cross join lateral ("
            f"   {below} and acl = listed.acl order by name limit $5::bigint + $6::bigint) e"
            f" union all ({below} and name = any($4::text[]))"
            ") e"
        )
    rows = await db.fetch(
        f"{query} order by name limit $5 offset $6",
        directory,
        after,
        list(listed.acls),
        list(listed.names),
        count,
        offset,
    )
    return [entry_of(row) for row in rows]


async def make_directory(db: Connection, parent: int, name: str) -> UUID:
    """A new directory's GUID. Raises Exists, or NotFound when the parent has just gone."""
    made = await make_directories(db, parent, [name])
    if not made:
        raise Exists()
    return made[0]


async def make_directories(db: Connection, parent: int, names: Sequence[str]) -> list[UUID]:
    """New directories' GUIDs, each in the one before it: until the end, or until a name is taken. Raises NotFound."""
    made: list[UUID] = []
    for name in names:
        row = await _insert(db, parent, name, None)
        if row is None:
            break
        parent = row["id"]
        made.append(row["guid"])
    return made


async def add_directory(db: Connection, parent: int, name: str) -> tuple[int, UUID]:
    """A new directory's id and GUID. Raises Exists, and NoParent when the parent has just gone."""
    row = await _insert(db, parent, name, None)
    if row is None:
        raise Exists()
    return row["id"], row["guid"]


@dataclass(frozen=True, slots=True)
class Below:
    """A file below a directory. `path`: from there, with a slash before it; of the directory itself it is empty."""

    image: UUID
    guid: UUID
    path: str


async def images_below(db: Connection, directory: int, most: int) -> tuple[list[Below], bool]:
    """Files below a directory: of the nearest `most` entries; whether those are all."""
    rows = await db.fetch(
        "with recursive below as ("
        "  select $1::bigint as id, ''::text collate \"C\" as path, null::uuid as image, null::uuid as guid"
        "  union all"
        "  select e.id, b.path || '/' || e.name, e.image, e.guid from below b cross join lateral ("
        "    select id, name, image, guid from entries where parent = b.id offset 0) e"
        ") select image, guid, path from below limit $2",
        directory,
        most + 2,
    )
    found = [
        Below(row["image"], row["guid"], row["path"]) for row in rows[: most + 1] if row["image"] is not None
    ]
    return found, len(rows) < most + 2


async def add_file(
    db: Connection,
    parent: int,
    name: str,
    image: UUID,
    only_view: View | None = None,
    delivery: dict[str, str] | None = None,
    *,
    bind: Bind | None = None,
) -> UUID | None:
    """A new file's GUID, or None when the name is taken. Raises NotFound when the parent has just gone."""
    row = await _insert(db, parent, name, image, only_view, delivery, bind)
    return row["guid"] if row is not None else None


async def add_file_unless_named(
    db: Connection,
    parent: int,
    name: str,
    image: UUID,
    only_view: View | None,
    *,
    bind: Bind | None = None,
) -> tuple[UUID, UUID] | None:
    """GUID and image of the file of that name: of a new one, or of another that has the name; None when something else
    has it. Raises NoParent when the parent has just gone."""
    guid = uuid4()
    row = await db.fetchrow(
        f"with parent as materialized ({_PARENT}),"
        " there as materialized (select guid, image from entries where parent = $1 and name = $2),"
        " made as (insert into entries (parent, name, image, is_directory, only_view, guid, binding)"
        "  select id, $2, $3::uuid, false, $4, $5, $6 from parent where not exists (select from there)"
        "  on conflict do nothing returning guid, image)"
        " select guid, image, exists (select from parent) as has_parent from"
        " (select 1) one left join (select * from made union all select * from there) named on true",
        parent,
        name,
        image,
        only_view,
        guid,
        *bindings(bind, [(guid, image, only_view)]),
    )
    assert row is not None
    if row["image"] is not None:
        return row["guid"], row["image"]
    if not row["has_parent"]:
        raise _no_parent()
    # Somebody else has just made it.
    return await image_at(db, parent, name) if row["guid"] is None else None


@dataclass(frozen=True, slots=True)
class NewFile:
    """As what `add_files` adds."""

    name: str
    image: UUID
    only_view: View | None
    delivery: dict[str, str] | None


async def add_files(
    db: Connection, parent: int, files: Sequence[NewFile], *, bind: Bind | None = None
) -> dict[str, UUID]:
    """Their GUIDs, by name. Raises Exists when one of the names is taken, NoParent when the parent has just gone."""
    await _demand_parent(db, parent)
    guids = [uuid4() for _ in files]
    rows = await db.fetch(
        "insert into entries (parent, name, image, is_directory, only_view, delivery, guid, binding)"
        " select $1, name, image, false, only_view, delivery, guid, binding from"
        " unnest($2::text[], $3::uuid[], $4::text[], $5::jsonb[], $6::uuid[], $7::bytea[])"
        " as f (name, image, only_view, delivery, guid, binding) order by name"
        " on conflict do nothing returning name, guid",
        parent,
        [one.name for one in files],
        [one.image for one in files],
        [one.only_view for one in files],
        [one.delivery for one in files],
        guids,
        bindings(bind, [(guid, one.image, one.only_view) for guid, one in zip(guids, files, strict=True)]),
    )
    if len(rows) < len(files):
        raise Exists()
    return {row["name"]: row["guid"] for row in rows}


_PARENT: Final = (
    # The parent's row is locked against removal; a file is no parent.
    f"select id from entries where id = $1 and is_directory and {ATTACHED.format('$1::bigint')} for key share"
)


async def _demand_parent(db: Connection, parent: int) -> None:
    if not await db.fetchval(_PARENT, parent):
        raise _no_parent()


def _no_parent() -> NoParent:
    return NoParent("the directory has just been removed")


async def _insert(
    db: Connection,
    parent: int,
    name: str,
    image: UUID | None,
    only_view: View | None = None,
    delivery: dict[str, str] | None = None,
    bind: Bind | None = None,
) -> asyncpg.Record | None:
    await _demand_parent(db, parent)
    guid = uuid4()
    return await db.fetchrow(
        "insert into entries (parent, name, image, is_directory, only_view, delivery, guid, binding)"
        " values ($1, $2, $3, $3::uuid is null, $4, $5, $6, $7) on conflict do nothing returning id, guid",
        parent,
        name,
        image,
        only_view,
        delivery,
        guid,
        bind(guid, image, only_view) if bind is not None and image is not None else None,
    )


async def lock(db: Connection, directory: int) -> None:
    """Let nobody else who locks this directory go on until the transaction ends. Raises NotFound."""
    if not await db.fetchval("select true from entries where id = $1 for no key update", directory):
        raise NotFound("the directory has just been removed")


async def swap_image(
    db: Connection,
    parent: int,
    name: str,
    old: UUID,
    new: UUID,
    only_view: View | None = None,
    to: tuple[int, str] | None = None,
    *,
    closed: bool = False,
    bind: Bind | None = None,
) -> UUID | None:
    """Point a file to another image if it still points to `old`: its GUID, or None when it does not. `to`: another
    directory and a name that is free there, which it gets with it. `closed`: it has no ACL of its own from now on, for
    that is of another patient's. Raises NoParent.

    Its replicas are copies of the old image: they are forgotten. So is what users say of it, properties and values of
    attributes, which may tell who the patient of the new one is; no patient is known of what is opaque.
    """
    if to is not None:
        await _demand_parent(db, to[0])
    guid: UUID | None = await db.fetchval(
        "with swapped as ("
        "  update entries set image = $4, binding = null, only_view = $5, modified = now(), parent = $6, name = $7,"
        "   acl = case when not $8 then acl end, default_acl = case when not $8 then default_acl end"
        f"  where parent = $1 and name = $2 and image = $3 and {ATTACHED.format('$1')} returning id, guid"
        "), gone as (delete from replicas where entry = any(array(select id from swapped))"
        "), untold as ("
        "  delete from dead_properties where entry = any(array(select id from swapped))"
        "   and $5::text is distinct from 'opaque'"
        "), undescribed as ("
        "  delete from own_values where entry = any(array(select id from swapped))"
        "   and $5::text is distinct from 'opaque')"
        " select guid from swapped",
        parent,
        name,
        old,
        new,
        only_view,
        *(to or (parent, name)),
        closed,
    )
    if guid is not None and bind is not None:
        await renew(db, guid, bind(guid, new, only_view))
    return guid


async def image_at(db: Connection, parent: int, name: str) -> tuple[UUID, UUID] | None:
    """GUID and image of the file of that name, if there is one."""
    row = await db.fetchrow(
        "select guid, image from entries where parent = $1 and name = $2 and image is not null", parent, name
    )
    return (row["guid"], row["image"]) if row else None


async def is_taken(db: Connection, parent: int, name: str) -> bool:
    return bool(
        await db.fetchval("select exists (select from entries where parent = $1 and name = $2)", parent, name)
    )


async def remove_files(db: Connection, ids: Collection[int]) -> dict[int, UUID]:
    """Remove files' entries; the images of those that were still there, by entry."""
    # Locked in one order, so that two removals of the same files wait for each other and no more.
    rows = await db.fetch(
        "with locked as ("
        "  select id from entries where id = any($1::bigint[]) and image is not null order by id for update"
        ") delete from entries where id = any(array(select id from locked)) returning id, image",
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


_MOST_WALKED = 100_000
"""Directories that are looked at to know how deep a tree is."""


async def demand_levels(db: Connection, directory: int, levels: int) -> None:
    """Return when nothing lies more than so many levels below a directory. Raises BadRequest, also when there are too
    many directories to know."""
    row = await db.fetchrow(
        "with recursive below (id, depth) as ("
        "  select $1::bigint, 0 union all"
        "  select e.id, b.depth + 1 from below b cross join lateral ("
        "    select id from entries where is_directory and case when is_directory then parent end = b.id offset 0"
        "  ) e where b.depth < $2"
        ") select count(*) as seen,"
        " bool_or(depth = $2 and exists (select from entries c where c.parent = b.id)) as deeper"
        " from (select id, depth from below limit $3) b",
        directory,
        levels,
        _MOST_WALKED + 1,
    )
    assert row is not None
    if levels < 0 or row["deeper"]:
        raise BadRequest(
            f"something would come to lie more than {MOST_LEVELS} levels deep",
            remedy="choose a place further up",
        )
    if row["seen"] > _MOST_WALKED:
        raise BadRequest(
            f"a tree of more than {_MOST_WALKED} directories is not moved further down",
            remedy="move what is in it, or choose a place that is no deeper",
        )


async def move(db: Connection, entry: Entry, parent: int, name: str) -> None:
    """Give an entry another parent and name, and of its own what `entry` says: ACLs, default view, delivery.

    A directory that is given another default view still gets the views that were made of its files.
    Ancestors of the target are locked in id order, so that two moves cannot make a cycle between them.
    Raises Exists, BadRequest when a directory would come to lie in itself, NotFound, NotADirectory.
    """
    await lock_move(db, parent, [entry.id])
    if entry.id in await _up(db, parent):
        raise BadRequest("a directory cannot be moved into itself")
    target = await db.fetchrow(
        f"select is_directory, {ATTACHED.format('$1::bigint')} as attached from entries where id = $1", parent
    )
    if target is None or not target["attached"]:
        raise NoParent("the directory has just been removed")
    if not target["is_directory"]:
        raise NotADirectory()
    try:
        status = await db.execute(
            "update entries e set parent = $2, name = $3, modified = now(), acl = $4, default_acl = $5,"
            " default_view = $6, delivery = $7,"
            " views = case when is_directory and default_view is distinct from $6 then ("
            + _VIEWS
            + ") else views end"
            " where id = $1 and parent is not null",
            entry.id,
            parent,
            name,
            entry.acl,
            entry.default_acl,
            entry.default_view,
            entry.delivery,
        )
    except asyncpg.UniqueViolationError:
        raise Exists() from None
    if status == "UPDATE 0":
        raise NotFound()


async def lock_move(db: Connection, parent: int, ids: Collection[int]) -> None:
    """Lock these entries, and the directory that is to hold one of them with all above it, in id order."""
    locked = sorted({*await _up(db, parent), *ids})
    await db.fetch("select id from entries where id = any($1::bigint[]) order by id for update", locked)


_VIEWS = """
with recursive up as (
    select s.id as start, s.id, s.parent, s.views from entries s where s.id in ($1, $2)
    union all select up.start, a.id, a.parent, a.views from up cross join lateral (
        select id, parent, views from entries where id = up.parent and up.views is null offset 0) a
) select array_agg(distinct view) from up, unnest(views) view
"""


async def _up(db: Connection, entry: int) -> list[int]:
    """The ids of an entry and of all above it."""
    rows = await db.fetch(
        "with recursive up as ("
        "  select id, parent from entries where id = $1"
        "  union all select e.id, e.parent from up cross join lateral ("
        "    select id, parent from entries where id = up.parent offset 0) e"
        ") select id from up",
        entry,
    )
    return [row["id"] for row in rows]
