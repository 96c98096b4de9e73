"""An image sent to an upload's transfer URL, clear or sealed to that URL's own key, and checked there."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson
from yarl import URL

from mdm_async.client.channel import demand_transfer_channel, parse_url
from mdm_async.client.progress import OnBytes
from mdm_async.client.sent import Sent, Source, rewinder, size_of
from mdm_async.client.ticket import decode_key
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import BadRequest, MdmError, TooManyRequests, Unavailable, WrongContent

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


async def upload(
    wire: Wire,
    source: Source,
    surl: str,
    *,
    sealed: bool = False,
    overwrite: bool = False,
    parents: bool = False,
    force: bool = False,
    on_bytes: OnBytes | None = None,
) -> Uploaded:
    """Prepare, send, have the server's count and checksum agree with ours, and make it visible.

    A failed attempt is aborted; files and bytes are tried again after what may pass. `on_bytes` is told the
    plaintext bytes sent, negative when they are sent again. `parents`: directories that are missing are made.
    `force`: a file that breaks PS3.10 is taken too.
    """
    wire.demand_named("an image")
    patience = wire.patience(_ATTEMPTS)
    rewind = rewinder(source)
    while True:
        told = _Told(on_bytes)
        try:
            how = {"overwrite": overwrite, "parents": parents, "force": force}
            return await _attempt(wire, source, surl, sealed, told, **how)
        except (Unavailable, TooManyRequests) as error:
            if size_of(source) is None:  # A stream cannot be read twice.
                raise
            told.take_back()
            await patience.after(error)
            rewind()


async def _attempt(
    wire: Wire,
    source: Source,
    surl: str,
    sealed: bool,
    on_bytes: OnBytes,
    *,
    overwrite: bool,
    parents: bool,
    force: bool,
) -> Uploaded:
    size = size_of(source)
    file: Json = {"surl": surl} if size is None else {"surl": surl, "expectedFileSize": size}
    asked: Json = {"files": [file], "overwrite": overwrite, "createParents": parents}
    answer = await wire.srm("prepareToPut", asked)
    token = answer.token
    try:
        prepared = answer.only()
        url, recipient = _parse(prepared, sealed)
        async with Sent(source, recipient=recipient, on_bytes=on_bytes) as sent:
            await _send(wire, url.update_query(force="yes") if force else url, sent)
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
        put = wire.transfer("PUT", url, sealed=sent.sealed, headers=headers, data=sent.body())
        async with put as response:
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
