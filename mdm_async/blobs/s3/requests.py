"""Requests that obstore does not know: all versions of an object, uploads in parts that were not ended, what the
engine says against this server at its start."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree

import aiohttp
from yarl import URL

from mdm_async.blobs.s3.failures import RETRY_AFTER, code_of, failure
from mdm_async.blobs.s3.signing import Signer, quoted_path, quoted_query
from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.settings import S3Settings

_LARGEST: Final = 4 << 20
"""Bytes of an answer: a page is a thousand entries."""
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def code(self) -> str:
        """Of the error that it tells."""
        return code_of(self.body.decode("utf-8", "replace")) if self.status >= 300 else ""


def origin(settings: S3Settings) -> str:
    return settings.endpoint or f"https://s3.{settings.region}.amazonaws.com"


def signer_of(settings: S3Settings) -> Signer:
    assert settings.access_key is not None
    assert settings.secret_key is not None
    return Signer(settings.access_key, settings.secret_key.get_secret_value(), settings.region)


class Requests:
    """To one bucket. What fails is repeated for `retry_seconds`: nothing here does harm when it is done twice."""

    def __init__(self, http: aiohttp.ClientSession, bucket: str, settings: S3Settings) -> None:
        self._http, self._bucket, self._settings = http, bucket, settings
        self._origin, self._signer = origin(settings), signer_of(settings)
        self._host = urlsplit(self._origin).netloc

    async def ask(self, method: str, key: str, query: Mapping[str, str], body: bytes = b"") -> Answer:
        """An answer that says something about the request. Raises Unavailable when none comes."""
        ends, wait = time.monotonic() + self._settings.retry_seconds, _FIRST_WAIT
        while True:
            answer = await self._ask_once(method, key, query, body)
            if answer is not None:
                return answer
            if time.monotonic() + wait > ends:
                raise failure("")
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _ask_once(self, method: str, key: str, query: Mapping[str, str], body: bytes) -> Answer | None:
        path = f"/{self._bucket}/{key}" if key else f"/{self._bucket}"
        url = URL(f"{self._origin}{quoted_path(path)}?{quoted_query(query)}", encoded=True)
        headers = self._signer.headers(method, self._host, path, query, body, _now())
        try:
            # No redirects: nobody else is sent what is signed for this host, nor believed.
            async with self._http.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                if answer.status == 429 or answer.status >= 500:
                    return None
                read = await answer.content.read(_LARGEST + 1)
                while len(read) <= _LARGEST and (more := await answer.content.read(_LARGEST)):
                    read += more
                if len(read) > _LARGEST:
                    raise Unavailable("the blob store answers too much", retry_after=RETRY_AFTER)
                return Answer(answer.status, read)
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def remove(self, key: str) -> bool:
        """All versions of an object, and the parts of uploads of it that were not ended. Whether there was any."""
        versions = {"Version", "DeleteMarker"}
        there = await self._delete_all(key, {"versions": ""}, versions, "versionId", "VersionId")
        return await self.end_uploads(key) or there

    async def end_uploads(self, key: str) -> bool:
        """Those in parts of one object, and the parts go. Whether there was any."""
        return await self._delete_all(key, {"uploads": ""}, {"Upload"}, "uploadId", "UploadId")

    async def _delete_all(
        self, key: str, asked: Mapping[str, str], names: set[str], parameter: str, id_: str
    ) -> bool:
        """A page after the other, always the first: where the one before ended, nothing is any more."""
        there, more = False, True
        before: list[str] = []
        while more:
            answer = await self.ask("GET", "", {**asked, "prefix": key})
            if answer.status != 200:
                raise failure(answer.code)
            page = _parsed(answer.body)
            found = [_text(one, id_) for one in page if _name(one) in names and _text(one, "Key") == key]
            if found and found == before:
                raise failure("")  # It says that they are gone, and lists them.
            before = found
            for one in found:
                await self._delete(key, {parameter: one})
            there = there or bool(found)
            more = bool(found) and _text(page, "IsTruncated") == "true"
        return there

    async def _delete(self, key: str, query: Mapping[str, str]) -> None:
        answer = await self.ask("DELETE", key, query)
        if answer.status >= 300 and answer.status != 404:
            raise failure(answer.code)


def _parsed(body: bytes) -> ElementTree.Element:
    try:
        if b"<!DOCTYPE" in body:
            raise ElementTree.ParseError
        return ElementTree.fromstring(body)  # noqa: S314 — entities need a DOCTYPE
    except ElementTree.ParseError:
        raise failure("") from None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((one.text or "" for one in element if _name(one) == name), "")


def _now() -> datetime:
    return datetime.now(UTC)


def session(settings: S3Settings) -> aiohttp.ClientSession:
    """Raises UnsafeSettings when the authority's certificates cannot be read."""
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as why:
            raise UnsafeSettings(
                f"s3.ca_file {settings.ca_file} cannot be read as PEM certificates", remedy="correct it"
            ) from why
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=32),
        timeout=aiohttp.ClientTimeout(total=settings.request_seconds),
        auto_decompress=False,
        trust_env=True,  # a proxy that the environment names, as obstore does
    )
