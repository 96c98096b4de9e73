"""What a first site says to the mirror of one of its directories: one call at a time, each of which ends.

The mirror's credential goes to the mirror's own URL and nowhere else, over TLS or this machine's loopback.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.client import signed_records
from mdm_async.client.channel import demand_confidential, parse_url
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import Unavailable, WrongContent

PATH: Final = "mirror/v1"
CALL_SECONDS: Final = 60.0
STALL_SECONDS: Final = 60.0
"""In which the mirror must take some of a file."""
_LONGEST_ANSWER: Final = 4 << 20
"""Bytes: of what is said about 256 records."""
_STORE_SECONDS: Final = 600.0
"""In which it must say that it has stored and de-identified one."""


class SecondSite:
    """As a context. Raises Fenced when the mirror was promoted, Unavailable without an answer, and what it says."""

    def __init__(self, url: str, credential: str, key: Ed25519PrivateKey) -> None:
        self._base = parse_url(url)
        demand_confidential(self._base, "a mirror's credential")
        self._wire = Wire(self._base, credential, connections=1)
        self._credential, self._key = credential, key
        self._said = 0

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.__aexit__(kind, error, trace)

    async def hello(self, installation: UUID, epoch: int | None, complete: datetime | None) -> Json:
        """Who this is, and up to when it has sent everything; the mirror's epoch, path and installation."""
        there = await self._call(
            "hello",
            {
                "installation": str(installation),
                "key": self._key.public_key().public_bytes_raw().hex(),
                "epoch": epoch,
                "complete": complete.isoformat() if complete is not None else None,
            },
        )
        self._said = int(there["said"])
        return there

    async def records(self, epoch: int, records: Sequence[Json]) -> list[Json]:
        """What came of each: {}, `upload` (id and recipient) where something sealed is to come, or `error`."""
        self._said += 1
        body = {"epoch": epoch, "said": self._said, "records": list(records)}
        answers = (await self._call("records", body))["answers"]
        if len(answers) != len(records):
            raise WrongContent("the mirror's answer is not about what was sent")
        return list(answers)

    async def shred(self, epoch: int, images: Collection[UUID]) -> None:
        await self._call("shreds", {"epoch": epoch, "images": [str(one) for one in images]})

    async def acts(self, epoch: int, acts: Sequence[Json]) -> None:
        await self._call("acts", {"epoch": epoch, "acts": list(acts)})

    async def upload(self, id_: str, sealed: AsyncIterator[bytes | bytearray]) -> None:
        """Something sealed, for which the mirror gave this id."""
        verb = f"uploads/{UUID(id_)}"
        async with _while_going_on() as limit:
            headers = self._headers(verb, b"", "application/octet-stream")
            async with self._transfer("PUT", verb, headers, _going_on(sealed, limit)) as answer:
                await answer.content.read(_LONGEST_ANSWER)
        if answer.status != 201:
            raise WrongContent(f"the mirror answered HTTP {answer.status} to a file")

    async def _call(self, verb: str, body: Json) -> Json:
        data = orjson.dumps(body)
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._transfer("POST", verb, self._headers(verb, data, "application/json"), data) as answer,
            ):
                content = bytearray()
                async for piece in answer.content.iter_any():
                    content += piece
                    if len(content) > _LONGEST_ANSWER:
                        raise WrongContent(f"the mirror's answer has more than {_LONGEST_ANSWER} bytes")
        except TimeoutError:
            raise Unavailable("the mirror does not answer in time") from None
        try:
            told = orjson.loads(content)
        except orjson.JSONDecodeError:
            told = None
        if answer.status != 200 or not isinstance(told, dict):
            raise WrongContent(f"the mirror's answer (HTTP {answer.status}) is not understood")
        return told

    def _headers(self, verb: str, body: bytes, content_type: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._credential}",
            "Content-Type": content_type,
            signed_records.HEADER: signed_records.signature(self._key, verb, body),
        }

    def _transfer(
        self, method: str, verb: str, headers: dict[str, str], data: bytes | AsyncIterator[Any]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = self._base.joinpath(f"{PATH}/{verb}")
        return self._wire.transfer(method, url, sealed=False, headers=headers, data=data)


@asynccontextmanager
async def _while_going_on() -> AsyncIterator[asyncio.Timeout]:
    try:
        async with asyncio.timeout(STALL_SECONDS) as limit:
            yield limit
    except TimeoutError:
        raise Unavailable("the mirror takes nothing of a file") from None


async def _going_on(data: AsyncIterator[bytes | bytearray], limit: asyncio.Timeout) -> AsyncIterator[Any]:
    now = asyncio.get_running_loop().time
    async for piece in data:
        limit.reschedule(now() + STALL_SECONDS)
        yield piece
    limit.reschedule(now() + _STORE_SECONDS)
