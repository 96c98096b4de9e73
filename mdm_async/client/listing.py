"""What the server knows of names: one, many, or a directory page by page."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final

from mdm_async.client.entry import Entry
from mdm_async.client.local_place import place_of
from mdm_async.client.one_or_many import Outcome
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError, WrongContent
from mdm_async.names import parse_surl

PAGE: Final = 1000
"""Names asked for at once."""


async def stat_all(wire: Wire, paths: Sequence[str]) -> list[Outcome[Entry]]:
    """Each of them, without what is below it."""
    outcomes: list[Outcome[Entry]] = []
    for start in range(0, len(paths), PAGE):
        batch = list(paths[start : start + PAGE])
        asked: Json = {"surls": batch, "numOfLevels": 0}
        files = list((await wire.srm("ls", asked)).files())
        if len(files) != len(batch):
            raise WrongContent("the server did not answer for each name that was asked for")
        outcomes += [_outcome(name, *file) for name, file in zip(batch, files, strict=True)]
    return outcomes


def _outcome(name: str, detail: Json, error: MdmError | None) -> Outcome[Entry]:
    try:
        return Outcome(name, Entry.parse(detail) if error is None else None, error)
    except MdmError as why:
        return Outcome(name, None, why)


async def ls(wire: Wire, path: str) -> AsyncGenerator[Entry, None]:
    """One level, in the server's order."""
    question: Json = {"surls": [path], "count": PAGE}
    while True:
        detail = (await wire.srm("ls", question)).only()
        entry = Entry.parse(detail)
        if not entry.is_directory:
            yield entry
            return
        for child in detail.get("subPaths") or []:
            yield Entry.parse(child)
        cursor = detail.get("nextCursor")
        if cursor is None:
            return
        question["cursor"] = cursor


async def place(wire: Wire, name: str, target: str | os.PathLike[str]) -> Path:
    """The file to write for an entry; a GUID is no file's name, so that is looked up where one is needed."""
    if not await asyncio.to_thread(Path(target).is_dir):
        return place_of("", target)
    if name.startswith("guid:"):
        (found,) = await stat_all(wire, [name])
        if found.error is not None:
            raise found.error
        assert found.result is not None
        return place_of(found.result.path, target)
    return place_of(parse_surl(name).lfn, target)
