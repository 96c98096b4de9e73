"""Associations to devices that `[[pacs.calling]]` gives a port: where images are moved to, and commitments are told."""

from dataclasses import dataclass
from typing import Self

from mdm_async.names import IDENTIFIED, View
from mdm_async.pacs.dimse.peers import Peer, Peers
from mdm_async.pacs.dimse.requestor import CalledPeer, Patience
from mdm_async.pacs.dimse.tls import tls_of_called
from mdm_async.settings import CallingSettings, ServerSettings, Settings


@dataclass(frozen=True, slots=True)
class CallingBack:
    """How they are called. Nobody else is, whatever a request says."""

    peers: Peers
    own_title: str
    patience: Patience
    server: ServerSettings

    @classmethod
    def of(cls, settings: Settings, peers: Peers) -> Self:
        own, slowest = settings.pacs, settings.transfers.slowest
        patience = Patience(own.head_seconds, own.idle_seconds, settings.limits.pace_seconds, slowest)
        return cls(peers, own.ae_title, patience, settings.server)

    def destination(self, title: str) -> Peer | None:
        """Where images are moved to under that title."""
        return next((one for one in self.peers.known if one.title == title and _port(one) is not None), None)

    def address(self, peer: Peer) -> CalledPeer | None:
        """None for one without a port; secured as the peer itself has to come."""
        port = _port(peer)
        if port is None:
            return None
        tls = tls_of_called(self.server, peer.certificate) if peer.settings.secured else None
        host = str(peer.networks[0].network_address)
        return CalledPeer(host, port, peer.title, self.own_title, tls, peer.certificate)

    def may_have(self, peer: Peer, view: View) -> bool:
        """Whether a view may leave for it: originals do not for whoever has its address."""
        return _port(peer) is not None and (view != IDENTIFIED or peer.certificate is not None)


def _port(peer: Peer) -> int | None:
    """Of a device; archives are asked, and nothing is sent to them."""
    return peer.settings.port if isinstance(peer.settings, CallingSettings) else None
