"""What OpenSSL verified of a client: its certificate and those that signed it."""

import hashlib
import ssl
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from mdm_async.errors import Unauthenticated

_DER = 2
"""`_ssl.ENCODING_DER`"""
_REMEMBERED_BYTES = 32 << 20
"""Of certificates: a client may send a hundred thousand of them, and other ones each time."""

_Chain = tuple[bytes, ...]


class _Remembered:
    """The chains that clients were verified by, by what they sent; the ones not used for longest are forgotten."""

    def __init__(self) -> None:
        self._chains: OrderedDict[bytes, _Chain] = OrderedDict()
        self.size = 0
        """Bytes of all."""

    def add(self, sent: _Chain, chain: _Chain) -> None:
        name = _digest(sent)
        if name not in self._chains:
            self._chains[name] = chain
            self.size += _size(chain)
        self._chains.move_to_end(name)
        while self.size > _REMEMBERED_BYTES:
            _, forgotten = self._chains.popitem(last=False)
            self.size -= _size(forgotten)

    def get(self, sent: _Chain) -> _Chain | None:
        return self._chains.get(_digest(sent))


_seen: WeakKeyDictionary[ssl.SSLContext, _Remembered] = WeakKeyDictionary()
"""By context, as its sessions are."""


def peer_chain(connection: ssl.SSLObject | None) -> list[bytes] | None:
    """DER, the client's own first, a root last; None when it showed no certificate.

    A resumed session has what the client sent when the session began, but not what that was verified by; this is
    known from then. Raises Unauthenticated where it is not.
    """
    if connection is None or connection.getpeercert(binary_form=True) is None:
        return None
    remembered = _seen.setdefault(connection.context, _Remembered())
    sent, chain = (
        _certificates(connection, "get_unverified_chain"),
        _certificates(connection, "get_verified_chain"),
    )
    if chain and not connection.session_reused:
        remembered.add(sent, chain)
        return list(chain)
    known = remembered.get(sent)
    if known is None:
        raise Unauthenticated(
            "the TLS session was resumed without its certificate chain",
            remedy="connect anew, in a new session",
        )
    return list(known)


def _digest(chain: _Chain) -> bytes:
    return hashlib.sha256(b"".join(chain)).digest()


def _size(chain: _Chain) -> int:
    return sum(map(len, chain))


def _certificates(connection: Any, which: str) -> _Chain:
    """Public from Python 3.13 on; before, the same behind an underscore."""
    if hasattr(connection, which):
        return tuple(getattr(connection, which)())
    return tuple(one.public_bytes(_DER) for one in getattr(connection._sslobj, which)() or ())
