"""A new image with all that belongs to it, in one statement: each by itself would cost a round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings.blobs import lapsed
from mdm_async.catalog.holdings.registrations import LOCK
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata import index
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True, repr=False)
class NewImage:
    """An image whose bytes are written. `owner`: whose file it is; `blobs`: where its parts lie, under leases."""

    id: UUID
    registration: UUID
    owner: str | None = None
    blobs: Sequence[UUID] = ()
    parts: Sequence[Part] = ()
    views: Sequence[StoredView] = ()
    indexed: Sequence[IndexedView] = ()
    original: SealedOriginal | None = None


_INSERT: Final = (
    # As `registrations.being_named`.
    "with named as materialized ("
    f"  select pg_advisory_xact_lock_shared({LOCK}) from (select $2::uuid as registration) r),"
    " settled as (update blobs set state = 'stored', lease = null"
    "  where id = any($4::uuid[]) and state = 'writing' returning id),"
    " image as (insert into images (id, registration, brought_by) values ($1::uuid, $2, $3::text)),"
    " part as ("
    "  insert into parts (id, image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob)"
    "  select id, $1, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob from unnest("
    "   $5::uuid[], $6::text[], $7::text[], $8::text[], $9::smallint[], $10::bytea[], $11::bigint[], $12::bigint[],"
    "   $13::bytea[], $14::uuid[])"
    "   as p (id, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob)"
    "  where blob is null or blob in (select id from settled)),"
    " view as ("
    "  insert into views (image, name, version, state, reason, secret, record, report, parts, pseudonyms)"
    "  select $1, name, version, state, reason, secret, record, report,"
    "   array(select part from unnest($22::bigint[], $23::uuid[]) as p (view, part) where p.view = v.view),"
    "   array(select digest from unnest($24::bigint[], $25::bytea[]) as p (view, digest) where p.view = v.view)"
    "  from unnest($15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::bytea[], $21::bytea[])"
    "   with ordinality as v (name, version, state, reason, secret, record, report, view)),"
    " blinded as (insert into blind_values (image, tag, blind)"
    "  select $1::uuid, tag, blind from unnest($27::int[], $28::bytea[]) as b (tag, blind) on conflict do nothing),"
    " told as (insert into original_attributes (image, sealed) select $1, $26::bytea where $26 is not null),"
    f" {index.insertion(29)}"
    " select (select count(*) from named), (select count(*) from settled) as settled,"
    "  (select count(*) from indexed) as indexed"
)


async def insert(db: Connection, new: NewImage) -> None:
    """Part of the ingest transaction. Nobody judges from here on whether its registration counts.

    Raises Gone when a lease lapsed and the sweeper took a blob.
    """
    parts, views, original = new.parts, new.views, new.original
    row = await db.fetchrow(
        _INSERT,
        *(new.id, new.registration, new.owner, list(new.blobs)),
        *([one.id for one in parts], [one.kind for one in parts], [one.variant for one in parts]),
        *([one.secret for one in parts], [one.format for one in parts], [one.salt for one in parts]),
        *([one.cipher_size for one in parts], [one.cipher_adler for one in parts]),
        *([one.inline for one in parts], [one.blob for one in parts]),
        *([one.name for one in views], [one.version for one in views], [one.state for one in views]),
        *([one.reason for one in views], [one.secret for one in views]),
        *([one.record for one in views], [one.report for one in views]),
        [place for place, one in enumerate(views, 1) for _ in one.parts],
        [part for one in views for part in one.parts],
        [place for place, one in enumerate(views, 1) for _ in one.pseudonyms],
        [digest for one in views for digest in one.pseudonyms],
        original.sealed if original is not None else None,
        [tag for tag, _ in original.digests] if original is not None else [],
        [digest for _, digest in original.digests] if original is not None else [],
        *index.arguments(new.indexed),
    )
    assert row is not None
    if row["settled"] != len(new.blobs):
        raise lapsed()
    if row["indexed"] != len(new.indexed):
        await index.add(db, new.indexed)
