"""The client: names in, bytes out. Everything a worker node asks of a Medical Data Manager.

async with Client() as mdm:
    async for entry in mdm.ls("/vo/study"):
        await mdm.get(entry.path, Path(entry.name))
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from yarl import URL

from mdm_async.client.answers import Json
from mdm_async.client.channel import demand_confidential, parse_url
from mdm_async.client.discovery import find_local_server, find_token, server_url
from mdm_async.client.download import Downloaded, download
from mdm_async.client.entry import Entry
from mdm_async.client.local_server import BASE
from mdm_async.client.one_or_many import Name, Names, Outcome, name_of, names_of, settle
from mdm_async.client.progress import OnBytes
from mdm_async.client.pull import Pull
from mdm_async.client.sent import Source
from mdm_async.client.ticket import Prepared, Recipient, Ticket, encode_key
from mdm_async.client.upload import Uploaded, upload
from mdm_async.client.wire import Wire
from mdm_async.errors import Forbidden, MdmError
from mdm_async.names import IDENTIFIED, parse_lfn, parse_surl

Target: TypeAlias = str | os.PathLike[str]
"""A file of this machine to write to."""
PAGE: Final = 1000
"""Names asked for at once when a directory is listed."""
BULK: Final = 5000
"""Files prepared by one request at the most."""


class Client:
    """An async context manager. Without `url` and `token` they are discovered (see `discovery`).

    `data`: the directory of a server on this machine, reached by the socket there, as its administrator.
    `ca`: a PEM file trusted besides the system's authorities. Every method raises the classes of `errors`;
    InsecureChannel comes before anything is sent.
    """

    def __init__(
        self,
        url: str | URL | None = None,
        token: str | None = None,
        *,
        data: Path | None = None,
        ca: Path | None = None,
        connections: int = 64,
    ) -> None:
        local = find_local_server(data) if url is None else None
        base = BASE if local is not None else server_url() if url is None else parse_url(url)
        demand_confidential(base, "a request")
        token = token if token is not None else find_token()
        self.wire = Wire(base, token, local=local, ca=ca, connections=connections)

    def __repr__(self) -> str:
        return f"<Client of {self.wire.place}>"

    async def __aenter__(self) -> Self:
        await self.wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.wire.__aexit__(kind, error, trace)

    # -- names

    async def stat(self, path: Name) -> Entry:
        """One entry, without what is below it. NotFound."""
        asked: Json = {"surls": [name_of(path)], "numOfLevels": 0, "fullDetailedList": True}
        answer = await self.wire.srm("ls", asked)
        return Entry.parse(answer.only())

    async def ls(self, path: Name) -> AsyncGenerator[Entry, None]:
        """One level of a directory, in the server's order, page by page; a file lists itself."""
        question: Json = {"surls": [name_of(path)], "count": PAGE, "fullDetailedList": True}
        while True:
            detail = (await self.wire.srm("ls", question)).only()
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

    async def walk(self, path: Name) -> AsyncGenerator[Entry, None]:
        """Everything below a directory, each directory before what it holds."""
        pending = [name_of(path)]
        while pending:
            async for entry in self.ls(pending.pop()):
                yield entry
                if entry.is_directory:
                    pending.append(entry.path)

    async def permissions(self, paths: Names) -> dict[str, str]:
        """The caller's rights on each path, as letters of pdrwlxgsi."""
        answer = await self.wire.srm("checkPermission", {"surls": names_of(paths)})
        answer.demand_all()
        return {file["surl"]: str(file.get("permission", "")) for file, _ in answer.files()}

    async def mkdir(self, path: Name, *, parents: bool = False) -> None:
        """Make a directory; with `parents` those above it too, and one that is there already is no error."""
        (await self.wire.srm("mkdir", {"surl": parse_lfn(name_of(path)), "parents": parents})).demand_all()

    async def rmdir(self, path: Name, *, recursive: bool = False) -> None:
        (await self.wire.srm("rmdir", {"surl": name_of(path), "recursive": recursive})).demand_all()

    async def rm(self, paths: Names, *, recursive: bool = False) -> None:
        """Delete files, and with `recursive` directories with all that is below them.

        Of one name its own error is raised; of many SomeFailed, when the others are gone.
        """
        outcomes: dict[str, Outcome[None]] = {path: Outcome(path, None) for path in names_of(paths)}
        files = []
        for path in outcomes:
            try:
                if recursive and (await self.stat(path)).is_directory:
                    await self.rmdir(path, recursive=True)
                else:
                    files.append(path)
            except MdmError as error:
                outcomes[path] = Outcome(path, None, error)
        for start in range(0, len(files), PAGE):
            answer = await self.wire.srm("rm", {"surls": files[start : start + PAGE]})
            outcomes |= {file["surl"]: Outcome(file["surl"], None, error) for file, error in answer.files()}
        settle(paths, list(outcomes.values()))

    async def mv(self, source: Name, target: Name) -> None:
        """Rename; the target is the new name itself, not a directory to move into."""
        asked = {"fromSURL": name_of(source), "toSURL": name_of(target)}
        (await self.wire.srm("mv", asked)).demand_all()

    # -- bytes in

    async def put(
        self,
        source: Source,
        path: Name,
        *,
        sealed: bool = False,
        overwrite: bool = False,
        parents: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Uploaded:
        """Store a DICOM file from a path, from memory or from an iterator of chunks; see `upload`."""
        how = {"sealed": sealed, "overwrite": overwrite, "parents": parents}
        return await upload(self.wire, source, name_of(path), on_bytes=on_bytes, **how)

    # -- bytes out

    async def prepare_many(
        self,
        paths: Names,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
    ) -> Prepared:
        """Transfer URLs for many files in one request, each with `pin` seconds to live.

        `sealed=None` asks for what each view's delivery allows: the identified view sealed, others clear and,
        where that is forbidden, sealed. Sealed is always to a key pair of this request alone. Release what
        was prepared.
        """
        asked = names_of(paths)
        if sealed is not None:
            return await self._prepare(asked, view, sealed, pin)
        to_seal = {path for path in asked if (view or parse_surl(path).view) == IDENTIFIED}
        prepared = await self._prepare([path for path in asked if path not in to_seal], view, False, pin)
        to_seal |= {path for path, error in prepared.failures.items() if isinstance(error, Forbidden)}
        sealed_ones = await self._prepare([path for path in asked if path in to_seal], view, True, pin)
        return prepared.joined(sealed_ones).in_order(asked)

    async def _prepare(self, paths: list[str], view: str | None, sealed: bool, pin: int | None) -> Prepared:
        prepared = Prepared((), (), {})
        for start in range(0, len(paths), BULK):
            request = await self._prepare_bulk(paths[start : start + BULK], view, sealed, pin)
            prepared = prepared.joined(request)
        return prepared

    async def _prepare_bulk(
        self, paths: list[str], view: str | None, sealed: bool, pin: int | None
    ) -> Prepared:
        recipient = Recipient.fresh() if sealed else None
        request: Json = {
            "files": [{"surl": path} for path in paths],
            "recipient": encode_key(recipient.public) if recipient else None,
        }
        if view is not None:
            request["view"] = view
        if pin is not None:
            request["desiredPinLifeTime"] = pin
        return Prepared.parse(await self.wire.srm("prepareToGet", request), paths, recipient)

    async def release(self, prepared: Prepared) -> None:
        """End the pins; the transfer URLs are dead afterwards. May be repeated."""
        for token in prepared.tokens:
            await self.wire.srm("releaseFiles", {"requestToken": token})

    @asynccontextmanager
    async def pulling(
        self,
        path: Name,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        prepared: Ticket | None = None,
    ) -> AsyncIterator[Pull]:
        """One file, prepared (unless it already is) and released at the end; see `Pull` for reading it."""
        own: list[Prepared] = []

        async def prepare() -> Ticket:
            own.append(await self.prepare_many(path, view=view, sealed=sealed, pin=pin))
            return own[-1].only()

        try:
            yield Pull(self.wire, prepared or await prepare(), renew=prepare)
        finally:
            for each in own:
                with suppress(MdmError):  # It expires anyway; the pull's own outcome counts.
                    await self.release(each)

    async def get(
        self,
        path: Name,
        target: Target,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        prepared: Ticket | None = None,
        on_bytes: OnBytes | None = None,
    ) -> Downloaded:
        """Pull a view into a file: resumed, checked, all or nothing; see `download`."""
        async with self.pulling(path, view=view, sealed=sealed, pin=pin, prepared=prepared) as pull:
            return await download(pull, Path(target), on_bytes=on_bytes)

    async def read_range(
        self,
        path: Name,
        start: int = 0,
        stop: int | None = None,
        *,
        view: str | None = None,
        sealed: bool | None = None,
    ) -> bytes:
        """The view's bytes start ≤ i < stop (None: to the end), in memory."""
        async with self.pulling(path, view=view, sealed=sealed) as pull:
            return await pull.read(start, stop)
