"""ACLs given to entries straight in the catalog, for tests of what then follows."""

from secrets import token_hex
from typing import Any

import orjson

from mdm_async.catalog.namespace import places
from mdm_async.names import Lfn
from mdm_async.postgres.database import Connection
from tests.conftest import Server

Rules = list[dict[str, Any]]


def rule(principal: str, rights: str, views: list[str] | None = None) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | ({"views": views} if views is not None else {})


async def give(server: Server, lfn: str, rules: Rules | None, default: Rules | None = None) -> None:
    """An entry's own ACL, and its default ACL; None: it has none."""
    async with server.house.database.transaction() as db:
        place = await places.resolve_one(db, Lfn(lfn))
        assert place.entry is not None
        await db.execute(
            "update entries set acl = $2, default_acl = $3 where id = $1",
            place.entry.id,
            await _kept(db, rules),
            await _kept(db, default),
        )


async def _kept(db: Connection, rules: Rules | None) -> int | None:
    if rules is None:
        return None
    acl: int = await db.fetchval(
        "insert into acls (rules, digest) values ($1, $2)"
        " on conflict (digest) do update set rules = excluded.rules returning id",
        rules,
        orjson.dumps(rules),
    )
    return acl


async def user(server: Server) -> tuple[str, str]:
    """A new principal without any right, and its token."""
    name = f"u{token_hex(6)}"
    return f"user:{name}", await server.token("", name=name)
