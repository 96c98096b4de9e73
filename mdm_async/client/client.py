"""The client: names in, bytes out. Everything that is asked of a Medical Data Manager.

async with Client() as mdm:
    async for entry in mdm.ls("/vo/study"):
        await mdm.get(entry, entry.name)
"""

import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from yarl import URL

from mdm_async.client import linking, listing, staging, tree_download, tree_upload
from mdm_async.client.acls import Acls
from mdm_async.client.archives import Archives
from mdm_async.client.audit import Audit
from mdm_async.client.cache import Cache
from mdm_async.client.channel import demand_confidential, parse_url
from mdm_async.client.cohorts import Cohorts
from mdm_async.client.delivery import Delivery
from mdm_async.client.discovery import find_local_server, find_token, is_named, server_url
from mdm_async.client.download import Downloaded, download, download_into, download_range
from mdm_async.client.entry import Entry
from mdm_async.client.fsck import FsckReport, Known, Looked, known, look_into
from mdm_async.client.identity import Identity
from mdm_async.client.intake import Intake
from mdm_async.client.keys import Keys
from mdm_async.client.linking import Linked
from mdm_async.client.local_server import BASE
from mdm_async.client.macaroons import Macaroons
from mdm_async.client.mappings import Mappings
from mdm_async.client.metadata import Metadata
from mdm_async.client.mirrors import Mirrors
from mdm_async.client.one_or_many import LocalPath, Name, Names, Outcome, is_one, name_of, names_of, settle
from mdm_async.client.profiles import Profiles
from mdm_async.client.progress import OnBytes
from mdm_async.client.pull import Pull
from mdm_async.client.recipients import Recipients
from mdm_async.client.remote_file import RemoteFile
from mdm_async.client.replicas import Replicas
from mdm_async.client.sent import Source
from mdm_async.client.shredding import Shredding
from mdm_async.client.side_by_side import PARALLEL, Meter
from mdm_async.client.study_manifest import StudyManifest
from mdm_async.client.ticket import Prepared, Recipient, Ticket, encode_key
from mdm_async.client.tokens import Tokens
from mdm_async.client.told_errors import Json
from mdm_async.client.upload import Uploaded, upload
from mdm_async.client.wire import Wire
from mdm_async.errors import Forbidden, MdmError
from mdm_async.names import IDENTIFIED, parse_lfn, parse_surl

BULK: Final = 5000
"""Files prepared by one request at the most."""


class Client:
    """An async context manager; `mdm_async.connect` makes its blocking twin, with the same methods.

    Without `url` and `token` they are discovered (see `discovery`). `data`: the directory of a server on this machine,
    reached by the socket there, as its administrator. `ca`: a PEM file trusted besides the system's authorities.

    Where one name is given its own error is raised, one of `errors`; where many are, all that can be done is done,
    and SomeFailed tells of the rest. InsecureChannel comes before anything is sent.
    """

    def __init__(
        self,
        url: str | URL | None = None,
        token: str | None = None,
        *,
        data: LocalPath | None = None,
        ca: LocalPath | None = None,
        connections: int = 64,
    ) -> None:
        local = find_local_server(None if data is None else Path(data)) if url is None else None
        base = BASE if local is not None else server_url() if url is None else parse_url(url)
        demand_confidential(base, "a request")
        named = local is not None or is_named(url)
        shown = find_token() if token is None and named else token
        authority = None if ca is None else Path(ca)
        self.wire = Wire(base, shown, local=local, named=named, ca=authority, connections=connections)
        if token is not None:
            self.wire.demand_named("a token")
        self.acl = Acls(self.wire)
        self.archives = Archives(self.wire)
        self.audit = Audit(self.wire)
        self.cache = Cache(self.wire)
        self.cohorts = Cohorts(self)
        self.delivery = Delivery(self.wire)
        self.intake = Intake(self.wire)
        self.keys = Keys(self.wire)
        self.macaroons = Macaroons(self.wire)
        self.mappings = Mappings(self.wire)
        self.meta = Metadata(self.wire)
        self.profiles = Profiles(self.wire)
        self.recipients = Recipients(self.wire)
        self.mirrors = Mirrors(self.wire)
        self.replicas = Replicas(self.wire)
        self.shredding = Shredding(self.wire)
        self.tokens = Tokens(self.wire)

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
        return settle(path, await listing.stat_all(self.wire, [name_of(path)]))[name_of(path)]

    async def stat_all(self, paths: Names) -> dict[str, Entry]:
        """Entries by name, a thousand asked for in one request."""
        return settle(paths, await listing.stat_all(self.wire, names_of(paths)))

    async def ls(self, path: Name = "/") -> AsyncGenerator[Entry, None]:
        """One level of a directory, in the server's order, page by page; a file lists itself."""
        async for entry in listing.ls(self.wire, name_of(path)):
            yield entry

    async def walk(self, path: Name = "/") -> AsyncGenerator[Entry, None]:
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
        """Remove a directory that is empty, or with `recursive` with all that is below it. NotEmpty."""
        (await self.wire.srm("rmdir", {"surl": name_of(path), "recursive": recursive})).demand_all()

    async def rm(self, paths: Names, *, recursive: bool = False) -> None:
        """Delete files, and with `recursive` directories with all that is below them."""
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
        for start in range(0, len(files), listing.PAGE):
            answer = await self.wire.srm("rm", {"surls": files[start : start + listing.PAGE]})
            outcomes |= {file["surl"]: Outcome(file["surl"], None, error) for file, error in answer.files()}
        settle(paths, list(outcomes.values()))

    async def mv(self, source: Name, target: Name) -> None:
        """Rename; the target is the new name itself, not a directory to move into."""
        asked = {"fromSURL": name_of(source), "toSURL": name_of(target)}
        (await self.wire.srm("mv", asked)).demand_all()

    async def link(
        self,
        sources: Names,
        directory: Name,
        *,
        view: str,
        template: str | None = None,
        meter: Meter | None = None,
    ) -> dict[str, Linked]:
        """Give images names of a research project's own below a directory, for one de-identified view of them.

        `template` is of the names, with pseudonyms in braces: {patient}/{study}/{series}/{instance}.dcm. Nothing is
        copied, and a repetition finds what is there.
        """
        outcomes = await linking.link(
            self.wire, names_of(sources), name_of(directory), view=view, template=template, meter=meter
        )
        return settle(sources, outcomes)

    async def look_up(self, pseudonym: str) -> list[Json]:
        """Whose pseudonym it is: `attribute`, `original` and `view` of each match. NotFound, also if one may not
        know."""
        return await linking.look_up(self.wire, pseudonym)

    async def manifest(
        self, paths: Names, *, format: str = "kos", view: str | None = None, study: str | None = None
    ) -> StudyManifest:
        """A manifest of the instances at and below some names that a receiver may retrieve by WADO-RS: a Key Object
        Selection as IHE's XDS-I.b has it ("kos"), or a document Bundle of FHIR as IHE's MADO has it ("fhir").

        It tells of one study: `study` says which, by the UID that `view` shows. Conflict where there are several.
        """
        asked = {"surls": names_of(paths), "format": format, "view": view, "study": study}
        document, headers = await self.wire.document(
            "manifests/v1", {name: value for name, value in asked.items() if value is not None}
        )
        return StudyManifest.of(document, headers)

    # -- bytes in

    async def put(
        self,
        source: Source,
        path: Name,
        *,
        sealed: bool = False,
        overwrite: bool = False,
        parents: bool = False,
        force: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Uploaded:
        """Store a DICOM file: one of this machine by its path, an open one, bytes, or an iterator of chunks.

        `sealed`: encrypted to the upload's own key before it is sent. `parents`: directories that are missing are
        made. `force`: you vouch for a file that breaks PS3.10 (no preamble, no file meta information, another VR
        encoding than it says). `on_bytes` is told the bytes sent.
        """
        how = {"sealed": sealed, "overwrite": overwrite, "parents": parents, "force": force}
        return await upload(self.wire, source, name_of(path), on_bytes=on_bytes, **how)

    async def put_all(
        self,
        sources: tree_upload.Folders,
        target: Name,
        *,
        recursive: bool = False,
        sealed: bool = False,
        overwrite: bool = False,
        parents: bool = False,
        force: bool = False,
        parallel: int = PARALLEL,
        meter: Meter | None = None,
    ) -> dict[str, Uploaded]:
        """Store many files, and with `recursive` folders with all that is below them, as `cp` would; by path.

        Into the target when it is a directory, or there are several; NotADirectory when it is none, unless `parents`
        makes it. A file that fails stops no other; SomeFailed tells of each.
        """
        how = tree_upload.Sending(sealed, overwrite, parents, force)
        return settle(
            [],
            await tree_upload.put_all(
                self, sources, name_of(target), how, recursive=recursive, parallel=parallel, meter=meter
            ),
        )

    # -- bytes out

    async def prepare(
        self,
        paths: Names,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        cohort: Name | None = None,
    ) -> Prepared:
        """Transfer URLs for many files in one request, each with `pin` seconds to live. Release them.

        `sealed=None` asks for what each view's delivery allows: the identified view sealed, others clear and,
        where that is forbidden, sealed. Sealed is always to a key pair of this request alone. What of many could not
        be prepared is among its `failures`. `cohort`: its members (`guid:…`), in the versions that it pins.
        """
        through = None if cohort is None else name_of(cohort)
        asked = names_of(paths)
        if sealed is not None:
            prepared = await self._prepare(asked, view, sealed, pin, through)
        else:
            to_seal = {path for path in asked if (view or parse_surl(path).view) == IDENTIFIED}
            prepared = await self._prepare(
                [path for path in asked if path not in to_seal], view, False, pin, through
            )
            to_seal |= {path for path, error in prepared.failures.items() if isinstance(error, Forbidden)}
            sealed_ones = await self._prepare(
                [path for path in asked if path in to_seal], view, True, pin, through
            )
            prepared = prepared.joined(sealed_ones).in_order(asked)
        if is_one(paths):
            prepared.only()
        return prepared

    async def _prepare(
        self, paths: list[str], view: str | None, sealed: bool, pin: int | None, cohort: str | None
    ) -> Prepared:
        prepared = Prepared((), (), {})
        for start in range(0, len(paths), BULK):
            request = await self._prepare_bulk(paths[start : start + BULK], view, sealed, pin, cohort)
            prepared = prepared.joined(request)
        return prepared

    async def _prepare_bulk(
        self, paths: list[str], view: str | None, sealed: bool, pin: int | None, cohort: str | None
    ) -> Prepared:
        """Files that an archive has are waited for."""
        recipient = Recipient.fresh() if sealed else None
        request: Json = {
            "files": [{"surl": path} for path in paths],
            "recipient": encode_key(recipient.public) if recipient else None,
        }
        if view is not None:
            request["view"] = view
        if pin is not None:
            request["desiredPinLifeTime"] = pin
        if cohort is not None:
            request["cohort"] = cohort
        answer = await self.wire.srm("prepareToGet", request)
        away = staging.waiting(answer)
        here = [path for path in paths if path not in away]
        prepared = Prepared.parse(answer, here, recipient)
        if not away:
            return prepared
        assert answer.token is not None
        failures = await staging.until_online(self.wire, "statusOfGetRequest", answer.token, away)
        failed = Prepared((), (), {path: error for path, error in failures.items() if error is not None})
        # Their request holds them until they are prepared anew, now that all is known of them.
        online = [path for path in away if failures[path] is None]
        again = await self._prepare_bulk(online, view, sealed, pin, cohort) if online else failed
        return prepared.joined(failed).joined(again).in_order(paths)

    async def release(self, prepared: Prepared) -> None:
        """End the pins; the transfer URLs are dead afterwards. May be repeated."""
        for token in prepared.tokens:
            await self.wire.srm("releaseFiles", {"requestToken": token})

    async def open(
        self,
        path: Name,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        prepared: Ticket | None = None,
        cohort: Name | None = None,
    ) -> RemoteFile:
        """A view as a file to read from any place: `async with await mdm.open(path) as file`.

        It is prepared (unless it already is) and released at the end; it may be prepared again on the way. `cohort`: as
        of `prepare`.
        """
        own: list[Prepared] = []

        async def prepare() -> Ticket:
            own.append(await self.prepare([name_of(path)], view=view, sealed=sealed, pin=pin, cohort=cohort))
            return own[-1].only()

        async def release() -> None:
            while own:
                with suppress(MdmError):  # It expires anyway; what was read counts.
                    await self.release(own.pop())

        try:
            return RemoteFile(Pull(self.wire, prepared or await prepare(), renew=prepare), release)
        except BaseException:
            await release()
            raise

    async def read(
        self,
        path: Name,
        start: int = 0,
        stop: int | None = None,
        *,
        view: str | None = None,
        sealed: bool | None = None,
    ) -> bytes:
        """The bytes [start:stop] of a view, in memory; a negative start counts from its end."""
        async with await self.open(path, view=view, sealed=sealed) as file:
            return await file.pull.read(start if start >= 0 else max(0, file.size + start), stop)

    async def get(
        self,
        path: Name,
        target: LocalPath | BinaryIO,
        start: int = 0,
        stop: int | None = None,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        prepared: Ticket | None = None,
        on_bytes: OnBytes | None = None,
    ) -> Downloaded:
        """Pull a view, or its bytes [start:stop], into a file, a folder or an open file.

        A whole view into a file is resumed where an earlier pull ended, checked, and there all or not at all. Files of
        the identified view can be read by their owner alone. `on_bytes` is told the bytes that came.
        """
        place: Path | BinaryIO
        if isinstance(target, str | os.PathLike):
            place = await listing.place(self.wire, name_of(path), target)
        else:
            place = target
        async with await self.open(path, view=view, sealed=sealed, pin=pin, prepared=prepared) as file:
            if not isinstance(place, Path):
                return await download_into(file.pull, place, start, stop, on_bytes=on_bytes)
            if (start, stop) != (0, None):
                return await download_range(file.pull, place, start, stop, on_bytes=on_bytes)
            return await download(file.pull, place, on_bytes=on_bytes)

    async def get_all(
        self,
        paths: Names,
        folder: LocalPath,
        *,
        recursive: bool = False,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        parallel: int = PARALLEL,
        meter: Meter | None = None,
    ) -> dict[str, Downloaded]:
        """Pull many files, and with `recursive` all below directories, into a folder; by name.

        Prepared in bulk, pulled side by side, released as batches end. What is there already, by size and checksum, is
        not pulled again. The folder is made, but none above it. A file that fails stops no other; SomeFailed tells
        of each.
        """
        wanted = tree_download.Wanted(view, sealed, pin)
        outcomes = await tree_download.get_all(
            self, names_of(paths), Path(folder), wanted, recursive=recursive, parallel=parallel, meter=meter
        )
        return settle([], outcomes)

    # -- the server

    async def whoami(self, path: Name = "/") -> Identity:
        """Who the server takes the caller for, by which credential, and with what rights at `path`."""
        told = await self.wire.operate("POST", "admin/v1/whoami", {"surl": name_of(path)}, repeat=True)
        return Identity.parse(told)

    async def fsck(self, *, repair: bool = False) -> FsckReport:
        """Have the server compare its stored ciphertext with its catalog, and repair what is safe to repair."""
        return FsckReport.parse(await self.wire.operate("POST", "admin/v1/fsck", {"repair": repair}))

    async def look_into(
        self, *, after: str | None = None, repair: bool = False, pause: float = 0.0
    ) -> AsyncGenerator[Looked, None]:
        """Have the server open all that it stores, image by image behind `after`, and repair what can be had again.

        Of every few seconds' work it tells; then it rests for `pause` seconds. What is broken off is gone on with after
        the `next` of what came last.
        """
        async for looked in look_into(self.wire, after, repair=repair, pause=pause):
            yield looked

    async def known_damage(self) -> Known:
        """What such checks have found and nobody has mended: those asked for, and the one that goes on by itself."""
        return await known(self.wire)
