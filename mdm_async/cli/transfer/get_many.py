"""Pulling all of a directory: prepared in bulk, pulled side by side, released as soon as a batch is done."""

import functools
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mdm_async.cli.transfer.side_by_side import Job, Meter, Outcome, run_all
from mdm_async.client.client import Client
from mdm_async.client.download import Downloaded
from mdm_async.client.entry import Entry
from mdm_async.client.progress import OnBytes
from mdm_async.client.ticket import Prepared, Ticket
from mdm_async.errors import MdmError, WrongContent
from mdm_async.names import Lfn, parse_surl

BATCH: Final = 200
"""Files prepared by one request: few requests, yet pulled well before their pins run out."""


class _Batch:
    """Counts a bulk prepare's unfinished pulls, and releases it after the last."""

    def __init__(self, client: Client, prepared: Prepared) -> None:
        self._client, self._prepared = client, prepared
        self._left = len(prepared.tickets)

    async def one_done(self) -> None:
        self._left -= 1
        if self._left == 0:
            with suppress(MdmError):  # It expires anyway.
                await self._client.release(self._prepared)


async def get_all(
    client: Client, lfn: str, out: Path, choice: dict[str, Any], meter: Meter, *, parallel: int
) -> list[Outcome[Downloaded]]:
    """Every file below a directory, into the same tree below `out`."""
    root = parse_surl(lfn).lfn
    view = parse_surl(lfn).view
    choice = choice | {"view": choice["view"] or view}

    async def jobs() -> AsyncIterator[Job[Downloaded]]:
        async for entries in _batches(client, root):
            places = {str(entry.path): place_below(out, root, entry.path) for entry in entries}
            async for job in jobs_for(client, places, choice):
                yield job

    return await run_all(jobs(), parallel=parallel, meter=meter)


async def jobs_for(
    client: Client, places: dict[str, Path], choice: dict[str, Any]
) -> AsyncIterator[Job[Downloaded]]:
    """Prepare these SURLs in one request; a job for each, to pull it to its place."""
    prepared = await client.prepare_many(list(places), **choice)
    batch = _Batch(client, prepared)
    for path, error in prepared.failures.items():
        yield Job(path, None, functools.partial(_fail, error))
    for ticket in prepared.tickets:
        pull = functools.partial(_pull, client, ticket, places[ticket.surl], choice, batch)
        yield Job(ticket.surl, ticket.plain_size, pull)


async def _batches(client: Client, root: Lfn) -> AsyncIterator[list[Entry]]:
    batch: list[Entry] = []
    async for entry in client.walk(root):
        if not entry.is_directory:
            batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def place_below(out: Path, root: Lfn, path: Lfn) -> Path:
    """Where an entry's file goes. WrongContent for a path that is not below what was asked for: what a server
    lists must not choose where this machine writes."""
    if path == root:  # Not a directory after all.
        return out / path.rpartition("/")[2]
    below = path.removeprefix(root.rstrip("/") + "/")
    if below == path or any(part in ("", ".", "..") for part in below.split("/")):
        raise WrongContent("the server listed a name outside the directory")
    return out.joinpath(*below.split("/"))


def make_folder(folder: Path) -> None:
    """With those above it; MdmError when the disk says no."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise MdmError(f"the folder {folder} cannot be made: {why.strerror}") from None


async def _fail(error: MdmError, on_bytes: OnBytes) -> Downloaded:
    raise error


async def _pull(
    client: Client, ticket: Ticket, target: Path, choice: dict[str, Any], batch: _Batch, on_bytes: OnBytes
) -> Downloaded:
    try:
        make_folder(target.parent)
        return await client.get(ticket.surl, target, prepared=ticket, on_bytes=on_bytes, **choice)
    finally:
        await batch.one_done()
