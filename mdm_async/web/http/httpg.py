"""httpg: ordinary TLS, then one byte before HTTP, by which a grid client says whether it delegates a proxy.

`0` says that it does not. `D` says that it does: the server sends a certificate request (PKCS#10, DER), and the client
answers with a proxy certificate for that key (DER). Whatever else comes first is HTTP already, so that the port is an
ordinary HTTPS port too; a `D` is that when the rest of a word follows it, as in DELETE.

Nothing here acts in a client's name, so the proxy is looked at and forgotten, and one key does for all of them. The
time that all this may take is that of a connection's first head (`limits.head_seconds`).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

_NO_DELEGATION, _DELEGATION = b"0", b"D"
_ALONE = 0.25
"""Seconds after which a `D` that nothing follows is one of httpg. Its client waits for us; one of HTTP would go on."""
_LARGEST_PROXY = 16 << 10
_MAKING = ThreadPoolExecutor(1, "httpg")
"""One thread: those who delegate while the key is being made wait for that one, and make none of their own."""
_SEQUENCE = 0x30


class _State(Enum):
    FIRST_BYTE = auto()
    ALONE = auto()
    """A `D` has come, and nothing after it."""
    PROXY = auto()
    """The request for it is sent, or will be as soon as it is made."""
    HTTP = auto()


@dataclass(frozen=True, slots=True)
class _Request:
    """What a client is to sign, and the key that it is for."""

    der: bytes
    key: bytes


class Httpg:
    """What comes before HTTP on one connection. `send` sends bytes; `cut` ends it, where what came is no proxy."""

    __slots__ = ("_came", "_cut", "_loop", "_send", "_state", "_waiting")

    def __init__(self, send: Callable[[bytes], None], cut: Callable[[], None]) -> None:
        self._send, self._cut = send, cut
        self._loop = asyncio.get_running_loop()
        self._state = _State.FIRST_BYTE
        self._came = b""
        self._waiting: asyncio.Handle | asyncio.Future[_Request] | None = None

    @property
    def is_over(self) -> bool:
        return self._state is _State.HTTP

    def end(self) -> None:
        """Wait for nothing more."""
        if self._waiting is not None:
            self._waiting.cancel()

    def received(self, data: bytes) -> bytes:
        """What of it belongs to HTTP."""
        self._came += data
        if self._state is _State.FIRST_BYTE and self._came:
            if self._came == _DELEGATION:
                self._state = _State.ALONE
                self._waiting = self._loop.call_later(_ALONE, self._ask)
                return b""
            return self._http(self._came.removeprefix(_NO_DELEGATION))
        if self._state is _State.ALONE:
            self.end()
            return self._http(self._came)
        if self._state is _State.PROXY:
            return self._take()
        return b""

    def _http(self, rest: bytes) -> bytes:
        self._state, self._came = _State.HTTP, b""
        return rest

    def _ask(self) -> None:
        self._state, self._came = _State.PROXY, b""
        made = self._loop.run_in_executor(_MAKING, _request)
        self._waiting = made
        made.add_done_callback(self._asked)

    def _asked(self, made: "asyncio.Future[_Request]") -> None:
        if not made.cancelled():
            self._send(made.result().der)

    def _take(self) -> bytes:
        made = self._waiting
        size = _size_of_der(self._came)
        if not isinstance(made, asyncio.Future) or not made.done() or size is None:
            self._cut()
            return b""
        if size == 0 or len(self._came) < size:
            return b""
        proxy, rest = self._came[:size], self._came[size:]
        if not _is_for(proxy, made.result().key):
            self._cut()
            return b""
        return self._http(rest)


def _size_of_der(came: bytes) -> int | None:
    """Of the sequence that begins here, 0 while that cannot be told, None when none begins or it is too large."""
    if came[:1] != bytes([_SEQUENCE]):
        return None
    head = came[1:2]
    if not head:
        return 0
    if head[0] < 0x80:
        return 2 + head[0]
    length = came[2 : 2 + (head[0] & 0x7F)]
    if not 1 <= head[0] & 0x7F <= 2:
        return None
    if len(length) < head[0] & 0x7F:
        return 0
    size = 2 + len(length) + int.from_bytes(length)
    return size if size <= _LARGEST_PROXY else None


def _is_for(proxy: bytes, key: bytes) -> bool:
    with suppress(ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return _public(x509.load_der_x509_certificate(proxy).public_key()) == key
    return False


@cache
def _request() -> _Request:
    """Made when the first client delegates: it takes a tenth of a second."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return _Request(request.public_bytes(Encoding.DER), _public(key.public_key()))


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
