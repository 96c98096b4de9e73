"""A probe's steps over WebDAV."""

from typing import Final
from urllib.parse import quote

from mdm_async.client.probing.line import Line
from mdm_async.errors import WrongContent

_MULTISTATUS: Final = 207


class OverDavs:
    def __init__(self, line: Line) -> None:
        self._line = line

    async def ping(self) -> str:
        """The classes of WebDAV that the server has."""
        answer = await self._line.ask("OPTIONS", "/dav/")
        if "dav" not in answer.headers:
            raise WrongContent("the answer is not a WebDAV server's")
        return f"DAV {answer.headers['dav']}"

    async def ls(self, path: str) -> None:
        answer = await self._line.ask("PROPFIND", _url(path), headers={"Depth": "0"})
        if answer.status != _MULTISTATUS:
            raise WrongContent(f"PROPFIND was answered HTTP {answer.status}")

    async def put(self, path: str, data: bytes) -> None:
        await self._line.ask("PUT", _url(path), data, kind="application/dicom")

    async def get(self, path: str) -> bytes:
        return (await self._line.ask("GET", _url(path))).body

    async def delete(self, path: str) -> None:
        await self._line.ask("DELETE", _url(path))


def _url(path: str) -> str:
    return f"/dav{quote(path)}"
