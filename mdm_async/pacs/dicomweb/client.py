"""Requests to one archive's DICOMweb services: QIDO-RS (PS3.18 §10.6) and WADO-RS (§10.4), and nothing that changes it.

Nothing that the archive says in words is told to anybody, nor the URLs that it is asked by: they hold UIDs.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import ceil
from typing import Final, Self

import aiohttp
import orjson
from yarl import URL

from mdm_async.dicom import model_json
from mdm_async.errors import NotFound, PeerFailed, SourceAway, SourceBusy
from mdm_async.http_failures import told_as
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.dicomweb.multipart import MultipartReader
from mdm_async.pacs.parts import Event, PartBegins, PartData, PartEnds, Parts
from mdm_async.pacs.source import FETCH_SECONDS, MOST_IN_STUDY, PATIENCE, QUERY_SECONDS, Said
from mdm_async.pacs.throttle import Throttle
from mdm_async.settings import PacsSourceSettings

_CONNECT: Final = 10.0
_READ_AHEAD: Final = 256 << 10
_MOST_SAID: Final = 16 << 20
_SAID_OF_EACH, _VALUES_OF_EACH, _FEW = 16 << 10, 1000, 16
"""Bytes and values of an answer to a query, for each study or instance that was asked for, and for a few more."""
_LONGEST_RETRY: Final = 3600
_OF_STUDIES: Final = ("StudyDescription", "IssuerOfPatientID")
_FIELDS: Final = ("Modality", "PatientID", "IssuerOfPatientID", "AccessionNumber")
"""Of studies, and of instances: to be told beside what is told unasked."""
_LINE, _MOST_FIELDS = 16 << 10, 128
_REFUSALS: Final = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_DICOM: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(slots=True)
class DicomWebSource:
    """As a context: while it is used. `slowest`: bytes a second below which it is cut. `patience` and `query_seconds`
    as `PATIENCE` and `QUERY_SECONDS`."""

    settings: PacsSourceSettings
    slowest: int
    patience: float = PATIENCE
    query_seconds: float = QUERY_SECONDS
    throttle: Throttle = field(init=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.settings.max_associations, self.settings.max_rate)

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def gives_series(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        token = self.settings.token
        # The environment's proxies are not asked, cookies not kept, nothing is decompressed.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.settings.max_associations),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
            headers={"User-Agent": "mdm_async", "Accept-Encoding": "identity"}
            | ({"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_READ_AHEAD,
            max_line_size=_LINE,
            max_field_size=_LINE,
            max_headers=_MOST_FIELDS,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def echo(self) -> float:
        """Seconds that a query for one study took. Raises SourceAway, PeerFailed."""
        begun = time.monotonic()
        await self.query("studies", [], offset=0, limit=1)
        return time.monotonic() - begun

    async def studies(
        self, matching: Sequence[tuple[str, str]], *, begin: int, size: int
    ) -> AsyncGenerator[list[Said], None]:
        """As `Source.studies`. Raises PeerFailed when the archive gives its first page for the second."""
        asked = [*matching, *(("includefield", field) for field in _OF_STUDIES)]
        while page := await self.query("studies", asked, offset=begin, limit=size):
            if 0 < begin <= size:
                first = await self.query("studies", asked, offset=0, limit=1)
                if first and model_json.study_uid(first[0]) == model_json.study_uid(page[0]):
                    raise PeerFailed("the archive gives the same page again and again")
            yield page
            begin += len(page)

    async def instances(
        self, study: Said, modality: str | None, *, size: int
    ) -> AsyncGenerator[list[Said], None]:
        """As `Source.instances`."""
        known, seen, last = model_json.instances_in(study), 0, ""
        asked = [("includefield", field) for field in _FIELDS]
        if modality is not None:
            asked.append(("Modality", modality))
        what = f"studies/{model_json.study_uid(study)}/instances"
        while True:
            page = await self.query(what, asked, offset=seen, limit=size)
            if not page:
                return
            if model_json.instance_uid(page[0]) == last or seen > MOST_IN_STUDY:
                raise PeerFailed("the archive gives the same page again and again")
            last, seen = model_json.instance_uid(page[0]), seen + len(page)
            yield page
            # It may count too few: behind a full page others may follow all the same.
            if seen == known and len(page) < size:
                return

    async def query(
        self, what: str, matching: Sequence[tuple[str, str]], *, offset: int, limit: int
    ) -> list[Said]:
        """A page of what matches: `what` is "studies", or "studies/<UID>/instances".

        Raises SourceAway; PeerFailed, also when there are more than `limit`.
        """
        paging = [("limit", str(limit)), ("offset", str(offset))]
        url = self._url(what).with_query([*matching, *paging])
        async with self._asked(url, "application/dicom+json") as answer:
            if answer.status == HTTPStatus.NO_CONTENT:
                return []
            if answer.status != HTTPStatus.OK:
                raise _unexpected(answer)
            said, most = bytearray(), min((limit + _FEW) * _SAID_OF_EACH, _MOST_SAID)
            async with aclosing(self._chunks(answer, self.query_seconds)) as chunks:
                async for chunk in chunks:
                    said += chunk
                    if len(said) > most:
                        raise PeerFailed("the archive's answer to a query is too long")
        return await asyncio.to_thread(_parsed, said, limit)

    @asynccontextmanager
    async def instance(self, source: PacsSource) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """One instance as the archive keeps it, in its stored transfer syntax, chunk by chunk.

        Raises NotFound when the archive says that it has none such; SourceAway, PeerFailed, also while it comes. An
        archive that fails at this one, and answers a query, is not away.
        """
        path = f"studies/{source.study}/series/{source.series}/instances/{source.instance}"
        async with self._asked(self._url(path), _DICOM) as answer:
            status = answer.status
            if status == HTTPStatus.OK:
                async with aclosing(self._events(answer)) as events, aclosing(Parts(events).only()) as chunks:
                    yield chunks
                return
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise NotFound("the archive has no such instance")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE:
            await self.has(source)
            raise PeerFailed(f"the archive answers {status} for this file, and other requests well")
        raise _unexpected(answer)

    @asynccontextmanager
    async def series(self, source: PacsSource) -> AsyncIterator[Parts]:
        """All instances of the series that this one is of, as `instance` has one, in the archive's order.

        Raises SourceAway, PeerFailed, also while they come.
        """
        path = f"studies/{source.study}/series/{source.series}"
        async with self._asked(self._url(path), _DICOM) as answer:
            if answer.status != HTTPStatus.OK:
                if answer.status in _REFUSALS:
                    raise _unexpected(answer)
                # It may have no series to give, and instances all the same.
                raise PeerFailed(f"the archive answers {answer.status} for a series")
            async with aclosing(self._events(answer)) as events:
                yield Parts(events)

    async def has(self, source: PacsSource) -> bool:
        """Whether the archive lists this instance. Raises SourceAway, PeerFailed."""
        path = f"studies/{source.study}/series/{source.series}/instances"
        found = await self.query(path, [("SOPInstanceUID", source.instance)], offset=0, limit=1)
        return bool(found)

    def _url(self, path: str) -> URL:
        return URL(f"{self.settings.dicomweb}/{path}")

    @asynccontextmanager
    async def _asked(self, url: URL, accept: str) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        async with self.throttle.turn():
            with told_as(SourceAway, "the archive", why=True):
                async with asyncio.timeout(self.patience):
                    # A redirect would lead identities, and the token, to wherever it says.
                    answer = await self._session.get(url, headers={"Accept": accept}, allow_redirects=False)
            try:
                yield answer
            finally:
                # One that was not read to its end is cut: the rest would be waited for.
                if answer.content.at_eof():
                    answer.release()
                else:
                    answer.close()

    async def _chunks(self, answer: aiohttp.ClientResponse, seconds: float) -> AsyncGenerator[bytes, None]:
        """The body, which may take so many seconds. Of the archive's pace only waiting for it counts."""
        loop = asyncio.get_running_loop()
        left, moved, end = self.patience, 0, loop.time() + seconds
        while True:
            begun = loop.time()
            with told_as(SourceAway, "the archive", why=True):
                async with asyncio.timeout(max(min(left, end - begun), 0)):
                    chunk = await answer.content.readany()
            if not chunk:
                return
            left -= loop.time() - begun
            moved += len(chunk)
            if moved >= self.slowest * self.patience:
                left, moved = self.patience, 0
            yield chunk

    async def _events(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        """Of the body's parts. An answer that is a file itself is its only part."""
        kind = _kind(answer.headers.get("Content-Type", ""))
        async with aclosing(self._chunks(answer, FETCH_SECONDS)) as chunks:
            if kind.get_content_type() == "application/dicom":
                yield PartBegins({})
                async for chunk in chunks:
                    yield PartData(chunk)
                yield PartEnds()
                return
            boundary = kind.get_param("boundary")
            if kind.get_content_type() != "multipart/related" or not isinstance(boundary, str):
                raise PeerFailed("the archive's answer is not of the kind that was asked for")
            reader = MultipartReader(boundary.encode("latin-1", "replace"))
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    yield event
            reader.close()


def _parsed(said: bytearray, limit: int) -> list[Said]:
    """Raises PeerFailed, before it takes apart what would take far more memory than it has bytes."""
    if sum(map(said.count, (b",", b"[", b"{"))) > (limit + _FEW) * _VALUES_OF_EACH:
        raise PeerFailed("the archive's answer to a query has too many values")
    try:
        found = orjson.loads(said) if said else []
    except orjson.JSONDecodeError:
        raise PeerFailed("the archive's answer to a query is no JSON") from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise PeerFailed("the archive's answer to a query is not the DICOM JSON model")
    if len(found) > limit:
        raise PeerFailed("the archive's answer to a query has more than was asked for")
    return found


def _kind(content_type: str) -> Message:
    message = Message()
    message["Content-Type"] = content_type
    return message


def _unexpected(answer: aiohttp.ClientResponse) -> SourceAway | PeerFailed:
    status = answer.status
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return SourceAway("the archive refuses this server", remedy="look at pacs.sources.token_file")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return SourceBusy(f"the archive answers {status}", retry_after=_retry_after(answer))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceAway(f"the archive answers {status}")
    return PeerFailed(f"the archive answers {status}", remedy="look at pacs.sources.dicomweb")


def _retry_after(answer: aiohttp.ClientResponse) -> int | None:
    """Seconds (RFC 9110 §10.2.3), no more than an hour; None where it says none."""
    said = answer.headers.get("Retry-After", "")
    if said.isascii() and said.isdecimal():
        seconds = float(said[:9])
    else:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return ceil(min(max(seconds, 0), _LONGEST_RETRY))
