"""A key store that does not answer holds up those who need keys, and nobody else: no connection waits with them."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import pytest

from mdm_async import app
from mdm_async.keys.store import Secrets
from mdm_async.keys.wrapped import WrappedKeys
from tests.conftest import running_server
from tests.faults.conditions import until
from tests.faults.transfers import RECIPIENT
from tests.postgres.for_tests import PostgresForTests

POOL = 3


class SlowKeys(WrappedKeys):
    """Answers when the test says so."""

    answers = asyncio.Event()
    waiting = 0

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> dict[UUID, Secrets]:
        SlowKeys.waiting += 1
        await self.answers.wait()
        SlowKeys.waiting -= 1
        return await super().fetch(registrations, identity=identity)


async def test_the_catalog_is_there_while_the_key_store_is_slow(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    monkeypatch.setattr(app, "WrappedKeys", SlowKeys)
    monkeypatch.setattr(SlowKeys, "answers", answers := asyncio.Event())
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, database={"dsn": dsn, "pool": POOL}) as server:
        answers.set()
        await server.put("/a.dcm", ct)
        line = await server.prepare("/a.dcm")
        server.cool()
        answers.clear()
        async with asyncio.TaskGroup() as group:
            asking = [
                make
                for _ in range(POOL)
                for make in (
                    group.create_task(server.read("/a.dcm")),
                    group.create_task(server.read("/a.dcm", recipient=RECIPIENT)),
                    group.create_task(server.get(line["transferURL"])),
                    group.create_task(server.srm("ls", surls=["/a.dcm"])),
                    group.create_task(server.srm("ls", surls=["/"])),
                    group.create_task(server.srm("bringOnline", files=[{"surl": "/a.dcm"}])),
                )
            ]
            await until(lambda: SlowKeys.waiting >= len(asking))
            await server.srm("mkdir", surl="/b")
            assert not any(task.done() for task in asking)
            answers.set()
        assert asking[0].result() == asking[2].result()
