"""Another key store can stand where ours does: the house asks for nothing but what the protocol says."""

import base64
from pathlib import Path
from typing import Any

import pytest

from mdm_async import opening_keys
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.stream import Unsealer
from mdm_async.keys.store import KeyStore
from tests.conftest import running_server
from tests.keys.memory_keys import MemoryKeys
from tests.postgres.for_tests import PostgresForTests


async def test_a_house_with_another_key_store_ingests_serves_and_destroys(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    keys: KeyStore = (memory := MemoryKeys())

    async def of_this_test(*_: Any) -> KeyStore:
        return keys

    monkeypatch.setattr(opening_keys, "open_keys", of_this_test)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, delivery={"identified": "clear"}) as server:
        await server.put("/a.dcm", ct)
        assert len(memory.images) == 1
        assert not memory.intents
        identity = await server.token("ri", views=["*", "identified"])
        server.cool()
        assert await server.read("/a.dcm", view="identified", token=identity) == ct
        basic = await server.read("/a.dcm")
        private = new_private_key()
        line = await server.prepare("/a.dcm", recipient=base64.b64encode(public_key(private)).decode())
        server.cool()
        unsealer = Unsealer(private)
        pieces = unsealer.feed(await server.get(line["transferURL"]))
        assert b"".join(map(bytes, [*pieces, *unsealer.close()])) == basic

        await server.srm("rm", surls=["/a.dcm"])
        await server.house.sweeper.sweep()
        assert not memory.images
        async with server.house.database.acquire() as db:
            for table in (
                "mdm_keys.image_secrets",
                "mdm_keys.project_keys",
                "mdm_keys.intents",
                "keys_to_forget",
            ):
                assert not await db.fetchval(f"select count(*) from {table}")
