"""Callers as they were authenticated, kept with what they asked for: rights that change are looked at again."""

import hashlib
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import orjson

from mdm_async.errors import Unavailable
from mdm_async.names import Ability, Caller, Lfn, Scope, parse_rights
from mdm_async.postgres.database import Database

_REMEMBERED = 10_000
_BY_CONTENT = 1 << 62
"""Ids from here on are given by what a row says. Before, Postgres counted, and after a restore of an older database
would have given the number of one caller to another."""


class Callers:
    """The callers of this node, each written to the catalog once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: OrderedDict[bytes, int] = OrderedDict()

    async def id_of(self, caller: Caller) -> int:
        """The row of this caller. It is committed before anything that names it, in a transaction of its own."""
        scopes = [_told(scope) for scope in caller.scopes]
        principals = sorted(caller.principals)
        told = [caller.name, principals, scopes, caller.limited]
        bound = _told(caller.bound) if caller.bound is not None else None
        digest = hashlib.sha256(orjson.dumps(told if bound is None else [*told, bound])).digest()
        known = self._ids.get(digest)
        if known is None:
            async with self._database.acquire() as db:
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
            self._ids[digest] = known
            if len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
        else:
            self._ids.move_to_end(digest)
        return known

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


def _told(scope: Scope) -> dict[str, Any]:
    views = sorted(scope.views) if scope.views is not None else None
    told: dict[str, Any] = {"path": scope.path, "rights": "".join(sorted(scope.rights)), "views": views}
    return told | {"also": sorted(scope.also)} if scope.also else told


def _scope(told: dict[str, Any]) -> Scope:
    views = frozenset(told["views"]) if told["views"] is not None else None
    also = frozenset(map(Ability, told.get("also", ())))
    return Scope(Lfn(told["path"]), parse_rights(told["rights"]), views, also)
