"""DELETE of a transfer URL gives an upload up: nothing of it stays, and its name is free at once."""

import asyncio
from typing import Any

import pytest

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.postgres.database import Connection
from tests.conftest import Server
from tests.faults.conditions import nothing_is_stored, until
from tests.faults.wire import begun
from tests.web.made_images import made

DATA = made(pixels=3_000_000)


async def prepared(server: Server, surl: str = "/a.dcm", **options: Any) -> tuple[str, str]:
    """Transfer URL and request token."""
    tree = await server.srm("prepareToPut", files=[{"surl": surl}], **options)
    return tree["files"][0]["transferURL"], tree["requestToken"]


async def _is_free(server: Server) -> None:
    await server.house.sweeper.sweep()
    assert await nothing_is_stored(server)
    await server.put("/a.dcm", DATA)


async def test_one_that_has_not_begun_may_still_begin(own_server: Server) -> None:
    """gfal2 cleans up after a COPY that it was refused, and puts the file by the same URL then."""
    url, request = await prepared(own_server)
    for _ in range(2):
        assert (await own_server.call("DELETE", url)).status == 204
    assert (await own_server.call("PUT", url, data=DATA)).status == 201
    await own_server.srm("abortRequest", requestToken=request)
    assert own_server.house.desk.known.used == 0
    await _is_free(own_server)


async def test_one_that_has_arrived(own_server: Server) -> None:
    url, request = await prepared(own_server)
    assert (await own_server.call("PUT", url, data=DATA)).status == 201
    assert (await own_server.call("DELETE", url)).status == 204
    await own_server.srm("putDone", requestToken=request, surls=["/a.dcm"], expect=410)
    await _is_free(own_server)


async def test_one_that_runs_is_cut(own_server: Server) -> None:
    url, _ = await prepared(own_server)
    async with begun("PUT", url, Content_Length=str(len(DATA))) as client:
        await client.send(DATA[:2_000_000])
        await until(lambda: own_server.house.admission.receiving)
        assert (await own_server.call("DELETE", url)).status == 204
        assert await client.rest() == b""
    await until(lambda: nothing_is_stored(own_server))
    await _is_free(own_server)


async def test_what_has_its_name_stays(own_server: Server) -> None:
    url, request = await prepared(own_server)
    await own_server.call("PUT", url, data=DATA)
    await own_server.srm("putDone", requestToken=request, surls=["/a.dcm"])
    assert (await own_server.call("DELETE", url)).status == 409
    line = await own_server.prepare("/a.dcm")
    answer = await own_server.call("DELETE", line["transferURL"])
    assert (answer.status, answer.tree["type"]) == (403, "urn:mdm:error:forbidden")
    assert await own_server.get(line["transferURL"])
    assert (await own_server.call("DELETE", "/t/guessed/image.dcm")).status == 410


async def test_the_old_file_stays_where_an_overwrite_is_given_up(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    view = await own_server.read("/a.dcm")
    url, _ = await prepared(own_server, overwrite=True)
    await own_server.call("PUT", url, data=DATA)
    assert (await own_server.call("DELETE", url)).status == 204
    await own_server.house.sweeper.sweep()
    assert await own_server.read("/a.dcm") == view


async def test_one_that_arrives_in_that_moment(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = await prepared(own_server)
    settle = grants.settle
    async with begun("PUT", url, Content_Length=str(len(DATA))) as client:
        await client.send(DATA[:2_000_000])
        await until(lambda: own_server.house.admission.receiving)
        rest = asyncio.Event()

        async def later(db: Connection, grant: Grant, to: str, *before: Any, **more: Any) -> bool:
            if to == "aborted" and not rest.is_set():
                rest.set()
                await until(lambda: not own_server.house.admission.receiving)
            return await settle(db, grant, to, *before, **more)

        monkeypatch.setattr(grants, "settle", later)
        given_up = asyncio.create_task(own_server.call("DELETE", url))
        await rest.wait()
        await client.send(DATA[2_000_000:])
        assert (await given_up).status == 204
    await _is_free(own_server)
