"""Custodians came, and the stores that share the keys are away: the server holds what they gave, and waits."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from mdm_async.client import Client
from mdm_async.errors import Unavailable
from mdm_async.keys.custody import CustodyShare, split_among
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.starting_sealed import Starting, starting


def _shares(kek: bytes) -> list[CustodyShare]:
    return split_among([kek], "a", 2, 3)


@asynccontextmanager
async def away(postgres: PostgresForTests, *dsns: str) -> AsyncIterator[None]:
    """Nobody finds these databases; they are back at the end."""
    names = [urlsplit(dsn).path.removeprefix("/") for dsn in dsns]
    server = await asyncpg.connect(postgres.dsn)
    try:
        for name in names:
            await server.execute(f"alter database {name} rename to {name}_away")
        try:
            yield
        finally:
            for name in names:
                await server.execute(f"alter database {name}_away rename to {name}")
    finally:
        await server.close()


async def waits(sealed: Starting) -> str | None:
    async with Client(data=sealed.data) as client:
        told: str | None = (await client.keys.shares())["waits"]
        return told


async def test_an_unsealed_server_waits_for_its_stores_and_goes_on_by_itself(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn, kek = await postgres.fresh_database(migrated), os.urandom(32)
    stores = [await postgres.fresh_database() for _ in range(3)]
    keys: dict[str, Any] = {
        "threshold": 2,
        "stores": [
            {"name": name, "dsn": store, "kek_custodians": name == "a"}
            for name, store in zip("abc", stores, strict=True)
        ],
    }
    async with starting(tmp_path / "data", dsn, keys=keys) as sealed:
        await sealed.give(*_shares(kek)[:2])
        server = await sealed.ready
        await server.put("/a.dcm", made())
        whole = await server.read("/a.dcm")
    async with (
        starting(tmp_path / "data", dsn, keys=keys) as sealed,
        aiohttp.ClientSession(sealed.url) as http,
    ):
        with pytest.raises(Unavailable, match="no key-encryption key given opens"):
            await sealed.give(*_shares(os.urandom(32))[:2])
        async with away(postgres, *stores[1:]):
            await sealed.give(*_shares(kek)[1:])

            async def it_says_so() -> bool:
                return await waits(sealed) is not None

            await until(it_says_so)
            told = await waits(sealed) or ""
            assert "it takes 2 of 3: key store b lets nobody in" in told
            assert "key store c lets nobody in" in told
            assert (await sealed.given())["open"] is True
            async with http.get("/a.dcm") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
                text = await answer.text()
            assert "the server is unsealed, and waits for databases that hold its keys" in text
            assert "store b" not in text
            async with http.get("/metrics") as answer:
                assert "\nmdm_sealed 1.0\n" in await answer.text()
            assert not sealed.ready.done()
        # One more than it takes is not waited for.
        async with away(postgres, stores[2]):
            server = await asyncio.wait_for(sealed.ready, PATIENCE)
            assert await server.read("/a.dcm") == whole
            assert await waits(sealed) is None
