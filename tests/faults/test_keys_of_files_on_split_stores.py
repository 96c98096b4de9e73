"""Keys of files, as shares in three Postgres clusters: warm transfers need none of them, a lost share is made good."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mdm_async.errors import NotFound
from mdm_async.keys.custody import split_among
from mdm_async.postgres.database import connect
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.faults.transfers import RECIPIENT
from tests.keys.clusters import Cluster, clusters
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import BLOB, made
from tests.web.starting_sealed import starting
from tests.web.test_rekeyed import nobody_reads_any_more, rekeyed


@pytest.fixture(scope="module")
async def three() -> AsyncIterator[list[Cluster]]:
    async with clusters(3) as started:
        yield started


async def _keys(server: Server, verb: str, surl: str) -> dict[str, Any]:
    answer = await server.call(
        "POST", f"/admin/v1/keys/{verb}", token=server.admin_token, json={"surls": [surl]}
    )
    stores: dict[str, Any] = answer.tree["files"][0]["stores"]
    return stores


async def test_a_lost_share_is_made_good_and_warm_transfers_need_no_store(
    three: list[Cluster], postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsns = [await cluster.fresh_database() for cluster in three]
    stores = [{"name": name, "dsn": dsn} for name, dsn in zip("abc", dsns, strict=True)]
    dsn = await postgres.fresh_database(migrated)
    keys = {"stores": stores, "threshold": 2}
    async with running_server(tmp_path / "data", dsn, keys=keys) as server:
        await server.put("/a.dcm", made(pixels=BLOB))
        assert await _keys(server, "list", "/a.dcm") == {"a": True, "b": True, "c": True}
        async with connect(dsns[1]) as db:
            await db.execute("delete from mdm_keys.image_secrets")
        assert await _keys(server, "list", "/a.dcm") == {"a": True, "b": False, "c": True}
        assert await _keys(server, "register", "/a.dcm") == {"a": True, "b": True, "c": True}

        await three[2].stop()
        assert (await rekeyed(server, "/a.dcm"))["generation"] == 2
        assert await _keys(server, "list", "/a.dcm") == {"a": True, "b": True, "c": None}
        await three[2].start()

        async def has_all() -> bool:
            return await _keys(server, "list", "/a.dcm") == {"a": True, "b": True, "c": True}

        await until(has_all)
        await nobody_reads_any_more(server)

        async def has_one_generation() -> bool:
            held = []
            for name in dsns:
                async with connect(name) as db:
                    held.append(
                        await db.fetchval("select count(*) from mdm_keys.image_secrets where kind = 'image'")
                    )
            return held == [1, 1, 1]

        await until(has_one_generation)
        urls = [
            (await server.prepare("/a.dcm", **how))["transferURL"] for how in ({}, {"recipient": RECIPIENT})
        ]
        before = [await server.get(url) for url in urls]
        for cluster in three:
            await cluster.stop()
        try:
            for _ in range(3):
                assert [await server.get(url) for url in urls] == before
            assert await _keys(server, "list", "/a.dcm") == {"a": None, "b": None, "c": None}
            server.cool()
            assert [(await server.call("GET", url)).status for url in urls] == [503, 503]
        finally:
            for cluster in three:
                await cluster.start()

        async def is_back() -> bool:
            return (await server.call("GET", urls[0])).status == 200

        await until(is_back)
        assert [await server.get(url) for url in urls] == before


async def test_a_stores_own_custodians_unseal_a_server(
    three: list[Cluster], postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsns = [await cluster.fresh_database() for cluster in three]
    stores: list[dict[str, Any]] = [{"name": name, "dsn": dsn} for name, dsn in zip("abc", dsns, strict=True)]
    stores[1]["kek_custodians"] = True
    dsn = await postgres.fresh_database(migrated)
    shares = split_among([os.urandom(32)], "b", 2, 3)
    keys = {"stores": stores, "threshold": 3}
    for places in ((0, 1), (2, 0)):
        async with starting(tmp_path / "data", dsn, keys=keys) as sealed:
            with pytest.raises(NotFound):
                await sealed.give(split_among([os.urandom(32)], "a", 2, 3)[0])
            await sealed.give(*(shares[place] for place in places))
            server = await sealed.ready
            if places == (0, 1):
                await server.put("/a.dcm", made())
            assert await _keys(server, "list", "/a.dcm") == {"a": True, "b": True, "c": True}
            assert await server.read("/a.dcm")
