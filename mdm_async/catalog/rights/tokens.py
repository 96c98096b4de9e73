"""Local tokens: bearer credentials with rights on a path, kept as hashes only."""

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from mdm_async.catalog.rights import macaroons
from mdm_async.catalog.trail import acts
from mdm_async.errors import Exists, NotFound
from mdm_async.names import ANYONE, AUTHENTICATED, Caller, Credential, Lfn, Scope, parse_rights
from mdm_async.postgres.database import Connection


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def create(db: Connection, by: Caller, name: str, scope: Scope, lifetime: int | None) -> str:
    """A new token's text, told this once. `lifetime` in seconds. Raises Exists when the name is in use."""
    token = secrets.token_urlsafe(32)
    rights = "".join(sorted(scope.rights))
    views = sorted(scope.views) if scope.views is not None else None
    try:
        await db.execute(
            "insert into tokens (hash, name, rights, path, views, expires)"
            " values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
            digest(token),
            name,
            rights,
            scope.path,
            views,
            lifetime,
        )
    except asyncpg.UniqueViolationError:
        raise Exists(
            "a token of that name is in use", remedy="revoke it first, or choose another name"
        ) from None
    details = {"token": name, "rights": rights, "views": views}
    await acts.record(db, [acts.Act(by, "token create", details=details)])
    return token


async def revoke(db: Connection, by: Caller, name: str) -> None:
    """Ends the token, the macaroons that it made and, within a second, the transfers it started. Raises NotFound."""
    token = await db.fetchval(
        "update tokens set revoked = now() where name = $1 and macaroon is null and revoked is null returning id",
        name,
    )
    if token is None:
        raise NotFound("no live token has that name")
    await macaroons.revoke_made_by(db, token)
    await acts.record(db, [acts.Act(by, "token revoke", details={"token": name})])


async def is_revoked(db: Connection, token: int) -> bool:
    """Whether this token, which was shown before, has been revoked since."""
    return bool(await db.fetchval("select revoked is not null from tokens where id = $1", token))


async def listing(db: Connection) -> list[dict[str, Any]]:
    """All tokens without their secrets, newest first."""
    rows = await db.fetch(
        "select name, rights, path, views, created, expires, revoked from tokens"
        " where macaroon is null order by id desc"
    )
    return [{key: _plain(value) for key, value in row.items() if value is not None} for row in rows]


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose token was shown, and for how many seconds more it is one."""

    caller: Caller
    life: float


async def shown(db: Connection, token: str) -> Shown | None:
    """None when it is unknown, expired or revoked."""
    row = await db.fetchrow(f"{_SELECT} and hash = $1", digest(token))
    return _shown(row) if row is not None else None


async def of_row(db: Connection, token: int) -> Caller | None:
    """Whose token has this row; None when it is expired or revoked."""
    row = await db.fetchrow(f"{_SELECT} and id = $1", token)
    return _shown(row).caller if row is not None else None


_SELECT = (
    "select id, name, rights, path, views, expires, extract(epoch from expires - now())::float8 as life from tokens"
    " where macaroon is null and revoked is null and (expires is null or expires > now())"
)


def _shown(row: asyncpg.Record) -> Shown:
    views = frozenset(row["views"]) if row["views"] is not None else None
    scope = Scope(Lfn(row["path"]), parse_rights(row["rights"]), views)
    principal = f"user:{row['name']}"
    until = row["expires"].timestamp() if row["expires"] is not None else None
    principals = frozenset({principal, AUTHENTICATED, ANYONE})
    caller = Caller(
        principal, principals, (scope,), until=until, token=row["id"], credential=Credential.LOCAL_TOKEN
    )
    return Shown(caller, row["life"] if row["life"] is not None else math.inf)


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
