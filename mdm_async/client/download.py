"""A view pulled into a file: resumed, checked, and there either completely or not at all."""

import asyncio
import os
import zlib
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from mdm_async.client.part_file import RESUMABLE, Content, PartFile
from mdm_async.client.progress import OnBytes
from mdm_async.client.pull import Pull, identity
from mdm_async.client.source import Changed
from mdm_async.errors import BadRequest, WrongContent
from mdm_async.names import IDENTIFIED

_RESTARTS: Final = 3
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was pulled, all of a view or a range of it; `adler32` is of just that."""

    surl: str
    target: Path | None
    """Its place; None in an open file of the caller's."""
    view: str
    size: int
    adler32: str
    sealed: bool
    resumed: int = 0
    """Bytes that were there from an earlier pull."""
    was_there: bool = False
    """The whole view was: nothing was pulled."""


async def download(pull: Pull, target: Path, *, on_bytes: OnBytes | None = None) -> Downloaded:
    """Pull all of a view into `target`; what is of the identified view can be read by its owner alone.

    Interrupted, it leaves `target.part` with a note beside it, from which the next call goes on. Raises
    WrongContent when the checksum is not the announced one, Busy when another process writes the same file.
    """
    part = await asyncio.to_thread(PartFile, target, private=_is_private(pull))
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
    return _done(pull, target, pull.size, pull.ticket.plain_adler32, resumed=resumed)


async def download_range(
    pull: Pull, target: Path, start: int, stop: int | None, *, on_bytes: OnBytes | None = None
) -> Downloaded:
    """Pull the bytes [start:stop] of a view into a file of their own. BadRequest when there are none."""
    start, stop = _within(pull, start, stop)
    tell = on_bytes or _ignore
    part = await asyncio.to_thread(PartFile, target, private=_is_private(pull))
    try:
        await asyncio.to_thread(part.restart)
        async with aclosing(pull.chunks(start, stop)) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(part.write, chunk)
                tell(len(chunk))
        await asyncio.to_thread(part.finish)
    finally:
        part.close()
    return _done(pull, target, stop - start, f"{part.adler:08x}")


async def download_into(
    pull: Pull, file: BinaryIO, start: int, stop: int | None, *, on_bytes: OnBytes | None = None
) -> Downloaded:
    """Write the bytes [start:stop] of a view to an open file as they come.

    All of a view is checked, but only when its last byte is written: WrongContent then.
    """
    start, stop = _within(pull, start, stop)
    tell, adler = on_bytes or _ignore, zlib.adler32(b"")
    async with aclosing(pull.chunks(start, stop)) as chunks:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
            adler = zlib.adler32(chunk, adler)
            tell(len(chunk))
    await asyncio.to_thread(file.flush)
    if stop - start == pull.size:
        pull.demand_checksum(adler)
    return _done(pull, None, stop - start, f"{adler:08x}")


async def found_there(pull: Pull, target: Path) -> Downloaded | None:
    """The file that is at `target` already, if it is all of this view: by its size, and then by its checksum.

    Of the identified view it is its owner's alone from now on; one that is another's does not count.
    """
    ticket, private = pull.ticket, _is_private(pull)
    if not await asyncio.to_thread(_holds, target, pull.size, ticket.plain_adler32, private=private):
        return None
    return _done(pull, target, pull.size, pull.ticket.plain_adler32, was_there=True)


def content_of(pull: Pull) -> Content:
    """What the part file of this pull holds."""
    return Content(*identity(pull.ticket), etag=pull.etag)


def _within(pull: Pull, start: int, stop: int | None) -> tuple[int, int]:
    first, last, _ = slice(start, stop).indices(pull.size)
    if first >= last and (start, stop) != (0, None):
        raise BadRequest(f"no byte of the range is in the view ({pull.size} bytes)")
    return first, max(first, last)


def _is_private(pull: Pull) -> bool:
    return pull.ticket.view == IDENTIFIED


def _done(
    pull: Pull, target: Path | None, size: int, adler32: str, *, resumed: int = 0, was_there: bool = False
) -> Downloaded:
    ticket = pull.ticket
    sealed = ticket.sealed is not None
    return Downloaded(ticket.surl, target, ticket.view, size, adler32, sealed, resumed, was_there)


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


def _holds(path: Path, size: int, adler32: str, *, private: bool) -> bool:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            adler = zlib.adler32(b"")
            while block := file.read(_BLOCK):
                adler = zlib.adler32(block, adler)
            is_it = f"{adler:08x}" == adler32
            if is_it and private:
                os.fchmod(file.fileno(), 0o600)
    except OSError:
        return False
    return is_it


def _ignore(_: int) -> None:
    """Nobody wants to know."""
