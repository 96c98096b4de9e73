"""Buckets of the Ceph that tests use, looked at past the server."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mdm_async.blobs.s3.requests import Requests, session
from mdm_async.settings import S3Settings
from tests.ceph import Ceph

_VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


class Bucket:
    """One of its own, below whose prefix `blobs` a store lies."""

    def __init__(self, ceph: Ceph, requests: Requests, name: str) -> None:
        self.ceph, self.requests, self.name = ceph, requests, name
        self.url = f"s3://{name}/blobs"

    def sections(self, **s3: Any) -> dict[str, dict[str, Any]]:
        """Settings of a server that keeps its blobs there."""
        return {"blobs": {"url": self.url}, "s3": self.ceph.settings | s3}

    async def do(
        self, method: str, key: str, query: dict[str, str] | None = None, body: bytes = b""
    ) -> bytes:
        answer = await self.requests.ask(method, key, query or {}, body)
        assert answer.status < 300, (answer.status, answer.body)
        return answer.body

    async def make_versioned(self) -> None:
        await self.do("PUT", "", {"versioning": ""}, _VERSIONED)

    async def objects(self) -> list[str]:
        """Names below the prefix, without that of the id object; versions each, marks of deletion and unfinished
        uploads too."""
        versions = (await self.do("GET", "", {"versions": "", "prefix": "blobs/"})).decode()
        uploads = (await self.do("GET", "", {"uploads": "", "prefix": "blobs/"})).decode()
        keys = [part.partition("</Key>")[0] for part in (versions + uploads).split("<Key>")[1:]]
        return [key.removeprefix("blobs/") for key in keys if not key.endswith("/store.id")]


@asynccontextmanager
async def bucket_of(ceph: Ceph) -> AsyncIterator[Bucket]:
    settings = S3Settings(**ceph.settings)
    name = f"b{secrets.token_hex(8)}"
    async with session(settings) as http:
        bucket = Bucket(ceph, Requests(http, name, settings), name)
        await bucket.do("PUT", "")
        yield bucket
