"""The life-cycle of an embedded Postgres: a database server of our own, below a directory of our own.

Only the operating system user that runs this server may connect (peer authentication): as `mdm`, which owns
the databases, or as the superuser `postgres`, for repairs. Linux only.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import structlog

from mdm_async.errors import MdmError, Unavailable
from mdm_async.postgres.database import connect
from mdm_async.postgres.directory_lock import DirectoryLock
from mdm_async.postgres.embedded.ballast import Ballast
from mdm_async.postgres.embedded.binaries import PostgresBinaries, installed_binaries
from mdm_async.postgres.embedded.cluster_directory import (
    DATABASE,
    PORT,
    ROLE,
    SOCKET,
    SUPERUSER,
    PostgresDirectory,
)
from mdm_async.postgres.embedded.postmaster import Cluster, PidFile, Process, check_system
from mdm_async.postgres.embedded.system_user import postgres_user

QUIET_LIMIT = 600.0  # seconds a start may go on with nothing new in the log (recovery reports every ten)
START_LIMIT = 6 * 3600.0  # seconds
STOP_PATIENCE = 60.0  # seconds for a fast shutdown, which writes a checkpoint
LOOK_AT_LOG = 60.0  # seconds

# What users send must not reach the log: an SQL error's text, statement and details can quote patient data.
# log_min_messages=log drops ERROR, which the client gets anyway, and keeps LOG, FATAL and PANIC.
PRIVATE_LOG = {
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_line_prefix": "%m [%p] ",
    "log_startup_progress_interval": "10s",
    "logging_collector": "off",
}
TUNING = {"shared_buffers": "128MB", "max_connections": "100", "timezone": "UTC", "log_timezone": "UTC"}

log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """A Postgres server below `directory`, running while the context is open.

    One that a killed server left running is adopted, with the settings it was started with. `settings` are
    Postgres's own, put before TUNING; `lock` is the directory's lock if the caller holds it, `ballast` what is given
    up whenever it starts on a full disk. Entering raises
    Unavailable when the directory is in use or Postgres does not start, UnsafeSettings when it may not.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        lock: DirectoryLock | None = None,
        ballast: Ballast | None = None,
        binaries: PostgresBinaries | None = None,
    ) -> None:
        self.directory = directory
        self._settings = TUNING | dict(settings or {}) | PRIVATE_LOG
        self._lock = lock
        self.ballast = ballast
        self._own_lock: DirectoryLock | None = None
        self._binaries = binaries
        self._postmaster: Process | None = None
        self._stopping = False
        self._files: PostgresDirectory
        self._cluster: Cluster
        self.socket_directory: Path

    def __repr__(self) -> str:
        return f"<EmbeddedPostgres {self.directory} {self._postmaster}>"

    @property
    def dsn(self) -> str:
        """How to connect to the database `mdm`; asyncpg, psql and pg_dump take it. It holds no secret."""
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str, role: str = ROLE) -> str:
        where = urlencode({"host": str(self.socket_directory), "port": PORT})
        return f"postgresql://{role}@/{database}?{where}"

    @property
    def pid(self) -> int | None:
        """The postmaster's, while it runs."""
        return self._postmaster.pid if self._postmaster is not None else None

    async def __aenter__(self) -> Self:
        self._stopping = False
        try:
            await _to_the_end(self._prepare)
            await self._start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        try:
            await self._stop()
        finally:
            await _to_the_end(self._release)

    async def supervise(self) -> None:
        """Start Postgres again whenever it ends unasked, and keep its log short. Runs until cancelled."""
        pause = 1.0
        while not self._stopping:
            if self._postmaster is not None and not await self._postmaster.ended_within(LOOK_AT_LOG):
                await asyncio.to_thread(self._files.log.shorten)
                pause = 1.0
                continue
            if self._stopping:
                return
            log.error("Postgres ended unasked; starting it again", log=str(self._files.log.path))
            try:
                await self._start()
            except (MdmError, OSError) as error:
                log.error("Postgres does not start", error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 60.0)

    def _prepare(self) -> None:
        check_system()
        self.directory = self.directory.resolve()
        if self._lock is None:
            lock = DirectoryLock(self.directory)
            lock.acquire()
            self._own_lock = lock
        self._trim_ballast()
        user = postgres_user()
        user.open_way(self.directory)
        binaries = self._binaries or installed_binaries()
        if not binaries.usable_by(user):
            binaries = binaries.copied_below(self.directory)
        self._files = PostgresDirectory(self.directory, user, binaries)
        self._cluster = Cluster(self._files.data, user.uid, f"mdm-{self._files.fingerprint}")
        self._files.check()
        self.socket_directory = self._files.make_socket_directory()
        self._files.write_access_rules()
        if not self._files.data.exists():
            self._files.make_data()

    async def _start(self) -> None:
        if self._postmaster is not None:
            self._postmaster.close()
            self._postmaster = None
        await _to_the_end(self._adopt_or_launch)
        await self._until_ready()
        await self._make_database()

    def _trim_ballast(self) -> None:
        if self.ballast is not None:
            self.ballast.trim()

    def _adopt_or_launch(self) -> None:
        files = self._files
        self._trim_ballast()
        self._postmaster = running = self._cluster.find_postmaster(files.binaries.postgres)
        if running is not None:
            found = PidFile.read(files.data)
            if found is not None and found.socket_directory:
                self.socket_directory = Path(found.socket_directory)
            log.info("adopted a running Postgres", data=str(files.data), pid=running.pid)
            return
        self._cluster.end_orphans()
        # The lock file beside the socket holds a pid too, which may be a stranger's by now.
        for name in (SOCKET, f"{SOCKET}.lock"):
            (self.socket_directory / name).unlink(missing_ok=True)
        files.log.shorten()
        fixed = {
            "listen_addresses": "",
            "unix_socket_directories": '"' + str(self.socket_directory).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "cluster_name": self._cluster.name,
            "hba_file": str(files.access_rules),
            "ident_file": str(files.names),
        }
        settings = [f"--{name}={value}" for name, value in (self._settings | fixed).items()]
        child = files.run(str(files.binaries.postgres), "-D", str(files.data), *settings)
        log.info("started Postgres", data=str(files.data), pid=child.pid)
        self._postmaster = Process(child.pid, child)

    async def _until_ready(self) -> None:
        """Wait as long as it lives and its log grows: recovery after a crash may take minutes or more."""
        assert self._postmaster is not None
        postmaster, output = self._postmaster, self._files.log
        began = spoke = time.monotonic()
        size = -1
        while True:
            found, grown = await asyncio.to_thread(lambda: (PidFile.read(self._files.data), output.size()))
            if found is not None and found.pid == postmaster.pid and found.ready:
                return
            if await postmaster.ended_within(0.02):
                problem = "did not start"
                break
            now = time.monotonic()
            if grown != size:
                size, spoke = grown, now
            if now - spoke > QUIET_LIMIT or now - began > START_LIMIT:
                problem = f"has not started in {now - began:.0f} s"
                break
        said = await asyncio.to_thread(output.last_lines)
        raise Unavailable(f"Postgres {problem}: {said}", remedy=f"see {output.path}")

    async def _make_database(self) -> None:
        """The role `mdm`, which may make more databases and nothing else, and its database; when missing."""
        async with connect(self.dsn_of("postgres", SUPERUSER)) as connection:
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", ROLE):
                await connection.execute(f"create role {ROLE} login createdb")
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE} owner {ROLE}")

    async def _stop(self) -> None:
        self._stopping = True
        postmaster = self._postmaster
        if postmaster is None:
            return
        fast, immediate, kill = signal.SIGINT, signal.SIGQUIT, signal.SIGKILL
        for number, patience in ((fast, STOP_PATIENCE), (immediate, 10.0), (kill, 10.0)):
            postmaster.send(number)
            if await postmaster.ended_within(patience):
                break
            log.warning("Postgres does not stop", pid=postmaster.pid, signal=number.name, waited=patience)
        postmaster.close()
        self._postmaster = None

    def _release(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # not made yet; not empty, or gone
            self.socket_directory.rmdir()
        if self._own_lock is not None:
            self._own_lock.release()
            self._own_lock = None


async def _to_the_end(work: Callable[[], None]) -> None:
    """Run `work` in a thread. A thread cannot be cancelled, so cancelling this waits until it is done."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # retrieved; the cancellation matters more
        raise
