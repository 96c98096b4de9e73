"""Whoever bears a macaroon that was narrowed is another than who bears the whole one, and neither is its maker."""

import pytest

from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.test_macaroons import Minter, narrowed

DATA = made(pixels=40_000)


@pytest.fixture
async def minter(server: Server) -> Minter:
    return Minter(server)


async def told(server: Server, surl: str, token: str) -> int:
    tree = await server.srm("ls", surls=[surl], token=token)
    return int(tree["files"][0]["size"])


async def test_who_may_only_read_is_not_told_of_what_another_bearer_has_sent(minter: Minter) -> None:
    directory = await minter.server.directory()
    whole = await minter.make(directory, "activity:LIST,DOWNLOAD,UPLOAD")
    reader = narrowed(whole, "activity:LIST,DOWNLOAD")
    put = await minter.server.call("PUT", f"/dav{directory}/a.dcm", token=whole, data=DATA)
    assert put.status == 201
    assert await told(minter.server, f"{directory}/a.dcm", whole) == len(DATA)
    assert await told(minter.server, f"{directory}/a.dcm", reader) != len(DATA)
    head = await minter.server.call("HEAD", f"/dav{directory}/a.dcm", token=reader)
    assert int(head.headers["Content-Length"]) != len(DATA)


async def test_another_local_token_of_the_same_name_sees_and_ends_none(minter: Minter) -> None:
    server = minter.server
    directory, path = await server.directory(), "/admin/v1/macaroons"
    first = await server.token("rlxg", name="again")
    made_ = (await minter.ask(f"{directory}/of-the-first", first)).tree["id"]
    await server.call("DELETE", "/admin/v1/tokens/again", token=server.admin_token)
    second = await server.token("rlxg", name="again")
    assert (await server.call("GET", path, token=second)).tree["macaroons"] == []
    assert (await server.call("DELETE", f"{path}/{made_}", token=second)).status == 404


async def test_the_audit_tells_what_was_done_by_which_macaroon(minter: Minter) -> None:
    server = minter.server
    directory = await server.directory()
    answer = (await minter.ask(directory)).tree
    token, url = answer["macaroon"], f"/dav{directory}/a.dcm"
    assert (await server.call("PUT", url, token=token, data=DATA)).status == 201
    assert (await server.call("GET", url, token=token)).status == 200
    get = await server.srm("prepareToGet", token=token, files=[{"surl": f"{directory}/a.dcm"}])
    await server.srm("releaseFiles", token=token, requestToken=get["requestToken"])
    assert (await server.call("PUT", "/dav/vacant.dcm", token=token, data=DATA)).status >= 403
    await until(lambda: not server.house.refusals._queue)
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select act from audit where details ->> 'by macaroon' = $1", answer["id"])
    assert {"put", "open", "prepare get"} < (told := {row["act"] for row in rows})
    assert any("PUT" in act for act in told), told
