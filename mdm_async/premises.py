"""What a server stands on besides its database: certificates, authorities, mapping, issuers, keys.

Made from the settings before anything is started, with every reason why that cannot be; `mdm config check` does the
same and starts nothing.
"""

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from mdm_async.audit.keys import parse_private
from mdm_async.auditing.gazette import Gazette
from mdm_async.auditing.signing_key import read_key_file
from mdm_async.blobs.bucket import in_bucket
from mdm_async.catalog import installation
from mdm_async.catalog.holdings import profiles
from mdm_async.errors import BadRequest, MdmError, UnsafeSettings
from mdm_async.identity.certificates import Trust
from mdm_async.identity.mapping import Mapping
from mdm_async.identity.tokens import Issuers
from mdm_async.images.hooks.hooks import demand_usable
from mdm_async.images.transfers.filing import Landing
from mdm_async.keys import proofs
from mdm_async.keys.custodians import HeldByCustodians
from mdm_async.keys.enrolment import Enrolled, enrolled
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.named_source import kek_sources
from mdm_async.keys.sources import KekSource
from mdm_async.keys.split import places_of
from mdm_async.keys.store_check import reasons_against_stores
from mdm_async.postgres.database import Connection, connect
from mdm_async.postgres.directory_lock import DirectoryLock
from mdm_async.postgres.embedded.binaries import installed_binaries
from mdm_async.postgres.embedded.cluster_directory import PostgresDirectory
from mdm_async.postgres.embedded.system_user import postgres_user
from mdm_async.secret_files import demand_private_secret, keeper, private_places, secret_files
from mdm_async.settings import Settings
from mdm_async.settings.keys import KeySettings
from mdm_async.settings.s3 import S3Settings
from mdm_async.web.http.certificate import Certificate
from mdm_async.web.http.doors import cannot_listen

T = TypeVar("T")
_SOON = timedelta(days=14)
_CHECKED_SECONDS = 5.0
"""For which a bucket that does not answer is asked again."""
_SMALL_QUOTA = 1 << 30
"""Bytes: less than one study of a scanner of today."""


@dataclass(frozen=True, slots=True)
class Premises:
    trust: Trust | None
    issuers: Issuers
    mapping: Mapping
    certificate: Certificate | None


def premises(settings: Settings) -> Premises:
    """Raises UnsafeSettings with every reason, one a line."""
    reasons: list[MdmError] = []

    def made(make: Callable[[], T]) -> T | None:
        try:
            return make()
        except UnsafeSettings as why:
            reasons.append(why)
            return None

    for directory in dict.fromkeys((settings.data, *filter(None, dict(settings.paths).values()))):
        made(partial(_demand_usable_directory, directory))
    made(lambda: _demand_usable_cluster(settings))
    for path in secret_files(settings):
        made(partial(demand_private_secret, settings, path))
    for source in _kek_sources(settings).values():
        made(source.check)
    for name, hook in settings.hooks.items():
        made(partial(demand_usable, name, hook, private_places(settings)))
    made(lambda: _demand_good_peers(settings))
    made(lambda: _demand_good_landing(settings))
    made(lambda: _demand_good_signing_key(settings))
    made(lambda: Gazette.of(settings.audit.seals, settings.data))
    trust = made(lambda: _trust(settings))
    issuers = made(lambda: _issuers(settings))
    mapping = made(lambda: Mapping(settings.identity.mapping))
    certificate = made(lambda: _certificate(settings, trust))
    if reasons or issuers is None or mapping is None:
        raise UnsafeSettings("\n".join(dict.fromkeys(map(str, reasons))))
    return Premises(trust, issuers, mapping, certificate)


async def reasons_against(settings: Settings) -> list[str]:
    """Why a server would not start with these settings, as `premises` says it; and whether its ports and its
    database can be had, which a start finds out by taking them."""
    reasons: list[str] = []
    with _noting(reasons):
        premises(settings)
    if not _is_running(settings.data):
        ports = [settings.server.port, *([settings.server.tls_port] if settings.tls else [])]
        doors = [(settings.server.host, port) for port in ports]
        if settings.pacs.port is not None:
            doors.append((settings.pacs.host or settings.server.host, settings.pacs.port))
        for host, port in doors:
            with _noting(reasons):
                _demand_free(host, port)
    catalog = None
    if settings.database.dsn is not None:
        with _noting(reasons):
            try:
                async with connect(settings.database.dsn.get_secret_value()) as db:
                    if settings.keys.stores:
                        catalog = await _enrolled(db, settings.keys)
                    else:
                        await _demand_opening_keks(db, await _keks(settings))
            except MdmError:
                raise
            except (
                Exception
            ) as why:  # A DSN can be wrong in many ways, and their words could hold the password.
                raise UnsafeSettings(
                    f"the catalog's database lets nobody in ({type(why).__name__})",
                    remedy="check database.dsn",
                ) from None
    if settings.blobs.url is not None:
        with _noting(reasons):
            await _demand_usable_bucket(settings.blobs.url, settings.s3)
    if settings.keys.stores:
        places = places_of(settings.keys, _kek_sources(settings))
        reasons += map(str, await reasons_against_stores(places, settings.keys.needed, catalog))
    return reasons


async def profiles_there(settings: Settings) -> set[str] | None:
    """By name, as the database of the settings has them; None where there is no such database, or it is not asked with
    success, which `reasons_against` tells."""
    if settings.database.dsn is None:
        return None
    with suppress(Exception):
        async with connect(settings.database.dsn.get_secret_value()) as db:
            return {one.name for one in await profiles.listing(db)}
    return None


def warnings_about(settings: Settings) -> list[str]:
    """What does not keep a server from starting, but its clients away."""
    found = []
    now = datetime.now(UTC)
    for certificate in _certificates(settings.server.tls_cert):
        name = certificate.subject.rfc4514_string() or "without a name"
        if certificate.not_valid_before_utc > now:
            found.append(f"server.tls_cert: the certificate {name} is not valid yet; set the clock")
        elif certificate.not_valid_after_utc < now:
            found.append(f"server.tls_cert: the certificate {name} has expired; ask for a new one")
        elif certificate.not_valid_after_utc < now + _SOON:
            found.append(f"server.tls_cert: the certificate {name} expires within 14 days; ask for a new one")
    known = settings.identity.ca_directory
    if known is not None and known.is_dir() and not any(known.glob("*.0")):
        found.append(f"identity.ca_directory: {known} holds no authority; install <hash>.0 files")
    if settings.cache.quota is not None and settings.cache.quota < _SMALL_QUOTA:
        found.append(
            f"cache.quota: {settings.cache.quota:,} bytes hold few images, and one that is larger is never brought; "
            "10_000_000_000 are 10 GB"
        )
    moves = any(one.retrieve == "C-MOVE" and one.ae is not None for one in settings.pacs.sources)
    if settings.pacs.port is not None and not settings.pacs.calling and not moves:
        found.append(
            "pacs.port: whoever calls there is refused, for pacs.calling names no device; "
            "add a [[pacs.calling]] for each"
        )
    return found


def _trust(settings: Settings) -> Trust | None:
    known = settings.identity
    return Trust(known.ca_directory, known.voms_directory) if known.ca_directory is not None else None


def _issuers(settings: Settings) -> Issuers:
    own = (settings.server.public_url or "").rstrip("/")
    return Issuers(settings.identity.issuers, [own] if own else [], settings.identity.ca_directory)


def _certificate(settings: Settings, trust: Trust | None) -> Certificate | None:
    chain, key = settings.server.tls_cert, settings.server.tls_key
    return Certificate(chain, key, trust) if chain is not None and key is not None else None


def _certificates(chain: Path | None) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(chain.read_bytes()) if chain is not None else []
    except (OSError, ValueError, x509.InvalidVersion):
        return []  # Told already, as a reason.


def _demand_usable_directory(data: Path) -> None:
    """It is made when it is missing."""
    nearest = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UnsafeSettings(
            f"{data} cannot be used: {nearest} is no folder that you may write to",
            remedy="choose a directory that the user who runs mdm may write to",
        )


def _demand_usable_cluster(settings: Settings) -> None:
    """That of embedded Postgres, where there is one."""
    directory = settings.database_directory
    if settings.database.dsn is None and (directory / "postgres").exists():
        PostgresDirectory(directory, postgres_user(), installed_binaries()).check()


def _kek_sources(settings: Settings) -> dict[str, KekSource]:
    return kek_sources(settings.keys, settings.secrets_directory, keeper(settings))


async def _keks(settings: Settings) -> list[bytes]:
    """None when they are not made yet, or not for the one who asks to read."""
    source = _kek_sources(settings)[""]
    is_elsewhere = isinstance(source, HeldByCustodians) or (
        isinstance(source, KeptKeks) and not source.is_readable
    )
    return [] if is_elsewhere else await source.read()


async def _demand_opening_keks(db: Connection, keks: list[bytes]) -> None:
    if keks and await proofs.are_there(db):
        await proofs.known(db, keks, await installation.identity(db))


async def _enrolled(db: Connection, keys: KeySettings) -> Enrolled | None:
    if not await proofs.are_there(db):
        return None
    names = [store.name for store in keys.stores]
    return await enrolled(db, await installation.identity(db), names, keys.needed)


def _demand_good_peers(settings: Settings) -> None:
    if settings.pacs.calling or settings.pacs.sources:
        # Here, for few servers have any.
        from mdm_async.pacs.dimse.peers import Peers

        Peers.of(settings.pacs)


def _demand_good_landing(settings: Settings) -> None:
    own = settings.dicomweb
    try:
        Landing.of(own.directory, own.template)
    except BadRequest as why:
        raise UnsafeSettings(f"dicomweb: {why.detail}", remedy=why.remedy or "correct it") from None


def _demand_good_signing_key(settings: Settings) -> None:
    given, own = settings.audit.key_file, settings.secrets_directory / "audit.key"
    if given is not None or own.exists():
        parse_private(read_key_file(given if given is not None else own))


async def _demand_usable_bucket(url: str, settings: S3Settings) -> None:
    soon = settings.model_copy(update={"retry_seconds": min(_CHECKED_SECONDS, settings.retry_seconds)})
    with ThreadPoolExecutor(1) as pool:
        async with in_bucket(url, soon, pool) as bucket:
            await bucket.prove()


def _is_running(data: Path) -> bool:
    """Whether a server has the directory, and with it, presumably, its ports."""
    lock = DirectoryLock(data)
    if not lock.path.exists():
        return False
    try:
        lock.acquire()
    except UnsafeSettings:
        return False
    except MdmError:
        return True
    lock.release()
    return False


def _demand_free(host: str, port: int) -> None:
    try:
        for family, kind, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as why:
        raise cannot_listen(host, port, why) from why


@contextmanager
def _noting(reasons: list[str]) -> Iterator[None]:
    try:
        yield
    except MdmError as why:
        reasons += str(why).splitlines()
