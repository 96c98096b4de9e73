"""The blob store in a bucket, by S3's protocol: PREFIX/<32 hex digits>, and PREFIX/store.id.

Requests are signed with what they send, so that what arrives is what was sent; what comes back is held against the
tags of its segments. Nothing is acknowledged that the engine has not.
"""

import os
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID, uuid4

import obstore
from obstore.store import S3Store

from mdm_async.blobs import id_file
from mdm_async.blobs.s3.failures import refused, told
from mdm_async.blobs.s3.reading import Ahead, S3Reader
from mdm_async.blobs.s3.requests import Answer, Requests, origin, session
from mdm_async.blobs.s3.writing import ON_ITS_WAY, S3Writer
from mdm_async.blobs.store import STEP, Promise, StoreId
from mdm_async.errors import Damaged, Lost, Unavailable, UnsafeSettings
from mdm_async.held import may_wait
from mdm_async.settings import S3Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_BLOB = re.compile(r"[0-9a-f]{32}\Z")
_WHOLE: Final = STEP + (STEP >> 8)
"""Bytes up to which a blob comes with its opening: a mebibyte, sealed."""


class S3Blobs:
    """Blobs in one bucket, below one prefix. `pool`: where jobs on what was read are done."""

    files: Final = False
    on_its_way: Final = ON_ITS_WAY

    def __init__(self, url: str, settings: S3Settings, requests: Requests, pool: ThreadPoolExecutor) -> None:
        self._url, self._requests, self._pool = url, requests, pool
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._store = _store(bucket, settings)
        self._ahead = Ahead()

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, settings: S3Settings, pool: ThreadPoolExecutor) -> AsyncIterator[Self]:
        """Raises UnsafeSettings when the bucket cannot be listed with these settings, Unavailable when there is no
        answer."""
        bucket = url.removeprefix("s3://").partition("/")[0]
        async with session(settings) as http:
            store = cls(url, settings, Requests(http, bucket, settings), pool)
            await store._demand_listing(origin(settings))
            yield store

    def __str__(self) -> str:
        return self._url

    def promise(self, payer: str) -> "_Promise":
        return _Promise()

    def create(self, blob: UUID, promise: Promise) -> S3Writer:
        return S3Writer(self._store, self._key(blob), self._requests)

    def at_hand(self, blob: UUID, size: int) -> None:
        """Nothing is: all comes through the network."""

    async def open(self, blob: UUID, size: int) -> S3Reader:
        may_wait("the blob store")
        key, whole = self._key(blob), None
        try:
            with told():
                if size <= _WHOLE:
                    got = await obstore.get_async(self._store, key)
                    found = got.meta["size"]
                    if found == size:
                        whole = memoryview(await got.bytes_async())
                else:
                    found = (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError:
            await self._demand_there()
            raise Lost("a blob is missing") from None
        if found < size:
            raise Lost("a blob is shorter than the catalog says")
        if found > size:
            raise Damaged("a blob is longer than the catalog says")
        return S3Reader(self._store, key, size, self._pool, self._ahead, self._demand_there, whole)

    async def delete(self, blob: UUID) -> None:
        may_wait("the blob store")
        if not await self._requests.remove(self._key(blob)):
            await self._demand_there()

    async def listing(self) -> AsyncIterator[tuple[UUID, int]]:
        pages = obstore.list(self._store, self._prefix or None)
        while True:
            with told():
                page = await anext(pages, None)
            if page is None:
                return
            for one in page:
                name = one["path"].removeprefix(self._prefix)
                if _BLOB.match(name):
                    yield UUID(hex=name), one["size"]

    async def size(self, blob: UUID) -> int | None:
        may_wait("the blob store")
        try:
            with told():
                return (await obstore.head_async(self._store, self._key(blob)))["size"]
        except FileNotFoundError:
            return None

    async def identity(self) -> StoreId | None:
        try:
            with told():
                got = await obstore.get_async(self._store, self._id_key)
                text = bytes(await got.bytes_async()) if got.meta["size"] <= id_file.LONGEST else b""
        except FileNotFoundError:
            return None
        found = id_file.parsed(text)
        if found is None:
            raise UnsafeSettings(
                f"{self._url}/{id_file.NAME} does not say whose blobs these are", remedy="restore that object"
            )
        return found

    async def mark(self, mine: StoreId) -> None:
        text = (id_file.line(mine) + "\n").encode()
        # Asked first, for not every engine keeps to the condition where it keeps versions (Ceph 16). And read back: it
        # is ours, too, when the answer to the first of two requests was lost.
        if await self.identity() is None:
            with suppress(FileExistsError), told():
                await obstore.put_async(self._store, self._id_key, text, mode="create", use_multipart=False)
        if await self.identity() != mine:
            raise UnsafeSettings(
                f"{self._url} was taken by another server meanwhile", remedy="start this one again"
            )

    async def free(self, payer: str | None = None) -> int | None:
        """Not known: an engine does not tell, until it is full."""
        return None

    async def prove(self) -> None:
        """Write an object, read it and remove it with all its versions. Raises UnsafeSettings without those rights."""
        key, text = f"{self._prefix}probe-{uuid4().hex}", b"may be deleted\n"
        self._demand_done(await self._requests.ask("PUT", key, {}, text))
        answer = await self._requests.ask("GET", key, {})
        self._demand_done(answer)
        if answer.body != text:
            raise UnsafeSettings(f"{self._url} does not give back what was written", remedy="look after it")
        for listed in ("versions", "uploads"):
            self._demand_done(await self._requests.ask("GET", "", {listed: "", "prefix": key}))
        try:
            await self._requests.remove(key)
        except Unavailable as why:
            raise UnsafeSettings(f"{self._url} cannot be used: {why.detail}", remedy=why.remedy) from why

    async def _demand_listing(self, at: str) -> None:
        try:
            answer = await self._requests.ask("GET", "", {"list-type": "2", "max-keys": "1"})
        except Unavailable:
            raise Unavailable(
                f"{self._url} cannot be reached at {at}", remedy="start its gateway, or correct s3.endpoint"
            ) from None
        self._demand_done(answer)

    def _demand_done(self, answer: Answer) -> None:
        if answer.status >= 300:
            raise refused(self, answer.code, answer.status)

    async def _demand_there(self) -> None:
        """Raises Unavailable when the id object is not there: then the bucket is another, or gone."""
        if await self.identity() is None:
            raise Unavailable("the blob store is not there", remedy="bring its bucket back")

    @property
    def _id_key(self) -> str:
        return self._prefix + id_file.NAME

    def _key(self, blob: UUID) -> str:
        return self._prefix + blob.hex


class _Promise:
    """The engine says when it is full; nothing is set aside there."""

    async def set_aside(self, size: int) -> None:
        pass

    def writing(self, size: int) -> AbstractContextManager[None]:
        return nullcontext()

    def end(self) -> None:
        pass


def _store(bucket: str, settings: S3Settings) -> S3Store:
    assert settings.access_key is not None
    assert settings.secret_key is not None
    config: S3Config = {
        "endpoint": origin(settings),
        "region": settings.region,
        "access_key_id": settings.access_key,
        "secret_access_key": settings.secret_key.get_secret_value(),
        "virtual_hosted_style_request": False,
        "conditional_put": "etag",
    }
    client: ClientConfig = {
        "allow_http": True,
        "timeout": timedelta(seconds=settings.request_seconds),
        "connect_timeout": timedelta(seconds=min(5, settings.request_seconds)),
    }
    if settings.ca_file is not None:
        client["root_certificate"] = settings.ca_file.read_bytes()
    patience: RetryConfig = {
        "max_retries": 1000,
        "retry_timeout": timedelta(seconds=settings.retry_seconds),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=2),
            "base": 2,
        },
    }
    with _without_settings_of_others():
        return S3Store(bucket, config=config, client_options=client, retry_config=patience)


@contextmanager
def _without_settings_of_others() -> Iterator[None]:
    """obstore takes from the environment what it is not told: a session's token, or to sign nothing."""
    others = {name: value for name, value in os.environ.items() if name.upper().startswith("AWS_")}
    for name in others:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(others)
