"""The server's certificate; a changed file is taken up without a restart."""

import asyncio
import ssl
from pathlib import Path

import structlog

from mdm_async.errors import UnsafeSettings

INTERVAL = 1.0

_log = structlog.get_logger()


class Certificate:
    """A TLS context from PEM files. Connections made after a change get the new certificate."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain, self._key = chain, key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self._seen = self._stamp()
            self._load(self.context)
        except (OSError, ssl.SSLError) as why:
            raise UnsafeSettings(
                f"the certificate cannot be used: {why}", remedy="check server.tls_cert and server.tls_key"
            ) from why

    async def watch(self) -> None:
        """Look for changes for ever. A pair that does not fit together (yet) leaves the old one in force."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    continue
                # Tried apart first: a failing load would leave the live context with half a pair.
                self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
                self._load(self.context)
            except (OSError, ssl.SSLError) as why:
                _log.warning("the changed certificate cannot be used yet", kind=type(why).__name__)
                continue
            self._seen = stamp
            _log.info("certificate taken up")

    def _load(self, context: ssl.SSLContext) -> None:
        # Without a passphrase given, OpenSSL would ask for one on the terminal and wait for ever.
        context.load_cert_chain(self._chain, self._key, password="")

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        stats = (self._chain.stat(), self._key.stat())
        return tuple((s.st_mtime_ns, s.st_ino) for s in stats)
