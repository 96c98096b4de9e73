"""A thief with copies of databases and of the blob store, who tries every secret found in them on everything."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidTag

from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, SegmentKey
from mdm_async.errors import BadSeal, Unavailable
from mdm_async.keys.derive import RecordCipher, part_key
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.row_cipher import RowCipher, StoreIdentity
from mdm_async.keys.shamir import Share
from mdm_async.keys.wrap import Wrapper


@dataclass(frozen=True)
class Loot:
    """The main database's parts and views, and every stored file by its name."""

    parts: list[Any]
    views: list[Any]
    files: dict[UUID, bytes]

    def opens(self, secrets: Iterable[bytes]) -> set[str]:
        """What some of these secrets open."""
        found: set[str] = set()
        for secret in set(secrets):
            found |= {f"part {row['id']}" for row in self.parts if self._opens_part(row, secret)}
            found |= {f"view {row['image']} {row['name']}" for row in self.views if _opens_view(row, secret)}
        return found

    def _opens_part(self, row: Any, secret: bytes) -> bool:
        sealed = row["inline"] if row["inline"] is not None else self.files.get(row["blob"])
        if sealed is None:
            return False
        key = part_key(secret, row["salt"], row["image"], row["id"])
        segments = -(-len(sealed) // CIPHER_SEGMENT)
        try:
            SegmentKey(key.key, key.prefix).decrypt_run(sealed[:CIPHER_SEGMENT], 0, segments)
        except BadSeal:
            return False
        return True


def _opens_view(row: Any, secret: bytes) -> bool:
    try:
        RecordCipher(secret, row["image"]).open(row["record"], row["name"], row["version"])
    except InvalidTag:
        return False
    return True


async def stolen(dsn: str, data: Path) -> Loot:
    """The whole of the main database that could be opened, and the blob store."""
    connection = await asyncpg.connect(dsn)
    try:
        parts = await connection.fetch("select * from parts")
        views = await connection.fetch("select * from views where record is not null")
    finally:
        await connection.close()
    files = {UUID(file.name): file.read_bytes() for file in (data / "blobs").glob("??/*") if file.is_file()}
    return Loot(parts, views, files)


async def every_bytea(dsn: str) -> set[bytes]:
    """Each stretch of 32 bytes that begins or ends some bytes in a database: whatever lies there unwrapped."""
    connection = await asyncpg.connect(dsn)
    found: set[bytes] = {bytes(32)}
    try:
        columns = await connection.fetch(
            "select table_schema, table_name, column_name from information_schema.columns"
            " where data_type = 'bytea' and table_schema in ('public', 'mdm_keys')"
        )
        for schema, table, column in columns:
            for row in await connection.fetch(f'select "{column}" from "{schema}"."{table}"'):
                if row[0] is not None and len(row[0]) >= 32:
                    found |= {row[0][:32], row[0][-32:], row[0][12:44]}
    finally:
        await connection.close()
    return {one for one in found if len(one) == 32}


async def unwrapped(
    dsn: str, keks: list[bytes], installation: UUID
) -> tuple[int, dict[tuple[UUID, str], bytes]]:
    """A key store's share index, and all that its own key-encryption keys open in it: (registration, kind) → value."""
    connection = await asyncpg.connect(dsn)
    try:
        store = await connection.fetchrow("select id, share, installation from mdm_keys.store")
        rows = await connection.fetch("select * from mdm_keys.image_secrets")
    finally:
        await connection.close()
    assert store is not None
    found = {}
    for row in rows:
        for kek in keks:
            ring = KeyRing([Wrapper(kek, installation, row["epoch"])])
            with suppress(Unavailable):
                opened = RowCipher(ring, StoreIdentity(**store)).unwrap(row)
                found[opened.registration, opened.kind] = opened.value
    return store["share"], found


def shares_of(
    stores: Iterable[tuple[int, dict[tuple[UUID, str], bytes]]],
) -> dict[tuple[UUID, str], list[Share]]:
    """What several stores hold, secret by secret."""
    found: dict[tuple[UUID, str], list[Share]] = {}
    for index, values in stores:
        for which, value in values.items():
            found.setdefault(which, []).append(Share(index, value))
    return found
