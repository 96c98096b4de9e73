"""Wrapping anew, under the key-encryption key in use, what older ones wrapped: page by page, and each row verified.

A page is a transaction: what was read is wrapped, written, read again and opened, and only then does it count. So a
rotation that is killed goes on with what is left. What does not open stays as it is, and is counted.
"""

import asyncio
import hmac
from typing import NamedTuple
from uuid import UUID

import structlog

from mdm_async.errors import Damaged, Unavailable
from mdm_async.keys import rotations
from mdm_async.keys.key_database import WRITABLE, KeyDatabase
from mdm_async.keys.row_cipher import FORMAT, Held, RowCipher
from mdm_async.postgres.database import Connection

_PAGE = 200
COUNTED = 10_000

_Place = tuple[UUID, str]
FIRST: _Place = (UUID(int=0), "")

_log = structlog.get_logger()


class Page(NamedTuple):
    """`after`: where the next page begins; None after the last."""

    anew: int
    damaged: int
    after: _Place | None


async def wrap_anew(store: KeyDatabase, node: str) -> None:
    """All of one store that is under older keys, unless another node is at it.

    Raises Unavailable, and Damaged when something that was written does not open.
    """
    cipher = store.cipher
    older, epoch = cipher.ring.older, cipher.ring.epoch
    async with store.database.transaction() as db:
        if not older or not await rotations.is_left(db, older, epoch):
            return
        if not (begun := await rotations.begin(db, epoch, node)):
            return
    if begun.total is None:
        total = sum([await _count(store, one) for one in older])
        async with store.database.acquire() as db:
            await rotations.expect(db, epoch, total)
    async with store.database.transaction() as db:
        anew, damaged = await project_keys(db, cipher)
        await rotations.renew(db, epoch, node, anew)
    for one in older:
        after: _Place | None = FIRST
        while after is not None:
            async with store.database.transaction() as db:
                page = await image_secrets(db, cipher, one, after)
                await rotations.renew(db, epoch, node, page.anew)
            damaged, after = damaged + page.damaged, page.after
            await asyncio.sleep(0)
    async with store.database.acquire() as db:
        await rotations.end(db, epoch, node, damaged)
    _log.info(
        "all stored secrets are wrapped under the key-encryption key in use",
        store=store.name,
        epoch=epoch,
        damaged=damaged,
    )


async def project_keys(db: Connection, cipher: RowCipher) -> tuple[int, int]:
    """All of them, for there are few: how many were wrapped anew, and how many do not open."""
    anew = damaged = 0
    rows = await db.fetch(
        "select project, epoch, format, wrapped from mdm_keys.project_keys where epoch = any($1::int[])",
        cipher.ring.older,
    )
    for row in rows:
        try:
            key = cipher.unwrap_project_key(row)
        except Unavailable:
            damaged += 1
            continue
        written = await db.fetchrow(
            f"with {WRITABLE.format('$2')} update mdm_keys.project_keys k"
            " set epoch = $2, wrapped = $3, format = $4 from writable where project = $1 and k.epoch = $5"
            " returning project, k.epoch, format, wrapped",
            row["project"],
            cipher.ring.epoch,
            cipher.wrap_project_key(row["project"], key),
            FORMAT,
            row["epoch"],
        )
        if written is not None:
            _demand_same(key, cipher.unwrap_project_key(written))
            anew += 1
    return anew, damaged


async def image_secrets(db: Connection, cipher: RowCipher, epoch: int, after: _Place) -> Page:
    """One page of what is wrapped under this epoch, by (registration, kind)."""
    rows = await db.fetch(
        "select registration, kind, image, epoch, format, wrapped from mdm_keys.image_secrets"
        " where epoch = $1 and (registration, kind) > ($2, $3) order by registration, kind limit $4",
        epoch,
        *after,
        _PAGE,
    )
    opened: dict[_Place, Held] = {}
    for row in rows:
        try:
            opened[row["registration"], row["kind"]] = cipher.unwrap(row)
        except Unavailable:
            continue
    written = await db.execute(
        f"with {WRITABLE.format('$5')} update mdm_keys.image_secrets s"
        " set epoch = $5, wrapped = n.wrapped, format = $6"
        " from writable, unnest($2::uuid[], $3::text[], $4::bytea[]) as n (registration, kind, wrapped)"
        " where s.registration = n.registration and s.kind = n.kind and s.epoch = $1",
        epoch,
        [registration for registration, _ in opened],
        [kind for _, kind in opened],
        [cipher.wrap(held) for held in opened.values()],
        cipher.ring.epoch,
        FORMAT,
    )
    await _verify(db, cipher, opened)
    last = (rows[-1]["registration"], rows[-1]["kind"]) if len(rows) == _PAGE else None
    return Page(int(written.split()[-1]), len(rows) - len(opened), last)


async def _verify(db: Connection, cipher: RowCipher, opened: dict[_Place, Held]) -> None:
    rows = await db.fetch(
        "select registration, kind, image, epoch, format, wrapped from mdm_keys.image_secrets"
        " where registration = any($1::uuid[]) and epoch = $2",
        list({registration for registration, _ in opened}),
        cipher.ring.epoch,
    )
    for row in rows:
        if (held := opened.get((row["registration"], row["kind"]))) is not None:
            _demand_same(held.value, cipher.unwrap(row).value)


def _demand_same(before: bytes, after: bytes) -> None:
    if not hmac.compare_digest(before, after):
        raise Damaged("a secret that was wrapped anew is not what it was")


async def _count(store: KeyDatabase, epoch: int) -> int:
    """How much is wrapped under it."""
    async with store.database.acquire() as db:
        total = await count_project_keys(db, epoch)
    after: _Place | None = FIRST
    while after is not None:
        async with store.database.acquire() as db:
            count, after = await count_page(db, epoch, after)
        total += count
    return total


async def count_project_keys(db: Connection, epoch: int) -> int:
    count: int = await db.fetchval("select count(*) from mdm_keys.project_keys where epoch = $1", epoch)
    return count


async def count_page(db: Connection, epoch: int, after: _Place) -> tuple[int, _Place | None]:
    """How many of the next COUNTED there are, and where those after them begin."""
    row = await db.fetchrow(
        "select count(*), (array_agg(registration))[count(*)] as registration,"
        " (array_agg(kind))[count(*)] as kind from (select registration, kind"
        "  from mdm_keys.image_secrets where epoch = $1 and (registration, kind) > ($2, $3)"
        "  order by registration, kind limit $4) page",
        epoch,
        *after,
        COUNTED,
    )
    assert row is not None
    return row["count"], (row["registration"], row["kind"]) if row["count"] == COUNTED else None
