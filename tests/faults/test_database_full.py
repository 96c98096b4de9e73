"""A Postgres elsewhere whose disk is full: it says so itself, which is told as it is, and what can go on does."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from mdm_async.postgres.embedded.system_user import postgres_user
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests, postgres_folder
from tests.small_disk import MIB, fill, small_disk
from tests.web.made_images import made


@pytest.fixture
def disk() -> Iterator[Path]:
    with postgres_folder() as folder:
        folder.chmod(0o755)
        with small_disk(folder / "disk", 64 * MIB) as place:
            yield place


@pytest.fixture
async def cramped(
    postgres: PostgresForTests, migrated: str, disk: Path, tmp_path: Path
) -> AsyncIterator[Server]:
    """A server whose database, but not the journal, lies on a small disk."""
    place = disk / "tables"
    place.mkdir()
    user = postgres_user()
    os.chown(place, user.uid, user.gid)
    superuser = postgres.dsn.replace("//mdm@", "//postgres@")
    db = await asyncpg.connect(superuser)
    name = f"small_{os.urandom(4).hex()}"
    try:
        await db.execute(f"create tablespace {name} owner mdm location '{place}'")
        template = urlsplit(migrated).path.removeprefix("/")
        await db.execute(
            f'create database {name} owner mdm template "{template}" tablespace {name} strategy file_copy'
        )
        dsn = urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))
        async with running_server(tmp_path / "data", dsn) as server:
            yield server
        await db.execute(f"drop database {name} with (force)")
        await db.execute(f"drop tablespace {name}")
    finally:
        await db.close()


async def test_a_full_database_is_told_and_readers_go_on(cramped: Server, disk: Path) -> None:
    surl = f"{await cramped.directory()}/a.dcm"
    await cramped.put(surl, made())
    url = (await cramped.prepare(surl))["transferURL"]
    content = await cramped.get(url)
    filler = fill(disk)
    refused: dict[str, object] = {}

    async def told() -> bool:
        tree = await cramped.srm("prepareToGet", expect=None, files=[{"surl": surl}] * 200)
        refused.update(tree)
        return tree["returnStatus"]["statusCode"] == "SRM_NO_FREE_SPACE"

    await until(told)
    assert "full" in str(refused["returnStatus"])
    await until(lambda: cramped.house.disks.full)
    ready = await cramped.call("GET", "/health/ready")
    assert ready.status == 503
    assert "disk full (database)" in ready.tree["detail"]
    assert await cramped.get(url) == content
    tree = await cramped.srm("prepareToPut", expect=507, files=[{"surl": surl}])
    assert tree["returnStatus"]["statusCode"] == "SRM_NO_FREE_SPACE"
    filler.unlink()
    await until(lambda: not cramped.house.disks.full)
    assert (await cramped.call("GET", "/health/ready")).status == 200
    await cramped.put(f"{await cramped.directory()}/b.dcm", made(seed=1))
