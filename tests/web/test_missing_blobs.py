"""A blob that is missing or has another size is an error before the status line, never a broken answer."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.conftest import Server
from tests.faults.conditions import blob_files, open_blobs
from tests.web.made_images import made
from tests.web.raw import connected
from tests.web.sealed_lines import RECIPIENT
from tests.web.test_privacy import captured_log

# Its head lies in the catalog: those bytes could be sent, and then no more.
FILE = made(pixels=3_000_000)


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def lengthened(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("harm", [Path.unlink, shortened, lengthened])
@pytest.mark.parametrize("recipient", [None, RECIPIENT], ids=["clear", "sealed"])
async def test_it_is_a_problem_and_the_connection_goes_on(
    own_server: Server, recipient: str | None, harm: Callable[[Path], None]
) -> None:
    await own_server.put("/a.dcm", FILE)
    line = await own_server.prepare("/a.dcm", recipient=recipient)
    (path,) = blob_files(own_server.data)
    assert (await own_server.call("GET", line["transferURL"])).status == 200
    harm(path)
    target = line["transferURL"].removeprefix(own_server.url)
    async with connected(own_server) as connection:
        for asked in ("", "\nRange: bytes=1000000-1000009", "\nRange: bytes=0-9,1000000-2900000"):
            await connection.send(f"GET {target} HTTP/1.1\nHost: localhost{asked}")
            status, headers, body = await connection.answer()
            told = (500, "damaged") if harm is lengthened else (410, "lost")
            problem = orjson.loads(body)
            assert (status, problem["type"]) == (told[0], f"urn:mdm:error:{told[1]}"), asked
            assert headers["content-type"] == "application/problem+json"
            assert "mdm fsck" in problem["remedy"]
        # What needs no blob is still to be had, and so is everything else.
        if recipient is None:
            await connection.send(f"GET {target} HTTP/1.1\nHost: localhost\nRange: bytes=0-9")
            assert (await connection.answer())[0] == 206
        await connection.send("GET /health/live HTTP/1.1\nHost: localhost")
        assert (await connection.answer())[0] == 200
    assert not open_blobs(own_server.data)


@pytest.mark.parametrize("harm", [Path.unlink, shortened])
@pytest.mark.parametrize("recipient", [None, RECIPIENT], ids=["clear", "sealed"])
async def test_a_head_promises_nothing_and_the_log_names_the_file(
    own_server: Server, recipient: str | None, harm: Callable[[Path], None]
) -> None:
    guid = (await own_server.put("/a.dcm", FILE))["guid"]
    url = (await own_server.prepare("/a.dcm", recipient=recipient))["transferURL"]
    assert (await own_server.call("HEAD", url)).status == 200
    (path,) = blob_files(own_server.data)
    harm(path)
    for method in ("HEAD", "GET"):
        with captured_log() as log:
            assert (await own_server.call(method, url)).status == 410
        assert log.getvalue().count(guid) == 1
    assert not open_blobs(own_server.data)


async def test_a_store_that_is_not_mounted_loses_nothing(own_server: Server) -> None:
    """All looks deleted there; nothing is told to be lost, written beside it, or forgotten."""
    await own_server.put("/a.dcm", FILE)
    url = (await own_server.prepare("/a.dcm"))["transferURL"]
    (own_server.data / "blobs").rename(own_server.data / "elsewhere")
    (own_server.data / "blobs").mkdir()
    answer = await own_server.call("GET", url)
    assert (answer.status, answer.tree["detail"]) == (503, "the blob store is not there")
    prepared = await own_server.srm("prepareToPut", files=[{"surl": "/b.dcm"}])
    assert (await own_server.call("PUT", prepared["files"][0]["transferURL"], data=FILE)).status == 503
    assert not blob_files(own_server.data)
    (own_server.data / "blobs").rmdir()
    (own_server.data / "elsewhere").rename(own_server.data / "blobs")
    assert (await own_server.call("GET", url)).status == 200


async def test_the_same_file_put_again_is_not_told_to_be_there(own_server: Server) -> None:
    prepared = [await own_server.srm("prepareToPut", files=[{"surl": "/a.dcm"}]) for _ in range(2)]
    for tree, status in zip(prepared, (200, 409), strict=True):
        async with own_server.http.put(tree["files"][0]["transferURL"], data=io.BytesIO(FILE)) as answer:
            assert answer.status == 201, await answer.text()
        await own_server.srm("putDone", expect=status, requestToken=tree["requestToken"], surls=["/a.dcm"])
        if status == 200:
            (path,) = blob_files(own_server.data)
            path.unlink()
