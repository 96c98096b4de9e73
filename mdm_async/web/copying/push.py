"""A view that is pushed: put to the other server, which is then asked what it has."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass

from mdm_async.auditing.reads import Reading
from mdm_async.blobs.store import FileRange
from mdm_async.errors import Exists, Gone, MdmError, PeerFailed, WrongContent
from mdm_async.images.metrics import CLEAR_OUT, SEALED_OUT
from mdm_async.images.parts import adler
from mdm_async.images.parts.hashing import ADLER32
from mdm_async.images.reading.digests import Digests
from mdm_async.images.reading.representation import Pieces, Representation
from mdm_async.names import Payer
from mdm_async.web.copying.asking import CopyAsk
from mdm_async.web.copying.client import Answer, Chunk, CopyClient
from mdm_async.web.copying.patience import Patience
from mdm_async.web.copying.progress import Progress
from mdm_async.web.copying.promised import WANTED, Promised

_STORED = (200, 201, 204)
_FAREWELL = 5.0
"""Seconds for what is left to be removed: the client may have gone."""


@dataclass(frozen=True, slots=True)
class Push:
    client: CopyClient
    ask: CopyAsk
    progress: Progress
    served: Representation
    digests: Digests
    payer: Payer

    async def send(self, pieces: Pieces, reading: Reading) -> None:
        """Raises PeerFailed, Exists, WrongContent, Gone, and what reading the pieces raises.

        What is left of a file that was not there before is removed, as far as the other server lets us.
        """
        patience = Patience(self.client.guard.settings.stall_seconds)
        async with self._asked("HEAD", patience) as found:
            if found.status == 200 and not self.ask.overwrite:
                raise Exists("the other server has a file of that name", remedy="ask to overwrite it")
            is_new = found.status == 404
        try:
            await self._put(pieces, reading, patience)
            await self._demand_same(patience)
        except _Refused as why:
            raise PeerFailed(why.detail) from None
        except BaseException:
            if is_new:
                await self._remove()
            raise

    async def _put(self, pieces: Pieces, reading: Reading, patience: Patience) -> None:
        served, ask = self.served, self.ask
        own = {
            "Content-Length": str(served.size),
            "Content-Type": served.media_type,
            "Digest": f"adler32={adler.text(served.adler32)}",
        }
        if not ask.overwrite:
            own["If-None-Match"] = "*"

        async def body() -> AsyncGenerator[Chunk, None]:
            self.progress.bytes = 0
            async with aclosing(pieces(0, served.size)) as found:
                async for piece in found:
                    if served.ending.ended:
                        raise Gone("the file may no longer be read, or has gone")
                    assert not isinstance(piece, FileRange)
                    (SEALED_OUT if served.sealed else CLEAR_OUT).inc(len(piece))
                    reading.bytes += len(piece)
                    yield piece
                    self.progress.bytes += len(piece)

        async with self.client.request("PUT", ask.other, ask.headers, patience, own, body) as answer:
            self.progress.remote = answer.remote
            if answer.status == 412 and not ask.overwrite:
                raise _Refused("the other server has a file of that name")
            if 300 <= answer.status < 500:
                raise _Refused(f"the destination answered {answer.status}")
            if answer.status not in _STORED:
                raise PeerFailed(f"the destination answered {answer.status}")
            if self.progress.bytes != served.size:
                raise PeerFailed("the destination says that it has the file, and did not take all of it")

    async def _demand_same(self, patience: Patience) -> None:
        """Asked of the file itself: a server that has lost it may have answered well."""
        served = self.served
        async with self._asked("HEAD", patience) as answer:
            if answer.status != 200:
                raise PeerFailed(
                    f"the destination answered {answer.status} when it was asked what it has stored"
                )
            told = Promised.of(answer.headers)
        if told.size != served.size:
            raise WrongContent(
                f"the destination has {told.size} bytes of {served.size}"
                if told.size is not None
                else "the destination does not tell how much it has stored"
            )
        await self._demand_digests(told)

    async def _demand_digests(self, told: Promised) -> None:
        """ADLER32 is known; others are looked up, or computed, where the destination tells no ADLER32."""
        served = self.served
        ours: Mapping[str, bytes] = {ADLER32: served.adler32.to_bytes(4, "big")}
        if ADLER32 not in told.digests and served.plain is not None:
            ours = await self.digests.of(served.plain, told.digests.keys(), self.payer)
        both = ours.keys() & told.digests.keys()
        if any(ours[kind] != told.digests[kind] for kind in both):
            raise WrongContent("the destination has another digest than what was sent")
        if self.ask.digest_required and not both:
            raise PeerFailed(
                "the destination tells no digest of the file that is known here, and one was required",
                remedy="send 'RequireChecksumVerification: false' to do without",
            )

    async def _remove(self) -> None:
        with suppress(MdmError, TimeoutError):
            async with asyncio.timeout(_FAREWELL), self._asked("DELETE", Patience(_FAREWELL)):
                pass

    def _asked(self, method: str, patience: Patience) -> AbstractAsyncContextManager[Answer]:
        own = {"Want-Digest": WANTED} if method == "HEAD" else {}
        return self.client.request(method, self.ask.other, self.ask.headers, patience, own)


class _Refused(PeerFailed):
    """The other server has taken nothing, so nothing of it is left there."""
