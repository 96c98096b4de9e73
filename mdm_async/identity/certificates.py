"""Client certificates in, callers out."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from mdm_async.errors import Unauthenticated, UnsafeSettings
from mdm_async.identity.authorities import Authorities, Directories
from mdm_async.identity.issuing import check_issued, check_validity
from mdm_async.identity.proxies import owner
from mdm_async.identity.shapes import Unreadable
from mdm_async.identity.voms import memberships
from mdm_async.identity.x509 import read_certificate
from mdm_async.names import ANYONE, AUTHENTICATED, Caller, Credential

_LOOKED_AT_EVERY = 1.0
_REMEMBERED = 4096
"""Chains whose callers are known; a connection asks for each of its requests."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    until: float
    """When a certificate, a revocation list or an attribute certificate that it rests on ends."""


class Trust:
    """The authorities and VOs of two directories, and who their certificates say is calling."""

    def __init__(self, ca_directory: Path, voms_directory: Path | None) -> None:
        """Raises UnsafeSettings when a directory cannot be read."""
        self.ca_directory = ca_directory
        self.generation = 0
        """Grows with every change taken up."""
        self._directories = Directories(ca_directory, voms_directory)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        try:
            self._authorities = self._directories.read() or Authorities({}, {}, {}, {})
        except OSError as why:
            raise UnsafeSettings(
                f"the directories of authorities cannot be read: {why.strerror}: {why.filename}",
                remedy="check identity.ca_directory and identity.voms_directory",
            ) from why

    def __repr__(self) -> str:
        found = self._authorities
        return f"<Trust in {len(found.certificates)} authorities, {len(found.vos)} VOs>"

    def caller(self, chain: Sequence[bytes]) -> Caller:
        """`chain`: DER, the client's own first, the root last, as OpenSSL verified it for this connection.

        Raises Unauthenticated, whose reason names no secret.
        """
        now = time.time()
        digest = hashlib.sha256(b"".join(chain)).digest()
        known = self._known.get(digest)
        if known is None or now >= known.until:
            known = self._verify(chain, now)
            self._known[digest] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(digest)
        return known.caller

    async def watch(self) -> None:
        """Take up what changes in the directories, for ever."""
        pool = ThreadPoolExecutor(1, "authorities")
        try:
            while True:
                await asyncio.sleep(_LOOKED_AT_EVERY)
                try:
                    found = await asyncio.get_running_loop().run_in_executor(pool, self._directories.read)
                except OSError as why:
                    _log.warning("the authorities cannot be read", kind=type(why).__name__)
                    continue
                if found is not None:
                    self._take(found)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, found: Authorities) -> None:
        self._authorities = found
        self._known.clear()
        self.generation += 1
        _log.info("authorities taken up", authorities=len(found.certificates), vos=len(found.vos))

    def _verify(self, chain: Sequence[bytes], now: float) -> _Known:
        try:
            certificates = [read_certificate(der) for der in chain]
            found = owner(certificates)
            own = (*found.proxies, found.certificate)
            until = check_validity(own, now)
            current = check_issued((found.certificate, *found.authorities), self._authorities, now)
            joined = memberships(found, self._authorities, now)
        except Unreadable as why:
            raise Unauthenticated(
                f"the certificate cannot be used: {why}", remedy="ask the authority for another"
            ) from why
        name = f"dn:{found.certificate.subject}"
        fqans = {f"fqan:{fqan}" for membership in joined for fqan in membership.fqans}
        caller = Caller(
            name,
            frozenset({name, AUTHENTICATED, ANYONE} | fqans),
            limited=found.limited,
            until=min([until, *(membership.until for membership in joined)]),
            credential=Credential.VOMS
            if joined
            else Credential.PROXY
            if found.proxies
            else Credential.CERTIFICATE,
        )
        return _Known(caller, min([until, current, *(membership.current_until for membership in joined)]))
