"""The port that devices push images to: who may hold how many associations, and how it is drained."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from mdm_async.errors import UnsafeSettings
from mdm_async.limits import Near
from mdm_async.pacs.dimse import metrics
from mdm_async.pacs.dimse.association import Acceptor, Association, Phase
from mdm_async.pacs.dimse.peers import Peer, Peers, address_of
from mdm_async.pacs.dimse.storing import Storage
from mdm_async.pacs.dimse.wire import BUFFERED, Wire
from mdm_async.settings import Settings

SPARE: Final = 32
"""Connections beyond the associations that may be open, to hear who calls and be told why they may not."""
_LAST_WORDS: Final = 2.0
"""Seconds in which an answer that is on its way may leave."""

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Listener:
    """Takes connections while its context is open; see `listening`."""

    settings: Settings
    peers: Peers
    storage: Storage
    port: int = field(default=0, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _running: dict[asyncio.Task[None], Association] = field(default_factory=dict, init=False)
    _of_peer: Counter[str] = field(default_factory=Counter, init=False)
    _open: int = field(default=0, init=False)
    _draining: bool = field(default=False, init=False)

    async def start(self) -> None:
        """Raises UnsafeSettings when the port cannot be had."""
        own = self.settings.pacs
        host, port = own.host or self.settings.server.host, own.port or 0
        try:
            self._server = await asyncio.start_server(self._come, host, port, limit=BUFFERED, backlog=128)
        except OSError as why:
            raise UnsafeSettings(
                f"cannot listen on {host}:{port}: {why.strerror}", remedy="choose another pacs.port"
            ) from why
        self.port = int(self._server.sockets[-1].getsockname()[1])
        for peer in self.peers.known:
            if peer.sends_plain_far:
                _log.warning(
                    "images of a device cross the network unencrypted, and its title and address are all that it is "
                    "believed by",
                    ae=peer.settings.ae,
                    hosts=",".join(peer.settings.hosts),
                )
        _log.info("devices may push images", ae_title=own.ae_title, host=host, port=self.port)

    def near(self) -> Iterable[Near]:
        return [Near("pacs.associations", self._open, self.settings.pacs.associations)]

    def stop(self) -> None:
        """Accept nothing more, and end the associations that are in no C-STORE; those that are, end after it."""
        self._draining = True
        if self._server is not None:
            self._server.close()
        for task, association in list(self._running.items()):
            association.draining = True
            if association.phase is not Phase.STORING:
                task.cancel()

    async def end(self) -> None:
        """End all that is left, by A-ABORT; an answer that is on its way still leaves."""
        self.stop()
        if self._running:
            await asyncio.wait(list(self._running), timeout=_LAST_WORDS)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def admit(self, peer: Peer) -> bool:
        most = self.settings.pacs.associations
        own = self._of_peer[peer.settings.ae]
        if self._draining or self._open >= most or own >= (peer.settings.associations or most):
            return False
        self._open += 1
        self._of_peer[peer.settings.ae] += 1
        metrics.ASSOCIATIONS.inc()
        return True

    def dismiss(self, peer: Peer) -> None:
        self._open -= 1
        self._of_peer[peer.settings.ae] -= 1
        metrics.ASSOCIATIONS.dec()

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._draining or len(self._running) >= self.settings.pacs.associations + SPARE:
            metrics.REFUSED.labels("too many connections").inc()
            writer.transport.abort()
            return
        own, limits = self.settings.pacs, self.settings.limits
        wire = Wire(reader, writer, own.idle_seconds, limits.pace_seconds, self.settings.transfers.slowest)
        acceptor = Acceptor(
            own.ae_title, self.peers, self.storage, own.head_seconds, self.admit, self.dismiss
        )
        association = Association(acceptor, wire, address_of(writer.get_extra_info("peername")))
        task = asyncio.get_running_loop().create_task(association.run())
        self._running[task] = association
        task.add_done_callback(lambda done: self._running.pop(done, None))


@asynccontextmanager
async def listening(settings: Settings, storage: Storage) -> AsyncIterator[Listener]:
    """A listener that has its port. It ends with the context; `stop` it before, to let C-STOREs come to their end."""
    listener = Listener(settings, Peers.of(settings.pacs), storage)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.end()
