"""A cohort's files pulled into a folder: prepared in bulk through the cohort, each verified against the manifest."""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mdm_async.client.download import Downloaded, download
from mdm_async.client.local_place import make_folder
from mdm_async.client.one_or_many import Outcome
from mdm_async.client.progress import OnBytes
from mdm_async.client.side_by_side import Job, Meter, run_all
from mdm_async.client.ticket import Prepared, Ticket
from mdm_async.client.tree_download import BATCH, Batch
from mdm_async.cohort_manifest import PinnedFile
from mdm_async.errors import Damaged, Forbidden, Gone, MdmError, ViewRefused, WrongContent
from mdm_async.names import IDENTIFIED

if TYPE_CHECKING:
    from mdm_async.client.client import Client
    from mdm_async.client.cohorts import Member

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """Through which cohort, and how: as of `Client.prepare`."""

    cohort: str
    sealed: bool | None
    pin: int | None


async def get_all(
    client: "Client",
    members: Sequence["Member"],
    folder: Path,
    wanted: Wanted,
    *,
    parallel: int,
    meter: Meter | None,
) -> list[Outcome[Downloaded]]:
    """An outcome for each member, be it that it is not available any more."""
    make_folder(folder)

    async def jobs() -> AsyncIterator[Job[Downloaded]]:
        batch: dict[str, PinnedFile] = {}
        for member in members:
            file = member.file
            if file is None or member.state != "available":
                yield Job(_name(member), None, functools.partial(_fail, _why_not(member)))
            elif await asyncio.to_thread(_is_there, _place(folder, file), file):
                yield Job(_name(member), file.size, functools.partial(_there, _place(folder, file), file))
            else:
                batch[f"guid:{file.guid}"] = file
            if len(batch) == BATCH:
                async for job in _prepared(client, batch, folder, wanted):
                    yield job
                batch = {}
        async for job in _prepared(client, batch, folder, wanted):
            yield job

    return await run_all(jobs(), parallel=parallel, meter=meter)


async def _prepared(
    client: "Client", files: dict[str, PinnedFile], folder: Path, wanted: Wanted
) -> AsyncIterator[Job[Downloaded]]:
    if not files:
        return
    prepared: Prepared = await client.prepare(
        list(files), sealed=wanted.sealed, pin=wanted.pin, cohort=wanted.cohort
    )
    batch = Batch(client, prepared)
    for name, error in prepared.failures.items():
        yield Job(name, None, functools.partial(_fail, error))
    for ticket in prepared.tickets:
        file = files[ticket.surl]
        pull = functools.partial(_pull, client, ticket, file, _place(folder, file), wanted, batch)
        yield Job(ticket.surl, file.size, pull)


async def _pull(
    client: "Client",
    ticket: Ticket,
    file: PinnedFile,
    target: Path,
    wanted: Wanted,
    batch: Batch,
    on_bytes: OnBytes,
) -> Downloaded:
    try:
        if (ticket.plain_size, ticket.plain_adler32, ticket.view) != (file.size, file.adler32, file.view):
            raise _other()
        async with await client.open(
            ticket.surl, sealed=wanted.sealed, pin=wanted.pin, prepared=ticket, cohort=wanted.cohort
        ) as opened:
            got = await download(opened.pull, target, on_bytes=on_bytes)
        if not await asyncio.to_thread(_is_there, target, file):
            await asyncio.to_thread(target.unlink, missing_ok=True)
            raise _other()
        return got
    finally:
        await batch.one_done()


def _other() -> WrongContent:
    return WrongContent(
        "what the server gives is not what the cohort's manifest says",
        remedy="tell the server's administrator",
    )


async def _there(target: Path, file: PinnedFile, on_bytes: OnBytes) -> Downloaded:
    on_bytes(file.size)
    return Downloaded(
        f"guid:{file.guid}", target, file.view, file.size, file.adler32, sealed=False, was_there=True
    )


async def _fail(error: MdmError, on_bytes: OnBytes) -> Downloaded:
    raise error


def _name(member: "Member") -> str:
    return f"guid:{member.file.guid}" if member.file is not None else f"member {member.number}"


def _why_not(member: "Member") -> MdmError:
    match member.state:
        case "shredded":
            return Gone("the image has been shredded since the cohort was made")
        case "withdrawn":
            return ViewRefused(
                "the pinned version of its view was withdrawn by a revision for security's sake",
                remedy="make the cohort again: it pins the view as it is made now",
            )
        case "lost":
            return Damaged("the server has lost it")
        case _:
            return Forbidden("you may not read it", remedy="ask the owner of its directory: mdm acl set")


def _place(folder: Path, file: PinnedFile) -> Path:
    """By its GUID: names change, and a server must not choose where this machine writes."""
    digits = file.guid.replace("-", "")
    if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        raise WrongContent("the manifest names a member by what is no GUID")
    return folder / f"{file.guid}.dcm"


def _is_there(target: Path, file: PinnedFile) -> bool:
    with suppress(OSError):
        if target.stat().st_size == file.size and file.is_in(_pieces(target)):
            if file.view == IDENTIFIED:
                target.chmod(0o600)
            return True
    return False


def _pieces(target: Path) -> Iterator[bytes]:
    with open(os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        while piece := file.read(_BLOCK):
            yield piece
