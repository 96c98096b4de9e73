"""A file that is pulled: its bytes as the other server gives them, and not taken unless they are what it promised."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from mdm_async.errors import NotSupported, PeerFailed, TooLarge, WrongContent
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.intake.intake import Intake
from mdm_async.images.metrics import BYTES_IN
from mdm_async.images.parts.hashing import Hashing
from mdm_async.names import Payer
from mdm_async.web.copying.asking import CopyAsk
from mdm_async.web.copying.client import CopyClient
from mdm_async.web.copying.patience import Patience
from mdm_async.web.copying.progress import Progress
from mdm_async.web.copying.promised import WANTED, Promised


@dataclass(frozen=True, slots=True)
class Pull:
    client: CopyClient
    intake: Intake
    cipher: CipherPool
    payer: Payer
    ask: CopyAsk
    progress: Progress

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Raises PeerFailed, TooLarge, NoSpace, WrongContent; whatever it raises, what came is to be forgotten."""
        ask, progress = self.ask, self.progress
        patience = Patience(self.client.guard.settings.stall_seconds)
        before = await self._promised(patience)
        async with self.client.request(
            "GET", ask.other, ask.headers, patience, {"Want-Digest": WANTED}
        ) as answer:
            if answer.status != 200:
                raise PeerFailed(f"the source answered {answer.status}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise NotSupported("the source sends the file compressed, though it was not asked to")
            promised = before.joined(Promised.of(answer.headers))
            if promised is None:
                raise PeerFailed(
                    "the source tells two sizes or digests of the file: it has just been changed"
                )
            await self._demand_takeable(promised)
            progress.total, progress.remote = promised.size, answer.remote
            hashing = Hashing(promised.digests)
            async for chunk in answer.chunks():
                progress.bytes += len(chunk)
                if promised.size is not None and progress.bytes > promised.size:
                    raise WrongContent("more came than the source had told")
                if promised.digests:
                    await self.cipher.run(partial(hashing.update, chunk))
                BYTES_IN.inc(len(chunk))
                yield chunk
            _demand_same(promised, progress.bytes, hashing.digests())

    async def _promised(self, patience: Patience) -> Promised:
        """What a HEAD tells. Some servers tell digests in no other answer, and some URLs take nothing but GET."""
        ask = self.ask
        async with self.client.request(
            "HEAD", ask.other, ask.headers, patience, {"Want-Digest": WANTED}
        ) as answer:
            if answer.status >= 500:
                raise PeerFailed(f"the source answered {answer.status}")
            return Promised.of(answer.headers) if answer.status == 200 else Promised()

    async def _demand_takeable(self, promised: Promised) -> None:
        required = self.ask.digest_required
        if required and not promised.digests:
            raise PeerFailed(
                "the source tells no digest of the file that is known here, and one was required",
                # The words of the client's own header.
                remedy="send 'RequireChecksumVerification: false' to do without",
            )
        if required is not False and promised.size is None and not promised.digests:
            raise PeerFailed(
                "the source tells neither size nor digest of the file, so nobody would know whether it came whole",
                remedy="send 'RequireChecksumVerification: false' to do without",
            )
        if promised.size is not None and promised.size > self.intake.largest:
            raise TooLarge(f"an upload may have {self.intake.largest} bytes at the most")
        (await self.intake.room(self.payer)).demand(promised.size)


def _demand_same(promised: Promised, size: int, digests: dict[str, bytes]) -> None:
    if promised.size is not None and size != promised.size:
        raise WrongContent(f"{size} bytes came of the {promised.size} that the source had told")
    for kind, digest in promised.digests.items():
        if digests[kind] != digest:
            # Neither value is told: that of an original would identify it.
            raise WrongContent(f"what came has another {kind.upper()} than the source had told")
