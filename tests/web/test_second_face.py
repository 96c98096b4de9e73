"""Another face than SRM's stands on the one-step verbs alone, and all that holds there holds here."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from mdm_async.images.transfers.opening import OpenedView
from tests.conftest import Reply, Server
from tests.faults.conditions import nothing_is_stored, until
from tests.faults.wire import begun
from tests.web.made_images import made
from tests.web.second_face import second_face

SMALL, LARGE, HUGE = made(), made(pixels=3_000_000), made(pixels=40_000_000)


@dataclass
class Face:
    server: Server
    url: str

    async def call(self, method: str, name: str, token: str | None = None, **options: object) -> Reply:
        shown = token or self.server.admin_token
        return await self.server.call(method, f"{self.url}/{name}", token=shown, **options)

    async def put(self, name: str, data: bytes, token: str | None = None, **headers: str) -> Reply:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.call("PUT", name, token, data=data, headers=named)

    async def acts(self, act: str) -> list[str]:
        async with self.server.house.database.acquire() as db:
            rows = await db.fetch("select outcome from audit where act = $1 order by id", act)
        return [row["outcome"] for row in rows]


@pytest.fixture
async def face(own_server: Server) -> AsyncIterator[Face]:
    async with second_face(own_server.house) as url:
        yield Face(own_server, url)


async def test_a_file_put_there_is_the_one_that_srm_gives(face: Face) -> None:
    answer = await face.put("vo/a.dcm", LARGE, X_Make_Directories="yes")
    assert answer.status == 201
    got = await face.call("GET", "vo/a.dcm")
    assert (got.status, got.body) == (200, await face.server.read("/vo/a.dcm"))
    (line,) = (await face.server.srm("ls", surls=["/vo/a.dcm"]))["files"]
    assert line["guid"] == answer.headers["X-Guid"]


async def test_a_file_put_by_srm_is_given_there(face: Face) -> None:
    await face.server.put("/a.dcm", LARGE)
    got = await face.call("GET", "a.dcm")
    assert got.body == await face.server.read("/a.dcm")
    head = await face.call("HEAD", "a.dcm", await face.server.token("rl"))
    assert (head.headers["ETag"], head.headers["Content-Length"]) == (got.headers["ETag"], str(len(got.body)))


async def test_ranges_and_preconditions_hold_there(face: Face) -> None:
    await face.put("a.dcm", SMALL)
    whole = await face.call("GET", "a.dcm")
    part = await face.call("GET", "a.dcm", headers={"Range": "bytes=100-299"})
    assert (part.status, part.body) == (206, whole.body[100:300])
    known = await face.call("GET", "a.dcm", headers={"If-None-Match": whole.headers["ETag"]})
    assert known.status == 304
    assert (await face.put("b.dcm", SMALL, Content_Range="bytes 0-1/2")).status == 400


async def test_an_overwritten_file_is_the_new_one(face: Face) -> None:
    await face.put("a.dcm", SMALL)
    before = (await face.call("GET", "a.dcm")).body
    assert (await face.put("a.dcm", LARGE, If_None_Match="*")).status == 409
    assert (await face.call("GET", "a.dcm")).body == before
    assert (await face.put("a.dcm", LARGE)).status == 204
    assert (await face.call("GET", "a.dcm")).body == await face.server.read("/a.dcm") != before


async def test_a_wrong_digest_leaves_nothing(face: Face) -> None:
    assert (await face.put("a.dcm", LARGE, X_Sha256="0" * 64)).status == 422
    assert await nothing_is_stored(face.server)
    digest = hashlib.sha256(LARGE).hexdigest()
    assert (await face.put("a.dcm", LARGE, X_Sha256=digest)).status == 201


async def test_a_connection_that_is_cut_leaves_nothing(face: Face) -> None:
    authorization = f"Bearer {face.server.admin_token}"
    url = f"{face.url}/a.dcm"
    async with begun("PUT", url, Authorization=authorization, Content_Length=str(len(LARGE))) as client:
        await client.send(LARGE[:2_500_000])
        await until(lambda: face.server.house.admission.receiving)
    await until(lambda: not face.server.house.admission.receiving)
    await until(lambda: nothing_is_stored(face.server))
    assert (await face.put("a.dcm", LARGE)).status == 201


async def test_what_is_refused_is_a_problem_and_in_the_audit(face: Face) -> None:
    await face.put("a.dcm", SMALL)
    token = await face.server.token("l")
    for answer in (await face.put("b.dcm", SMALL, token), await face.call("GET", "a.dcm", token)):
        assert answer.status == 403
        assert orjson.loads(answer.body)["type"] == "urn:mdm:error:forbidden"
    hidden = await face.call("GET", "a.dcm", await face.server.token(""))
    assert (hidden.status, hidden.tree["detail"]) == (404, "no such file or directory")
    assert (await face.call("GET", "b.dcm", await face.server.token(""))).body != hidden.body

    async def audited() -> bool:
        async with face.server.house.database.acquire() as db:
            rows = await db.fetch("select act from audit where outcome = 'refused'")
        return {"PUT /face/{name}", "GET /face/{name}"} <= {row["act"] for row in rows}

    await until(audited)


async def test_its_reads_are_in_the_audit(face: Face) -> None:
    await face.put("a.dcm", SMALL)
    await face.call("GET", "a.dcm")
    assert await face.acts("open") == ["success"]

    async def both() -> bool:
        return await face.acts("read") == ["begun", "success"]

    await until(both)


async def test_a_running_read_is_cut_when_its_token_is_revoked(face: Face) -> None:
    await face.put("a.dcm", HUGE)
    token = await face.server.token("r", name="reader")
    async with begun("GET", f"{face.url}/a.dcm", buffer=8192, Authorization=f"Bearer {token}") as client:
        assert (await client.head())[0] == 200
        await face.server.call("DELETE", "/admin/v1/tokens/reader", token=face.server.admin_token)
        await until(lambda: not face.server.house.admission.running)
        assert len(await client.rest()) < len(HUGE)


async def test_a_running_upload_is_cut_when_its_token_is_revoked(face: Face) -> None:
    token = await face.server.token("w", name="writer")
    shown = {"Authorization": f"Bearer {token}", "Content_Length": str(len(LARGE))}
    async with begun("PUT", f"{face.url}/a.dcm", **shown) as client:
        await client.send(LARGE[:2_000_000])
        await until(lambda: face.server.house.admission.receiving)
        await face.server.call("DELETE", "/admin/v1/tokens/writer", token=face.server.admin_token)
        assert await client.rest() == b""
    await until(lambda: nothing_is_stored(face.server))


async def test_clear_bytes_need_a_secure_channel(face: Face) -> None:
    for method in ("PUT", "GET"):
        answer = await face.call(method, "a.dcm", headers={"X-Forwarded-For": "192.0.2.1"})
        assert answer.status == 403


async def test_what_ended_before_its_first_byte_is_an_error_before_the_status(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    await face.server.put("/a.dcm", SMALL)

    async def open_late(*arguments: Any) -> OpenedView:
        view = await open_(*arguments)
        view.warm.ending.end()
        return view

    open_ = face.server.house.opened.open
    monkeypatch.setattr(face.server.house.opened, "open", open_late)
    got = await face.call("GET", "a.dcm")
    assert (got.status, got.tree["type"]) == (410, "urn:mdm:error:gone")
    assert await face.acts("read") == []
