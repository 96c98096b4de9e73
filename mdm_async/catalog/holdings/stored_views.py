"""The stored views of images: what each was made into, by which version of its profile, and the parts it needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from mdm_async.catalog.holdings import stored_parts
from mdm_async.catalog.holdings.locality import ELSEWHERE, KNOWN, Locality
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.postgres.database import Connection
from mdm_async.postgres.inverted import bitmap_scans


@dataclass(frozen=True, slots=True)
class StoredView:
    """A view as it was made once: ready with its encrypted record, or refused with the reason."""

    image: UUID
    name: str
    version: str
    secret: str
    record: bytes | None
    reason: str | None
    quarantined: bool = False
    """Refused until somebody has looked at it and released it."""
    parts: tuple[UUID, ...] = ()
    """What it needs: parts of its own, and the pixels that it shares."""
    pseudonyms: tuple[bytes, ...] = ()
    """Keyed digests of the pseudonyms in it."""
    report: bytes | None = None
    """Encrypted: what scrubbing did."""

    @property
    def state(self) -> str:
        if self.record is not None:
            return "ready"
        return "quarantined" if self.quarantined else "refused"


@dataclass(frozen=True, slots=True)
class Holding:
    """An image's registration, where its bytes are, and the view of it that was asked for, if made."""

    registration: UUID
    locality: Locality
    view: StoredView | None
    elsewhere: bool = False
    """What is lost here can be had from an archive or a replica."""


_HELD = f"i.registration, {KNOWN} as locality, {ELSEWHERE} as elsewhere"
ViewKey = tuple[UUID, str, str]
"""A view's image, name and version: the order in which all are looked through."""
FIRST_VIEW: ViewKey = (UUID(int=0), "", "")
PINNED = (
    "exists (select from cohort_members m"
    " where m.image = v.image and m.view = v.name and m.version = v.version offset 0)"
)
"""Of a version `v` of a view: a cohort gives it."""


async def holdings(
    db: Connection, wanted: Sequence[tuple[UUID, str]], versions: Sequence[str]
) -> dict[tuple[UUID, str], Holding]:
    """For each (image, view name): what is there, in the first of these versions. Images that are gone are left out.

    No version belongs to two views.
    """
    rows = await db.fetch(
        f"select w.image, w.name, v.version, {_HELD}, v.state, v.secret, v.record, v.reason, v.parts"
        " from unnest($1::uuid[], $2::text[]) as w (image, name)"
        " join images i on i.id = w.image and i.doomed is null"
        " left join views v on v.image = w.image and v.name = w.name and v.version = any($3::text[])",
        [image for image, _ in wanted],
        [name for _, name in wanted],
        list(versions),
    )
    found: dict[tuple[UUID, str], Holding] = {}
    for row in sorted(rows, key=lambda row: versions.index(row["version"]) if row["version"] else 0):
        holding = _holding(row)
        found.setdefault((row["image"], row["name"]), holding)
    return found


async def pinned(db: Connection, wanted: Sequence[tuple[UUID, str, str]]) -> dict[tuple[UUID, str], Holding]:
    """As `holdings`, of one version of each image's view, whether or not it is in force."""
    rows = await db.fetch(
        f"select w.image, w.name, v.version, {_HELD}, v.state, v.secret, v.record, v.reason, v.parts"
        " from unnest($1::uuid[], $2::text[], $3::text[]) as w (image, name, version)"
        " join images i on i.id = w.image and i.doomed is null"
        " left join views v on v.image = w.image and v.name = w.name and v.version = w.version",
        [image for image, _, _ in wanted],
        [name for _, name, _ in wanted],
        [version for _, _, version in wanted],
    )
    return {(row["image"], row["name"]): _holding(row) for row in rows}


def _holding(row: asyncpg.Record) -> Holding:
    return Holding(row["registration"], Locality(row["locality"]), _view(row), row["elsewhere"])


async def ready(db: Connection, image: UUID) -> list[StoredView]:
    """Every view of an image that is ready, old versions too."""
    rows = await db.fetch(
        "select image, name, version, state, secret, record, reason from views where image = $1 and state = 'ready'",
        image,
    )
    return [view for row in rows if (view := _view(row)) is not None]


async def reports(db: Connection, wanted: Sequence[tuple[UUID, str, str]]) -> dict[UUID, bytes]:
    """The sealed reports of these images' (image, view name, version)."""
    rows = await db.fetch(
        "select v.image, v.report from unnest($1::uuid[], $2::text[], $3::text[]) as w (image, name, version)"
        " join views v using (image, name, version) where v.report is not null",
        [image for image, _, _ in wanted],
        [name for _, name, _ in wanted],
        [version for _, _, version in wanted],
    )
    return {row["image"]: row["report"] for row in rows}


async def with_pseudonym(
    db: Connection, digest: bytes, versions: Sequence[str], after: UUID, count: int
) -> list[tuple[UUID, str, str]]:
    """(image, view name, version) of views that hold a pseudonym, by its keyed digest: some, in the images' order."""
    async with bitmap_scans(db):
        rows = await db.fetch(
            "with held as materialized ("
            "  select image, name, version from views where pseudonyms @> array[$1::bytea]"
            ") select * from held where version = any($2::text[]) and image > $3 order by image limit $4",
            digest,
            list(versions),
            after,
            count,
        )
    return [(row["image"], row["name"], row["version"]) for row in rows]


def _view(row: asyncpg.Record) -> StoredView | None:
    if row["state"] is None:
        return None
    return StoredView(
        row["image"],
        row["name"],
        row["version"],
        row["secret"],
        row["record"],
        row["reason"],
        quarantined=row["state"] == "quarantined",
        parts=tuple(row.get("parts") or ()),
    )


async def parts_needed(
    db: Connection, holdings: Iterable[Holding]
) -> tuple[dict[UUID, Part], dict[UUID, UUID]]:
    """All parts of views as they were found; of those that were made before they said which, all of their images.

    And by image the registration of the keys that they are under now: others than were found, if they have just been
    changed.
    """
    views = [held.view for held in holdings if held.view is not None and held.view.record is not None]
    untold = [view.image for view in views if not view.parts]
    ids = {part for view in views for part in view.parts}
    if untold:
        rows = await db.fetch("select id from parts where image = any($1::uuid[])", untold)
        ids |= {row["id"] for row in rows}
    if not ids:
        return {}, {}
    rows = await db.fetch(
        f"select {stored_parts.COLUMNS}, i.registration"
        " from parts p join images i on i.id = p.image where p.id = any($1::uuid[])",
        list(ids),
    )
    registrations = {row["image"]: row["registration"] for row in rows}
    return {row["id"]: Part(*tuple(row.values())[:-1]) for row in rows}, registrations


async def lost_parts(
    db: Connection, after: ViewKey, count: int
) -> tuple[list[tuple[UUID, ViewKey]], ViewKey | None]:
    """Of the next so many views, parts that they need and that are not there, each with its view; and after which view
    to go on, None when these were the last. For fsck.
    """
    rows = await db.fetch(
        "select image, name, version, array(select part from unnest(v.parts) part"
        "  where not exists (select from parts p where p.id = part offset 0)"
        "  and exists (select from images i where i.id = v.image"
        "   and i.locality in ('ONLINE', 'ONLINE_AND_NEARLINE') offset 0)) as lost"
        " from (select image, name, version, parts from views where (image, name, version) > ($1, $2, $3)"
        "  order by image, name, version limit $4) v",
        *after,
        count,
    )
    lost = {(part, (row["image"], row["name"], row["version"])) for row in rows for part in row["lost"]}
    last = rows[-1] if len(rows) == count else None
    return sorted(lost), (last["image"], last["name"], last["version"]) if last is not None else None
