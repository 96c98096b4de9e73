"""The storage resource report: what it tells, to whom, and what it does not tell."""

import time

from tests.conftest import Server
from tests.web.made_images import made

PATH = "/.well-known/wlcg-storage-report"


async def test_it_tells_what_is_here_and_how_much_it_holds(server: Server) -> None:
    answer = await server.call("GET", PATH, token=await server.token(""))
    told = answer.tree["storageservice"]
    assert answer.status == 200
    assert {"name", "id", "implementation", "implementationversion", "qualitylevel"} <= told.keys()
    assert abs(told["latestupdate"] - time.time()) < 60
    (share,) = told["storageshares"]
    assert share["totalsize"] >= share["usedsize"] >= 0
    assert told["storagecapacity"]["online"] == {name: share[name] for name in ("totalsize", "usedsize")}
    spaces = await server.srm("getSpaceTokens")
    assert [share["name"]] == spaces["spaceTokens"]


async def test_every_endpoint_that_it_names_is_there(server: Server) -> None:
    answer = await server.call("GET", PATH, token=server.admin_token)
    for endpoint in answer.tree["storageservice"]["storageendpoints"]:
        url, tape = endpoint["endpointurl"], endpoint["interfacetype"].endswith("tape-rest-api")
        found = await server.call(
            "POST" if tape else "OPTIONS", url + tape * "/archiveinfo", token=server.admin_token
        )
        assert found.status in (200, 204, 400), url


async def test_strangers_are_told_nothing_and_nobody_is_told_names(server: Server) -> None:
    assert (await server.call("GET", PATH)).status == 401
    place = await server.directory()
    before = (await server.call("GET", PATH, token=server.admin_token)).tree["storageservice"]
    await server.put(f"{place}/a.dcm", made(pixels=2_000_000))
    after = await server.call("GET", PATH, token=server.admin_token)
    assert place.encode() not in after.body
    # To the gibibyte: of what one upload took it tells nothing.
    sizes = [
        share["usedsize"]
        for told in (before, after.tree["storageservice"])
        for share in told["storageshares"]
    ]
    assert all(size % (1 << 30) == 0 for size in sizes)
