"""A blob that is gone while its store is there: every face tells that the file is lost, where nothing else has it."""

import io
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest

from mdm_async.images.reading import suspects
from tests.conftest import Server
from tests.faults.conditions import blob_files, until
from tests.web.made_images import made
from tests.web.test_replicas import change

FILE = made(pixels=300_000)


async def _file(server: Server) -> Path:
    await server.put("/a.dcm", FILE)
    (blob,) = blob_files(server.data)
    return blob


async def _locality(server: Server) -> str:
    return str((await server.srm("ls", surls=["/a.dcm"]))["files"][0]["fileLocality"])


async def _prepared(server: Server) -> dict[str, Any]:
    tree = await server.srm("prepareToGet", expect=None, files=[{"surl": "/a.dcm"}])
    status: dict[str, Any] = tree["files"][0]["status"]
    return status


async def test_every_face_tells_it_until_the_bytes_are_back(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    monkeypatch.setattr(suspects, "_AGAIN", 0.0)
    blob, token = await _file(server), server.admin_token
    bytes_ = blob.read_bytes()
    url = (await server.prepare("/a.dcm"))["transferURL"]
    listed = await server.call("GET", "/dicom-web/instances", token=token)
    row, *_ = orjson.loads(listed.body)
    uids = [row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
    instance = "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids)
    blob.unlink()
    for target in (url, "/dav/a.dcm", instance):
        answer = await server.call("GET", target, token=None if target == url else token)
        assert (answer.status, answer.tree["type"]) == (410, "urn:mdm:error:lost"), target
    await until(lambda: _is(server, "LOST"))
    assert (await _prepared(server))["statusCode"] == "SRM_FILE_LOST"
    (told,) = (
        await server.call("POST", "/tape/v1/archiveinfo", token=token, json={"paths": ["/a.dcm"]})
    ).tree
    assert told["locality"] == "LOST"
    head = await server.call("HEAD", "/dav/a.dcm", token=token)
    assert head.status == 410
    blob.write_bytes(bytes_)

    async def is_back() -> bool:
        return (await _prepared(server))["statusCode"] == "SRM_FILE_PINNED"

    await until(is_back)
    assert await _locality(server) == "ONLINE"
    assert pydicom.dcmread(io.BytesIO(await server.get(url))).PixelData


async def _is(server: Server, locality: str) -> bool:
    return await _locality(server) == locality


async def test_what_a_replica_has_is_unavailable_here(own_server: Server) -> None:
    blob = await _file(own_server)
    assert await change(own_server, "add", ("/a.dcm", "https://se.example.org/a")) == ["SRM_SUCCESS"]
    url = (await own_server.prepare("/a.dcm"))["transferURL"]
    own_server.cool()
    blob.unlink()
    answer = await own_server.call("GET", url)
    assert (answer.status, answer.tree["type"]) == (503, "urn:mdm:error:lost-here")
    await until(lambda: _is(own_server, "UNAVAILABLE"))
    assert (await _prepared(own_server))["statusCode"] == "SRM_FILE_UNAVAILABLE"


async def test_nothing_is_lost_while_the_store_is_not_there(own_server: Server) -> None:
    blob = await _file(own_server)
    url = (await own_server.prepare("/a.dcm"))["transferURL"]
    (own_server.data / "blobs" / "store.id").rename(own_server.data / "id")
    blob.unlink()
    assert (await own_server.call("GET", url)).status == 503
    assert await _locality(own_server) == "ONLINE"
