"""An archive that the version before stored, opened by this one: what it made is not served until it is made anew."""

import csv
import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mdm_async.dicom.pixels.description import PIXELS_REVISION
from mdm_async.dicom.scrub import SECURITY_FLOOR
from mdm_async.names import IDENTIFIED
from mdm_async.postgres.database import connect
from mdm_async.postgres.migrate import REGISTER, migrations_of
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.pipeline import read
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_profiles import add, applied

ARCHIVE = Path(__file__).parent.parent / "data" / "revision_2"
CLEANED = ("comment.dcm", "spelled.dcm", "high-bits.dcm", "unnamed.dcm")
"""What was served with a name in it, or refused by a mistake."""
TRUSTING = 'name = "trusting"\npixels = [{ when = { Modality = "*" }, trust = true }]\n'
WITHHELD = ("digitised.dcm", "comment.dcm", "capture.dcm")
"""What may have text burned in: scanned paper, colours of another modality under a class of slices, a capture."""
KEK = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def older_parts() -> set[UUID]:
    """What views were made of: heads, and pixels that were rewritten."""
    rows = csv.DictReader(io.StringIO(stored()["tables"]["public.parts"]))
    made = (row for row in rows if row["secret"] == "image")
    return {UUID(row["id"]) for row in made if row["kind"] == "head" or row["variant"] != "original"}


def stored() -> Any:
    return json.loads((ARCHIVE / "rows.json").read_text())


async def restore(dsn: str) -> None:
    """The database as the version before left it."""
    rows_of = stored()
    async with connect(dsn) as db:
        await db.execute(REGISTER.format("schema_migrations"))
        for package, last in rows_of["migrations"].items():
            for migration in migrations_of(package)[:last]:
                await db.execute(migration.sql)
                await db.execute(
                    "insert into schema_migrations (room, number, name, sha256) values ($1, $2, $3, $4)",
                    *(package, migration.number, migration.name, migration.sha256),
                )
        await db.execute(f"truncate {', '.join(rows_of['tables'])} cascade")
        for table, rows in rows_of["tables"].items():
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
async def archive(postgres: PostgresForTests, tmp_path: Path) -> tuple[Path, str]:
    """Data directory and database as the version before left them."""
    dsn = await postgres.fresh_database()
    await restore(dsn)
    shutil.copytree(ARCHIVE / "blobs", tmp_path / "data" / "blobs")
    (tmp_path / "data" / "secrets").mkdir(mode=0o700)
    return tmp_path / "data", dsn


@pytest.fixture
async def upgraded(archive: tuple[Path, str]) -> AsyncIterator[Server]:
    """This version on that archive, once it has done all that is to be done."""
    async with running_server(*archive, keys={"kek": KEK}) as server:

        async def nothing_is_left_to_do() -> bool:
            async with server.house.database.acquire() as db:
                return not await db.fetchval(
                    "select exists (select from views_to_make) or exists (select from directories_to_check)"
                )

        await until(nothing_is_left_to_do)
        server.cool()
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


async def test_nothing_that_the_version_before_made_is_served(
    archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SECURITY_FLOOR == 3
    monkeypatch.setattr("mdm_async.app.make_views_forever", _never)
    async with running_server(*archive, keys={"kek": KEK}) as server:
        for view in ("basic", "careful"):
            found = await states(server, view)
            assert len(found) == 6
            assert set(found.values()) == {"pending"}


async def test_what_is_made_anew_is_clean_and_nothing_older_is_left(upgraded: Server) -> None:
    found = await states(upgraded, "basic")
    assert set(found.values()) <= {"ready", "refused", "quarantined"}
    assert {found[name] for name in WITHHELD} == {"refused"}
    await add(upgraded, TRUSTING)
    await applied(upgraded, "trusting", "/")
    found = await states(upgraded, "trusting")
    for name in CLEANED:
        assert found[name] == "ready"
        data = await upgraded.read(f"/{name}", view="trusting")
        assert name != "high-bits.dcm" or set(read(data).PixelData[1::2]) == {0x01}
        assert b"SMITH" not in data.upper(), name
    assert len(older_parts()) == 11
    async with upgraded.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from views where version like '%.2'") == 0
        kept = {row["id"] for row in await db.fetch("select id from parts where secret = 'image'")}
    assert not kept & older_parts()


async def test_pixels_are_looked_at_once(upgraded: Server) -> None:
    house = upgraded.house
    async with house.database.acquire() as db:
        images = [row["image"] for row in await db.fetch("select image from entries where image is not null")]
    for image in images:
        original = await house.shelf.load_one(house.database, image, IDENTIFIED)
        assert original.record.pixels_revision == PIXELS_REVISION


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

    assert await state() == "quarantined"
    again = "/admin/v1/profiles/careful/release"
    await upgraded.call("POST", again, token=await upgraded.token("lri"), json={"surls": ["/capture.dcm"]})
    assert await state() == "ready"
