"""Two nodes on one Postgres share the work; what a killed node had is taken again; one bad image keeps no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mdm_async.catalog.work import directories_to_check, views_to_make
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE
from mdm_async.images.reading import served
from mdm_async.images.views import backfill
from mdm_async.images.views.backfill import make_views
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.test_profiles import add, applied, ask

IMAGES = 16


@pytest.fixture
async def own_server(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A node that shares its blobs."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, blobs={"shared": True}) as running:
        yield running


@asynccontextmanager
async def beside(first: Server, data: Path) -> AsyncIterator[Server]:
    """Another node of the same installation."""
    data.mkdir(mode=0o700)
    (data / "blobs").symlink_to(first.data / "blobs")
    kek = (first.data / "secrets/kek").read_text().strip()
    async with running_server(data, first.dsn, keys={"kek": kek}, blobs={"shared": True}) as running:
        yield running


@pytest.fixture
async def other(own_server: Server, tmp_path: Path) -> AsyncIterator[Server]:
    async with beside(own_server, tmp_path / "other") as running:
        yield running


async def stored(server: Server) -> None:
    for number in range(IMAGES):
        await server.put(f"/{number}.dcm", made(seed=number))


async def fetch(server: Server, statement: str, *arguments: Any) -> list[Any]:
    async with server.house.database.acquire() as db:
        return list(await db.fetch(statement, *arguments))


async def test_two_nodes_share_a_queue_and_make_nothing_twice(
    own_server: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(own_server)
    attempts: list[UUID] = []
    make_view = backfill.make_view

    async def both_have_taken() -> bool:
        rows = await fetch(
            own_server, "select distinct split_part(taken_by, '#', 1) as node from views_to_make"
        )
        return {own_server.house.node, other.house.node} <= {row["node"] for row in rows}

    shared = False

    async def noted(workshop: Any, shelf: Any, view: Any, image: UUID, **options: Any) -> bool:
        nonlocal shared
        attempts.append(image)
        if not shared:  # the first page of each waits for the other's
            await until(both_have_taken)
            shared = True
        return await make_view(workshop, shelf, view, image, **options)

    monkeypatch.setattr(backfill, "make_view", noted)
    await add(own_server, 'name = "p"\n')
    assert await applied(own_server, "p", "/") == {
        "ready": IMAGES,
        "refused": 0,
        "quarantined": 0,
        "pending": 0,
    }
    assert len(attempts) == len(set(attempts)) == IMAGES

    async def all_is_settled() -> bool:
        return not await fetch(own_server, "select from views_to_make")

    await until(all_is_settled)


async def test_what_a_killed_node_had_taken_is_taken_again_when_its_lease_has_lapsed(
    own_server: Server,
) -> None:
    await own_server.put("/a.dcm", made())
    ((image,),) = await fetch(own_server, "delete from views where name = 'basic' returning image")
    async with own_server.house.database.transaction() as db:
        await views_to_make.add(db, [(image, "basic")])
        assert len(await VIEWS_TO_MAKE.take(db, "a killed node", 10)) == 1
    assert await make_views(own_server.house.workshop, own_server.house.shelf, own_server.house.node) == 0
    await fetch(own_server, "update views_to_make set due = now()")

    async def is_made() -> bool:
        return bool(await fetch(own_server, "select from views where name = 'basic'"))

    await until(is_made)


async def test_older_versions_that_are_being_read_go_later(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.put("/a.dcm", made())
    monkeypatch.setattr(served, "REVISION", served.REVISION + 1)
    await fetch(own_server, "update images set in_use_until = now() + interval '1 hour'")
    await check_all(own_server)

    async def newer_is_there_and_a_row_waits() -> bool:
        rows = await fetch(own_server, "select from views where name = 'basic'")
        return len(rows) == 2 and bool(
            await fetch(own_server, "select from views_to_make where taken_by is null")
        )

    await until(newer_is_there_and_a_row_waits)
    await fetch(own_server, "update images set in_use_until = '-infinity'")
    await fetch(own_server, "update views_to_make set due = now()")

    async def older_is_gone() -> bool:
        rows = await fetch(own_server, "select from views where name = 'basic'")
        return len(rows) == 1

    await until(older_is_gone)


async def check_all(server: Server) -> None:
    async with server.house.database.transaction() as db:
        await views_to_make.lock_demands(db)
        await directories_to_check.add_all(db)


async def test_a_bad_image_is_shown_with_the_kind_of_its_failure_and_others_go_on(own_server: Server) -> None:
    await stored(own_server)
    ((bad,),) = await fetch(own_server, "select image from entries where name = '3.dcm'")
    await fetch(
        own_server,
        "update parts set inline = substr(inline, 1, 20) where image = $1 and secret = 'identity' and kind = 'head'",
        bad,
    )
    await add(own_server, 'name = "p"\n')
    await ask(own_server, "p", "apply", 202, surl="/")

    async def others_are_made() -> bool:
        states: dict[str, int] = await ask(own_server, "p", "progress", surl="/")
        return (states["ready"], states["pending"]) == (IMAGES - 1, 1)

    await until(others_are_made)

    async def told() -> Any:
        reply = await own_server.call("GET", "/admin/v1/status", token=own_server.admin_token)
        assert reply.status == 200
        (queue,) = (one for one in reply.tree["queues"] if one["name"] == "views to make")
        return queue

    async def has_failed() -> bool:
        return bool((await told())["failed"])

    await until(has_failed)
    queue = await told()
    (failure,) = queue["failures"]
    assert failure["row"] == [str(bad), "p"]
    assert failure["reason"] == "Damaged"
    assert queue["length"] == 1
    assert failure["attempts"] >= 1


async def test_a_file_that_is_named_while_a_profile_is_applied_gets_its_view(own_server: Server) -> None:
    """Applying waits for what gives images names, so that what is checked then has them."""
    await own_server.srm("mkdir", surl="/d")
    await own_server.put("/a.dcm", made())
    await add(own_server, 'name = "p"\n')
    async with own_server.house.database.transaction() as db:
        await views_to_make.share_demands(db)
        await db.execute(
            "insert into entries (parent, name, image, is_directory) select d.id, 'b.dcm', f.image, false"
            " from entries d, entries f where d.name = 'd' and f.name = 'a.dcm'"
        )
        applying = asyncio.ensure_future(applied(own_server, "p", "/d"))
        while not await db.fetchval("select exists (select from pg_locks where not granted)"):
            assert not applying.done()
            await asyncio.sleep(0.01)
    assert (await applying)["ready"] == 1
    assert await own_server.read("/d/b.dcm", view="p")


async def test_a_node_of_an_older_revision_leaves_the_queue_to_the_newer(
    own_server: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.put("/a.dcm", made())
    ((image,),) = await fetch(own_server, "select image from entries where image is not null")
    version = own_server.house.views.basic
    newer = f"{version.partition('.')[0]}.{served.REVISION + 1}"
    await fetch(own_server, "update installation set basic = $1", newer)
    async with own_server.house.database.acquire() as db:
        await views_to_make.add(db, [(image, "basic")])
    for node in (own_server, other):
        await make_views(node.house.workshop, node.house.shelf, node.house.node)
    assert await fetch(own_server, "select from views_to_make")
    await own_server.put("/b.dcm", made(seed=1))
    assert len(await fetch(own_server, "select from views_to_make")) == 2
    monkeypatch.setattr(served, "REVISION", served.REVISION + 1)

    async def both_are_made_anew() -> bool:
        return len(await fetch(own_server, "select from views where version = $1", newer)) == 2

    await until(both_are_made_anew)


async def test_a_node_that_starts_with_newer_rules_has_everything_checked(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.srm("mkdir", surl="/d")
    await own_server.put("/d/a.dcm", made())
    monkeypatch.setattr(served, "REVISION", served.REVISION + 1)
    async with beside(own_server, tmp_path / "newer") as newer:
        version = newer.house.views.basic

        async def is_made_anew() -> bool:
            return [
                row["version"] for row in await fetch(newer, "select version from views where name = 'basic'")
            ] == [version]

        await until(is_made_anew)
        assert await newer.read("/d/a.dcm")
