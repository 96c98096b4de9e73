"""Shredding asked for as a client asks: look, then shred what was looked at."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.namespace import places
from mdm_async.names import Lfn
from tests.conftest import Reply, Server


@dataclass(frozen=True)
class Shred:
    """Both steps, by any caller; `look` and `do` must succeed, `try_*` give the answer."""

    server: Server

    async def try_look(self, *surls: str, token: str | None = None, **more: Any) -> Reply:
        asked = {"surls": list(surls), **more}
        shown = token or self.server.admin_token
        return await self.server.call("POST", "/admin/v1/shred/look", token=shown, json=asked)

    async def look(self, *surls: str, token: str | None = None, **more: Any) -> dict[str, Any]:
        answer = await self.try_look(*surls, token=token, **more)
        assert answer.status == 200, answer.body
        tree: dict[str, Any] = answer.tree
        return tree

    async def try_do(self, *surls: str, token: str | None = None, **more: Any) -> Reply:
        asked = {"surls": list(surls), "id": str(uuid4()), **more}
        shown = token or self.server.admin_token
        return await self.server.call("POST", "/admin/v1/shred", token=shown, json=asked)

    async def do(self, *surls: str, token: str | None = None, **more: Any) -> dict[str, Any]:
        people = {"people": more.pop("people")} if "people" in more else {}
        digest = (await self.look(*surls, token=token, **more))["digest"]
        answer = await self.try_do(*surls, token=token, digest=digest, **more, **people)
        assert answer.status == 200, answer.body
        tree: dict[str, Any] = answer.tree
        return tree


@pytest.fixture
def shred(server: Server) -> Shred:
    return Shred(server)


async def rows(server: Server, what: str, *arguments: Any) -> int:
    async with server.house.database.acquire() as db:
        found: int = await db.fetchval(f"select count(*) from {what}", *arguments)
        return found


async def image_of(server: Server, surl: str) -> UUID:
    """The id of a file's image."""
    async with server.house.database.acquire() as db:
        place = await places.resolve_one(db, Lfn(surl))
    assert place.entry is not None
    assert place.entry.image is not None
    return place.entry.image
