"""What a server has of its own before anything of it runs: its directory, and the Postgres that comes along."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from mdm_async import installed
from mdm_async.keys import files
from mdm_async.postgres.directory_lock import DirectoryLock
from mdm_async.postgres.embedded.ballast import Ballast
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from mdm_async.postgres.lanes import most_connections
from mdm_async.settings import Settings, part_of, processes_of

_FEWEST, _BESIDE = 100, 20
"""Connections."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ground:
    """`target`: the database's DSN. `postgres`: the embedded one, if it is that."""

    lock: DirectoryLock
    target: str
    postgres: EmbeddedPostgres | None


@asynccontextmanager
async def taken(settings: Settings) -> AsyncIterator[Ground]:
    """For this server alone, as long as the context. Raises Unavailable, UnsafeSettings."""
    installed.demand_there(settings)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with DirectoryLock(settings.data) as lock:
        if settings.database.dsn is not None:
            yield Ground(lock, settings.database.dsn.get_secret_value(), None)
            return
        apart = settings.database_directory.absolute() != settings.data.absolute()
        own = settings.database
        ballast = Ballast(settings.database_directory / "ballast", own.ballast, own.reserve_free)
        room = {"max_connections": str(_connections(settings))}
        postgres = EmbeddedPostgres(
            settings.database_directory, settings=room, lock=None if apart else lock, ballast=ballast
        )
        async with postgres:
            yield Ground(lock, postgres.dsn, postgres)


def _connections(settings: Settings) -> int:
    """That the embedded Postgres takes: those of all processes of this server, and of commands beside it."""
    count = processes_of(settings)
    return max(_FEWEST, count * most_connections(part_of(settings, 1, count).database) + _BESIDE)


def admin_token(settings: Settings) -> str:
    """Made when it is missing."""
    file = files.secrets_directory(settings.secrets_directory) / "admin.token"
    token, made = files.read_or_create(file, secrets.token_urlsafe(32))
    if made:
        _log.warning("made an admin token; whoever reads it administers this server", file=str(file))
    return token
