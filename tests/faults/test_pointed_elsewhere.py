"""Somebody with the database's password points a name to another image: nobody is served another patient's file."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mdm_async import app
from mdm_async.catalog.namespace import bindings
from mdm_async.images.upkeep.bindings import bind_entries
from mdm_async.keys.derive import EntryBindings
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.cohorts.test_cohorts import ask
from tests.web.made_images import made


@pytest.fixture(scope="module")
async def pointed(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("pointed") / "data", dsn) as server:
        yield server


async def execute(server: Server, statement: str, *arguments: Any) -> None:
    async with server.house.database.acquire() as db:
        await db.execute(statement, *arguments)


async def code(server: Server, surl: str) -> str:
    tree = await server.srm("prepareToGet", expect=None, files=[{"surl": surl}])
    return str(tree["files"][0]["status"]["type"] if "transferURL" not in tree["files"][0] else "")


async def two(server: Server) -> tuple[str, str]:
    directory = await server.directory()
    for seed, name in enumerate(("one", "two")):
        await server.put(f"{directory}/{name}.dcm", made(seed=seed))
    return f"{directory}/one.dcm", f"{directory}/two.dcm"


POINT = (
    "update entries e set {what} from entries o, entries d where e.name = 'one.dcm' and o.name = 'two.dcm'"
    " and e.parent = d.id and o.parent = d.id and d.name = $1"
)


@pytest.mark.parametrize("what", ["image = o.image", "image = o.image, binding = o.binding", "guid = o.guid"])
async def test_a_name_that_was_pointed_elsewhere_is_damaged_on_every_face_and_found(
    pointed: Server, what: str
) -> None:
    one, other = await two(pointed)
    if what.startswith("guid"):  # They change places, which no constraint forbids.
        await execute(pointed, POINT.format(what="guid = gen_random_uuid()"), one.split("/")[1])
    else:
        await execute(pointed, POINT.format(what=what), one.split("/")[1])
    pointed.cool()
    assert await code(pointed, one) == "urn:mdm:error:damaged"
    assert await code(pointed, other) == ""
    answer = await pointed.call("GET", f"/dav{one}", token=pointed.admin_token)
    assert (answer.status, answer.tree["type"]) == (500, "urn:mdm:error:damaged")
    to = {"Destination": f"{pointed.url}/dav{one}.copy"}
    answer = await pointed.call("COPY", f"/dav{one}", token=pointed.admin_token, headers=to)
    assert (answer.status, answer.tree["type"]) == (500, "urn:mdm:error:damaged"), "no copy would be bound"
    (listed,) = (await pointed.srm("ls", surls=[one], fullDetailedList=True))["files"]
    assert "size" not in listed

    async def found() -> list[dict[str, Any]]:
        known = await pointed.call("POST", "/admin/v1/fsck/known", token=pointed.admin_token, json={})
        return [told for told in known.tree["found"] if one in told["names"]]

    async def is_found() -> bool:
        return bool(await found())

    await until(is_found)
    (told,) = await found()
    assert [damage["kind"] for damage in told["damage"]] == ["entry"]


async def test_a_file_that_mdm_moves_replaces_links_or_copies_stays_bound(pointed: Server) -> None:
    one, other = await two(pointed)
    directory = one.rpartition("/")[0]
    await pointed.srm("mv", fromSURL=one, toSURL=f"{directory}/three.dcm")
    to = {"Destination": f"{pointed.url}/dav{directory}/c.dcm"}
    copied = await pointed.call("COPY", f"/dav{other}", token=pointed.admin_token, headers=to)
    assert copied.status == 201
    async with pointed.house.database.acquire() as db:
        found = await db.fetch(
            "select f.guid, f.image, f.only_view, f.binding from entries f join entries d on d.id = f.parent"
            " where d.name = $1",
            directory.removeprefix("/"),
        )
    fits = pointed.house.views.bindings.fits
    assert len(found) == 3
    assert all(row["binding"] is not None and fits(*row.values()) for row in found)


async def test_what_a_node_of_the_version_before_replaces_is_read(pointed: Server) -> None:
    one, _ = await two(pointed)
    # As that one does, which knows no binding.
    await execute(pointed, POINT.format(what="image = o.image, modified = now()"), one.split("/")[1])
    pointed.cool()
    assert await code(pointed, one) == ""
    await bind_entries(pointed.house.database, pointed.house.views.bindings)
    async with pointed.house.database.acquire() as db:
        assert not await db.fetchval(
            "select exists (select from entries where image is not null and binding is null)"
        )
    assert await code(pointed, one) == ""


async def test_what_was_stored_before_is_bound_as_it_is_and_nothing_is_believed_without_afterwards(
    pointed: Server,
) -> None:
    one, _ = await two(pointed)
    await execute(pointed, "update entries set binding = null where image is not null")
    assert await code(pointed, one) == ""
    mine = EntryBindings(b"k" * 32)
    await bind_entries(pointed.house.database, pointed.house.views.bindings)
    assert not pointed.house.views.bindings.demanded, "for a day, nodes of an older version may add some"
    await execute(pointed, "update installation set binding_since = now() - interval '2 days'")
    await bind_entries(pointed.house.database, pointed.house.views.bindings)
    assert pointed.house.views.bindings.demanded
    assert await code(pointed, one) == ""
    await execute(pointed, "update entries set binding = null where name = 'one.dcm'")
    assert await code(pointed, one) == "urn:mdm:error:damaged"
    async with pointed.house.database.acquire() as db:
        assert await bindings.are_bound(db)
    guid, image = UUID(int=1), UUID(int=2)
    assert not mine.fits(guid, image, None, mine.of(guid, image, "basic"))
    assert mine.fits(guid, image, "basic", mine.of(guid, image, "basic"))


async def test_a_member_of_a_cohort_that_was_pointed_elsewhere_is_damaged(pointed: Server) -> None:
    one, other = await two(pointed)
    directory = one.rpartition("/")[0]
    await ask(pointed, "create", expect=201, surl=f"{directory}/c", files=[one, other])
    guids = [(await pointed.srm("ls", surls=[name]))["files"][0]["guid"] for name in (one, other)]
    files = [{"surl": f"guid:{guid}"} for guid in guids]

    async def codes() -> list[str]:
        tree = await pointed.srm("prepareToGet", expect=None, files=files, cohort=f"{directory}/c")
        return [line["status"]["statusCode"] for line in tree["files"]]

    assert await codes() == ["SRM_FILE_PINNED"] * 2
    await execute(
        pointed,
        "update cohort_members m set image = o.image, sealed = o.sealed from cohort_members o"
        " where m.cohort = o.cohort and m.guid = $1 and o.guid = $2",
        *map(UUID, guids),
    )
    assert await codes() == ["SRM_FAILURE", "SRM_FILE_PINNED"]


async def test_a_server_that_starts_believes_no_more_than_it_did_before(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before it has looked for entries that are to be bound."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn) as server:
        one, _ = await two(server)
        await execute(server, "update entries set binding = null where name = 'one.dcm'")
        await execute(server, "update installation set bound = now()")

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(app, "bind_entries_forever", never)
    async with running_server(tmp_path / "data", dsn) as server:
        assert await code(server, one) == "urn:mdm:error:damaged"
