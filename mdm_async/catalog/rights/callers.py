"""Callers as they were authenticated, kept with what they asked for: rights that change are looked at again."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Collection
from datetime import date
from typing import Any

import orjson

from mdm_async.errors import Unavailable
from mdm_async.names import Ability, Caller, Lfn, Scope, parse_rights
from mdm_async.postgres.database import Connection, Database

_REMEMBERED = 10_000
_BY_CONTENT = 1 << 62
"""Ids from here on are given by what a row says. Before, Postgres counted, and after a restore of an older database
would have given the number of one caller to another."""
_SEEN_AGAIN = 3600.0
"""Seconds until the catalog is told again that a caller is there."""


class Callers:
    """The callers of this node, each written to the catalog once, and once an hour as seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        """With when the catalog was told of it (`time.monotonic`)."""

    async def id_of(self, caller: Caller) -> int:
        """The row of this caller. It is committed before anything that names it, in a transaction of its own."""
        scopes = [_told(scope) for scope in caller.scopes]
        principals = sorted(caller.principals)
        said = [caller.name, principals, scopes, caller.limited]
        bound = _told(caller.bound) if caller.bound is not None else None
        digest = hashlib.sha256(orjson.dumps(said if bound is None else [*said, bound])).digest()
        known, told_at = self._ids.get(digest, (None, 0.0))
        now = time.monotonic()
        if known is None or now - told_at >= _SEEN_AGAIN:
            async with self._database.acquire() as db:
                await db.execute(
                    "update callers set seen = now() where digest = $1 and seen < now() - make_interval(secs => $2)",
                    digest,
                    _SEEN_AGAIN / 2,
                )
                await db.execute(
                    "insert into callers (id, digest, name, principals, scopes, limited, bound)"
                    " overriding system value values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
                    _BY_CONTENT | int.from_bytes(digest[:8], "big") >> 2,
                    digest,
                    caller.name,
                    principals,
                    scopes,
                    caller.limited,
                    bound,
                )
                # Told by an older version, it has another; kept as long as there is that row.
                known = await db.fetchval("select id from callers where digest = $1", digest)
            if known is None:
                raise Unavailable("another caller has this one's number", remedy="use another credential")
            self._ids[digest] = known, now
            if len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
        else:
            self._ids.move_to_end(digest)
        return int(known)

    async def get(self, ids: Collection[int]) -> dict[int, Caller]:
        async with self._database.acquire() as db:
            rows = await db.fetch(
                "select id, name, principals, scopes, limited, bound from callers where id = any($1::bigint[])",
                list(ids),
            )
        return {
            row["id"]: Caller(
                row["name"],
                frozenset(row["principals"]),
                tuple(_scope(told) for told in row["scopes"]),
                row["limited"],
                _scope(row["bound"]) if row["bound"] is not None else None,
            )
            for row in rows
        }


async def forget_unused(db: Connection, before: date, count: int) -> int:
    """Delete some whom no grant of that day or later can name; how many."""
    status = await db.execute(
        "delete from callers where id = any(array("
        "  select id from callers where seen < $1::date - interval '1 day' order by seen limit $2"
        "  for update skip locked))",
        before,
        count,
    )
    return int(status.split()[1])


def _told(scope: Scope) -> dict[str, Any]:
    views = sorted(scope.views) if scope.views is not None else None
    told: dict[str, Any] = {"path": scope.path, "rights": "".join(sorted(scope.rights)), "views": views}
    return told | {"also": sorted(scope.also)} if scope.also else told


def _scope(told: dict[str, Any]) -> Scope:
    views = frozenset(told["views"]) if told["views"] is not None else None
    also = frozenset(map(Ability, told.get("also", ())))
    return Scope(Lfn(told["path"]), parse_rights(told["rights"]), views, also)
