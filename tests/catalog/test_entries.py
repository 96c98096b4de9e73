"""The namespace: how names resolve, and what cannot happen to them."""

import asyncio
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog import entries, images
from mdm_async.catalog.database import Connection, Database
from mdm_async.errors import BadRequest, Exists, MdmError, NotADirectory, NotEmpty, NotFound
from mdm_async.names import ROOT, Lfn


async def _id(db: Connection, lfn: str) -> int:
    place = await entries.resolve_one(db, Lfn(lfn))
    assert place.entry is not None
    return place.entry.id


async def _tree(db: Connection, *lfns: str) -> None:
    for lfn in lfns:
        parent, _, name = lfn.rpartition("/")
        await entries.make_directory(db, await _id(db, parent or "/"), name)


async def _file(db: Connection, directory: str, name: str) -> UUID:
    image = uuid4()
    await images.insert(db, image, uuid4(), [], [])
    await entries.add_file(db, await _id(db, directory), name, image)
    return image


async def test_names_resolve_in_the_order_asked_for(db: Connection) -> None:
    await _tree(db, "/a", "/a/b", "/c")
    asked = [Lfn("/c"), Lfn("/a/b"), ROOT, Lfn("/a/none"), Lfn("/no/such/thing"), Lfn("/a/b")]
    places = await entries.resolve(db, asked)
    assert [place.lfn for place in places] == asked
    assert [place.entry.name if place.entry else None for place in places] == ["c", "b", "", None, None, "b"]
    assert [place.missing for place in places] == [0, 0, 0, 1, 3, 0]
    assert places[3].parent is not None
    assert places[3].parent.name == "a"
    assert places[4].parent is None


async def test_a_file_is_no_parent(db: Connection) -> None:
    await _file(db, "/", "f")
    below = await entries.resolve_one(db, Lfn("/f/below"))
    assert below.parent is None
    with pytest.raises(NotFound):
        await entries.make_directory(db, await _id(db, "/f"), "below")


async def test_an_acl_and_a_default_view_are_inherited_from_the_nearest_ancestor(db: Connection) -> None:
    await _tree(db, "/a", "/a/b", "/a/b/c")
    acl = await db.fetchval(
        "insert into acls (rules, digest) values ($1, 'x') returning id",
        [{"principal": "user:x", "rights": "rx"}],
    )
    await db.execute("update entries set acl = $1, default_view = 'other' where name = 'b'", acl)
    above, at, below = await entries.resolve(db, [Lfn("/a"), Lfn("/a/b"), Lfn("/a/b/c")])
    assert above.rules == ()
    assert at.rules == below.rules == (entries.Rule("user:x", "rx", None),)
    assert (above.default_view, below.default_view) == ("basic", "other")
    assert below.path_rules == ((), below.rules)


async def test_a_name_is_given_once(db: Connection) -> None:
    await _tree(db, "/a")
    with pytest.raises(Exists):
        await _tree(db, "/a")
    assert await entries.add_file(db, await _id(db, "/"), "a", uuid4()) is None


async def test_only_an_empty_directory_is_removed_alone(db: Connection) -> None:
    await _tree(db, "/a", "/a/b")
    with pytest.raises(NotEmpty):
        await entries.remove_directory(db, await _id(db, "/a"))
    image = await _file(db, "/a/b", "f")
    assert await entries.remove_tree(db, await _id(db, "/a")) == [image]
    assert (await entries.resolve_one(db, Lfn("/a"))).entry is None


async def test_the_root_stays(db: Connection) -> None:
    with pytest.raises(NotFound):
        await entries.remove_tree(db, await _id(db, "/"))
    with pytest.raises(MdmError):
        await entries.remove_directory(db, await _id(db, "/"))


async def test_a_directory_does_not_move_into_itself(db: Connection) -> None:
    await _tree(db, "/a", "/a/b")
    for target in ("/a", "/a/b"):
        with pytest.raises(BadRequest):
            await entries.move(db, await _id(db, "/a"), await _id(db, target), "x")


async def test_a_move_does_not_replace_and_needs_a_directory(db: Connection) -> None:
    await _tree(db, "/a", "/b", "/b/a")
    await _file(db, "/", "f")
    with pytest.raises(Exists):
        await entries.move(db, await _id(db, "/a"), await _id(db, "/b"), "a")
    with pytest.raises(NotADirectory):
        await entries.move(db, await _id(db, "/a"), await _id(db, "/f"), "a")


async def test_two_moves_at_once_make_no_cycle(database: Database) -> None:
    for _ in range(10):
        async with database.acquire() as db:
            await _tree(db, "/p", "/p/left", "/p/right")
            left, right = await _id(db, "/p/left"), await _id(db, "/p/right")

        async def move(entry: int, into: int) -> bool:
            async with database.transaction() as db:
                await entries.move(db, entry, into, "moved")
            return True

        outcomes = await asyncio.gather(move(left, right), move(right, left), return_exceptions=True)
        assert outcomes.count(True) == 1, outcomes
        async with database.acquire() as db:
            await entries.remove_tree(db, await _id(db, "/p"))


async def test_pages_of_a_directory_follow_the_order_of_bytes(db: Connection) -> None:
    await _tree(db, *(f"/{name}" for name in ("b", "A", "a", "é", "Z")))
    root = await _id(db, "/")
    listed = [e.name for e in await entries.children(db, root, 0, 100)]
    assert listed == ["A", "Z", "a", "b", "é"]
    assert [e.name for e in await entries.children(db, root, 1, 2)] == ["Z", "a"]
