"""Ended while it runs: release, abort, removal and revocation stop a transfer, expiry does not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mdm_async.images.transfers import watch
from tests.conftest import Server
from tests.faults.conditions import NOTHING, stored, until
from tests.faults.transfers import LARGE, File, downloads, large, stored_file, uploads
from tests.faults.wire import begun

End = Callable[[Server, str, str, str], Awaitable[Any]]


async def release(server: Server, token: str, surl: str, request: str) -> None:
    await server.srm("releaseFiles", token=token, requestToken=request)


async def release_by_name(server: Server, token: str, surl: str, request: str) -> None:
    await server.srm("releaseFiles", token=token, surls=[surl])


async def abort(server: Server, token: str, surl: str, request: str) -> None:
    await server.srm("abortRequest", token=token, requestToken=request)


async def abort_files(server: Server, token: str, surl: str, request: str) -> None:
    await server.srm("abortFiles", token=token, requestToken=request, surls=[surl])


async def remove(server: Server, token: str, surl: str, request: str) -> None:
    await server.srm("rm", surls=[surl])


async def remove_directory(server: Server, token: str, surl: str, request: str) -> None:
    await server.srm("rmdir", surl=surl.rpartition("/")[0], recursive=True)


async def revoke(server: Server, token: str, surl: str, request: str) -> None:
    answer = await server.call("DELETE", "/admin/v1/tokens/reader", token=server.admin_token)
    assert answer.status == 204


ENDS = [release, release_by_name, abort, abort_files, remove, remove_directory, revoke]


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_a_running_download_is_stopped(own_server: Server, end: End, sealed: bool) -> None:
    """Even one whose reader reads nothing at the moment."""
    file = await stored_file(own_server)
    token = await own_server.token("rlxg", name="reader", views=["basic"])
    line = await file.prepare(sealed=sealed, token=token)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        await client.head()
        await client.reader.readexactly(1 << 20)
        await until(lambda: downloads() == 1)
        await end(own_server, token, file.surl, line["requestToken"])
        await until(lambda: downloads() == 0)
        received = (1 << 20) + len(await client.rest())
        assert received < LARGE
        await until(lambda: _gone(own_server, line["transferURL"]))


async def _gone(server: Server, url: str) -> bool:
    statuses = {(await server.call(method, url)).status for method in ("HEAD", "GET")}
    return statuses == {410}


@pytest.mark.parametrize("end", [abort, abort_files, revoke], ids=lambda end: end.__name__)
async def test_a_running_upload_is_stopped(own_server: Server, end: End) -> None:
    token = await own_server.token("wlxg", name="reader")
    surl = f"{await own_server.directory()}/a.dcm"
    tree = await own_server.srm("prepareToPut", token=token, files=[{"surl": surl}])
    url = tree["files"][0]["transferURL"]
    async with begun("PUT", url, Content_Length=str(len(large()))) as client:
        await client.send(large()[: 3 << 20])
        await until(lambda: uploads() == 1)
        await end(own_server, token, surl, tree["requestToken"])
        await until(lambda: uploads() == 0)
    assert (await own_server.call("PUT", url, data=large())).status == 410
    assert await stored(own_server) == NOTHING


async def test_an_expired_download_goes_on_but_does_not_begin(server: Server, large_file: File) -> None:
    line = await large_file.prepare(sealed=False)
    url = line["transferURL"]
    async with begun("GET", url, buffer=8192) as client:
        await client.head()
        await server.srm("extendFileLifeTime", requestToken=line["requestToken"], newPinLifeTime=1)
        await until(lambda: _gone(server, url))
        received = await client.reader.readexactly(line["fileSize"])
    assert len(received) == line["fileSize"]


async def _expire_token(server: Server) -> None:
    async with server.house.database.acquire() as db:
        await db.execute("update tokens set expires = now() where name = 'reader'")


async def _looked_at_often() -> None:
    """By the watch of transfers, which ends what it finds at its next look."""
    await asyncio.sleep(4 * watch.LOOK)


async def test_a_download_outlives_its_token_and_no_other_begins(own_server: Server) -> None:
    file = await stored_file(own_server)
    token = await own_server.token("rlxg", name="reader", views=["basic"])
    line = await file.prepare(sealed=False, token=token)
    url = line["transferURL"]
    async with begun("GET", url, buffer=8192) as client:
        await client.head()
        await until(lambda: downloads() == 1)
        await _expire_token(own_server)
        await until(lambda: _gone(own_server, url))
        await _looked_at_often()
        assert len(await client.reader.readexactly(line["fileSize"])) == line["fileSize"]
    own_server.cool()
    assert await _gone(own_server, url)


async def test_an_upload_outlives_its_token(own_server: Server) -> None:
    token = await own_server.token("wlxg", name="reader")
    surl = f"{await own_server.directory()}/a.dcm"
    tree = await own_server.srm("prepareToPut", token=token, files=[{"surl": surl}])
    url = tree["files"][0]["transferURL"]
    async with begun("PUT", url, Content_Length=str(len(large()))) as client:
        await client.send(large()[: 3 << 20])
        await until(lambda: uploads() == 1)
        await _expire_token(own_server)
        await _looked_at_often()
        assert (await own_server.call("PUT", url, data=b"")).status == 410
        await client.send(large()[3 << 20 :])
        assert (await client.head())[0] == 201


async def test_an_expired_upload_goes_on_but_does_not_begin(own_server: Server) -> None:
    surl = f"{await own_server.directory()}/a.dcm"
    tree = await own_server.srm("prepareToPut", files=[{"surl": surl}])
    url = tree["files"][0]["transferURL"]
    async with begun("PUT", url, Content_Length=str(len(large()))) as client:
        await client.send(large()[: 3 << 20])
        await until(lambda: uploads() == 1)
        await own_server.srm("extendFileLifeTime", requestToken=tree["requestToken"], newPinLifeTime=1)

        async def expired() -> bool:
            return (await own_server.call("PUT", url, data=b"")).status == 410

        await until(expired)
        await client.send(large()[3 << 20 :])
        assert (await client.head())[0] == 201
    done = await own_server.srm("putDone", requestToken=tree["requestToken"], surls=[surl])
    assert done["returnStatus"]["statusCode"] == "SRM_SUCCESS"
    assert await own_server.read(surl)
