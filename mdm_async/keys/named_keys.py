"""Shared keys that belong to a name, not to an image: the catalog's database names their registrations.

The shares are stored first; the row that names them makes them count. Of two nodes that make a key for one name the
row's winner does.
"""

import hashlib
import os
from collections.abc import Collection
from uuid import UUID, uuid4

from mdm_async.errors import Unavailable
from mdm_async.keys.row_cipher import Held
from mdm_async.keys.shares import Shares
from mdm_async.keys.store import SECRET_BYTES
from mdm_async.postgres.database import Database

PROJECT, TRANSFER = "project", "transfer"


async def stored(shares: Shares, kind: str, name: str, key: bytes) -> UUID:
    """The registration of a new key, which nobody names yet."""
    held = Held(uuid4(), owner(kind, name), kind, key)
    await shares.register([held], intended=False)
    return held.registration


async def read(shares: Shares, kind: str, named: dict[str, UUID]) -> dict[str, bytes]:
    """The keys by their names. Raises Unavailable when one cannot be read."""
    keys = await readable(shares, kind, named)
    if len(keys) < len(named):
        raise unreadable(kind)
    return keys


async def readable(shares: Shares, kind: str, named: dict[str, UUID]) -> dict[str, bytes]:
    """Those of the keys that can be read, by their names."""
    if not named:
        return {}
    found = (await shares.read([(registration, kind) for registration in named.values()])).secrets
    return {
        name: held.value
        for name, registration in named.items()
        if (held := found.get((registration, kind))) is not None and held.image == owner(kind, name)
    }


def unreadable(kind: str) -> Unavailable:
    return Unavailable(
        f"a {kind} key cannot be read from the key stores",
        remedy="bring all key stores back (mdm keys status)",
    )


async def make_project_key(names: Database, shares: Shares, project: str) -> None:
    """Unless it has one."""
    registration = await stored(shares, PROJECT, project, os.urandom(SECRET_BYTES))
    async with names.acquire() as db:
        won = await db.fetchval(
            "insert into mdm_keys.shared_project_keys (project, registration) values ($1, $2)"
            " on conflict do nothing returning true",
            project,
            registration,
        )
    if not won:
        await shares.forget([registration])


async def take_project_key(names: Database, shares: Shares, project: str, key: bytes) -> None:
    """In place of the one that it has; that one is destroyed."""
    registration = await stored(shares, PROJECT, project, key)
    async with names.acquire() as db:
        before = await db.fetchval(
            "with before as (select registration from mdm_keys.shared_project_keys where project = $1),"
            " named as (insert into mdm_keys.shared_project_keys (project, registration) values ($1, $2)"
            "  on conflict (project) do update set registration = $2)"
            " select registration from before",
            project,
            registration,
        )
    if before is not None:
        await shares.forget([before])


async def project_keys(names: Database, shares: Shares, projects: Collection[str]) -> dict[str, bytes]:
    async with names.acquire() as db:
        rows = await db.fetch(
            "select project, registration from mdm_keys.shared_project_keys where project = any($1::text[])",
            list(projects),
        )
    return await read(shares, PROJECT, {row["project"]: row["registration"] for row in rows})


async def add_transfer_key(names: Database, shares: Shares, made: int, key: bytes) -> None:
    """Unless there is one of that second."""
    registration = await stored(shares, TRANSFER, str(made), key)
    async with names.acquire() as db:
        won = await db.fetchval(
            "insert into mdm_keys.transfer_keys (made, registration) values ($1, $2)"
            " on conflict do nothing returning true",
            made,
            registration,
        )
    if not won:
        await shares.forget([registration])


async def transfer_keys(names: Database) -> dict[int, UUID]:
    """Their registrations."""
    async with names.acquire() as db:
        rows = await db.fetch("select made, registration from mdm_keys.transfer_keys")
    return {row["made"]: row["registration"] for row in rows}


async def remove_transfer_key(names: Database, shares: Shares, made: int, registration: UUID) -> None:
    """It stays named until no store has a share of it any more."""
    if not (await shares.forget([registration])).waiting:
        async with names.acquire() as db:
            await db.execute("delete from mdm_keys.transfer_keys where made = $1", made)


def owner(kind: str, name: str) -> UUID:
    """What stands in an image's place: shares of one name's key open as no other's."""
    return UUID(bytes=hashlib.sha256(f"mdm {kind} key {name}".encode()).digest()[:16])
