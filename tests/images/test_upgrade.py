"""An archive that the version before stored, opened by this one: what it made is not served until it is made anew."""

import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mdm_async.dicom.scrub import SECURITY_FLOOR
from mdm_async.postgres.database import connect
from mdm_async.postgres.migrate import REGISTER, migrations_of
from tests.backfilled import backfill
from tests.conftest import Server, running_server
from tests.pipeline import read
from tests.postgres.for_tests import PostgresForTests

ARCHIVE = Path(__file__).parent.parent / "data" / "revision_2"
CLEANED = ("comment.dcm", "spelled.dcm")
"""What was served with a name in it, or refused by a mistake."""
KEK = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


async def restore(dsn: str) -> None:
    """The database as the version before left it."""
    stored = json.loads((ARCHIVE / "rows.json").read_text())
    async with connect(dsn) as db:
        await db.execute(REGISTER)
        for package, last in stored["migrations"].items():
            for migration in migrations_of(package)[:last]:
                await db.execute(migration.sql)
                await db.execute(
                    "insert into schema_migrations (room, number, name, sha256) values ($1, $2, $3, $4)",
                    *(package, migration.number, migration.name, migration.sha256),
                )
        await db.execute(f"truncate {', '.join(stored['tables'])} cascade")
        for table, rows in stored["tables"].items():
            schema, name = table.split(".")
            await db.copy_to_table(
                name,
                schema_name=schema,
                source=io.BytesIO(rows.encode()),
                columns=rows.partition("\n")[0].split(","),
                format="csv",
                header=True,
            )
        for table in ("acls", "callers", "entries", "tokens"):
            await db.execute(
                f"select setval(pg_get_serial_sequence('{table}', 'id'), 1 + (select max(id) from {table}))"
            )


@pytest.fixture
async def upgraded(
    postgres: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    """This version on that archive, which makes no views by itself, so that what is pending can be seen."""
    dsn = await postgres.fresh_database()
    await restore(dsn)
    shutil.copytree(ARCHIVE / "blobs", tmp_path / "data" / "blobs")
    monkeypatch.setattr("mdm_async.app.make_views_forever", _never)
    async with running_server(tmp_path / "data", dsn, keys={"kek": KEK}) as server:
        yield server


async def _never(*_: object) -> None:
    return


async def states(server: Server, view: str) -> dict[str, str]:
    """Of each file, as whoever asks for it is told."""
    async with server.house.database.acquire() as db:
        names = [row["name"] for row in await db.fetch("select name from entries where image is not null")]
    found = {}
    for name in names:
        told = await server.srm("prepareToGet", expect=None, files=[{"surl": f"/{name}"}], view=view)
        found[name] = told["files"][0].get("viewState", "ready")
    return found


async def test_nothing_that_the_version_before_made_is_served(upgraded: Server) -> None:
    assert SECURITY_FLOOR == 3
    for view in ("basic", "careful"):
        found = await states(upgraded, view)
        assert len(found) == 6
        assert set(found.values()) == {"pending"}


async def test_what_is_made_anew_is_clean_and_nothing_older_is_left(upgraded: Server) -> None:
    async with upgraded.house.database.acquire() as db:
        older = {row["id"] for row in await db.fetch("select id from parts where variant <> 'original'")}
        assert older
    await backfill(upgraded)
    upgraded.cool()
    found = await states(upgraded, "basic")
    assert set(found.values()) <= {"ready", "refused", "quarantined"}
    for name in CLEANED:
        assert found[name] == "ready"
        data = await upgraded.read(f"/{name}")
        read(data)
        assert b"SMITH" not in data.upper(), name
    async with upgraded.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from views where version like '%.2'") == 0
        assert not await db.fetchval("select count(*) from parts where id = any($1::uuid[])", older)


async def test_a_release_by_the_rules_before_lets_nothing_out(upgraded: Server) -> None:
    """Whoever looked was asked other questions: they look again."""

    async def state() -> str:
        async with upgraded.house.database.acquire() as db:
            return str(
                await db.fetchval(
                    "select state from views join entries using (image)"
                    " where entries.name = 'capture.dcm' and views.name = 'careful'"
                )
            )

    await backfill(upgraded)
    assert await state() == "quarantined"
    again = "/admin/v1/profiles/careful/release"
    await upgraded.call("POST", again, token=await upgraded.token("lri"), json={"surls": ["/capture.dcm"]})
    assert await state() == "ready"
