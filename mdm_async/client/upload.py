"""An image sent to an upload's transfer URL, clear or sealed to that URL's own key, and checked there."""

import asyncio
import hashlib
import os
import re
import stat
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import aiofiles
import orjson
from yarl import URL

from mdm_async.client.answers import Json
from mdm_async.client.channel import demand_transfer_channel, parse_url
from mdm_async.client.patience import pause
from mdm_async.client.ticket import decode_key
from mdm_async.client.wire import Wire
from mdm_async.crypt4gh.stream import Sealer, sealed_size
from mdm_async.errors import BadRequest, MdmError, NotFound, TooManyRequests, Unavailable, WrongContent

Source: TypeAlias = Path | bytes | AsyncIterator[bytes]
OnBytes: TypeAlias = Callable[[int], None]

_BLOCK: Final = 256 * 1024
_ATTEMPTS: Final = 3
_ABORT_SECONDS: Final = 5
_DIGEST = re.compile(r"(?:^|,)\s*adler32=([0-9a-fA-F]{8})(?:,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An image that the server has and shows."""

    path: str
    guid: str | None
    size: int
    adler32: str
    sealed: bool


class Sent:
    """The plaintext on its way: read, counted, summed and, if asked, sealed. Iterate it once.

    `size` (bytes), `adler32` and `sha256` (hex) are of the plaintext sent so far. `failure` is what went wrong
    with the source itself.
    """

    def __init__(self, source: Source, *, recipient: bytes | None, on_bytes: OnBytes | None = None) -> None:
        self.size = 0
        self.failure: MdmError | None = None
        self.expected = _size_of(source)
        self._source, self._on_bytes = source, on_bytes
        self._sealer = None if recipient is None else Sealer(recipient)
        self._adler = zlib.adler32(b"")
        self._sha256 = hashlib.sha256()

    @property
    def sealed(self) -> bool:
        return self._sealer is not None

    @property
    def adler32(self) -> str:
        return f"{self._adler:08x}"

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, None when the source does not tell its size."""
        if self.expected is None or self._sealer is None:
            return self.expected
        return sealed_size(self.expected)

    async def body(self) -> AsyncIterator[bytes | bytearray]:
        """What goes over the wire."""
        try:
            if self._sealer is None:
                async for chunk in self._plain():
                    yield chunk
                return
            yield self._sealer.header()
            async for chunk in self._plain():
                for segments in self._sealer.feed(chunk):
                    yield segments
            for segments in self._sealer.close():
                yield segments
        except OSError as why:
            self.failure = MdmError(f"the file cannot be read: {why.strerror}")
            raise
        except MdmError as why:
            self.failure = why
            raise

    async def _plain(self) -> AsyncIterator[bytes]:
        async for chunk in _chunks(self._source):
            self.size += len(chunk)
            if self.expected is not None and self.size > self.expected:
                raise WrongContent("the file grew while it was sent", remedy="send it again")
            self._adler = zlib.adler32(chunk, self._adler)
            if self._sealer is not None:
                self._sha256.update(chunk)
            if self._on_bytes is not None:
                self._on_bytes(len(chunk))
            yield chunk
        if self.expected is not None and self.size < self.expected:
            raise WrongContent("the file shrank while it was sent", remedy="send it again")


async def upload(
    wire: Wire,
    source: Source,
    surl: str,
    *,
    sealed: bool = False,
    overwrite: bool = False,
    on_bytes: OnBytes | None = None,
) -> Uploaded:
    """Prepare, send, have the server's count and checksum agree with ours, and make it visible.

    A failed attempt is aborted; files and bytes are tried again after what may pass. `on_bytes` is told the
    plaintext bytes sent, negative when they are sent again.
    """
    failures = 0
    while True:
        told = _Told(on_bytes)
        try:
            return await _attempt(wire, source, surl, sealed, overwrite, told)
        except (Unavailable, TooManyRequests) as error:
            failures += 1
            if not isinstance(source, Path | bytes) or failures >= _ATTEMPTS:
                raise
            told.take_back()
            await pause(failures, error.retry_after)


async def _attempt(
    wire: Wire, source: Source, surl: str, sealed: bool, overwrite: bool, on_bytes: OnBytes
) -> Uploaded:
    size = _size_of(source)
    file: Json = {"surl": surl} if size is None else {"surl": surl, "expectedFileSize": size}
    answer = await wire.srm("prepareToPut", {"files": [file], "overwrite": overwrite})
    token = answer.token
    try:
        prepared = answer.only()
        url, recipient = _parse(prepared, sealed)
        sent = Sent(source, recipient=recipient, on_bytes=on_bytes)
        await _send(wire, url, sent)
        done: Json = {"requestToken": token}
        if sealed:
            done["files"] = [{"surl": surl, "size": sent.size, "sha256": sent.sha256}]
        else:
            done["surls"] = [surl]
        stored = (await wire.srm("putDone", done)).only()
    except BaseException:
        if token is not None:
            await _abort(wire, token)
        raise
    return Uploaded(surl, stored.get("guid"), sent.size, sent.adler32, sealed)


def _parse(prepared: Json, sealed: bool) -> tuple[URL, bytes | None]:
    try:
        url = parse_url(prepared["transferURL"])
        recipient = decode_key(prepared["uploadRecipient"]) if sealed else None
    except (KeyError, TypeError, ValueError, BadRequest) as why:
        raise WrongContent(f"the server's answer to prepareToPut is not understood ({why})") from None
    demand_transfer_channel(url, sealed=sealed)
    return url, recipient


async def _send(wire: Wire, url: URL, sent: Sent) -> None:
    headers = {"Content-Type": "application/octet-stream", "Want-Digest": "adler32"}
    if sent.content_length is not None:
        headers["Content-Length"] = str(sent.content_length)
    try:
        async with wire.transfer(
            "PUT", url, sealed=sent.sealed, headers=headers, data=sent.body()
        ) as response:
            content = await response.read()
            digest = response.headers.get("Digest", "")
            status = response.status
    except Unavailable:
        if sent.failure is not None:
            raise sent.failure from None
        raise
    if status not in (200, 201, 204):
        raise WrongContent(f"an upload was answered HTTP {status}")
    _demand_received(content, digest, sent)


def _demand_received(content: bytes, digest: str, sent: Sent) -> None:
    """WrongContent unless the server says that it received what was sent."""
    try:
        received = orjson.loads(content) if content else {}
    except orjson.JSONDecodeError:
        received = {}
    told = [str(received["adler32"]).lower()] if "adler32" in received else []
    told += [match[1].lower() for match in [_DIGEST.search(digest)] if match]
    if received.get("size", sent.size) != sent.size or any(value != sent.adler32 for value in told):
        raise WrongContent("the server did not receive what was sent", remedy="send it again")
    if not told:
        raise WrongContent("the server did not tell the checksum of what it received")


async def _abort(wire: Wire, token: str) -> None:
    """Give up an upload, so that it need not expire. What failed before is what the caller must hear of."""
    with suppress(MdmError, TimeoutError):
        async with asyncio.timeout(_ABORT_SECONDS):
            await wire.srm("abortRequest", {"requestToken": token})


def _size_of(source: Source) -> int | None:
    if isinstance(source, bytes):
        return len(source)
    if not isinstance(source, Path):
        return None
    try:
        facts = source.stat()
    except OSError as why:
        raise NotFound(f"the file to send cannot be read: {why.strerror}") from None
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


async def _chunks(source: Source) -> AsyncIterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), _BLOCK):
            yield source[start : start + _BLOCK]
    elif isinstance(source, Path):
        async with aiofiles.open(source, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while chunk := await file.read(_BLOCK):
                yield chunk
    else:
        async for chunk in source:
            yield chunk


class _Told:
    """Remembers what a progress callback was told, so that it can be taken back."""

    def __init__(self, on_bytes: OnBytes | None) -> None:
        self._on_bytes, self._total = on_bytes, 0

    def __call__(self, count: int) -> None:
        self._total += count
        if self._on_bytes is not None:
            self._on_bytes(count)

    def take_back(self) -> None:
        self(-self._total)
