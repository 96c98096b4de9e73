"""Wrapping anew, under the key-encryption key in use, what older ones wrapped: a page at a time.

Nothing is locked: whichever node writes last, a row holds the same secret. What does not open stays as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog

from mdm_async.errors import Unavailable
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.row_cipher import FORMAT, RowCipher
from mdm_async.postgres.database import Connection

_PAGE = 500
_PAUSE = 10.0
_T = TypeVar("_T")

_log = structlog.get_logger()


async def wrap_anew(store: KeyDatabase) -> None:
    """All of one store that is under older keys. Stopped, it begins again at the next start."""
    cipher = store.cipher
    if not cipher.ring.older:
        return
    count = await _patiently(store, partial(project_keys, cipher=cipher))
    after: tuple[UUID, str] | None = (UUID(int=0), "")
    while after is not None:
        wrapped, after = await _patiently(store, partial(image_secrets, cipher=cipher, after=after))
        count += wrapped
    _log.info(
        "all stored secrets are wrapped under the key-encryption key in use", store=store.name, anew=count
    )


async def _patiently(store: KeyDatabase, work: Callable[[Connection], Awaitable[_T]]) -> _T:
    while True:
        try:
            async with store.database.acquire() as db:
                return await work(db)
        except Unavailable as why:
            _log.warning("wrapping anew put off", store=store.name, reason=why.detail)
            await asyncio.sleep(_PAUSE)


async def project_keys(db: Connection, cipher: RowCipher) -> int:
    """All of them: there are few. How many were wrapped anew."""
    count = 0
    rows = await db.fetch(
        "select project, epoch, format, wrapped from mdm_keys.project_keys where epoch = any($1::int[])",
        cipher.ring.older,
    )
    for row in rows:
        try:
            key = cipher.unwrap_project_key(row)
        except Unavailable:
            continue
        count += 1
        await db.execute(
            "update mdm_keys.project_keys set epoch = $2, wrapped = $3, format = $4 where project = $1",
            row["project"],
            cipher.ring.epoch,
            cipher.wrap_project_key(row["project"], key),
            FORMAT,
        )
    return count


async def image_secrets(
    db: Connection, cipher: RowCipher, after: tuple[UUID, str]
) -> tuple[int, tuple[UUID, str] | None]:
    """One page, by (registration, kind): how many were wrapped anew, and after what the next one begins."""
    rows = await db.fetch(
        "select registration, kind, image, epoch, format, wrapped from mdm_keys.image_secrets"
        " where (registration, kind) > ($1, $2) order by registration, kind limit $3",
        *after,
        _PAGE,
    )
    anew: list[tuple[UUID, str, bytes]] = []
    for row in rows:
        if row["epoch"] not in cipher.ring.older:
            continue
        try:
            held = cipher.unwrap(row)
        except Unavailable:
            continue
        anew.append((held.registration, held.kind, cipher.wrap(held)))
    await db.execute(
        "update mdm_keys.image_secrets s set epoch = $4, wrapped = n.wrapped, format = $5"
        " from unnest($1::uuid[], $2::text[], $3::bytea[]) as n (registration, kind, wrapped)"
        " where s.registration = n.registration and s.kind = n.kind",
        [registration for registration, _, _ in anew],
        [kind for _, kind, _ in anew],
        [wrapped for _, _, wrapped in anew],
        cipher.ring.epoch,
        FORMAT,
    )
    return len(anew), (rows[-1]["registration"], rows[-1]["kind"]) if len(rows) == _PAGE else None
