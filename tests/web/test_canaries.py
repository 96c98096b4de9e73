"""Files full of canaries go through a whole server: none is found in a view, at rest, in the log, or in an answer."""

import pytest

from tests.canary import ENCODINGS, Canary, canary
from tests.canary_fates import Fate, fate
from tests.canary_values import Marker
from tests.conftest import Server
from tests.web.test_privacy import Spy, captured_log
from tests.web.test_profiles import add, applied, unsealed


def identifying(found: list[Marker]) -> list[Marker]:
    """Those that the basic profile does not keep."""
    return [marker for marker in found if fate(marker, ()) is Fate.GONE]


async def everything_told(server: Server, planted: Canary) -> bytes:
    """What the server says about a canary: listings, reports, refusals, metrics."""
    broken = await server.srm("prepareToPut", files=[{"surl": "/broken.dcm"}])
    url = broken["files"][0]["transferURL"]
    bad = (planted.data[:-20], planted.data[200:], planted.data[:5000] + bytes(64) + planted.data[5064:])
    told = [await server.call("PUT", url, data=data) for data in bad]
    admin = server.admin_token
    for method, target, body in (
        ("POST", "/srm/v2/ls", {"surls": ["/"]}),
        ("POST", "/admin/v1/report", {"surl": "/"}),
        ("POST", "/admin/v1/certificate", {"surl": "/"}),
        ("POST", "/admin/v1/profiles/basic/progress", {}),
        ("POST", "/admin/v1/link", {"surls": ["/a.dcm"], "target": "/", "view": "basic"}),
        ("GET", "/admin/v1/profiles", None),
        ("GET", "/metrics", None),
    ):
        told.append(await server.call(method, target, token=admin, json=body))
    return b"\n".join(reply.body + str(dict(reply.headers)).encode() for reply in told)


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_no_canary_leaves_a_whole_server(own_server: Server, encoding: str) -> None:
    planted = canary(77, encoding)
    assert len(planted.markers) > 3000
    with captured_log() as log:
        server = own_server
        await server.put("/a.dcm", planted.data)
        clear = await server.read("/a.dcm")
        assert identifying(planted.survivors(clear)) == []
        token = await server.token("ri", views=["identified", "basic"])
        assert await unsealed(server, "/a.dcm", token, "basic") == clear
        assert await unsealed(server, "/a.dcm", token, "identified") == planted.data
        await add(server, 'name = "again"\n')
        await applied(server, "again", "/")
        assert identifying(planted.survivors(await server.read("/a.dcm", view="again"))) == []
        assert planted.survivors(await everything_told(server, planted)) == []
        left = await server.call("POST", "/admin/v1/survivors", token=token, json={"surl": "/a.dcm"})
        assert (left.status, identifying(planted.survivors(left.body))) == (200, [])
        stored = b"\n".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
        assert planted.survivors(stored) == []
        rows = [value async for _, _, value in Spy(server, log).database()]
        assert len(rows) > 30
        assert planted.survivors(b"\n".join(rows)) == []
        assert planted.survivors(log.getvalue().encode()) == []
