"""Rejection notes, and the images that they hide (IHE RAD TF, Imaging Object Change Management).

What a note says is kept with its image; it hides nothing until somebody who may reject gives it a name. The catalog's
triggers hide what is named later, and show what a note hid once the note has no name any more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why, as a code of DCM, and keyed digests of the SOP Instance UIDs that a note names."""

    code: int
    instances: Collection[bytes]


@dataclass(frozen=True, slots=True)
class Named:
    """An image that a note names, of its patient. `entry`: the oldest that it has of its own; `is_own`: the note's
    writer brought it."""

    image: UUID
    entry: int | None
    is_own: bool


async def put(db: Connection, note: UUID, said: Rejected) -> None:
    """In the transaction that stores the note's image."""
    await db.execute(
        "insert into rejection_notes (image, code) values ($1, $2) on conflict do nothing", note, said.code
    )
    await db.execute(
        "insert into rejected_uids (note, instance) select $1, unnest($2::bytea[]) on conflict do nothing",
        note,
        list(said.instances),
    )


async def lock(db: Connection, image: UUID, replaced: UUID | None = None) -> bool:
    """Whether an image, which gets a name, is a note. Then nobody names an image of its patient until this transaction
    ends; else nobody rejects one of its own. `replaced`: whose name it gets. Behind locks of directories, and before
    those of files."""
    is_note: bool = await db.fetchval(
        "with notes as materialized (select image from rejection_notes where image in ($1, $2)),"
        " locks as materialized ("
        "  select one, bool_or(alone) as alone from ("
        "   select one, false as alone from patient_locks($1) one"
        "   union all select one, true from notes, patient_locks(image) one"
        # A note also keeps those waiting who name images of nobody knows whom.
        "   union all select 0, true from notes) l group by one order by one),"
        " locked as materialized (select case when alone"
        "  then pg_advisory_xact_lock(hashtext('mdm rejections'), one)"
        "  else pg_advisory_xact_lock_shared(hashtext('mdm rejections'), one) end from locks)"
        " select exists (select from notes where image = $1) from (select count(*) from locked) l",
        image,
        replaced,
    )
    return is_note


async def lock_notes(db: Connection, images: Collection[UUID]) -> None:
    """As `lock`, of those among images that are notes: they lose a name, or are kept from going."""
    await db.execute("select lock_notes($1::uuid[])", list(images))


async def lock_files(db: Connection, images: Collection[UUID]) -> None:
    """Those that are to be hidden, in the order in which all lock entries."""
    await db.execute(
        "select from entries where image = any($1::uuid[]) order by id for no key update", list(images)
    )


async def named_by(
    db: Connection, note: UUID, writer: str, after: bytes, count: int
) -> tuple[list[Named], bytes | None]:
    """What is named by some `count` of a note's references, after one; after which to go on, None at the end."""
    rows = await db.fetch(
        "select r.instance, b.image, e.id, writer_of(b.image) is not distinct from $2 as is_own from ("
        "  select instance from rejected_uids where note = $1 and instance > $3 order by instance limit $4) r"
        " left join lateral ("
        "  select image from blind_values where tag = 524312 and blind = r.instance and image <> $1"
        "   and is_of_same_patient($1, image) offset 0) b on true"
        " left join lateral ("
        "  select id from entries where image = b.image and only_view is null order by id limit 1) e on true"
        " order by r.instance",
        note,
        writer,
        after,
        count,
    )
    found = [Named(row["image"], row["id"], row["is_own"]) for row in rows if row["image"] is not None]
    last = rows[-1]["instance"] if rows else None
    return found, last


async def hide(db: Connection, note: UUID, images: Collection[UUID]) -> Mapping[UUID, int]:
    """Hide images by a note: GUIDs and codes of the files that are hidden now and were not before."""
    await db.execute(
        "insert into rejections (image, note) select i.id, $1 from images i where i.id = any($2::uuid[])"
        " on conflict do nothing",
        note,
        list(images),
    )
    rows = await db.fetch(
        "with locked as materialized ("
        "  select id, rejected from entries where image = any($1::uuid[]) order by id for no key update),"
        " changed as (update entries e set rejected = rejected_by(image) from locked"
        "  where e.id = locked.id returning e.guid, e.rejected, locked.rejected as before)"
        " select guid, rejected from changed where before is null",
        list(images),
    )
    return {row["guid"]: row["rejected"] for row in rows}


async def apply_later(db: Connection, note: UUID, guid: UUID, directory: int, writer: str | None) -> int:
    """Let a note, as long as it is the file `guid`, hide what comes later below a directory: what this writer brings
    (None: anybody). Its code."""
    code: int = await db.fetchval(
        "update rejection_notes set entry = (select id from entries where guid = $2), directory = $3, writer = $4"
        " where image = $1 returning code",
        note,
        guid,
        directory,
        writer,
    )
    return code


@dataclass(frozen=True, slots=True)
class HiddenFile:
    """A file that is hidden: why, by which notes' entries, and since when."""

    entry: int
    code: int
    at: datetime
    notes: Sequence[int]


async def hidden(db: Connection, after: int, count: int) -> list[HiddenFile]:
    """Some, by their entries, after one."""
    rows = await db.fetch(
        "select e.id, e.rejected, r.at, r.notes from ("
        "  select id, image, rejected from entries where rejected is not null and id > $1 order by id limit $2) e"
        " cross join lateral (select min(r.at) as at, array_agg(n.id) as notes from rejections r"
        "  cross join lateral (select id from entries where image = r.note and only_view is null order by id limit 1) n"
        "  where r.image = e.image) r where r.at is not null order by e.id",
        after,
        count,
    )
    return [HiddenFile(row["id"], row["rejected"], row["at"], row["notes"]) for row in rows]
