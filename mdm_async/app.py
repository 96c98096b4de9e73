"""Puts the rooms together, starts and stops them; the only file that knows them all."""

import asyncio
import ctypes
import functools
import secrets
import signal
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from mdm_async import logs
from mdm_async.blobs.local import LocalBlobs
from mdm_async.catalog import grants, installation, tokens
from mdm_async.catalog.database import Database, connect
from mdm_async.catalog.directory_lock import DirectoryLock
from mdm_async.catalog.embedded import EmbeddedPostgres
from mdm_async.catalog.migrate import migrate
from mdm_async.errors import UnsafeSettings
from mdm_async.identity.bearer import Bearer
from mdm_async.images.archive import Archive
from mdm_async.images.backfill import backfill_forever
from mdm_async.images.live import LiveGrants
from mdm_async.images.scrubbing import Scrubber
from mdm_async.images.served import BASIC_PROJECT, ServedViews
from mdm_async.images.sweep import sweep_forever
from mdm_async.keys import files
from mdm_async.keys.derive import PseudonymFinder
from mdm_async.keys.store import KeyStore
from mdm_async.keys.wrap import Wrapper
from mdm_async.names import Caller
from mdm_async.settings import Settings
from mdm_async.web.application import application
from mdm_async.web.certificate import Certificate
from mdm_async.web.house import House

_CIPHER_THREADS, _DISK_THREADS = 2, 8
_BODY_AHEAD = 256 << 10
"""Bytes of an upload that are taken from the socket while those before them are worked on; twice that at the most.
The more there are, the fewer jobs it takes."""
_M_ARENA_MAX = -8
"""From malloc.h."""
_FINDER = "/finder"
"""No project has a name like that."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What lies in DIR/secrets."""

    kek: bytes
    admin_token: str


async def serve(settings: Settings) -> None:
    """Run the server until SIGTERM or SIGINT, then drain it. Prints one line when it is ready."""
    logs.configure(settings.log)
    _share_freed_memory()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with running(settings) as house:
        print(f"mdm: ready at {_url(settings, house)}", flush=True)
        await stop.wait()
        _log.info("draining")


def _share_freed_memory() -> None:
    """Two malloc arenas (glibc), not one for each thread, which would keep the buffers of its last transfer."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[House]:
    """A server that listens, with its database, sweeper and watches; all of them end with the context."""
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(_locked(settings.data))
        own = _secrets(settings)
        target, postgres = await _database(stack, settings, lock)
        async with connect(target) as connection:
            await migrate(connection, "mdm_async.catalog")
            await migrate(connection, "mdm_async.keys")
        database = await stack.enter_async_context(Database.connect(target, pool_size=settings.database.pool))
        archive = await _archive(stack, settings, own, database)
        bearer = Bearer(own.admin_token, functools.partial(_caller_of, database))
        house = House(archive, LiveGrants(archive), bearer)
        tasks = await stack.enter_async_context(_background())
        tasks.append(asyncio.create_task(house.live.watch()))
        tasks.append(asyncio.create_task(sweep_forever(archive)))
        tasks.append(asyncio.create_task(backfill_forever(archive)))
        if postgres is not None:
            tasks.append(asyncio.create_task(postgres.supervise()))
        await _listen(stack, settings, house, tasks)
        yield house


def _locked(data: Path) -> DirectoryLock:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DirectoryLock(data)


def _secrets(settings: Settings) -> Secrets:
    directory = files.secrets_directory(settings.data)
    admin, made = files.read_or_create(directory / "admin.token", secrets.token_urlsafe(32))
    if made:
        _log.warning(
            "made an admin token; whoever reads it administers this server",
            file=str(directory / "admin.token"),
        )
    if settings.keys.kek is not None:
        return Secrets(files.decode_kek(settings.keys.kek.get_secret_value()), admin)
    kek, made = files.read_or_create(directory / "kek", files.fresh_kek())
    if made:
        _log.warning(
            "made a key-encryption key; back it up apart from the database", file=str(directory / "kek")
        )
    return Secrets(files.decode_kek(kek), admin)


async def _database(
    stack: AsyncExitStack, settings: Settings, lock: DirectoryLock
) -> tuple[str, EmbeddedPostgres | None]:
    if settings.database.dsn is not None:
        return settings.database.dsn.get_secret_value(), None
    postgres = await stack.enter_async_context(EmbeddedPostgres(settings.data, lock=lock))
    return postgres.dsn, postgres


async def _archive(stack: AsyncExitStack, settings: Settings, own: Secrets, database: Database) -> Archive:
    async with database.transaction() as db:
        keys = KeyStore(Wrapper(own.kek, await installation.identity(db)))
        await keys.prove(db)
        await keys.make_project_key(db, BASIC_PROJECT)
        finder = PseudonymFinder(await keys.make_project_key(db, _FINDER))
        await grants.keep_partitions(db)
    views = ServedViews(keys)
    async with database.acquire() as db:
        await views.refresh(db)
    disk = stack.enter_context(ThreadPoolExecutor(_DISK_THREADS, "disk"))
    return Archive(
        settings=settings,
        database=database,
        keys=keys,
        blobs=LocalBlobs(settings.data / "blobs", disk, settings.blobs.reserve_free),
        cipher=stack.enter_context(ThreadPoolExecutor(_CIPHER_THREADS, "cipher")),
        disk=disk,
        scrubber=stack.enter_context(Scrubber(settings.scrub)),
        views=views,
        finder=finder,
    )


async def _caller_of(database: Database, token: str) -> Caller | None:
    async with database.acquire() as db:
        return await tokens.caller_of(db, token)


@asynccontextmanager
async def _background() -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks that run beside the server; cancelled and awaited at the end."""
    tasks: list[asyncio.Task[None]] = []
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(
    stack: AsyncExitStack, settings: Settings, house: House, tasks: list[asyncio.Task[None]]
) -> None:
    runner = web.AppRunner(
        application(house),
        access_log=None,
        shutdown_timeout=min(settings.server.drain_seconds, 5.0),
        handler_cancellation=True,
        read_bufsize=_BODY_AHEAD,
    )
    await runner.setup()
    stack.push_async_callback(_drain, runner, house, settings.server.drain_seconds)
    house.port = await _site(runner, settings.server.host, settings.server.port)
    if settings.server.tls_cert is not None and settings.server.tls_key is not None:
        certificate = Certificate(settings.server.tls_cert, settings.server.tls_key)
        tasks.append(asyncio.create_task(certificate.watch()))
        house.tls_port = await _site(
            runner, settings.server.host, settings.server.tls_port, certificate.context
        )


async def _drain(runner: web.AppRunner, house: House, seconds: float) -> None:
    """Listen no more, let running transfers finish, then cut what is left."""
    house.draining = True
    for site in list(runner.sites):
        await site.stop()
    # aiohttp's own shutdown drops what uploads still send, so they are waited for before it begins.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await house.live.idle()
    await runner.cleanup()


async def _site(runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
    site = web.TCPSite(runner, host, port, ssl_context=context, backlog=1024)
    try:
        await site.start()
    except OSError as why:
        raise UnsafeSettings(
            f"cannot listen on {host}:{port}: {why.strerror}", remedy="choose another --port"
        ) from why
    address: tuple[str, int] = runner.addresses[-1][:2]
    return address[1]


def _url(settings: Settings, house: House) -> str:
    if settings.server.public_url is not None:
        return settings.server.public_url.rstrip("/")
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    if house.tls_port is not None:
        return f"https://{host}:{house.tls_port}"
    return f"http://{host}:{house.port}"
