"""Macaroons as the catalog knows them: tokens without rights of their own, each with its root key, wrapped."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_async.catalog.trail import acts
from mdm_async.errors import NotFound, TooManyRequests, Unauthenticated
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection

_LIVE = "macaroon is not null and revoked is null and expires > now()"


@dataclass(frozen=True, slots=True, repr=False)
class Stored:
    """The row of one that is neither expired nor revoked, nor is the local token that made it."""

    token: int
    root_key: bytes
    """Wrapped."""
    maker: str
    shown: bytes
    expires: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What its maker and administrators are told of one."""

    macaroon: UUID
    maker: str
    caveats: Sequence[str]
    created: datetime
    expires: datetime
    revoked: datetime | None


async def create(
    db: Connection, by: Caller, macaroon: UUID, root_key: bytes, shown: bytes, caveats: Sequence[str],
    seconds: float, most: int,
) -> None:  # fmt: skip
    """Keep a new one, valid for so many seconds. Raises TooManyRequests when `most` of this maker's are live.

    Raises Unauthenticated when the local token that makes it has just been revoked. Whoever revokes that one ends all
    that it made (`revoke_made_by`): none may be in the making meanwhile, unseen.
    """
    if by.token is not None and not await db.fetchval(
        "select true from tokens where id = $1 and revoked is null for share", by.token
    ):
        raise Unauthenticated("the token was revoked", remedy="use another credential")
    full = await db.fetchval(
        f"select exists (select from tokens where maker = $1 and {_LIVE} order by expires offset $2)",
        by.name,
        most - 1,
    )
    if full:
        raise TooManyRequests(
            f"{by.name} has {most} macaroons that have not expired",
            remedy="ask for shorter ones, one for a directory, or revoke some: mdm macaroon revoke",
            retry_after=60,
        )
    # Its hash is of nothing that anybody knows: nobody shows it as a local token.
    await db.execute(
        "insert into tokens (hash, name, rights, path, expires, macaroon, root_key, maker, shown, by_token, caveats)"
        " values ($1, $2, '', '/', now() + make_interval(secs => $3), $4, $5, $6, $7, $8, $9)",
        secrets.token_bytes(32),
        f"macaroon {macaroon}",
        seconds,
        macaroon,
        root_key,
        by.name,
        shown,
        by.token,
        list(caveats),
    )
    # Not the caveats: a path is a name that users type.
    details = {"macaroon": str(macaroon), "seconds": int(seconds)}
    await acts.record(db, [acts.Act(by, "macaroon create", details=details)])


async def find(db: Connection, macaroon: UUID) -> Stored | None:
    row = await db.fetchrow(
        "select m.id as token, m.root_key, m.maker, m.shown, m.expires"
        " from tokens m left join tokens t on t.id = m.by_token"
        " where m.macaroon = $1 and m.revoked is null and m.expires > now()"
        " and t.revoked is null and (t.expires is null or t.expires > now())",
        macaroon,
    )
    return Stored(**row) if row is not None else None


_MADE_BY = "({0}::text is null or (maker = {0} and by_token is not distinct from {1}::bigint))"
"""Another local token of the same name is another's."""


async def listing(db: Connection, maker: Caller | None, count: int) -> list[Told]:
    """Those that have not expired, newest first; of one maker, or of all."""
    rows = await db.fetch(
        "select macaroon, maker, caveats, created, expires, revoked from tokens"
        f" where macaroon is not null and expires > now() and {_MADE_BY.format('$1', '$2')}"
        " order by id desc limit $3",
        maker.name if maker is not None else None,
        maker.token if maker is not None else None,
        count,
    )
    return [Told(**row) for row in rows]


async def revoke(db: Connection, by: Caller, macaroon: UUID, maker: Caller | None) -> None:
    """End one, and within a second the transfers that it started. `maker`: only if it is theirs. Raises NotFound."""
    status = await db.execute(
        "update tokens set revoked = now()"
        f" where macaroon = $1 and revoked is null and {_MADE_BY.format('$2', '$3')}",
        macaroon,
        maker.name if maker is not None else None,
        maker.token if maker is not None else None,
    )
    if status == "UPDATE 0":
        raise NotFound("no live macaroon has that id")
    await acts.record(db, [acts.Act(by, "macaroon revoke", details={"macaroon": str(macaroon)})])


async def revoke_made_by(db: Connection, token: int) -> None:
    """End all that a local token made."""
    await db.execute(
        "update tokens set revoked = now() where by_token = $1 and macaroon is not null and revoked is null",
        token,
    )


async def forget_expired(db: Connection, count: int) -> int:
    """Delete some that expired a day ago, when nothing that they started runs any more; how many."""
    status = await db.execute(
        "delete from tokens where id = any(array("
        "  select id from tokens where macaroon is not null and expires < now() - interval '1 day'"
        "  order by expires limit $1 for update skip locked))",
        count,
    )
    return int(status.split()[1])
