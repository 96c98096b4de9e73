"""Mirrors, as a server has them: the second sites that follow its directories, and directories that follow others'."""

from typing import Final

from mdm_async.client.one_or_many import Name, name_of
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.names import parse_lfn

_PATH: Final = "admin/v1/mirrors"


class Mirrors:
    """`mdm.mirrors`: for administrators, of the first site and of the second."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def status(self) -> Json:
        """`mirrors` of directories here, with their `lag`, and directories here that `follows` others'."""
        return await self._wire.operate("GET", _PATH)

    async def accept(self, name: str, path: Name) -> str:
        """At the second site: let a directory, missing or empty, follow another site's. The credential that the first
        is to show, told this once."""
        asked = {"path": parse_lfn(name_of(path))}
        return str((await self._wire.operate("POST", _verb(name, "accept"), asked))["credential"])

    async def add(self, name: str, path: Name, url: str, credential: str) -> None:
        """At the first site: send a directory to a second that has accepted it."""
        asked = {"path": parse_lfn(name_of(path)), "url": url, "credential": credential}
        await self._wire.operate("POST", _verb(name, "add"), asked)

    async def stop(self, name: str, *, diverge: bool = False) -> None:
        """At the first site: send nothing more. `diverge`: also where the second was promoted. NotFound, Conflict."""
        await self._wire.operate("POST", _verb(name, "stop"), {"diverge": diverge}, repeat=True)

    async def promote(self, name: str) -> Json:
        """At the second site: let it take the first's place, for good. How it stands then. NotFound."""
        return await self._wire.operate("POST", _verb(name, "promote"), {}, repeat=True)


def _verb(name: str, verb: str) -> str:
    return f"{_PATH}/{name}/{verb}"
