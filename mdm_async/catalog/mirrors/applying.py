"""What a followed directory is told, done to its entries: each call makes one entry what it is at the first.

Whoever calls has `followed.keep` in the same transaction. Names that another entry has meanwhile are taken from it: it
gets its own when its turn comes.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.namespace import cut_trees
from mdm_async.catalog.namespace.bindings import Bind, renew
from mdm_async.errors import BadRequest, Forbidden, NoParent
from mdm_async.postgres.database import Connection


class Acls(NamedTuple):
    """Those that a state tells, by their ids here."""

    own: int | None
    default: int | None


_OWN = (
    "acl = $3, default_acl = $4, default_view = $5, delivery = $6, views = $7, only_view = $8, opaque = $9,"
    " force = $10, created = $11, modified = $12"
)


def _own(state: State, acls: Acls) -> tuple[object, ...]:
    return (
        *(*acls, state.default_view, state.delivery, state.views, state.only_view),
        *(state.opaque, state.force, state.created, state.modified),
    )


async def set_top(db: Connection, directory: int, state: State, acls: Acls, bind: Bind) -> None:
    """The followed directory itself, which keeps its name. Raises Forbidden, BadRequest."""
    known = await inside(db, directory, state.guid)
    if known is None:
        await _give_up(db, state.guid, bind)
    elif known != directory:
        raise BadRequest("an entry would lie in itself")
    await db.execute(
        f"update entries set guid = $2, {_OWN} where id = $1", directory, state.guid, *_own(state, acls)
    )


async def _give_up(db: Connection, guid: UUID, bind: Bind) -> None:
    """What was removed goes by and by, with all that is below it: it does not come back, but gives its GUID up."""
    row = await db.fetchrow(
        "update entries set guid = gen_random_uuid() where guid = $1 returning guid, image, only_view", guid
    )
    if row is not None and row["image"] is not None:
        await renew(db, row["guid"], bind(*row.values()))


async def inside(db: Connection, directory: int, guid: UUID) -> int | None:
    """The entry of that GUID, at or below the directory; None when there is none, or in a tree that was removed and
    goes by and by. Raises Forbidden when it is elsewhere."""
    row = await db.fetchrow(
        "with recursive up as ("
        "  select id, parent, name, id as origin from entries where guid = $2 union"
        "  select e.id, e.parent, e.name, up.origin from up cross join lateral ("
        "    select id, parent, name from entries where entries.id = up.parent limit 1) e"
        ") select origin, bool_or(id = $1) as inside, bool_or(parent is null and name = '') as named"
        " from up group by origin",
        directory,
        guid,
    )
    if row is not None and row["named"] and not row["inside"]:
        raise Forbidden(
            "a GUID is that of an entry outside of the mirrored directory",
            remedy="remove the older copy of it at the second site",
        )
    return int(row["origin"]) if row is not None and row["inside"] else None


async def place(
    db: Connection, directory: int, parent: UUID, state: State, acls: Acls, image: UUID | None, bind: Bind
) -> int:
    """Make it what is said, in the directory `parent`; its id. `image`: what its image is here. Raises NoParent,
    Forbidden, BadRequest where it would lie in itself."""
    above = await inside(db, directory, parent)
    if above is None:
        raise NoParent("the directory of an entry has not come yet")
    known = await inside(db, directory, state.guid)
    if known is None:
        await _give_up(db, state.guid, bind)
    elif image is None and await _lies_in(db, above, known):
        raise BadRequest("an entry would lie in itself")
    await _free(db, above, state.name, state.guid)
    binding = bind(state.guid, image, state.only_view) if image is not None else None
    if known is not None:
        await db.execute(
            f"update entries set parent = $2, name = $13, image = $14, binding = $15, {_OWN} where id = $1",
            *(known, above),
            *_own(state, acls),
            state.name,
            image,
            binding,
        )
        return known
    id_ = await db.fetchval(
        "insert into entries (parent, name, image, is_directory, guid, acl, default_acl, default_view, delivery, views,"
        " only_view, opaque, force, created, modified, binding)"
        " values ($1, $2, $13, $13::uuid is null, $14, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $15) returning id",
        *(above, state.name),
        *_own(state, acls),
        image,
        state.guid,
        binding,
    )
    return int(id_)


async def _lies_in(db: Connection, entry: int, above: int) -> bool:
    """Whether an entry is another, or below it."""
    return bool(
        await db.fetchval(
            "with recursive up as ("
            "  select $1::bigint as id union"
            "  select e.parent from up cross join lateral ("
            "    select parent from entries where entries.id = up.id and parent is not null limit 1) e"
            ") select exists (select from up where id = $2)",
            entry,
            above,
        )
    )


async def _free(db: Connection, parent: int, name: str, guid: UUID) -> None:
    await db.execute(
        "update entries set name = 'renamed ' || guid where parent = $1 and name = $2 and guid <> $3",
        *(parent, name, guid),
    )


async def image_at(db: Connection, directory: int, guid: UUID) -> UUID | None:
    """What the entry points to now."""
    known = await inside(db, directory, guid)
    return await db.fetchval("select image from entries where id = $1", known)  # type: ignore[no-any-return]


async def views_at(db: Connection, guid: UUID) -> list[str] | None:
    """Those that the directory says its files get."""
    return await db.fetchval("select views from entries where guid = $1", guid)  # type: ignore[no-any-return]


async def remove(db: Connection, directory: int, guids: Sequence[UUID]) -> list[UUID]:
    """Those that are there go, directories with all below them; the images that files pointed to."""
    images = []
    for guid in guids:
        known = await inside(db, directory, guid)
        if known is None or known == directory:
            continue
        image = await db.fetchval("select image from entries where id = $1", known)
        if image is None:
            await cut_trees.cut_off(db, known)
        else:
            await db.execute("delete from entries where id = $1", known)
            images.append(image)
    return images


async def release(db: Connection, image: UUID, released: Sequence[tuple[str, int]], by: str) -> None:
    """Views that somebody let out of quarantine at the first. What is held back here by then is made again."""
    await db.executemany(
        "insert into releases (image, view, released_by, revision) values ($1, $2, $3, $4)"
        " on conflict (image, view) do update set revision = greatest(releases.revision, excluded.revision)",
        [(image, view, by, revision) for view, revision in released],
    )
    await db.execute(
        "delete from views where image = $1 and state = 'quarantined' and name = any($2::text[])",
        image,
        [view for view, _ in released],
    )


async def hide(db: Connection, entry: int, image: UUID, code: int | None, notes: Sequence[UUID]) -> None:
    """Let rejection notes hide an entry as they do at the first, or show it again; `notes` are those that are here."""
    await db.execute(
        "delete from rejections where image = $1 and note <> all($2::uuid[])", image, list(notes)
    )
    await db.execute(
        "insert into rejections (image, note) select $1, image from rejection_notes where image = any($2::uuid[])"
        " on conflict do nothing",
        image,
        list(notes),
    )
    await db.execute(
        "update entries set rejected = $2 where id = $1 and rejected is distinct from $2", entry, code
    )
