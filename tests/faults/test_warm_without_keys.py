"""Transfers that are warm touch no key store: with its tables gone they go on, and others say that it is away."""

from tests.conftest import Server
from tests.faults.transfers import RECIPIENT
from tests.web.made_images import BLOB, made


async def test_warm_transfers_go_on_without_any_key_store(own_server: Server) -> None:
    await own_server.put("/a.dcm", made(pixels=BLOB))
    urls = [
        (await own_server.prepare("/a.dcm", **how))["transferURL"] for how in ({}, {"recipient": RECIPIENT})
    ]
    before = [await own_server.get(url) for url in urls]
    async with own_server.house.database.acquire() as db:
        await db.execute("alter schema mdm_keys rename to away")
    for _ in range(3):
        assert [await own_server.get(url) for url in urls] == before
        assert await own_server.get(urls[0], Range="bytes=100-199") == before[0][100:200]
    own_server.cool()
    for url in urls:
        assert (await own_server.call("GET", url)).status >= 500
    async with own_server.house.database.acquire() as db:
        await db.execute("alter schema away rename to mdm_keys")
    assert [await own_server.get(url) for url in urls] == before
