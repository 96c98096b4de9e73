"""Where names, ids and GUIDs lead, with what is inherited there; and how it is found."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.namespace import cut_trees, entries, paths, places
from mdm_async.catalog.namespace.entries import Listed
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import visible
from mdm_async.catalog.rights.verdicts import Verdict
from mdm_async.names import AUTHENTICATED, ROOT, Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Connection, Database, connect
from tests.postgres.for_tests import PostgresForTests

ALL_SEEING = Caller("user:a", frozenset({AUTHENTICATED}), (Scope(ROOT, frozenset({Right.READ})),))


async def _make(db: Connection, lfn: str, *, file: bool = False, **columns: Any) -> int:
    """A new entry with its own ACLs, default view or delivery."""
    parent, _, name = lfn.rpartition("/")
    above = (await places.resolve_one(db, Lfn(parent or "/"))).entry
    assert above is not None
    if file:
        image = uuid4()
        await new_image.insert(db, NewImage(image, uuid4()))
        guid = await entries.add_file(db, above.id, name, image)
    else:
        guid = await entries.make_directory(db, above.id, name)
    for column, value in columns.items():
        await db.execute(f"update entries set {column} = $2 where guid = $1", guid, value)
    id_: int = await db.fetchval("select id from entries where guid = $1", guid)
    return id_


async def _acl(db: Connection, *principals: str) -> int:
    rules = [{"principal": principal, "rights": "rx"} for principal in principals]
    acl: int = await db.fetchval(
        "insert into acls (rules, digest) values ($1, $2) returning id", rules, orjson.dumps(rules)
    )
    return acl


def _names(place: Place) -> list[str]:
    return [rule.principal for rule in place.acl.rules]


async def test_names_resolve_in_the_order_asked_for(db: Connection) -> None:
    for lfn in ("/a", "/a/b", "/c"):
        await _make(db, lfn)
    asked = [Lfn("/c"), Lfn("/a/b"), ROOT, Lfn("/a/none"), Lfn("/no/such/thing"), Lfn("/a/b")]
    found = await places.resolve(db, asked)
    assert [place.lfn for place in found] == asked
    assert [place.entry.name if place.entry else None for place in found] == ["c", "b", "", None, None, "b"]
    assert [place.missing for place in found] == [0, 0, 0, 1, 3, 0]
    assert found[3].parent is not None
    assert found[3].parent.name == "a"
    assert found[4].parent is None
    assert await places.resolve(db, []) == []


async def _inheriting(db: Connection) -> list[Lfn]:
    """A tree in which everything is inherited, and taken anew, somewhere."""
    own, default, other = [await _acl(db, name) for name in ("own", "default", "other")]
    await _make(db, "/a", acl=own, default_acl=default, default_view="special")
    await _make(db, "/a/b", delivery={"identified": "clear"})
    await _make(db, "/a/b/c", acl=other, delivery={"deidentified": "sealed"})
    await _make(db, "/a/b/c/d", default_acl=own)
    await _make(db, "/a/b/c/d/e")
    await _make(db, "/a/b/f", file=True, only_view="basic")
    return [Lfn(lfn) for lfn in ("/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/b/c/d/e", "/a/b/f")]


async def test_rights_views_and_delivery_are_inherited_at_read_time(db: Connection) -> None:
    found = await places.resolve(db, await _inheriting(db))
    assert [_names(place) for place in found] == [
        [], ["own"], ["default"], ["other"], ["other"], ["own"], ["default"]
    ]  # fmt: skip
    assert [place.default_view for place in found] == ["basic", *["special"] * 5, "basic"]
    assert [dict(place.delivery) for place in found[2:4]] == [
        {"identified": "clear"},
        {"identified": "clear", "deidentified": "sealed"},
    ]
    assert [[rule.principal for acl in place.path for rule in acl.rules] for place in found[1:6]] == [
        [], ["own"], ["own", "default"], ["own", "default", "other"], ["own", "default", "other", "other"]
    ]  # fmt: skip
    assert [rule.principal for rule in found[3].inherited.rules] == ["default"]


async def test_ids_and_guids_lead_where_names_do(db: Connection) -> None:
    found = await places.resolve(db, await _inheriting(db))
    ids = {place.entry.id: place for place in found if place.entry is not None}
    assert await places.of_entries(db, [*ids, 10**9]) == ids
    guids = {place.entry.guid: place for place in found if place.entry is not None}
    assert await places.of_guids(db, [*guids, uuid4()]) == guids
    assert await places.of_entries(db, []) == await places.of_guids(db, []) == {}


async def test_a_very_deep_entry_is_found_by_its_id(db: Connection) -> None:
    async with db.transaction():
        parent = await db.fetchval("select id from entries where parent is null")
        for _ in range(1500):
            parent = await db.fetchval(
                "insert into entries (parent, name, is_directory) values ($1, 'a', true) returning id", parent
            )
    (place,) = (await places.of_entries(db, [parent])).values()
    assert place.lfn == "/a" * 1500
    assert await places.resolve_one(db, place.lfn) == place


async def test_the_ways_in_which_rights_hold_below_are_each_told_once(db: Connection) -> None:
    await _inheriting(db)
    top = await places.resolve_one(db, Lfn("/a/b"))
    kinds = await places.kinds_below(db, top, ())
    assert sorted((_names(kind), len(kind.path)) for kind in kinds) == [
        (["default"], 3), (["other"], 3), (["other"], 4), (["own"], 5)
    ]  # fmt: skip
    without = (await places.resolve_one(db, Lfn("/a/b/c"))).entry
    assert without is not None
    assert [_names(kind) for kind in await places.kinds_below(db, top, [without.id])] == [["default"]]


def _scans(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """Each node that reads `entries`: its kind and its index's condition."""
    here = [(plan["Node Type"], plan.get("Index Cond", ""))] if plan.get("Relation Name") == "entries" else []
    return here + [scan for below in plan.get("Plans", ()) for scan in _scans(below)]


@pytest.mark.parametrize("filled", [False, True])
async def test_look_ups_go_by_index_whatever_postgres_knows(
    postgres: PostgresForTests, migrated: str, filled: bool
) -> None:
    """Plans are kept: what is planned on an empty table serves a full one."""
    dsn = await postgres.fresh_database(migrated)
    if filled:
        async with connect(dsn) as db:
            await db.execute(
                "insert into entries (parent, name, is_directory)"
                " select (select id from entries where parent is null), n::text, true from generate_series(1, 20000) n"
            )
            await db.execute("analyze entries")
    statements: Sequence[tuple[str, str]] = [
        (places._RESOLVE, "'{/1}'"),
        (f"with recursive {places.above('id = any($1::bigint[])')} {places.LED}", "'{1}'"),
        (f"with recursive {places.above('guid = any($1::uuid[])')} {places.LED}", "'{}'"),
    ]
    async with Database.connect(dsn, pool_size=1) as database, database.acquire() as db:
        for number, (statement, argument) in enumerate(statements):
            await db.execute(f"prepare p{number} as {statement}")
            ((plan,),) = await db.fetch(f"explain (format json) execute p{number}({argument})")
            scans = _scans(plan[0]["Plan"])
            assert scans
            assert all(node == "Index Scan" and condition for node, condition in scans), scans


async def test_a_page_is_read_in_the_order_of_the_index(postgres: PostgresForTests, migrated: str) -> None:
    """Not sorted out of the whole directory: thousands of names before it or after it cost nothing."""
    dsn = await postgres.fresh_database(migrated)
    async with Database.connect(dsn, pool_size=1) as database, database.acquire() as db:
        root = await db.fetchval("select id from entries where parent is null")
        for listed in (Listed(True), Listed(False, [1])):  # planned while there is nothing
            assert await entries.page(db, root, listed, 1) == []
        await db.execute(
            "insert into entries (parent, name, is_directory, acl)"
            " select $1, lpad(n::text, 6, '0'), true, case when n % 100 = 0 then 1 end"
            " from generate_series(1, 20000) n",
            root,
        )
        for listed in (Listed(True), Listed(False, [1])):
            before = await _rows_read(db)
            assert len(await entries.page(db, root, listed, 50, after="015000")) == 50
            assert await _rows_read(db) - before <= 60, listed


async def _rows_read(db: Connection) -> int:
    await db.execute("select pg_stat_force_next_flush()")
    read: int = await db.fetchval(
        "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables"
        " where relname = 'entries'"
    )
    return read


async def test_trees_are_walked_by_index_however_small_the_table_was(database: Database) -> None:
    """What was planned on an empty table looks no longer at a full one than at what it walks."""
    async with database.acquire() as db:
        root = (await places.resolve_one(db, ROOT)).entry
        assert root is not None

        async def walk(directory: int, image: UUID) -> None:
            await paths.of_images(db, [image])
            await entries.own_acls(db, directory)
            for place in (await places.of_entries(db, [directory])).values():
                await places.kinds_below(db, place, ())
                seen = await visible.below(db, ALL_SEEING, Verdict(0, {}), place)
                await visible.files(db, seen, None, 10)
            await entries.remove_files(db, [0])

        await walk(root.id, uuid4())
        await cut_trees.remove_page(db, 0, 10)
        small = await _make(db, "/small")
        image = await db.fetchval(
            "with d as (insert into entries (parent, name, is_directory) values ($1, 'd', true) returning id)"
            " insert into entries (parent, name, is_directory) select id, n::text, true"
            " from d, generate_series(1, 20000) n returning guid",
            root.id,
        )
        before = await _rows_read(db)
        await walk(small, image)
        await cut_trees.cut_off(db, small)
        await cut_trees.remove_page(db, small, 10)
        assert await _rows_read(db) - before < 100
