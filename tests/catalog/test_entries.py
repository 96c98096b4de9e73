"""The namespace: how names resolve, and what cannot happen to them."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.namespace import cut_trees, entries, paths, places
from mdm_async.catalog.namespace.entries import Entry, Listed
from mdm_async.catalog.work.trees_to_remove import TREES_TO_REMOVE
from mdm_async.errors import BadRequest, Exists, MdmError, NotADirectory, NotEmpty, NotFound
from mdm_async.names import Lfn, View
from mdm_async.postgres.database import Connection, Database
from tests.faults.conditions import until


async def _id(db: Connection, lfn: str) -> int:
    place = await places.resolve_one(db, Lfn(lfn))
    assert place.entry is not None
    return place.entry.id


async def _entry(db: Connection, lfn: str) -> Entry:
    place = await places.resolve_one(db, Lfn(lfn))
    assert place.entry is not None
    return place.entry


async def _tree(db: Connection, *lfns: str) -> None:
    for lfn in lfns:
        parent, _, name = lfn.rpartition("/")
        await entries.make_directory(db, await _id(db, parent or "/"), name)


async def _file(db: Connection, directory: str, name: str) -> UUID:
    image = uuid4()
    await new_image.insert(db, NewImage(image, uuid4()))
    await entries.add_file(db, await _id(db, directory), name, image)
    return image


async def test_a_file_is_no_parent(db: Connection) -> None:
    await _file(db, "/", "f")
    below = await places.resolve_one(db, Lfn("/f/below"))
    assert below.parent is None
    with pytest.raises(NotFound):
        await entries.make_directory(db, await _id(db, "/f"), "below")


async def test_a_name_is_given_once(db: Connection) -> None:
    await _tree(db, "/a")
    with pytest.raises(Exists):
        await _tree(db, "/a")
    assert await entries.add_file(db, await _id(db, "/"), "a", uuid4()) is None


async def test_only_an_empty_directory_is_removed_alone(db: Connection) -> None:
    await _tree(db, "/a", "/a/b")
    with pytest.raises(NotEmpty):
        await entries.remove_directory(db, await _id(db, "/a"))


async def _cut_off(db: Connection, lfn: str) -> int:
    directory = await _id(db, lfn)
    await cut_trees.lock_tree(db, directory)
    await cut_trees.cut_off(db, directory)
    return directory


async def _removed(db: Connection, page: int) -> list[UUID]:
    """Everything that was cut off, a page at a time; the images of its files."""
    orphans: list[UUID] = []
    while rows := await TREES_TO_REMOVE.take(db, "a", 1):
        more = True
        while more:
            some, more = await cut_trees.remove_page(db, rows[0].key[0], page)
            orphans += some
        await TREES_TO_REMOVE.done(db, rows)
    return orphans


async def test_what_is_removed_with_all_below_is_gone_at_once_and_its_rows_go_in_pages(
    db: Connection,
) -> None:
    before = await db.fetchval("select count(*) from entries")
    await _tree(db, "/a", "/a/b", "/a/c")
    orphans = [await _file(db, "/a/b", f"f{n}") for n in range(5)] + [await _file(db, "/a", "f")]
    inside, file = await _id(db, "/a/b"), await _entry(db, "/a/b/f0")
    await _cut_off(db, "/a")
    for lfn in ("/a", "/a/b", "/a/b/f0"):
        assert (await places.resolve_one(db, Lfn(lfn))).entry is None
    assert await places.of_entries(db, [inside, file.id]) == {}
    assert await places.of_guids(db, [file.guid]) == {}
    assert await paths.of_images(db, orphans) == []
    await _tree(db, "/a")  # the name is free
    assert sorted(await _removed(db, 2)) == sorted(orphans)
    assert await db.fetchval("select count(*) from entries") == before + 1


async def test_nothing_comes_into_a_tree_that_was_removed(db: Connection) -> None:
    await _tree(db, "/a", "/a/b", "/c")
    image = await _file(db, "/a/b", "f")
    inside, other = await _id(db, "/a/b"), await _entry(db, "/c")
    await _cut_off(db, "/a")
    with pytest.raises(NotFound):
        await entries.add_file(db, inside, "g", image)
    with pytest.raises(NotFound):
        await entries.make_directory(db, inside, "d")
    with pytest.raises(NotFound):
        await entries.move(db, other, inside, "c")
    assert await entries.swap_image(db, inside, "f", image, image) is None


async def test_a_file_that_was_on_its_way_into_a_removed_tree_goes_too(database: Database) -> None:
    async with database.acquire() as db:
        await _tree(db, "/a")
        directory = await _id(db, "/a")
        image = uuid4()
        await new_image.insert(db, NewImage(image, uuid4()))
    async with database.acquire() as sender, database.acquire() as remover:
        sending = sender.transaction()
        await sending.start()
        await entries.add_file(sender, directory, "f", image)
        cutting = asyncio.create_task(_cut_off(remover, "/a"))

        async def waits() -> bool:
            return bool(await sender.fetchval("select exists (select from pg_locks where not granted)"))

        await until(waits)
        await sending.commit()
        await cutting
        assert await _removed(remover, 10) == [image]


async def test_the_root_stays(db: Connection) -> None:
    with pytest.raises(NotFound):
        await cut_trees.lock_tree(db, await _id(db, "/"))
    with pytest.raises(MdmError):
        await entries.remove_directory(db, await _id(db, "/"))


async def test_a_directory_does_not_move_into_itself(db: Connection) -> None:
    await _tree(db, "/a", "/a/b")
    for target in ("/a", "/a/b"):
        with pytest.raises(BadRequest):
            await entries.move(db, await _entry(db, "/a"), await _id(db, target), "x")


async def test_a_move_does_not_replace_and_needs_a_directory(db: Connection) -> None:
    await _tree(db, "/a", "/b", "/b/a")
    await _file(db, "/", "f")
    with pytest.raises(Exists):
        await entries.move(db, await _entry(db, "/a"), await _id(db, "/b"), "a")
    with pytest.raises(NotADirectory):
        await entries.move(db, await _entry(db, "/a"), await _id(db, "/f"), "a")


async def test_two_moves_at_once_make_no_cycle(database: Database) -> None:
    for _ in range(10):
        async with database.acquire() as db:
            await _tree(db, "/p", "/p/left", "/p/right")
            left, right = await _entry(db, "/p/left"), await _entry(db, "/p/right")

        async def move(entry: Entry, into: Entry) -> bool:
            async with database.transaction() as db:
                await entries.move(db, entry, into.id, "moved")
            return True

        outcomes = await asyncio.gather(move(left, right), move(right, left), return_exceptions=True)
        assert outcomes.count(True) == 1, outcomes
        async with database.acquire() as db:
            await cut_trees.cut_off(db, await _id(db, "/p"))


EVERYTHING = Listed(inheriting=True)


async def _acl(db: Connection, *lfns: str) -> int:
    """A new ACL, given to these entries as their own."""
    acl: int = await db.fetchval(
        "insert into acls (rules, digest) values ('[]', gen_random_uuid()::text::bytea) returning id"
    )
    for lfn in lfns:
        await db.execute("update entries set acl = $2 where id = $1", await _id(db, lfn), acl)
    return acl


async def test_pages_of_a_directory_follow_the_order_of_bytes(db: Connection) -> None:
    await _tree(db, *(f"/{name}" for name in ("b", "A", "a", "é", "Z")))
    root = await _id(db, "/")
    listed = [e.name for e in await entries.page(db, root, EVERYTHING, 100)]
    assert listed == ["A", "Z", "a", "b", "é"]
    assert [e.name for e in await entries.page(db, root, EVERYTHING, 2, offset=1)] == ["Z", "a"]
    assert [e.name for e in await entries.page(db, root, EVERYTHING, 2, after="Z")] == ["a", "b"]
    assert [e.name for e in await entries.page(db, root, EVERYTHING, 2, after="Zz")] == ["a", "b"]
    assert await entries.page(db, root, EVERYTHING, 2, after="é") == []


async def test_own_acls_of_a_directory_are_each_found_once(db: Connection) -> None:
    await _tree(db, "/d", "/d/a", "/d/b", "/d/c", "/d/e", "/d/c/below")
    one, other = await _acl(db, "/d/a", "/d/c"), await _acl(db, "/d/b")
    await _acl(db, "/d/c/below", "/d")
    assert await entries.own_acls(db, await _id(db, "/d")) == [one, other]
    assert await entries.own_acls(db, await _id(db, "/d/e")) == []


@pytest.mark.parametrize("inheriting", [True, False])
async def test_pages_are_full_of_what_is_listed(db: Connection, inheriting: bool) -> None:
    names = [f"{n:02}" for n in range(40)]
    await _tree(db, "/d", *(f"/d/{name}" for name in names))
    kinds = [await _acl(db, *(f"/d/{name}" for name in names[start::4])) for start in range(3)]
    listed = Listed(inheriting, kinds[:2], ["02", "03", "none"])
    expected = [
        name for n, name in enumerate(names) if n % 4 in (0, 1) or n in (2, 3) or (inheriting and n % 4 == 3)
    ]
    directory = await _id(db, "/d")
    assert [e.name for e in await entries.page(db, directory, listed, 100)] == expected
    assert [e.name for e in await entries.page(db, directory, listed, 5, offset=3)] == expected[3:8]
    seen: list[str] = []
    while page := await entries.page(db, directory, listed, 7, after=seen[-1] if seen else ""):
        assert len(page) == min(7, len(expected) - len(seen))
        seen += [e.name for e in page]
    assert seen == expected


async def test_a_move_writes_what_the_entry_is_to_keep(db: Connection) -> None:
    await _tree(db, "/a", "/a/moved", "/b")
    acl = await _acl(db)
    kept = replace(
        await _entry(db, "/a/moved"),
        acl=acl,
        default_acl=acl,
        default_view=View("other"),
        delivery={"x": "y"},
    )
    await db.execute("update entries set views = '{basic,other}' where name = 'a'")
    await db.execute("update entries set views = '{third}' where name = 'b'")
    await entries.move(db, kept, await _id(db, "/b"), "moved")
    moved = await _entry(db, "/b/moved")
    assert (moved.acl, moved.default_acl, moved.default_view, moved.delivery) == (
        acl,
        acl,
        "other",
        {"x": "y"},
    )
    views = await db.fetchval("select views from entries where id = $1", moved.id)
    assert sorted(views) == ["basic", "other", "third"]


async def test_files_removed_by_name_and_with_their_tree_wait_for_each_other_and_no_more(
    database: Database,
) -> None:
    async with database.acquire() as db:
        await _tree(db, "/a")
        for name in ("second", "first"):  # their ids are in another order than their names
            await _file(db, "/a", name)
        ids = [(await _entry(db, f"/a/{name}")).id for name in ("second", "first")]
        directory = await _cut_off(db, "/a")

    async def by_name() -> None:
        async with database.transaction() as db:
            await entries.remove_files(db, ids)

    async def with_the_tree() -> None:
        async with database.transaction() as db:
            await cut_trees.remove_page(db, directory, 10)

    async with database.acquire() as db:
        held = db.transaction()
        await held.start()
        await db.execute("select from entries where id = $1 for update", ids[0])
        removing = []
        for waiters, work in enumerate((by_name, with_the_tree), 1):
            removing.append(asyncio.create_task(work()))
            await until(lambda waiters=waiters: _waiting(database, waiters))  # type: ignore[misc]
        await held.rollback()
        await asyncio.gather(*removing)


async def _waiting(database: Database, count: int) -> bool:
    async with database.acquire() as db:
        found: int = await db.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
    return found == count


async def test_whoever_removes_a_directory_looks_at_the_locks_in_it_alone(db: Connection) -> None:
    await _tree(db, "/a", "/b", "/b/c")
    await db.execute(
        "insert into locks (token, parent, name, way, deep, shared, owner, account, expires)"
        " select gen_random_uuid(), $2, 'n' || n, array[$1, $2]::bigint[], false, false, 'o', 'o',"
        "  now() + interval '1h' from generate_series(1, 3000) n",
        await _id(db, "/"),
        await _id(db, "/a"),
    )
    await db.execute("analyze locks")
    seen = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'locks'"
    async with db.transaction():
        before = await db.fetchval(seen)
        await entries.remove_directory(db, await _id(db, "/b/c"))
        # One for whether there is any lock.
        assert await db.fetchval(seen) - before < 20
        with pytest.raises(asyncpg.PostgresError, match="locked"):
            await entries.move(db, await _entry(db, "/a"), await _id(db, "/"), "d")
