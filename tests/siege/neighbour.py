"""A well-behaved caller beside the attackers: whoever cannot be stopped goes on to serve him."""

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

_PAUSE = 0.05
"""Seconds between two of his requests."""
_TURN, _DEAF = 0.02, 0.2
"""Seconds after which he listens again; when it is so much later, he could not."""


class BadlyServed(AssertionError):
    pass


@dataclass(slots=True)
class Neighbour:
    """He prepares, reads, lists, releases, and asks whether the server lives, over old connections and new ones."""

    url: str
    token: str
    home: str
    image: bytes
    http: aiohttp.ClientSession
    file: str = ""
    transfer_url: str = ""
    content: bytes = b""
    waits: list[tuple[str, float]] = field(default_factory=list)
    """What he asked for and how many seconds the answer took, of the last time that he was watched. Seconds in which
    he could not have heard it do not count: this process had no turn, or the whole machine stood still."""
    _deaf: float = 0.0
    """How many such seconds there have been."""

    @classmethod
    @asynccontextmanager
    async def moved_in(cls, url: str, token: str, home: str, image: bytes) -> AsyncIterator[Self]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            he = cls(url, token, home, image, http)
            he.file = f"{home}/image.dcm"
            await he._upload(he.file)
            he.transfer_url = (await he._prepare())["files"][0]["transferURL"]
            he.content = await he._bytes(he.transfer_url)
            yield he

    @asynccontextmanager
    async def served_well(self, *, stall: float = 5.0, least: int = 10) -> AsyncIterator[None]:
        """While the block runs (and until he has asked `least` times) each answer must be right and come within
        `stall` seconds."""
        self.waits = []
        over = asyncio.Event()
        listening = asyncio.create_task(self._listen())
        asking = asyncio.create_task(self._ask_until(over, least))
        try:
            yield
        except BaseException:
            asking.cancel()
            raise
        finally:
            over.set()
            await asyncio.gather(asking, return_exceptions=True)
            listening.cancel()
        await asking
        what, worst = max(self.waits, key=lambda wait: wait[1])
        if worst > stall:
            raise BadlyServed(f"{what} took {worst:.1f} s")

    async def _ask_until(self, over: asyncio.Event, least: int) -> None:
        acts: tuple[Callable[[], Awaitable[Any]], ...] = (
            self._read, self._cycle, self._list, self._live, self._read_anew,
        )  # fmt: skip
        for act in itertools.cycle(acts):
            if over.is_set() and len(self.waits) >= least:
                return
            name, begun = act.__name__.strip("_"), time.monotonic() - self._deaf
            try:
                await act()
            except (aiohttp.ClientError, TimeoutError) as why:
                raise BadlyServed(
                    f"{name}: {type(why).__name__} after {time.monotonic() - self._deaf - begun:.1f} s"
                ) from why
            await asyncio.sleep(0)  # He learns whether he was deaf.
            self.waits.append((name, max(0.0, time.monotonic() - self._deaf - begun)))
            await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_TURN)
            if (late := time.monotonic() - before - _TURN) > _DEAF:
                self._deaf += late

    async def _read(self) -> None:
        self._demand_content(await self._bytes(self.transfer_url))

    async def _read_anew(self) -> None:
        """Over a connection of its own, as a worker that has just come."""
        async with aiohttp.ClientSession() as http, http.get(self.transfer_url) as answer:
            if answer.status != 200:
                raise BadlyServed(f"a read over a new connection was answered {answer.status}")
            self._demand_content(await answer.read())

    async def _cycle(self) -> None:
        prepared = await self._prepare()
        self._demand_content(await self._bytes(prepared["files"][0]["transferURL"]))
        await self._srm("releaseFiles", requestToken=prepared["requestToken"], surls=[self.file])

    async def _list(self) -> None:
        await self._srm("ls", surls=[self.home])

    async def _live(self) -> None:
        async with self.http.get(f"{self.url}/health/live") as answer:
            if answer.status != 200:
                raise BadlyServed(f"/health/live was answered {answer.status}")

    async def upload(self, name: str) -> None:
        """A file of his own under this name."""
        await self._upload(f"{self.home}/{name}")

    def _demand_content(self, found: bytes) -> None:
        if found != self.content:
            raise BadlyServed(f"{len(found)} bytes came, which are not the file's {len(self.content)}")

    async def _upload(self, surl: str) -> None:
        prepared = await self._srm("prepareToPut", files=[{"surl": surl}])
        async with self.http.put(prepared["files"][0]["transferURL"], data=io.BytesIO(self.image)) as answer:
            if answer.status != 201:
                raise BadlyServed(f"an upload was answered {answer.status}")
        await self._srm("putDone", requestToken=prepared["requestToken"], surls=[surl])

    async def _prepare(self) -> dict[str, Any]:
        return await self._srm("prepareToGet", files=[{"surl": self.file}])

    async def _bytes(self, url: str) -> bytes:
        async with self.http.get(url) as answer:
            if answer.status != 200:
                raise BadlyServed(f"a read was answered {answer.status}: {await answer.text()}")
            return await answer.read()

    async def _srm(self, operation: str, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.post(f"{self.url}/srm/v2/{operation}", json=body, headers=headers) as answer:
            if answer.status != 200:
                raise BadlyServed(f"{operation} was answered {answer.status}: {await answer.text()}")
            tree: dict[str, Any] = await answer.json()
            return tree
