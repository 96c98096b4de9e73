"""ACLs as they are kept: each set of rules once, under its digest; and which entries have which."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson

from mdm_async.catalog.namespace.entries import COLUMNS, Entry, entry_of
from mdm_async.postgres.database import Connection
from mdm_async.rules import Rules


@dataclass(frozen=True, slots=True)
class Own:
    """The ACLs that an entry is to have of its own; None: it inherits."""

    entry: int
    acl: int | None
    default: int | None


async def lock(db: Connection) -> None:
    """Let nobody else change rights until the transaction ends: what is read from here on stands."""
    await db.execute("select pg_advisory_xact_lock(hashtext('mdm rights'))")


async def intern(db: Connection, acls: Collection[Rules]) -> dict[Rules, int]:
    """The ids of ACLs with these rules (canonical), made where there are none."""
    found: dict[Rules, int] = {}
    for rules in set(acls):
        told = as_told(rules)
        digest = hashlib.sha256(orjson.dumps(told)).digest()
        await db.execute(
            "insert into acls (rules, digest) values ($1, $2) on conflict (digest) do nothing", told, digest
        )
        found[rules] = await db.fetchval("select id from acls where digest = $1", digest)
    return found


async def assign(db: Connection, owned: Sequence[Own]) -> None:
    """Give entries their own ACLs, locked in one order; those that have gone meanwhile are passed over."""
    await db.execute(
        "select from entries where id = any($1::bigint[]) order by id for no key update",
        [one.entry for one in owned],
    )
    await db.execute(
        "update entries e set acl = w.acl, default_acl = w.standard"
        " from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as w (id, acl, standard) where e.id = w.id",
        [one.entry for one in owned],
        [one.acl for one in owned],
        [one.default for one in owned],
    )


async def owners_below(db: Connection, directory: int) -> list[int]:
    """The entries below a directory that have ACLs of their own, those above others first."""
    rows = await db.fetch(
        "with recursive below as ("
        "  select id, 0 as depth from entries where id = $1"
        "  union all select e.id, b.depth + 1 from below b cross join lateral ("
        "    select id from entries where is_directory and case when is_directory then parent end = b.id offset 0) e"
        ") select e.id from below b cross join lateral ("
        "    select id from entries where parent = b.id and (acl is not null or default_acl is not null) offset 0) e"
        " order by b.depth, e.id",
        directory,
    )
    return [row["id"] for row in rows]


async def ancestors(db: Connection, ids: Collection[int]) -> dict[int, list[Entry]]:
    """The directories above each entry, the nearest first."""
    rows = await db.fetch(
        "with recursive up as ("
        "  select id as origin, parent, 0 as height from entries where id = any($1::bigint[])"
        "  union all select up.origin, e.parent, up.height + 1 from up cross join lateral ("
        "    select parent from entries where id = up.parent offset 0) e"
        f") select up.origin, e.* from up cross join lateral ("
        f"    select {COLUMNS} from entries where id = up.parent offset 0) e order by up.origin, up.height",
        list(set(ids)),
    )
    above: dict[int, list[Entry]] = {id_: [] for id_ in ids}
    for row in rows:
        above[row["origin"]].append(entry_of(row))
    return above


async def set_delivery(db: Connection, directory: int, delivery: dict[str, str] | None) -> None:
    """What a directory says of how views leave; None: nothing."""
    await db.execute("update entries set delivery = $2 where id = $1", directory, delivery)


def as_told(rules: Rules) -> list[dict[str, object]]:
    """As `places.rules_of` reads them."""
    return [
        {"principal": one.principal, "rights": one.rights}
        | ({"views": list(one.views)} if one.views is not None else {})
        for one in rules
    ]
