"""A key store that does not answer holds up those who need keys, and nobody else: no connection waits with them."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import pytest

from mdm_async import opening_keys
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.keys.store import Fetched
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.postgres.database import connect
from tests.conftest import running_server
from tests.faults.conditions import until
from tests.faults.transfers import RECIPIENT
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests

POOL = 3


class SlowKeys(WrappedKeys):
    """Answers when the test says so."""

    answers = asyncio.Event()
    waiting = 0

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> Fetched:
        SlowKeys.waiting += 1
        await self.answers.wait()
        SlowKeys.waiting -= 1
        return await super().fetch(registrations, identity=identity)


class SlowProjectKeys(WrappedKeys):
    answers = asyncio.Event()

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        await self.answers.wait()
        return await super().project_keys(projects)


async def test_the_catalog_is_there_while_the_key_store_is_slow(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    monkeypatch.setattr(opening_keys, "WrappedKeys", SlowKeys)
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


async def test_new_profiles_are_loaded_without_keeping_anybody(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    """Another node has added one, whose project's key this node cannot have yet."""
    monkeypatch.setattr(opening_keys, "WrappedKeys", SlowProjectKeys)
    monkeypatch.setattr(SlowProjectKeys, "answers", answers := asyncio.Event())
    answers.set()
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, database={"dsn": dsn, "pool": POOL}) as server:
        await server.put("/a.dcm", ct)
        await server.house.keys.make_project_key("trial")
        source = 'name = "trial"\n'
        answers.clear()
        async with connect(dsn) as db:
            await db.execute(
                "insert into profiles (name, source, digest, added_by) values ('trial', $1, $2, 'somebody')",
                source,
                parse_profile(source).digest,
            )
        await until(lambda: server.house.views.generation > 1)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(server.read("/a.dcm") for _ in range(3 * POOL)))
            # A new file would lack the new view, and nobody would know.
            refused = await server.srm("mv", expect=503, fromSURL="/a.dcm", toSURL="/b.dcm")
            assert "just been changed" in refused["returnStatus"]["explanation"]
        answers.set()
        await until(lambda: server.house.views.get("trial") is not None)
        await server.srm("mv", fromSURL="/a.dcm", toSURL="/b.dcm")
