"""Requests to /dav/, and what their multi-status documents say."""

from dataclasses import dataclass, replace
from typing import Self
from xml.etree import ElementTree

from yarl import URL

from tests.conftest import Reply, Server


@dataclass(frozen=True)
class Told:
    """What a PROPFIND tells of one entry: its properties by local name, and the status of those that it does not."""

    known: dict[str, ElementTree.Element]
    lacking: dict[str, int]

    def text(self, name: str) -> str:
        return self.known[name].text or ""

    @property
    def is_directory(self) -> bool:
        return self.known["resourcetype"].find("{DAV:}collection") is not None


@dataclass(frozen=True)
class Dav:
    """`at`: the directory that paths are relative to; `token`: whose requests these are."""

    server: Server
    at: str
    token: str

    def by(self, token: str) -> Self:
        return replace(self, token=token)

    def path(self, name: str) -> str:
        return f"/dav{self.at}/{name}" if not name.startswith("/") else f"/dav{name}"

    async def call(self, method: str, name: str = "", data: bytes | None = None, **headers: str) -> Reply:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        options = {} if data is None else {"data": data}
        return await self.server.call(method, self.path(name), token=self.token, headers=named, **options)

    async def propfind(self, name: str = "", depth: str = "1", body: bytes | None = None) -> dict[str, Told]:
        """By href, in the order in which they are told."""
        answer = await self.call("PROPFIND", name, body, Depth=depth)
        assert answer.status == 207, (answer.status, answer.body)
        return multistatus(answer.body)

    async def server_propfind(self, href: str) -> dict[str, Told]:
        """Of a URL's path as it stands in an answer."""
        url = URL(self.server.url + href, encoded=True)
        answer = await self.server.call("PROPFIND", str(url), token=self.token, headers={"Depth": "0"})
        assert answer.status == 207, (answer.status, answer.body)
        return multistatus(answer.body)

    async def names(self, name: str = "") -> list[str]:
        """What is in a directory."""
        hrefs = list(await self.propfind(name))
        return [href.removeprefix(hrefs[0]) for href in hrefs[1:]]

    async def puts(self, name: str, data: bytes) -> None:
        answer = await self.call("PUT", name, data)
        assert answer.status in (201, 204), (answer.status, answer.body)


def multistatus(body: bytes) -> dict[str, Told]:
    found = {}
    for response in ElementTree.fromstring(body).findall("{DAV:}response"):
        told = Told({}, {})
        for propstat in response.findall("{DAV:}propstat"):
            status = int((propstat.findtext("{DAV:}status") or "").split()[1])
            for one in propstat.findall("{DAV:}prop/*"):
                name = one.tag.rpartition("}")[2]
                if status == 200:
                    told.known[name] = one
                else:
                    told.lacking[name] = status
        found[response.findtext("{DAV:}href") or ""] = told
    return found
