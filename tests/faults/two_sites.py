"""Two installations side by side: a first one, and a second that follows one of its directories."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests

_CLEAR = {"delivery": {"identified": "clear"}}


@dataclass
class Sites:
    first: Server
    second: Server

    async def status(self, name: str) -> dict[str, Any]:
        """Of a mirror, as the first tells it."""
        told = await admin(self.first, "GET", "")
        (mirror,) = [one for one in told["mirrors"] if one["name"] == name]
        found: dict[str, Any] = mirror
        return found

    async def caught_up(self, name: str) -> None:
        """Return when nothing is waiting."""

        async def nothing_waits() -> bool:
            return (await self.status(name))["lag"]["waiting"] == 0

        await until(nothing_waits)


async def admin(
    server: Server, method: str, verb: str, expect: int | None = None, **body: Any
) -> dict[str, Any]:
    """An administrator's call about mirrors."""
    options = {"json": body} if method == "POST" else {}
    target = f"/admin/v1/mirrors{verb}"
    reply = await server.call(method, target, token=server.admin_token, **options)
    assert reply.status == expect if expect is not None else reply.status < 300, (reply.status, reply.body)
    told: dict[str, Any] = reply.tree if reply.body else {}
    return told


async def site(postgres: PostgresForTests, migrated: str) -> str:
    """The DSN of an installation of its own, in which nothing is yet."""
    dsn = await postgres.fresh_database(migrated)
    db = await asyncpg.connect(dsn)
    # All databases of tests are copies of one.
    await db.execute("update installation set id = $1", uuid4())
    await db.close()
    return dsn


@asynccontextmanager
async def two_sites(postgres: PostgresForTests, migrated: str, folder: Path) -> AsyncIterator[Sites]:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                running_server(folder / name, await site(postgres, migrated), **_CLEAR)
            )
            for name in ("first", "second")
        ]
        yield Sites(*servers)


async def mirrored(sites: Sites, path: str) -> None:
    """Let the second follow a directory of the first, as the mirror of that name."""
    name = path.removeprefix("/")
    accepted = await admin(sites.second, "POST", f"/{name}/accept", 201, path=path)
    await admin(
        sites.first,
        "POST",
        f"/{name}/add",
        201,
        path=path,
        url=sites.second.url,
        credential=accepted["credential"],
    )


async def readable(server: Server, surl: str, view: str) -> str | None:
    """SHA-256 of a view; None as long as it cannot be read."""
    reader = await server.token("rilxg", views=["*", "identified"])
    tree = await server.srm("prepareToGet", expect=None, token=reader, files=[{"surl": surl}], view=view)
    if tree["returnStatus"]["statusCode"] != "SRM_SUCCESS":
        return None
    return hashlib.sha256(await server.get(tree["files"][0]["transferURL"])).hexdigest()


async def same_at_both(sites: Sites, surl: str, view: str) -> None:
    """Return when the second gives the bytes that the first does."""
    expected = await readable(sites.first, surl, view)
    assert expected is not None

    async def is_same() -> bool:
        return await readable(sites.second, surl, view) == expected

    await until(is_same)
