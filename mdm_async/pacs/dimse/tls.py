"""TLS for devices (PS3.15 B.9): the server's certificate, and those that devices have to show."""

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import structlog

from mdm_async.errors import UnsafeSettings
from mdm_async.settings import ServerSettings

HANDSHAKE = b"\x16"
"""The first byte of one (RFC 8446 §5.1); that of an A-ASSOCIATE-RQ is another."""
_LOOKED_AT_EVERY = 1.0

_log = structlog.get_logger()


def certificate(path: Path) -> bytes:
    """The (first) certificate of a PEM file, as DER. Raises UnsafeSettings."""
    try:
        text = path.read_text()
        end = "-----END CERTIFICATE-----"
        return ssl.PEM_cert_to_DER_cert(
            text[text.index("-----BEGIN CERTIFICATE-----") : text.index(end) + len(end)]
        )
    except OSError as why:
        raise UnsafeSettings(
            f"pacs: the certificate {path} cannot be read: {why.strerror}",
            remedy="name the device's certificate, as PEM",
        ) from None
    except ValueError:
        raise UnsafeSettings(
            f"pacs: {path} holds no certificate that can be read",
            remedy="name the device's certificate, as PEM",
        ) from None


def tls_of_called(settings: ServerSettings, shown: bytes | None) -> ssl.SSLContext:
    """By which this server calls others, and shows its own certificate if it has one.

    `shown`: the certificate (DER) that they have to show; None: one that the system trusts. Raises UnsafeSettings.
    """
    context = ssl.create_default_context()
    if shown is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Whatever host it stands for, it is that one and no other.
        context.check_hostname = False
        context.load_verify_locations(cadata=shown)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_cert is not None and settings.tls_key is not None:
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
        except OSError as why:
            raise _unusable(why) from why
    return context


def _unusable(why: OSError) -> UnsafeSettings:
    return UnsafeSettings(
        f"the certificate cannot be used: {why}", remedy="check server.tls_cert and server.tls_key"
    )


class Tls:
    """What new connections are secured by; changes of the server's certificate are taken up."""

    def __init__(self, chain: Path, key: Path, shown: Iterable[bytes]) -> None:
        """`shown`: certificates (DER) of devices. Raises UnsafeSettings."""
        self._chain, self._key, self._shown = chain, key, frozenset(shown)
        try:
            self._seen = self._stamp()
            self.context = self._fresh()
        except OSError as why:  # ssl.SSLError is one, too.
            raise _unusable(why) from why

    @classmethod
    def of(cls, settings: ServerSettings, shown: Iterable[bytes]) -> Self | None:
        """None where the server has no certificate."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(settings.tls_cert, settings.tls_key, shown)

    async def watch(self) -> None:
        """Look for changes for ever; a pair that does not fit together (yet) leaves the old one in force."""
        while True:
            await asyncio.sleep(_LOOKED_AT_EVERY)
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    continue
                self.context = self._fresh()
            except OSError:
                continue  # The HTTPS port tells of it.
            self._seen = stamp

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain, self._key, password="")
        # A resumed session would not tell by which certificate it was begun.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        if self._shown:
            context.load_verify_locations(cadata=b"".join(sorted(self._shown)))
            context.verify_mode = ssl.CERT_OPTIONAL
            # A certificate that stands here is trusted by itself, whoever issued it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        return tuple((s.st_mtime_ns, s.st_ino) for s in (self._chain.stat(), self._key.stat()))
