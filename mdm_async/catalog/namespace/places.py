"""Places: where a name leads, with all that the decision point needs to know there.

Rights, the default view and the delivery policy are inherited at read time. The ACL in force at an entry is its own,
or else what the nearest ancestor hands down: that one's default ACL, or its own when it has no separate default.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

import asyncpg

from mdm_async.catalog.namespace.entries import COLUMNS, Entry, entry_of
from mdm_async.names import BASIC, ROOT, Lfn, View, join
from mdm_async.postgres.database import Connection
from mdm_async.rules import Rule


@dataclass(frozen=True, slots=True)
class Acl:
    """Rules under the id that they are kept by."""

    id: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an LFN leads: its entry, or the nearest ancestor that exists, with what is inherited there."""

    lfn: Lfn
    entry: Entry | None
    ancestor: Entry
    missing: int
    """How many components of the LFN do not exist; 0 when `entry` is set."""
    acl: Acl
    """In force at the entry; of a missing one, what it would inherit."""
    inherited: Acl
    """What an entry here has without an ACL of its own."""
    heritage: Acl
    """What entries below inherit."""
    path: tuple[Acl, ...]
    """In force at the directories above, the root first: for the right to traverse. The last is that of the directory
    that holds the name; of those before it, one that says the same as the next two is left out."""
    default_view: View
    delivery: Mapping[str, str]
    """By kind of view (`identified`, `deidentified`), as far as directories say."""
    way: tuple[int, ...]
    """The ids of the entries that lead here, from the root down to its own or the nearest that there is."""
    newest_acl: int
    """The id of the newest ACL when this was read."""

    @property
    def only_view(self) -> View | None:
        return self.entry.only_view if self.entry is not None else None

    @property
    def parent(self) -> Entry | None:
        """The directory that would hold a missing entry, when only its last component is missing."""
        return self.ancestor if self.missing == 1 and self.ancestor.is_directory else None

    def child(
        self, name: str, entry: Entry | None, own: Acl | None = None, default: Acl | None = None
    ) -> Self:
        """The place of what is in this directory under that name, or would be; `own` and `default` are its ACLs."""
        view = (entry.only_view or entry.default_view) if entry is not None else None
        acl = own or self.heritage
        return replace(
            self,
            lfn=join(self.lfn, name),
            entry=entry,
            ancestor=entry or self.ancestor,
            missing=0 if entry is not None else self.missing + 1,
            acl=acl,
            inherited=self.heritage,
            heritage=default or acl,
            path=_onward(self.path, self.acl),
            default_view=view or self.default_view,
            delivery={**self.delivery, **(entry.delivery or {})} if entry is not None else self.delivery,
            way=(*self.way, entry.id) if entry is not None else self.way,
        )


def _onward(path: tuple[Acl, ...], here: Acl) -> tuple[Acl, ...]:
    """One directory further down. Twice the same says all: the last is the directory's, those before bar the way."""
    return path if [acl.id for acl in path[-2:]] == [here.id, here.id] else (*path, here)


NEWEST_ACL = "(select id from acls where id > 0 order by id desc limit 1)"

# Every step is one look into an index, whatever Postgres believes about the table: a lateral join with a limit
# leaves it no other way, and the plan is as good for a table that was empty when it was made.
_RESOLVE = """
with recursive walk as (
    select p.ord, string_to_array(ltrim(p.path, '/'), '/') as names, 0 as depth, e.id, '{}'::bigint[] as path,
        e.acl as here, e.acl as inherited, coalesce(e.default_acl, e.acl) as heritage, e.default_view as view,
        e.delivery, array[e.id] as way
    from unnest($1::text[]) with ordinality as p (path, ord)
        cross join (select * from entries where parent is null and name = '' limit 1) e
    union all
    select k.ord, k.names, k.depth + 1, e.id,
        case when k.here = k.path[cardinality(k.path)] and k.here = k.path[cardinality(k.path) - 1] then k.path
            else k.path || k.here end,
        coalesce(e.acl, k.heritage), k.heritage, coalesce(e.default_acl, e.acl, k.heritage),
        coalesce(e.default_view, k.view),
        case when e.delivery is null then k.delivery else coalesce(k.delivery, '{}') || e.delivery end,
        k.way || e.id
    from walk k cross join lateral (
        select id, acl, default_acl, default_view, delivery from entries
        where parent = k.id and name = k.names[k.depth + 1] limit 1
    ) e
), ends as (
    select distinct on (ord) * from walk order by ord, depth desc
)
select k.depth, cardinality(k.names) as length, k.way, k.path, k.here, k.inherited, k.heritage, k.view,
    k.delivery as in_force, e.*,
    -- All ACLs on all paths, told once.
    case k.ord when 1 then (
        select jsonb_object_agg(a.id, a.rules)
        from (select distinct unnest(path || here || heritage || inherited) as id from ends) wanted
            cross join lateral (select id, rules from acls where id = wanted.id limit 1) a
    ) end as rules,
    case k.ord when 1 then {NEWEST} end as newest_acl
from ends k cross join lateral (
    select {COLUMNS} from entries where id = k.id limit 1
) e
order by k.ord
""".replace("{COLUMNS}", COLUMNS).replace("{NEWEST}", NEWEST_ACL)


async def resolve(db: Connection, lfns: Sequence[Lfn]) -> list[Place]:
    """All LFNs with their ancestors' ACLs, in one query, in the order given."""
    rows = await db.fetch(_RESOLVE, list(lfns))
    if not rows:
        return []
    acls = _acls(rows[0]["rules"])
    newest = rows[0]["newest_acl"]
    return [_place(lfn, row, acls, newest) for lfn, row in zip(lfns, rows, strict=True)]


async def resolve_one(db: Connection, lfn: Lfn) -> Place:
    return (await resolve(db, [lfn]))[0]


def _place(lfn: Lfn, row: asyncpg.Record, acls: Mapping[int, Acl], newest: int) -> Place:
    entry = entry_of(row)
    found = row["depth"] == row["length"]
    heritage = acls[row["heritage"]]
    path = tuple(acls[acl] for acl in row["path"])
    here = acls[row["here"]]
    if not found:
        path = _onward(path, here)
    return Place(
        lfn=lfn,
        entry=entry if found else None,
        ancestor=entry,
        missing=row["length"] - row["depth"],
        acl=here if found else heritage,
        inherited=acls[row["inherited"]] if found else heritage,
        heritage=heritage,
        path=path,
        default_view=View((row["only_view"] if found else None) or row["view"] or BASIC),
        delivery=row["in_force"] or {},
        way=tuple(row["way"]),
        newest_acl=newest,
    )


async def of_entries(db: Connection, ids: Collection[int]) -> dict[int, Place]:
    """The places of entries by their ids, in one query; those that are gone are missing."""
    return of_rows(await db.fetch(f"with recursive {above('id = any($1::bigint[])')} {LED}", list(ids)))


async def of_guids(db: Connection, guids: Collection[UUID]) -> dict[UUID, Place]:
    """The places of the entries that have these GUIDs, in one query; those that no entry has are missing."""
    rows = await db.fetch(f"with recursive {above('guid = any($1::uuid[])')} {LED}", list(guids))
    return {place.entry.guid: place for place in of_rows(rows).values() if place.entry is not None}


def above(key: str) -> str:
    """The entries of a condition and those above them, as a relation that LED reads: for queries that find entries
    and their places in one."""
    return f"""
up (id, parent, wanted) as (
    select id, parent, true from entries where {key}
    union
    select e.id, e.parent, false from up cross join lateral (
        select id, parent from entries where id = up.parent limit 1
    ) e
)
"""


LED = """
select e.*, up.wanted, own.rules as own_rules, def.rules as default_rules, {NEWEST} as newest_acl
from up cross join lateral (select {COLUMNS} from entries where id = up.id limit 1) e
    left join lateral (select rules from acls where id = e.acl limit 1) own on true
    left join lateral (select rules from acls where id = e.default_acl limit 1) def on true
""".replace("{COLUMNS}", COLUMNS).replace("{NEWEST}", NEWEST_ACL)
"""What `of_rows` makes places of."""


def of_rows(rows: Sequence[asyncpg.Record]) -> dict[int, Place]:
    """The places of those entries among the rows, which are all that lead there, that are wanted."""
    wanted = {row["id"] for row in rows if row["wanted"]}
    found = {row["id"]: row for row in rows}
    acls: dict[int, Acl] = {}
    places: dict[int, Place] = {}

    def acl(id_: int | None, rules: list[dict[str, Any]] | None) -> Acl | None:
        if id_ is None or rules is None:
            return None
        if id_ not in acls:
            acls[id_] = Acl(id_, rules_of(rules))
        return acls[id_]

    for id_ in wanted:
        missing = []
        while id_ not in places and id_ in found:
            missing.append(found[id_])
            id_ = found[id_]["parent"]
        for row in reversed(missing):
            own, default = acl(row["acl"], row["own_rules"]), acl(row["default_acl"], row["default_rules"])
            entry = entry_of(row)
            if entry.parent is not None:
                if entry.parent in places:
                    places[entry.id] = places[entry.parent].child(entry.name, entry, own, default)
            elif entry.name == "":  # else it was removed with all below it, which goes by and by
                assert own is not None
                places[entry.id] = _root(entry, own, default or own, row["newest_acl"])
    return {id_: places[id_] for id_ in wanted if id_ in places}


_ONWARD = (
    "case when b.here = b.path[cardinality(b.path)] and b.here = b.path[cardinality(b.path) - 1]"
    " then b.path else b.path || b.here end"
)


async def kinds_below(db: Connection, place: Place, without: Collection[int]) -> list[Place]:
    """One nameless place for each way in which rights hold below a directory: each ACL in force, behind each path.

    Nothing at or below the entries `without` counts.
    """
    # Of files, which are many, only whether some inherit, and each ACL that others have.
    rows = await db.fetch(
        "with recursive below as ("
        "  select $1::bigint as id, $2::bigint[] as path, $3::bigint as here, $4::bigint as heritage"
        f"  union all select e.id, {_ONWARD}, coalesce(e.acl, b.heritage), coalesce(e.default_acl, e.acl, b.heritage)"
        "  from below b cross join lateral (select id, acl, default_acl from entries"
        "    where is_directory and case when is_directory then parent end = b.id"
        "      and id <> all($5::bigint[]) offset 0) e"
        f"), inside as (select b.id, {_ONWARD} as path, b.heritage from below b)"
        " select distinct path, here from ("
        "  select path, here from below where id <> $1"
        "  union all select i.path, i.heritage from inside i cross join lateral (select from entries"
        "    where parent = i.id and acl is null and not is_directory and id <> all($5) order by name limit 1) one"
        "  union all select i.path, own.acl from inside i cross join lateral ("
        "    with recursive own as ("
        "      (select acl from entries where parent = i.id and acl is not null order by acl limit 1)"
        "      union all select (select acl from entries where parent = i.id and acl > own.acl order by acl limit 1)"
        "        from own where own.acl is not null"
        "    ) select acl from own where acl is not null) own cross join lateral (select from entries"
        "    where parent = i.id and acl = own.acl and not is_directory and id <> all($5) order by name limit 1) one"
        ") kinds",
        place.ancestor.id,
        [acl.id for acl in place.path],
        place.acl.id,
        place.heritage.id,
        list(without),
    )
    acls = await acls_of(db, {acl for row in rows for acl in (*row["path"], row["here"])})
    nameless = place.child("", None)
    return [
        replace(nameless, acl=acls[row["here"]], path=tuple(acls[acl] for acl in row["path"])) for row in rows
    ]


def _root(entry: Entry, own: Acl, heritage: Acl, newest: int) -> Place:
    view = entry.default_view or BASIC
    return Place(
        ROOT, entry, entry, 0, own, own, heritage, (), view, entry.delivery or {}, (entry.id,), newest
    )


async def acls_of(db: Connection, ids: Collection[int]) -> dict[int, Acl]:
    rows = await db.fetch("select id, rules from acls where id = any($1::bigint[])", list(ids))
    return {row["id"]: Acl(row["id"], rules_of(row["rules"])) for row in rows}


def _acls(told: Mapping[str, list[dict[str, Any]]]) -> dict[int, Acl]:
    return {int(acl): Acl(int(acl), rules_of(rules)) for acl, rules in told.items()}


def rules_of(told: list[dict[str, Any]]) -> tuple[Rule, ...]:
    return tuple(
        Rule(r["principal"], r["rights"], tuple(r["views"]) if r.get("views") is not None else None)
        for r in told
    )
