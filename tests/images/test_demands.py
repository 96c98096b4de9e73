"""Which views files get is not changed while an image is given a name, nor the other way round: none slips through."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mdm_async.catalog.work.views_to_make import lock_demands, share_demands
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.test_profiles import add, ask

Act = Callable[[Server], Awaitable[Any]]


async def waits(server: Server, lock: Callable[[Any], Awaitable[None]], act: Awaitable[Any]) -> Any:
    """What the act comes to, which must wait until a transaction ends that holds this lock."""
    async with server.house.database.transaction() as db:
        await lock(db)
        acting = asyncio.ensure_future(act)
        while not await db.fetchval("select exists (select from pg_locks where not granted)"):
            assert not acting.done()
            await asyncio.sleep(0.01)
    return await acting


async def put_done(server: Server) -> Any:
    prepared = await server.srm("prepareToPut", files=[{"surl": "/b.dcm"}])
    async with server.http.put(prepared["files"][0]["transferURL"], data=io.BytesIO(made())) as answer:
        assert answer.status == 201
    return lambda: server.srm("putDone", requestToken=prepared["requestToken"], surls=["/b.dcm"])


async def link(server: Server) -> Any:
    await server.put("/a.dcm", made())
    await server.srm("mkdir", surl="/project")
    body = {"surls": ["/a.dcm"], "target": "/project", "view": "basic"}
    return lambda: server.call("POST", "/admin/v1/link", token=server.admin_token, json=body)


async def move(server: Server) -> Any:
    await server.put("/a.dcm", made())
    return lambda: server.srm("mv", fromSURL="/a.dcm", toSURL="/b.dcm")


async def move_directory(server: Server) -> Any:
    await server.srm("mkdir", surl="/d")
    return lambda: server.srm("mv", fromSURL="/d", toSURL="/e")


async def apply(server: Server) -> Any:
    await add(server, 'name = "p"\n')
    return lambda: ask(server, "p", "apply", 202, surl="/")


async def replace(server: Server) -> Any:
    await add(server, 'name = "p"\n')
    return lambda: add(server, 'name = "p"\noptions = ["retain_patient_characteristics"]\n')


@pytest.mark.parametrize("prepared", [put_done, link, move])
async def test_what_gives_an_image_a_name_waits_for_what_changes_the_views_that_files_get(
    own_server: Server, prepared: Act
) -> None:
    act = await prepared(own_server)
    await waits(own_server, lock_demands, act())


@pytest.mark.parametrize("prepared", [apply, replace, move_directory])
async def test_what_changes_the_views_that_files_get_waits_for_what_gives_images_names(
    own_server: Server, prepared: Act
) -> None:
    act = await prepared(own_server)
    await waits(own_server, share_demands, act())


async def test_a_replaced_profiles_views_are_made_anew_wherever_they_are(own_server: Server) -> None:
    act = await replace(own_server)
    await own_server.srm("mkdir", surl="/d")
    await ask(own_server, "p", "apply", 202, surl="/d")
    await own_server.put("/d/a.dcm", made())
    before = await own_server.read("/d/a.dcm", view="p")
    await act()

    async def nothing_is_pending() -> bool:
        return not (await ask(own_server, "p", "progress", surl="/d"))["pending"]

    await until(nothing_is_pending)
    assert await own_server.read("/d/a.dcm", view="p") != before
