"""The hospital's archives, as a server knows them: asked, searched, registered at; and images brought from them."""

from collections.abc import AsyncGenerator
from typing import Final

from mdm_async.client import staging
from mdm_async.client.one_or_many import Name, Names, Outcome, name_of, names_of, settle
from mdm_async.client.staging import OnOnline
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_BULK: Final = 1000


class Archives:
    """`mdm.archives`: for administrators, but for `stage`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def listing(self) -> list[Json]:
        """How each stands: `name`, whether it `answers` (None: not asked yet), or the `reason`; how many images are
        `waiting` for it, of these `taken` that come just now, and `failed` that are tried again; the `hours` in which
        it may be asked, and in how many seconds they begin (`opensInSeconds`); whether what waits has no room in the
        cache (`noRoom`).
        """
        return list((await self._wire.operate("GET", "admin/v1/archives"))["archives"])

    async def echo(self, name: str) -> Json:
        """Whether it `answers`: in how many `seconds`; or for what `reason` not, of which `type`, with what `remedy`.
        NotFound."""
        return await self._wire.operate("POST", _path(name, "echo"), {}, repeat=True)

    async def find(self, name: str, *, study: str | None = None, query: str | None = None) -> Json:
        """What it says of `studies` and their patients, and whether there are `more`; it takes the right `i` on /.

        `query`: as "Modality=CT&StudyDate=20240101-20241231".
        """
        return await self._wire.operate("POST", _path(name, "find"), _wanted(study, query), repeat=True)

    async def count(self, name: str, *, study: str | None = None, query: str | None = None) -> int | None:
        """How many studies it has of these; None when they are too many to be counted."""
        found = await self._wire.operate("POST", _path(name, "count"), _wanted(study, query), repeat=True)
        return None if found["studies"] is None else int(found["studies"])

    async def register(
        self,
        name: str,
        directory: Name,
        *,
        study: str | None = None,
        query: str | None = None,
        template: str | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Give what it has names below a directory that is there; nothing is copied. Page by page what became of it:
        numbers of `studies`, of images `registered` and `there` before, of those that it had and has no more
        (`vanished`), and of those that `failed`, by reason.

        A repetition finds what is there, adds what is new, and marks what has vanished; of whole studies only where no
        `query` leaves others out.
        """
        asked: Json = {**_wanted(study, query), "path": name_of(directory), "begin": 0}
        if template is not None:
            asked["template"] = template
        begun: float | None = None
        while asked["begin"] is not None:
            page = await self._wire.operate("POST", _path(name, "register"), asked, repeat=True)
            yield page
            begun = begun or page["at"]
            asked["begin"] = page["next"]
        while query is None:
            asked = _wanted(study, None) | {"since": begun}
            told = await self._wire.operate("POST", _path(name, "vanished"), asked, repeat=True)
            yield {"studies": 0, "registered": 0, "there": 0, "failed": {}, **told}
            if not told["more"]:
                return

    async def files(
        self, name: str, *, study: str | None = None, gone: bool = False
    ) -> AsyncGenerator[str, None]:
        """The paths of files that were registered at it, and are not here, of one study or all; or (`gone`) of those
        that it was found to have no more."""
        asked = _wanted(study, None) | {"gone": gone}
        while True:
            page = await self._wire.operate("POST", _path(name, "files"), asked, repeat=True)
            for path in page["paths"]:
                yield path
            if page["after"] is None:
                return
            asked["after"] = page["after"]

    async def rejected(self) -> AsyncGenerator[Json, None]:
        """Files that rejection notes hide: `guid`, `path` (None for who might not list it), `code` and `reason`, since
        when, and `notes`, by which they are hidden, each with `guid` and `path`."""
        after: int | None = 0
        while after is not None:
            page = await self._wire.operate("POST", "admin/v1/rejected", {"after": after}, repeat=True)
            for file in page["files"]:
                yield file
            after = page["after"]

    async def stage(self, paths: Names, *, on_online: OnOnline | None = None) -> None:
        """Have files brought online, and wait until they are. SomeFailed tells of each that is not."""
        surls, outcomes = names_of(paths), list[Outcome[None]]()
        for start in range(0, len(surls), _BULK):
            asked = surls[start : start + _BULK]
            answer = await self._wire.srm("bringOnline", {"files": [{"surl": surl} for surl in asked]})
            ended = {file["surl"]: error for file, error in answer.files()}
            away = staging.waiting(answer)
            if on_online is not None:
                on_online(len(asked) - len(away))
            if away:
                assert answer.token is not None
                operation = "statusOfBringOnlineRequest"
                ended |= await staging.until_online(self._wire, operation, answer.token, away, on_online)
            outcomes += [Outcome(surl, None, ended.get(surl)) for surl in asked]
        settle(paths, outcomes)

    async def release(self, paths: Names) -> None:
        """End all pins of this caller on files, whatever made them (`stage`, transfers): they may leave the cache.
        SomeFailed tells of each that is not known."""
        surls, outcomes = names_of(paths), list[Outcome[None]]()
        for start in range(0, len(surls), _BULK):
            answer = await self._wire.srm("releaseFiles", {"surls": surls[start : start + _BULK]})
            outcomes += [Outcome(file["surl"], None, error) for file, error in answer.files()]
        settle(paths, outcomes)


def _path(name: str, verb: str) -> str:
    return f"admin/v1/archives/{name}/{verb}"


def _wanted(study: str | None, query: str | None) -> Json:
    return {key: value for key, value in (("study", study), ("query", query)) if value is not None}
