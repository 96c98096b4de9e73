"""Many files pulled into a folder: prepared in bulk, pulled side by side, each batch released when it is through."""

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mdm_async.client.download import Downloaded, download, found_there
from mdm_async.client.local_place import make_folder, place_below
from mdm_async.client.one_or_many import Outcome
from mdm_async.client.progress import OnBytes
from mdm_async.client.side_by_side import Job, Meter, run_all
from mdm_async.client.ticket import Prepared, Ticket
from mdm_async.errors import BadRequest, Exists, MdmError
from mdm_async.names import parse_surl

if TYPE_CHECKING:
    from mdm_async.client.client import Client

BATCH: Final = 200
"""Files prepared by one request: few requests, yet pulled well before their pins run out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the files are wanted: as of `Client.prepare`."""

    view: str | None
    sealed: bool | None
    pin: int | None


async def get_all(
    client: "Client",
    names: Sequence[str],
    folder: Path,
    wanted: Wanted,
    *,
    recursive: bool,
    parallel: int,
    meter: Meter | None,
) -> list[Outcome[Downloaded]]:
    """Files, and with `recursive` all that is below directories, each to its place below `folder`.

    What is below one directory goes right into the folder; where there are several names, each directory gets a
    folder of its own name. A file that is there already, with the size and the checksum of the view, is not pulled.
    """
    make_folder(folder)

    async def jobs() -> AsyncIterator[Job[Downloaded]]:
        taken: set[Path] = set()
        batch: dict[str, Path] = {}
        async for surl, place in _places(client, names, folder, recursive=recursive):
            if isinstance(place, MdmError):
                yield Job(surl, None, functools.partial(_fail, place))
            elif place in taken:
                error = Exists("another file of that name goes to the same folder")
                yield Job(surl, None, functools.partial(_fail, error))
            else:
                taken.add(place)
                batch[surl] = place
            if len(batch) == BATCH:
                async for job in _prepared(client, batch, wanted):
                    yield job
                batch = {}
        async for job in _prepared(client, batch, wanted):
            yield job

    return await run_all(jobs(), parallel=parallel, meter=meter)


async def _places(
    client: "Client", names: Sequence[str], folder: Path, *, recursive: bool
) -> AsyncIterator[tuple[str, Path | MdmError]]:
    """Each file with its place, or why a name has none."""
    for name in names:
        try:
            if not recursive and not name.startswith("guid:"):  # What it is, preparing says.
                yield name, place_below(folder, (lfn := parse_surl(name).lfn), lfn)
                continue
            entry = await client.stat(name)
            if not entry.is_directory:
                yield name, place_below(folder, entry.path, entry.path)
                continue
            if not recursive:
                raise BadRequest("this is a directory", remedy="give -r to pull all that is in it")
            below = folder if len(names) == 1 else place_below(folder, entry.path, entry.path)
            view = "" if name.startswith("guid:") else (parse_surl(name).view or "")
            async for each in client.walk(entry):
                if not each.is_directory:
                    yield (
                        (f"/@{view}{each.path}" if view else each.path),
                        place_below(below, entry.path, each.path),
                    )
        except MdmError as why:
            yield name, why


async def _prepared(
    client: "Client", places: dict[str, Path], wanted: Wanted
) -> AsyncIterator[Job[Downloaded]]:
    """Prepare these in one request; a job for each, to pull it to its place."""
    if not places:
        return
    prepared = await client.prepare(list(places), view=wanted.view, sealed=wanted.sealed, pin=wanted.pin)
    batch = Batch(client, prepared)
    for name, error in prepared.failures.items():
        yield Job(name, None, functools.partial(_fail, error))
    for ticket in prepared.tickets:
        pull = functools.partial(_pull, client, ticket, places[ticket.surl], wanted, batch)
        yield Job(ticket.surl, ticket.plain_size, pull)


class Batch:
    """Counts a bulk prepare's unfinished pulls, and releases it after the last."""

    def __init__(self, client: "Client", prepared: Prepared) -> None:
        self._client, self._prepared = client, prepared
        self._left = len(prepared.tickets)

    async def one_done(self) -> None:
        self._left -= 1
        if self._left == 0:
            with suppress(MdmError):  # It expires anyway.
                await self._client.release(self._prepared)


async def _pull(
    client: "Client", ticket: Ticket, target: Path, wanted: Wanted, batch: Batch, on_bytes: OnBytes
) -> Downloaded:
    try:
        async with await client.open(
            ticket.surl, view=wanted.view, sealed=wanted.sealed, pin=wanted.pin, prepared=ticket
        ) as file:
            if there := await found_there(file.pull, target):
                on_bytes(there.size)
                return there
            make_folder(target.parent, parents=True)
            return await download(file.pull, target, on_bytes=on_bytes)
    finally:
        await batch.one_done()


async def _fail(error: MdmError, on_bytes: OnBytes) -> Downloaded:
    raise error
