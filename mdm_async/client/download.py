"""A view pulled into a file: resumed, checked, and there either completely or not at all."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mdm_async.client.part_file import RESUMABLE, Content, PartFile
from mdm_async.client.progress import OnBytes
from mdm_async.client.pull import Pull, identity
from mdm_async.client.source import Changed
from mdm_async.errors import WrongContent

_RESTARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file in its place; `resumed` bytes were there from an earlier pull."""

    surl: str
    target: Path
    view: str
    size: int
    adler32: str
    sealed: bool
    resumed: int = 0


async def download(pull: Pull, target: Path, *, on_bytes: OnBytes | None = None) -> Downloaded:
    """Pull all of a view into `target`.

    Interrupted, it leaves `target.part` with a note beside it, from which the next call goes on. Raises
    WrongContent when the checksum is not the announced one, Busy when another process writes the same file.
    """
    part = await asyncio.to_thread(PartFile, target)
    try:
        etag = await asyncio.to_thread(part.resume, content_of(pull))
        pull.continue_from(etag)
        resumed = part.position
        tell = on_bytes or _ignore
        tell(part.position)
        for attempt in range(_RESTARTS + 1):
            try:
                await _fill(pull, part, tell)
                pull.demand_checksum(part.adler)
                break
            except WrongContent as why:
                # What an earlier pull left may be what is wrong; what came in one piece is not asked for again.
                if attempt == _RESTARTS or not (isinstance(why, Changed) or resumed):
                    await asyncio.to_thread(part.restart)
                    raise
            tell(-part.position)
            resumed = 0
            await asyncio.to_thread(part.restart)
            pull.begin_anew()
        await asyncio.to_thread(part.finish)
    finally:
        # Not in a thread: a task that is cancelled here too must not leave the lock behind.
        part.close()
    ticket = pull.ticket
    return Downloaded(
        ticket.surl, target, ticket.view, pull.size, ticket.plain_adler32, ticket.sealed is not None, resumed
    )


async def _fill(pull: Pull, part: PartFile, tell: OnBytes) -> None:
    try:
        async with aclosing(pull.chunks(part.position)) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(part.write, chunk)
                tell(len(chunk))
                if part.position >= RESUMABLE:
                    part.note(content_of(pull))
    finally:
        if 0 < part.position < pull.size:
            part.note(content_of(pull))


def content_of(pull: Pull) -> Content:
    """What the part file of this pull holds."""
    return Content(*identity(pull.ticket), etag=pull.etag)


def _ignore(_: int) -> None:
    """Nobody wants to know."""
