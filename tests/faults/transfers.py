"""Downloads that are under way, and what becomes of them."""

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.images.metrics import TRANSFERS_IN, TRANSFERS_OUT
from tests.conftest import Server
from tests.web.made_images import made

LARGE = 24 << 20
RECIPIENT = base64.b64encode(public_key(new_private_key())).decode()


@dataclass(frozen=True)
class File:
    """A file of a server."""

    server: Server
    surl: str

    async def prepare(self, *, sealed: bool, **options: Any) -> dict[str, Any]:
        recipient = {"recipient": RECIPIENT} if sealed else {}
        return await self.server.prepare(self.surl, **recipient, **options)


@cache
def large() -> bytes:
    return made(pixels=LARGE, seed=24)


async def stored_file(server: Server) -> File:
    """A large file on this server, in a directory of its own."""
    surl = f"{await server.directory()}/large.dcm"
    await server.put(surl, large())
    return File(server, surl)


def downloads() -> int:
    """How many this process serves now."""
    return int(TRANSFERS_OUT._value.get())


def uploads() -> int:
    """How many this process takes now."""
    return int(TRANSFERS_IN._value.get())
