"""Waiting for the disk together: whoever goes away, and whatever fails, the others are told what is so."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mdm_async.errors import Unavailable
from mdm_async.postgres.database import Database
from mdm_async.postgres.on_disk import OnDisk
from mdm_async.postgres.turns import on_behalf
from tests.patience import PATIENCE, PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def narrow(postgres: PostgresForTests) -> AsyncIterator[Database]:
    """Two connections, of which one owner has one."""
    dsn = await postgres.fresh_database()
    async with Database.connect(dsn, pool_size=2, share=1, **PATIENT_DATABASE) as database:
        yield database


async def test_the_wait_of_many_is_nobodys_turn(narrow: Database) -> None:
    """It would stand behind all that the first of them has under way, and so would those who came with him."""
    on_disk = OnDisk(narrow)
    on_behalf.set("a")
    async with narrow.acquire():
        waiting = asyncio.create_task(on_disk.all_so_far())
        async with asyncio.timeout(PATIENCE):
            await waiting


async def test_who_goes_away_takes_nobody_along(narrow: Database) -> None:
    on_disk = OnDisk(narrow)
    first, second = (asyncio.create_task(on_disk.all_so_far()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()


async def test_all_are_told_when_it_cannot_be_known_and_those_after_are_served(
    narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk = OnDisk(narrow)
    async with narrow.acquire(), narrow.acquire():
        monkeypatch.setattr(narrow, "_acquire_timeout", 0.1)
        told = await asyncio.gather(*(on_disk.all_so_far() for _ in range(3)), return_exceptions=True)
    monkeypatch.undo()
    assert all(isinstance(why, Unavailable) for why in told)
    await on_disk.all_so_far()
