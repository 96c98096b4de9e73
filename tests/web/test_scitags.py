"""Transfers that say which experiment and activity they are for: kept in the audit, and counted."""

import io
from typing import Any

import pytest

from mdm_async import scitags
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.second_face import second_face

DATA = made()


async def tagged(server: Server, act: str) -> list[Any]:
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select outcome, details from audit where act = $1 order by id", act)
    return [(row["outcome"], row["details"].get("scitag")) for row in rows]


async def test_reads_and_uploads_are_kept_with_theirs(own_server: Server) -> None:
    server = own_server
    tree = await server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
    url = tree["files"][0]["transferURL"]
    assert (await server.call("PUT", url, data=DATA, headers={"SciTag": "66"})).status == 201
    await server.srm("putDone", requestToken=tree["requestToken"], surls=["/a.dcm"])
    assert await tagged(server, "upload") == [("success", 66)]
    line = await server.prepare("/a.dcm")
    await server.get(line["transferURL"], SciTag="65535")
    await server.get(line["transferURL"])

    async def told() -> bool:
        return set(await tagged(server, "read")) >= {("begun", 65535), ("success", 65535), ("success", None)}

    await until(told)
    async with second_face(server.house) as face:
        for name, tag in (("b", "4161"), ("c", None)):
            headers = {"SciTag": tag} if tag else {}
            answer = await server.call(
                "PUT", f"{face}/{name}", token=server.admin_token, data=io.BytesIO(DATA), headers=headers
            )
            assert answer.status == 201
    assert (await tagged(server, "put"))[-2:] == [("success", 4161), ("success", None)]
    metrics = (await server.call("GET", "/metrics")).body.decode()
    assert 'mdm_scitag_bytes_total{direction="in",scitag="66"}' in metrics
    assert 'mdm_scitag_bytes_total{direction="out",scitag="65535"}' in metrics


@pytest.mark.parametrize(
    "field", ["", "0", "64", "65536", "-70", "1e3", "\u0661\u0660\u0660", "66, 67", "x" * 99]
)
def test_what_is_no_tag_is_none(field: str) -> None:
    assert scitags.parse(field) is None


def test_few_are_counted_apart() -> None:
    for tag in range(65, 300):
        scitags.count(tag, "in", 1)
    assert len(scitags._counted) <= 64
