"""Locks of names, as transactions see each other's."""

import asyncio
from uuid import uuid4

import pytest

from mdm_async.catalog.namespace import locks
from mdm_async.catalog.namespace.locks import Lock
from mdm_async.errors import Locked
from mdm_async.postgres.database import Database
from tests.patience import PATIENCE


async def test_of_two_who_lock_a_name_at_once_one_has_it(database: Database) -> None:
    async def take(committing: asyncio.Event) -> None:
        async with database.transaction() as db:
            lock = Lock(uuid4(), 1, "a", (1,), False, False, "o", "o", None)
            await locks.take(db, lock, None, 60, 10, 10)
            taken.set()
            await committing.wait()

    taken, committing = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(take(committing))
    await taken.wait()
    second = asyncio.create_task(take(asyncio.Event()))
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    committing.set()
    await first
    with pytest.raises(Locked):
        await asyncio.wait_for(second, PATIENCE)
