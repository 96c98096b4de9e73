"""Which key-encryption key (KEK) is which: a constant wrapped under each tells its epoch.

So an administrator numbers nothing, and a server that starts with other keys is refused, not left to fail later.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import NamedTuple
from uuid import UUID

import asyncpg

from mdm_async.errors import Unavailable, WrongKeks
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.wrap import Wrapper
from mdm_async.postgres.database import Connection, connect

_PROOF, _OWNER = b"mdm", "proof"
_PATIENCE = 3.0


async def are_there(db: Connection) -> bool:
    """Whether the database has been a key store's before."""
    return bool(await db.fetchval("select to_regclass('mdm_keys.kek_proofs') is not null"))


async def are_used(db: Connection) -> bool:
    """Whether a KEK has been given to this database before, which has its tables."""
    return bool(await db.fetchval("select exists (select from mdm_keys.kek_proofs)"))


class Proven(NamedTuple):
    """What a source's KEKs are here."""

    ring: KeyRing
    closed: dict[int, bytes]
    """KEKs by epoch that nothing is or will be wrapped under any more: they should go."""


async def known(db: Connection, keks: Sequence[bytes], installation: UUID) -> list[Wrapper | None]:
    """For each KEK its wrapper if it has an epoch here, None if it is new.

    Raises WrongKeks when secrets in this database were wrapped under a KEK that is not among these.
    """
    proofs = await db.fetch("select epoch, wrapped, closed from mdm_keys.kek_proofs order by epoch")
    found = [_of_one(proofs, kek, installation) for kek in keks]
    here = {wrapper.epoch for wrapper in found if wrapper is not None}
    lost = {row["epoch"] for row in proofs if row["closed"] is None} - here
    # An epoch that nothing is wrapped under any more may be forgotten.
    used = await db.fetch(
        "select epoch from unnest($1::int[]) as lost (epoch)"
        " where exists (select from mdm_keys.project_keys k where k.epoch = lost.epoch)"
        " or exists (select from mdm_keys.image_secrets s where s.epoch = lost.epoch) order by epoch",
        sorted(lost),
    )
    if used:
        numbers = ", ".join(str(row["epoch"]) for row in used)
        raise WrongKeks(
            f"no key-encryption key given opens what this database holds under its key number {numbers}",
            remedy="start the server with the key that this database was made with (DIR/secrets/kek); "
            "after changing it, keep the old one on a line below the new one until all is wrapped anew",
        )
    return found


async def demand_right(dsn: str, installation: UUID, keks: Sequence[bytes]) -> None:
    """Raises as `known`, of a database that may be no key store's yet, and Unavailable when it is away."""
    async with connect(dsn) as db:
        if await are_there(db):
            await known(db, keks, installation)


async def demand_right_if_there(dsn: str, installation: UUID, keks: Sequence[bytes]) -> None:
    """As `demand_right`, and nothing while the database is away: whoever opens it looks, too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE), AsyncExitStack() as stack:
            try:
                db = await stack.enter_async_context(connect(dsn))
            except Exception:
                return
            if await are_there(db):
                await known(db, keks, installation)


async def prove(db: Connection, keks: Sequence[bytes], installation: UUID) -> Proven:
    """The ring of these KEKs, the first in use; new ones get their epochs. Raises as `known`, and when all of them
    are closed.

    Call it in a transaction.
    """
    await db.execute("lock table mdm_keys.kek_proofs in share row exclusive mode")
    found = await known(db, keks, installation)
    last = await db.fetchval("select coalesce(max(epoch), 0) from mdm_keys.kek_proofs")
    # The older first: the KEK in use is the newest.
    for place in reversed(range(len(keks))):
        if found[place] is None:
            last += 1
            found[place] = wrapper = Wrapper(keks[place], installation, last)
            await db.execute(
                "insert into mdm_keys.kek_proofs (epoch, wrapped) values ($1, $2)",
                last,
                wrapper.wrap(_PROOF, _OWNER),
            )
    rows = await db.fetch("select epoch from mdm_keys.kek_proofs where closed is not null")
    ended = {row["epoch"] for row in rows}
    given = [(kek, wrapper) for kek, wrapper in zip(keks, found, strict=True) if wrapper is not None]
    ring = [wrapper for _, wrapper in given if wrapper.epoch not in ended]
    if not ring:
        raise Unavailable(
            "no key-encryption key given is in use any more", remedy="start the server with the newest one"
        )
    return Proven(KeyRing(ring), {wrapper.epoch: kek for kek, wrapper in given if wrapper.epoch in ended})


def _of_one(proofs: Sequence[asyncpg.Record], kek: bytes, installation: UUID) -> Wrapper | None:
    for row in proofs:
        wrapper = Wrapper(kek, installation, row["epoch"])
        try:
            wrapper.unwrap(row["wrapped"], row["epoch"], _OWNER)
        except Unavailable:
            continue
        return wrapper
    return None
