"""What is done and what is refused is in the audit trail, whatever way it takes."""

from typing import Any
from uuid import UUID

import pytest

from mdm_async.catalog.namespace import places
from tests.conftest import Server
from tests.web.made_images import made
from tests.web.raw import connected


async def acts(server: Server) -> list[dict[str, Any]]:
    async with server.house.database.acquire() as db:
        return [dict(row) for row in await db.fetch("select * from audit order by id")]


async def test_an_upload_is_followed_from_its_preparation_to_its_name(own_server: Server) -> None:
    server = own_server
    line = await server.put("/one.dcm", made())
    prepared, arrived, named = await acts(server)
    assert [one["act"] for one in (prepared, arrived, named)] == ["prepare put", "upload", "put"]
    assert arrived["caller"] == "user:admin"
    assert arrived["source"]
    assert arrived["bytes"] % 65536 == 0
    assert arrived["details"]["transfer"] == named["details"]["transfer"]
    assert named["guid"] == UUID(line["guid"])


async def test_an_image_brought_online_is_audited(own_server: Server) -> None:
    await own_server.put("/one.dcm", made())
    await own_server.srm("bringOnline", files=[{"surl": "/one.dcm"}])
    assert (await acts(own_server))[-1]["act"] == "bring online"


async def test_an_export_that_goes_on_from_anywhere_is_audited(own_server: Server) -> None:
    await own_server.put("/one.dcm", made())
    least = -(1 << 63)
    reply = await own_server.call(
        "POST",
        "/admin/v1/audit/export",
        token=own_server.admin_token,
        json={"cursor": {"horizon": 1, "seal": least, "row": least, "loose": True}},
    )
    assert reply.status == 200
    last = (await acts(own_server))[-1]
    assert last["act"] == "audit export"
    assert last["details"]["afterRow"] == least


async def test_an_upload_refused_before_its_body_is_audited(own_server: Server) -> None:
    server = own_server
    async with connected(server) as line:
        await line.send(
            "PUT /t/unknown/image.dcm HTTP/1.1\nHost: localhost\nContent-Length: 10\nExpect: 100-continue"
        )
        assert (await line.answer())[0] == 410
    await server.house.refusals._write()
    (refused,) = await acts(server)
    assert (refused["act"], refused["outcome"]) == ("PUT /t/{token}/{name}", "refused")
    assert refused["details"]["reason"] == "Gone"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_no_row_can_have_is_refused(own_server: Server, time: str) -> None:
    for form in ({"since": time}, {"until": time}):
        reply = await own_server.call("POST", "/admin/v1/audit/show", token=own_server.admin_token, json=form)
        assert reply.status == 400


async def test_a_deep_directory_is_made_without_looking_up_each_above_it(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []
    resolve_one = places.resolve_one

    async def counted(*arguments: Any) -> Any:
        looked_up.append(arguments)
        return await resolve_one(*arguments)

    monkeypatch.setattr(places, "resolve_one", counted)
    await own_server.srm("mkdir", surl="/d" * 60, parents=True)
    assert len(looked_up) < 5
    assert [one["act"] for one in await acts(own_server)] == ["mkdir"] * 60
