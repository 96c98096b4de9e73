"""The port that devices push images to: who may hold how many associations, and how it is drained."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from mdm_async.errors import UnsafeSettings
from mdm_async.limits import Near
from mdm_async.pacs.dimse import metrics
from mdm_async.pacs.dimse.association import Acceptor, Association
from mdm_async.pacs.dimse.calling_back import CallingBack
from mdm_async.pacs.dimse.conversation import Services
from mdm_async.pacs.dimse.newcomers import Newcomer, Newcomers
from mdm_async.pacs.dimse.peers import OtherEnd, Peer, Peers, address_of
from mdm_async.pacs.dimse.reporting import Reports
from mdm_async.pacs.dimse.tls import HANDSHAKE, Tls
from mdm_async.pacs.dimse.wire import BUFFERED, UNSENT, Wire
from mdm_async.seldom import Seldom
from mdm_async.settings import Settings

_LEFT_TO_OTHERS: Final = 4
"""A device whose settings do not say how many associations it may have leaves the fourth part of all to others."""
_BACKLOG: Final = 128
_ACCEPT_AGAIN_AFTER: Final = 0.2
_LAST_WORDS: Final = 2.0
"""Seconds in which an answer that is on its way may leave."""

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Listener:
    """Takes connections while its context is open; see `listening`."""

    settings: Settings
    peers: Peers
    services: Services
    reports: Reports
    port: int = field(default=0, init=False)
    _newcomers: Newcomers = field(init=False)
    _tls: Tls | None = field(default=None, init=False)
    _accepting: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _doors: list[socket.socket] = field(default_factory=list, init=False)
    _running: dict[asyncio.Task[None], "_Incoming"] = field(default_factory=dict, init=False)
    _told: Seldom = field(default_factory=lambda: Seldom(60), init=False)
    _of_peer: Counter[Peer] = field(default_factory=Counter, init=False)
    _open: int = field(default=0, init=False)
    _draining: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._newcomers = Newcomers(self.peers.expect)

    async def start(self) -> None:
        """Raises UnsafeSettings when the port cannot be had."""
        own = self.settings.pacs
        host, port = own.host or self.settings.server.host, own.port or 0
        self._tls = Tls.of(self.settings.server, self.peers.certificates)
        try:
            self._doors = await _doors(host, port)
        except OSError as why:
            raise UnsafeSettings(
                f"cannot listen on {host}:{port}: {why.strerror}", remedy="choose another pacs.port"
            ) from why
        self.port = int(self._doors[-1].getsockname()[1])
        for peer in self.peers.known:
            if peer.view is not None and not self.services.shown.desk.views.exists(peer.view):
                _log.warning(
                    "nothing is shown to a device, for no profile makes its view",
                    ae=peer.title,
                    view=peer.view,
                    remedy="`mdm profile list` names those that are; make it: mdm profile add",
                )
            if peer.sends_plain_far:
                _log.warning(
                    "images of a device cross the network unencrypted, and its title and address are all that it is "
                    "believed by",
                    ae=peer.title,
                    hosts=",".join(map(str, peer.networks)),
                )
        _log.info("devices may push images, and search", ae_title=own.ae_title, host=host, port=self.port)

    def _acceptor(self, newcomer: Newcomer) -> Acceptor:
        own, admit = self.settings.pacs, partial(self._admit, newcomer)
        return Acceptor(
            own.ae_title, self.peers, self.services, self.reports, own.head_seconds, admit, self._dismiss
        )

    def near(self) -> Iterable[Near]:
        return [Near("pacs.associations", self._open, self.settings.pacs.associations)]

    async def stop(self) -> None:
        """Accept nothing more, and end the associations that are in no C-STORE; those that are, end after it."""
        self._draining = True
        for accepting in self._accepting:
            accepting.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for door in self._doors:
            door.close()
        self._doors = []
        for task, incoming in list(self._running.items()):
            if not incoming.drain():
                task.cancel()

    async def end(self) -> None:
        """End all that is left, by A-ABORT; an answer that is on its way still leaves."""
        await self.stop()
        if self._running:
            await asyncio.wait(list(self._running), timeout=_LAST_WORDS)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _admit(self, newcomer: Newcomer, peer: Peer) -> bool:
        most = self.settings.pacs.associations
        own = self._of_peer[peer]
        share = peer.settings.associations or most - most // _LEFT_TO_OTHERS
        if self._draining or self._open >= most or own >= share:
            return False
        self._newcomers.leave(newcomer)
        self._open += 1
        self._of_peer[peer] += 1
        metrics.ASSOCIATIONS.inc()
        return True

    def _dismiss(self, peer: Peer) -> None:
        self._open -= 1
        self._of_peer[peer] -= 1
        metrics.ASSOCIATIONS.dec()

    async def accept_forever(self) -> None:
        """To be watched: without it nobody comes in, and nobody would know."""
        self._accepting = [asyncio.create_task(self._accept(door)) for door in self._doors]
        await asyncio.gather(*self._accepting)

    async def watch_certificate(self) -> None:
        if self._tls is not None:
            await self._tls.watch()

    async def _accept(self, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # A connection that is there already is accepted without a wait; others must have their turn.
            await asyncio.sleep(0)
            try:
                accepted, address = await loop.sock_accept(door)
            except ConnectionError:
                continue  # It went away before its turn.
            except OSError as why:
                if (unsaid := self._told.tell("accept")) is not None:
                    _log.error("devices' connections cannot be accepted", reason=why.strerror, **unsaid)
                await asyncio.sleep(_ACCEPT_AGAIN_AFTER)
                continue
            source = address_of(address)
            newcomer = self._newcomers.admit(source) if not self._draining else None
            if newcomer is None:
                metrics.REFUSED.labels("too many connections").inc()
                accepted.close()
                continue
            incoming = _Incoming(newcomer)
            task = loop.create_task(self._serve(incoming, accepted, source))
            newcomer.cut = partial(_cut, task)
            self._running[task] = incoming
            # As a callback, for a task may be cancelled before it begins.
            task.add_done_callback(partial(self._ended, accepted))

    def _ended(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._newcomers.leave(self._running.pop(task).newcomer)
        accepted.close()

    async def _serve(self, incoming: "_Incoming", accepted: socket.socket, address: str) -> None:
        """One connection, from its first byte to its end."""
        loop, own = asyncio.get_running_loop(), self.settings.pacs
        context = None
        try:
            async with asyncio.timeout(own.head_seconds):
                if await _first_byte(accepted) == HANDSHAKE and self._tls is not None:
                    context = self._tls.context
            reader = asyncio.StreamReader(limit=BUFFERED)
            protocol = asyncio.StreamReaderProtocol(reader)
            within = {"ssl_handshake_timeout": own.head_seconds} if context is not None else {}
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=context, **within
            )
        except ssl.SSLError as why:
            metrics.REFUSED.labels("TLS").inc()
            self.services.storage.refusals.tls_refused(address, why.reason or "TLS")
            if (unsaid := self._told.tell("TLS")) is not None:
                _log.warning("a device's TLS handshake failed", source=address, reason=why.reason, **unsaid)
            return
        except OSError:  # It went away, or took too long.
            metrics.ENDED.labels("never began").inc()
            return
        # Nothing is kept back: what was sent has left, or its sender waits.
        transport.set_write_buffer_limits(*UNSENT)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        shown = writer.get_extra_info("ssl_object")
        certificate = shown.getpeercert(binary_form=True) if shown is not None else None
        limits = self.settings.limits
        wire = Wire(reader, writer, own.idle_seconds, limits.pace_seconds, self.settings.transfers.slowest)
        end = OtherEnd(address, shown is not None, certificate)
        incoming.association = Association(self._acceptor(incoming.newcomer), wire, end)
        await incoming.association.run()


@dataclass(eq=False, slots=True)
class _Incoming:
    """A connection; `association` once it has come so far."""

    newcomer: Newcomer
    association: Association | None = None

    def drain(self) -> bool:
        """Whether it is in a C-STORE, which it ends after."""
        return self.association is not None and self.association.drain()


async def _doors(host: str, port: int) -> list[socket.socket]:
    """One for each address of the host. Raises OSError when one of them cannot be had."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    doors: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            doors.append(socket.create_server((address[0], address[1]), family=family, backlog=_BACKLOG))
            doors[-1].setblocking(False)
    except BaseException:
        for door in doors:
            door.close()
        raise
    return doors


def _cut(task: asyncio.Task[None]) -> None:
    metrics.REFUSED.labels("too many connections").inc()
    task.cancel()


def _set(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)


async def _first_byte(accepted: socket.socket) -> bytes:
    """Without taking it; b"" when there is none."""
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()
    loop.add_reader(accepted, _set, there)
    try:
        await there
    finally:
        loop.remove_reader(accepted)
    return accepted.recv(1, socket.MSG_PEEK)


@asynccontextmanager
async def listening(settings: Settings, services: Services, node: str) -> AsyncIterator[Listener]:
    """A listener that has its port. It ends with the context; `stop` it before, to let C-STOREs come to their end."""
    peers = Peers.of(settings.pacs)
    back, hours = CallingBack.of(settings, peers), settings.pacs.commitment_hours
    reports = Reports(back, services.commitment, services.shown.mapped, node, hours)
    listener = Listener(settings, peers, services, reports)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.end()
