"""What an error of Postgres's means to a request, by its SQLSTATE: away, busy, full, or taking no changes.

PostgreSQL, appendix A. What is none of these is a mistake of ours, or of what was asked for.
"""

import asyncpg

from mdm_async.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    IsMirror,
    Locked,
    MdmError,
    MirrorNotHeard,
    Unavailable,
)
from mdm_async.postgres.shown_locks import LOCKED

RETRY_AFTER = 2
"""Seconds, told to callers."""

_AWAY = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05"})
"""Shutting down, crashed, starting, dropped, ended for doing nothing."""
_CHANGED_ELSEWHERE = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
"""The first use of a statement whose tables another node's migration has just changed: the next try is fine."""
_BUSY = {
    "57014": "a statement took too long",  # query_canceled, by statement_timeout
    "55P03": "another transaction holds what is needed",  # lock_not_available, by lock_timeout
    "25P03": "a transaction stood still for too long",
    "25P04": "a transaction took too long",
    "40001": "two changes met",  # on a standby also: it had to go on with what the primary had done
    "40P01": "two changes waited for each other",
    "53000": "it is short of resources",
    "53200": "it is short of memory",
    "53300": "it takes no more connections",
    "53400": "a limit of its configuration is reached",
}
_CONNECTION_LOST = "08"
_DISK_FULL = "53100"
_READ_ONLY = "25006"
_UNCHANGEABLE = {"MD441": "follows", "MD442": "fenced", "MD443": "unheard"}
"""A change in a directory that follows another site's, or that another may be in place of; the mirror is named."""
_MIRRORED = "MD444"
"""A directory that a mirror, which is named, has by the same path, or one above it, would get another name or none."""
_MAY_NOT_ENTER = ("28", "3D")
"""No such role or password, no such database: of a server that was just there, the sign of another in its place."""


def meaning(error: BaseException, *, connecting: bool = False) -> MdmError | None:
    """What to tell a caller of an error of Postgres's; None when it is not that Postgres cannot serve now."""
    if isinstance(error, _CHANGED_ELSEWHERE):
        return busy("its tables have just been changed")
    if not isinstance(error, asyncpg.PostgresError):
        return None
    state = error.sqlstate or ""
    if state == LOCKED:
        return locked()
    if state in _UNCHANGEABLE:
        return unchangeable(_UNCHANGEABLE[state], str(error))
    if state == _MIRRORED:
        return Conflict(
            f"a second site follows it, or what lies in it, by the same path, as the mirror {str(error)!r}",
            remedy=f"an administrator ends that first: mdm mirror stop {error}",
        )
    if state[:2] == _CONNECTION_LOST or state in _AWAY:
        return away()
    if connecting and state.startswith(_MAY_NOT_ENTER):
        return Unavailable("the catalog's database lets nobody in", retry_after=RETRY_AFTER)
    if state == _DISK_FULL:
        return DatabaseFull(remedy="free space on it", retry_after=RETRY_AFTER)
    if state == _READ_ONLY:
        return read_only()
    return busy(_BUSY[state]) if state in _BUSY else None


def locked() -> Locked:
    return Locked(
        "somebody has locked it, or what it lies in",
        remedy="wait until the lock is given up or ends, or send its token: If: (<token>)",
    )


def unchangeable(why: str, name: str) -> MdmError:
    """What is told to whoever would change something in a directory that follows another site's (`follows`), or that
    another may be in place of."""
    if why == "follows":
        return IsMirror(
            f"this directory follows another site's as the mirror {name!r}, and is changed there only",
            remedy=f"change it there; when that site is lost, an administrator says here: mdm mirror promote {name}",
        )
    if why == "fenced":
        return IsMirror(
            f"the mirror {name!r} of this directory was promoted, and is what counts",
            remedy=f"change it at that site; mdm mirror status, mdm mirror stop {name} --diverge",
        )
    return MirrorNotHeard(
        f"the server was just started, and its mirror {name!r} has not said yet that it follows still",
        remedy=f"try again; when the mirror is lost, an administrator says: mdm mirror stop {name}",
        retry_after=RETRY_AFTER,
    )


def away() -> Unavailable:
    return Unavailable("the catalog's database is away", retry_after=RETRY_AFTER)


def busy(why: str) -> DatabaseBusy:
    return DatabaseBusy(f"the catalog's database is busy: {why}", remedy="try again", retry_after=1)


def read_only() -> DatabaseReadOnly:
    return DatabaseReadOnly(
        "the catalog's database takes no changes",
        remedy="point database.dsn at the primary, or end what makes it read-only",
        retry_after=RETRY_AFTER,
    )
