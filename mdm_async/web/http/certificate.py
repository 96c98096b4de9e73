"""The server's certificate and whose client certificates it asks for; changes are taken up without a restart."""

import asyncio
import ssl
from pathlib import Path

import structlog
from cryptography import x509

from mdm_async.errors import UnsafeSettings
from mdm_async.identity.certificates import Trust

INTERVAL = 1.0

_log = structlog.get_logger()


class Certificate:
    """A TLS context from PEM files. Connections made after a change get the new certificate."""

    def __init__(self, chain: Path, key: Path, trust: Trust | None = None) -> None:
        """With `trust`, clients may show certificates of its authorities, and proxies (RFC 3820).

        Raises UnsafeSettings.
        """
        self._chain, self._key, self._trust = chain, key, trust
        try:
            self._seen = self._stamp()
            self.context = self._fresh()
            self.names = self._hosts()
        except (OSError, ssl.SSLError) as why:
            raise UnsafeSettings(
                f"the certificate cannot be used: {_words(why, key)}",
                remedy="check server.tls_cert and server.tls_key",
            ) from why

    async def watch(self) -> None:
        """Look for changes for ever. A pair that does not fit together (yet) leaves the old one in force."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    continue
                # A new context: the old one would go on trusting the authorities that it has read.
                self.context = self._fresh()
                self.names = self._hosts()
            except (OSError, ssl.SSLError) as why:
                _log.warning("the changed certificate cannot be used yet", kind=type(why).__name__)
                continue
            self._seen = stamp
            _log.info("certificate taken up")

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Without a passphrase given, OpenSSL would ask for one on the terminal and wait for ever.
        context.load_cert_chain(self._chain, self._key, password="")
        if self._trust is not None:
            context.load_verify_locations(capath=self._trust.ca_directory)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
            # A ticket would bring back a session without its client's chain.
            context.options |= ssl.OP_NO_TICKET
            # Grid clients wait for one on TLS 1.3, and take a second one for the end of the file.
            context.num_tickets = 1
        return context

    def _hosts(self) -> tuple[str, ...]:
        """The hosts that it is for; a wildcard names none."""
        try:
            own = x509.load_pem_x509_certificates(self._chain.read_bytes())[0]
            named = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, x509.ExtensionNotFound):
            return ()
        hosts = [name.lower() for name in named.get_values_for_type(x509.DNSName) if "*" not in name]
        return (*hosts, *map(str, named.get_values_for_type(x509.IPAddress)))

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        stats = (self._chain.stat(), self._key.stat())
        authorities = ((self._trust.generation, 0),) if self._trust is not None else ()
        return (*((s.st_mtime_ns, s.st_ino) for s in stats), *authorities)


def _words(why: OSError, key: Path) -> str:
    """`ssl.SSLError` is one, too."""
    if isinstance(why, ssl.SSLError):
        is_another = why.reason == "KEY_VALUES_MISMATCH"
        return f"{key} is the key of another one" if is_another else why.reason or "no certificate, or no key"
    return f"{why.filename or key}: {why.strerror}"
