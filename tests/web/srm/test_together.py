"""Requests that come at the same time share statements; rights, pins and the audit are each caller's own."""

import asyncio

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.srm.codes import code, codes

MANY = 24


async def test_many_at_once_each_get_what_is_theirs(own_server: Server) -> None:
    names = [f"/{number}.dcm" for number in range(4)]
    for number, name in enumerate(names):
        await own_server.put(name, made(seed=number))
    reader = await own_server.token("r", name="reader")
    lister = await own_server.token("l", name="lister")
    asked = [(names[number % 4], (reader, lister)[number % 3 == 0]) for number in range(MANY)]
    prepared = await asyncio.gather(
        *(
            own_server.srm("prepareToGet", token=token, expect=None, files=[{"surl": name}])
            for name, token in asked
        )
    )
    pinned = []
    for (name, token), tree in zip(asked, prepared, strict=True):
        assert [line["surl"] for line in tree["files"]] == [name]
        if token == lister:
            assert codes(tree) == ["SRM_AUTHORIZATION_FAILURE"]
        else:
            assert codes(tree) == ["SRM_FILE_PINNED"]
            pinned.append(tree)
    assert len({tree["files"][0]["transferURL"] for tree in pinned}) == len(pinned)
    served = {name: await own_server.read(name) for name in names}
    for tree in pinned[:4]:
        line = tree["files"][0]
        assert await own_server.get(line["transferURL"]) == served[line["surl"]]
    # Each twice at the same time, and by somebody whose it is not.
    released = await asyncio.gather(
        *(
            own_server.srm("releaseFiles", token=token, expect=None, requestToken=tree["requestToken"])
            for tree in pinned
            for token in (reader, lister, reader)
        )
    )
    for own, foreign, again in zip(released[::3], released[1::3], released[2::3], strict=True):
        assert codes(own) == codes(again) == ["SRM_SUCCESS"]
        assert code(foreign) == "SRM_INVALID_REQUEST"
    for tree in pinned:
        assert (await own_server.call("GET", tree["files"][0]["transferURL"])).status == 410
    async with own_server.house.database.acquire() as db:
        told = await db.fetch(
            "select act, caller, count(*) from audit where act in ('prepare get', 'release') and caller like '%:reader'"
            " group by act, caller"
        )
    assert [row["count"] for row in told] == [len(pinned)] * 2
