"""Generations of an image's keys: all that lies under them, and its replacement in one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.errors import Busy, Gone
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Generation:
    """Which keys an image has, and where its bytes are. `keyed`: since when it has them."""

    registration: UUID
    locality: Locality
    number: int
    keyed: datetime


@dataclass(frozen=True, slots=True, repr=False)
class SealedView:
    name: str
    version: str
    secret: str
    record: bytes | None
    report: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class SealedMember:
    """What a cohort keeps of a view's bytes, under the secret that opens these."""

    cohort: int
    number: int
    view: str
    version: str
    secret: str
    sealed: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Keyed:
    """All that lies under an image's keys. `source`: the id of its row, and what is sealed in it."""

    image: UUID
    registration: UUID
    generation: int
    locality: Locality
    parts: tuple[Part, ...]
    views: tuple[SealedView, ...]
    members: tuple[SealedMember, ...]
    original: bytes | None
    source: tuple[UUID, bytes] | None


async def generations(db: Connection, images: Collection[UUID]) -> dict[UUID, Generation]:
    """Images that are gone are left out."""
    rows = await db.fetch(
        "select id, registration, locality, generation, coalesce(keyed, created) as keyed from images"
        " where id = any($1::uuid[]) and doomed is null",
        list(images),
    )
    return {
        row["id"]: Generation(row["registration"], Locality(row["locality"]), row["generation"], row["keyed"])
        for row in rows
    }


async def demand(db: Connection, image: UUID, registration: UUID) -> None:
    """In a transaction that has locked the image, of what was sealed under these keys. Raises Busy when it has others
    by now."""
    found = await db.fetchval("select registration from images where id = $1", image)
    if found != registration:
        raise Busy("the image's keys have just been changed", remedy="try again")


async def lock_members(db: Connection, image: UUID) -> None:
    """Before the image is locked, as those do who remove cohorts."""
    await db.execute(
        "select from cohort_members where image = $1 order by cohort, number for no key update", image
    )


async def keyed(db: Connection, image: UUID) -> Keyed:
    """In one snapshot, or once the image is locked. Raises Gone."""
    row = await db.fetchrow(
        "select i.registration, i.generation, i.locality, o.sealed as original, s.id as source, s.sealed"
        " from images i left join original_attributes o on o.image = i.id left join sources s on s.id = i.source"
        " where i.id = $1 and i.doomed is null",
        image,
    )
    if row is None:
        raise Gone("the image has just been deleted")
    parts = await db.fetch(
        "select id, image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob"
        " from parts where image = $1 order by id",
        image,
    )
    views = await db.fetch(
        "select name, version, secret, record, report from views where image = $1 order by name, version",
        image,
    )
    # What a version says that is there no more, nobody opens.
    members = await db.fetch(
        "select m.cohort, m.number, m.view, m.version, v.secret, m.sealed from cohort_members m"
        " join views v on v.image = m.image and v.name = m.view and v.version = m.version"
        " where m.image = $1 order by m.cohort, m.number",
        image,
    )
    return Keyed(
        image,
        row["registration"],
        row["generation"],
        Locality(row["locality"]),
        tuple(Part(*one.values()) for one in parts),
        tuple(SealedView(*one.values()) for one in views),
        tuple(SealedMember(*one.values()) for one in members),
        row["original"],
        (row["source"], row["sealed"]) if row["source"] is not None else None,
    )


async def replace(db: Connection, anew: Keyed) -> None:
    """Put what was sealed anew in place of what was there, whose image the transaction has locked."""
    await db.execute(
        "update images set registration = $2, generation = $3, keyed = now() where id = $1",
        *(anew.image, anew.registration, anew.generation),
    )
    await db.executemany(
        "update parts set salt = $2, cipher_adler = $3, inline = $4, blob = $5 where id = $1",
        [(part.id, part.salt, part.cipher_adler, part.inline, part.blob) for part in anew.parts],
    )
    await db.executemany(
        "update views set record = $4, report = $5 where image = $1 and name = $2 and version = $3",
        [(anew.image, one.name, one.version, one.record, one.report) for one in anew.views],
    )
    await db.executemany(
        "update cohort_members set sealed = $3 where cohort = $1 and number = $2",
        [(one.cohort, one.number, one.sealed) for one in anew.members],
    )
    await db.execute("update original_attributes set sealed = $2 where image = $1", anew.image, anew.original)
    if anew.source is not None:
        await db.execute("update sources set sealed = $2 where id = $1", *anew.source)
    # Whatever node has it opened looks at it anew.
    await db.execute("insert into changes (images) values (array[$1::uuid])", anew.image)


def blobs_of(parts: Sequence[Part]) -> list[UUID]:
    return [part.blob for part in parts if part.blob is not None]
