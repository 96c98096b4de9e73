"""The pool of connections to Postgres, and what its absence means to a request."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from mdm_async.errors import DatabaseFull, DatabaseReadOnly, MdmError, Unavailable
from mdm_async.held import holding, may_wait
from mdm_async.postgres import sqlstates
from mdm_async.postgres.looks import Looks
from mdm_async.postgres.migrate import migrate
from mdm_async.postgres.shown_locks import shown_locks
from mdm_async.postgres.turns import Turns

__all__ = ["Connection", "Database", "connect", "migrate"]

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection

_PLANNER = {
    # The same few statements, all by index: planning them each time costs more than running them.
    "plan_cache_mode": "force_generic_plan",
    # A plan made while a table is small is kept while it grows: reading all of it is for where there is no index.
    "enable_seqscan": "off",
    # Of a directory that fills the table, a page is read in the index's order, not sorted out of all.
    "enable_bitmapscan": "off",
    # Compiling one costs more than any of them.
    "jit": "off",
}

# What giving back or rolling back a broken connection may raise.
_ENDED = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


_WRITABLE = "select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'"
_GRACE = 5.0
"""Seconds that Postgres has to say that a statement's time is over, until it is taken to say nothing at all."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds after which Postgres ends a statement, its wait for a lock, and a transaction that does nothing."""

    statement: float = 25.0
    lock: float = 10.0
    idle: float = 60.0

    def as_settings(self) -> dict[str, str]:
        """What a session is begun with; Postgres counts in milliseconds, and takes 0 for no limit at all."""
        return {
            "statement_timeout": str(max(1, round(self.statement * 1000))),
            "lock_timeout": str(max(1, round(self.lock * 1000))),
            "idle_in_transaction_session_timeout": str(max(1, round(self.idle * 1000))),
        }


class _Ended:
    """Counts connections that have ended, whoever ended them."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, connection: "Connection") -> None:
        self.count += 1


class Database:
    """Connections to one Postgres database, shared by all requests of this node.

    Everything that means "Postgres cannot serve this now" is raised as Unavailable, by a class of its own where it is
    not away: DatabaseBusy, DatabaseReadOnly, DatabaseFull. Connections lost when Postgres restarts are replaced when
    they are next asked for.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        turns: Turns,
        timeouts: Timeouts,
        acquire_timeout: float,
        ended: "_Ended",
    ) -> None:
        self._pool = pool
        self.turns = turns
        self.timeouts = timeouts
        self._acquire_timeout = acquire_timeout
        self._ended = ended
        self._writable = Looks(self._look_whether_writable)
        self.full_at = float("-inf")
        """When (`time.monotonic`) Postgres last said that its disk is full."""

    def __repr__(self) -> str:
        return f"<Database {self._pool.get_size()} connections, {self._pool.get_idle_size()} idle>"

    @property
    def ended(self) -> int:
        """How many connections have ended: while it stays the same, Postgres has not crashed."""
        return self._ended.count

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        target: str | Mapping[str, Any],
        *,
        pool_size: int = 16,
        share: int | None = None,
        waiting: int = 1024,
        min_size: int = 1,
        timeouts: Timeouts = Timeouts(),
        acquire_timeout: float = 10.0,
    ) -> "AsyncIterator[Database]":
        """A pool open for the context. `target` is a DSN or asyncpg's keyword arguments; times in seconds.

        One caller has `share` of the connections at the most. So many requests `waiting` for one may be, each for
        `acquire_timeout`.
        """
        arguments = {"dsn": target} if isinstance(target, str) else dict(target)
        ended = _Ended()

        async def begin(connection: "Connection") -> None:
            await _teach_json(connection)
            connection.add_termination_listener(ended.note)

        with _told(connecting=True):
            pool = await asyncpg.create_pool(
                **arguments,
                min_size=min(min_size, pool_size),
                max_size=pool_size,
                command_timeout=timeouts.statement + _GRACE,
                server_settings=_PLANNER | timeouts.as_settings(),
                init=begin,
                reset=_leave_session,
            )
        try:
            turns = Turns(pool_size, pool_size if share is None else share, waiting)
            yield cls(pool, turns, timeouts, acquire_timeout, ended)
        finally:
            await _close(pool)

    @asynccontextmanager
    async def acquire(self) -> "AsyncIterator[Connection]":
        """A connection outside any transaction: each statement commits by itself.

        Leave the session as it was found (no SET, no LISTEN, no session lock): it is not reset for the next.
        """
        may_wait("another connection")
        async with self.turns.turn(self._acquire_timeout):
            with _told(connecting=True):
                # There is one for each turn: what is waited for is Postgres, if it has to be made.
                connection = await self._pool.acquire(timeout=self._acquire_timeout)
            try:
                with holding(), _told(connection):
                    yield connection
            except DatabaseFull:
                self.full_at = time.monotonic()
                raise
            except DatabaseReadOnly:
                await self.drop_connections()
                raise
            finally:
                # The pool ends a connection that cannot be given back in order; what its block did stands.
                with suppress(*_ENDED):
                    await self._pool.release(connection)

    async def drop_connections(self) -> None:
        """Those that there are, each as soon as it is given back: they lead to a server that is no primary any more."""
        await self._pool.expire_connections()

    async def demand_writable(self) -> None:
        """Raises Unavailable unless Postgres answers and takes changes. Anybody may ask, as often as they like."""
        await self._writable.since(time.monotonic())

    async def _look_whether_writable(self) -> None:
        async with self.acquire() as connection:
            if not await connection.fetchval(_WRITABLE):
                raise sqlstates.read_only()

    async def demand_room(self) -> None:
        """Return when Postgres can write a mebibyte, or when only the next change can tell. Raises DatabaseFull,
        Unavailable."""
        # Not everybody may make temporary tables.
        with suppress(asyncpg.InsufficientPrivilegeError):
            async with self.acquire() as connection, connection.transaction():
                await connection.execute(
                    "create temp table mdm_room (filler text) on commit drop;"
                    " alter table mdm_room alter filler set storage external;"
                    " insert into mdm_room select repeat('x', 65536) from generate_series(1, 16)"
                )

    @asynccontextmanager
    async def transaction(self, *, sync: bool = True) -> "AsyncIterator[Connection]":
        """A connection inside a transaction, committed when the block ends and rolled back when it raises.

        `sync=False` does not wait for the disk: a crash of Postgres within about half a second may lose
        it as a whole. Such a transaction cannot hold savepoints.
        """
        async with self.acquire() as connection:
            if sync:
                async with connection.transaction():
                    if shown := shown_locks.get():
                        tokens = "{" + ",".join(map(str, shown)) + "}"
                        await connection.execute("select set_config('mdm.lock_tokens', $1, true)", tokens)
                    yield connection
                return
            # In one round trip; asyncpg's own transaction would need two.
            try:
                await connection.execute("begin; set local synchronous_commit = off")
                yield connection
                await connection.execute("commit")
            except BaseException:
                await _roll_back(connection)
                raise

    @asynccontextmanager
    async def snapshot(self) -> "AsyncIterator[Connection]":
        """A connection whose queries all see the same moment, and change nothing."""
        async with (
            self.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


@asynccontextmanager
async def connect(target: str | Mapping[str, Any]) -> "AsyncIterator[Connection]":
    """One connection beside the pool, without a statement timeout: for migrations and long work."""
    arguments = {"dsn": target} if isinstance(target, str) else dict(target)
    with _told(connecting=True):
        connection = await asyncpg.connect(**arguments)
    try:
        await _teach_json(connection)
        with _told(connection):
            yield connection
    finally:
        await connection.close(timeout=10)


@contextmanager
def _told(connection: "Connection | None" = None, *, connecting: bool = False) -> "Iterator[None]":
    """Turn errors that mean "Postgres cannot serve this now" into what is told of them."""
    try:
        yield
    except MdmError:  # Some are an OSError too, and none of them says that Postgres is away.
        raise
    except asyncpg.PostgresError as error:
        if (told := sqlstates.meaning(error, connecting=connecting)) is None:
            raise
        raise told from error
    except TimeoutError as error:
        raise Unavailable(
            "the catalog's database does not answer in time", retry_after=sqlstates.RETRY_AFTER
        ) from error
    except asyncpg.InternalClientError as error:
        # Postgres has said that it ends this connection, and the end itself has not arrived yet; or of several
        # servers none is what the DSN asks for.
        if not connecting and "cannot switch to state" not in str(error):
            raise
        if connection is not None and not _is_lost(connection):
            connection.terminate()
        raise sqlstates.away() from error
    except (OSError, asyncpg.InterfaceError) as error:
        # On a live connection these are something else: a file of the caller's, a mistake in our code.
        if connection is not None and not _is_lost(connection):
            raise
        raise sqlstates.away() from error


async def _roll_back(connection: "Connection") -> None:
    """Roll back, or else end the connection: what the caller is told is why, not how."""
    try:
        await connection.execute("rollback")
    except _ENDED:
        if not _is_lost(connection):
            connection.terminate()


def _is_lost(connection: "Connection") -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has taken the broken connection back already
        return True


async def _teach_json(connection: "Connection") -> None:
    """json and jsonb as Python objects, through orjson."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),  # the version byte of jsonb's wire format
        decoder=lambda data: orjson.loads(data[1:]),
    )
    await connection.set_type_codec(
        "json", schema="pg_catalog", format="binary", encoder=orjson.dumps, decoder=orjson.loads
    )


async def _leave_session(connection: "Connection") -> None:
    """Nothing: the usual reset costs a round trip each time, and no code here changes its session."""


async def _close(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    try:
        async with asyncio.timeout(10):
            await pool.close()
    except TimeoutError:
        pool.terminate()
