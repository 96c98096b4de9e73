"""The change feed: whatever a transfer hangs on is in it once changed, and no reader misses what commits late."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.requests import Release
from mdm_async.catalog.holdings import images
from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.namespace import cut_trees, entries
from mdm_async.catalog.rights import feed
from mdm_async.catalog.rights.feed import EVERYTHING, Changes
from mdm_async.images.upkeep.days import keep_days
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection, Database

USER = Caller("user:a", frozenset({"user:a"}))


class Reader:
    """Of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshot: str | None = None

    async def look(self) -> Changes:
        async with self._database.acquire() as db:
            found = await feed.read(db, self._snapshot)
        self._snapshot = found.snapshot
        return found.changes


@pytest.fixture
async def reader(database: Database) -> Reader:
    reader = Reader(database)
    assert await reader.look() == EVERYTHING
    assert (await reader.look()).is_nothing
    return reader


async def test_a_change_that_commits_after_later_ones_is_read_once(
    database: Database, reader: Reader
) -> None:
    """The slow transaction has the smaller number, and what came after it has been read when it commits."""
    async with database.transaction() as db:
        (slow, fast) = [row["id"] for row in await db.fetch(
            "insert into tokens (hash, name, rights, path) values ('a', 'a', '', '/'), ('b', 'b', '', '/') returning id"
        )]  # fmt: skip
    async with database.acquire() as db:
        late = db.transaction()
        await late.start()
        await db.execute("update tokens set revoked = now() where id = $1", slow)
        async with database.acquire() as other:
            await other.execute("update tokens set revoked = now() where id = $1", fast)
        assert (await reader.look()).tokens == {fast}
        assert (await reader.look()).is_nothing
        await late.commit()
    assert (await reader.look()).tokens == {slow}
    assert (await reader.look()).is_nothing


async def test_what_is_rolled_back_is_never_read(database: Database, reader: Reader) -> None:
    async with database.acquire() as db:
        undone = db.transaction()
        await undone.start()
        await db.execute("insert into changes (entries) values ('{1}')")
        await undone.rollback()
    assert (await reader.look()).is_nothing


async def test_two_readers_read_the_same(database: Database, reader: Reader) -> None:
    other = Reader(database)
    await other.look()
    async with database.acquire() as db:
        await db.execute("insert into changes (entries) values ('{1, 2}')")
        await db.execute("insert into changes (tokens) values ('{3}')")
    assert await reader.look() == await other.look() == Changes(frozenset({1, 2}), frozenset({3}))


async def test_of_too_many_changes_nobody_is_told_each(database: Database, reader: Reader) -> None:
    async with database.acquire() as db:
        await db.execute(
            "insert into changes (entries) select array[i] from generate_series(1, $1) i", feed.MOST + 1
        )
    assert await reader.look() == EVERYTHING
    assert (await reader.look()).is_nothing


async def test_a_reader_who_was_away_for_longer_than_the_feed_reaches_is_told_so(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Reader(database)
    await away.look()
    monkeypatch.setattr(feed, "KEPT", 0.0)
    monkeypatch.setattr(feed, "_TRIMMED", 2)
    async with database.acquire() as db:
        await db.execute("insert into changes (entries) select array[i] from generate_series(1, 5) i")
    assert (await reader.look()).entries == {1, 2, 3, 4, 5}
    for pages in (1, 3):  # the first round marks what the second takes away, a page at a time
        for page in range(pages):
            async with database.transaction() as db:
                assert await feed.trim(db) is (pages > page + 1)
    async with database.acquire() as db:
        assert await db.fetchval("select count(*) from changes") == 0
    await reader.look()
    assert await away.look() == EVERYTHING
    assert (await away.look()).is_nothing


async def test_what_commits_while_the_feed_is_trimmed_stays_in_it(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is as old as its transaction, which may be older than the feed reaches."""
    monkeypatch.setattr(feed, "KEPT", 0.0)
    async with database.acquire() as db:
        late = db.transaction()
        await late.start()
        await db.execute("insert into changes (entries) values ('{7}')")
        for _ in range(2):
            async with database.transaction() as other:
                await feed.trim(other)
        await reader.look()
        await late.commit()
    async with database.transaction() as db:
        await feed.trim(db)
    assert (await reader.look()).entries == {7}


async def test_a_young_feed_is_not_trimmed(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute("insert into changes (entries) values ('{7}')")
    for _ in range(3):
        async with database.transaction() as db:
            assert not await feed.trim(db)
    async with database.acquire() as db:
        assert await db.fetchval("select count(*) from changes") == 1


# What is in it


@dataclass(frozen=True)
class Planted:
    """A directory /d with a file, its image, a grant to read it, one to write, and a token."""

    directory: int
    file: int
    image: UUID
    read: Grant
    write: Grant
    token: int


def _grant(**fields: Any) -> Grant:
    made = Grant(
        turl=uuid4().bytes, request=uuid4(), item=0, operation="get", state="pinned",
        caller=USER.name, owner=USER.owner, surl="/d/f", life=60.0,
    )  # fmt: skip
    return replace(made, **fields)


@pytest.fixture
async def planted(database: Database) -> Planted:
    await keep_days(database)
    async with database.transaction() as db:
        image = uuid4()
        await new_image.insert(db, NewImage(image, uuid4()))
        root = await db.fetchval("select id from entries where parent is null")
        await entries.make_directory(db, root, "d")
        directory = await db.fetchval("select id from entries where name = 'd'")
        await entries.add_file(db, directory, "f", image)
        file = await db.fetchval("select id from entries where name = 'f'")
        token = await db.fetchval(
            "insert into tokens (hash, name, rights, path) values ('t', 't', 'r', '/') returning id"
        )
        read = _grant(entry=file, image=image, token=token)
        write = _grant(operation="put", state="open", parent=directory, name="g")
        await grants.insert(db, [read, write])
    return Planted(directory, file, image, read, write, token)


def statement(text: str) -> Callable[[Connection, Planted], Awaitable[object]]:
    return lambda db, planted: db.execute(text)


DONE: dict[str, tuple[Callable[[Connection, Planted], Awaitable[object]], Callable[[Planted], Changes]]] = {
    "an ACL": (
        statement("update entries set acl = (select id from acls) where name = 'd'"),
        lambda p: Changes(entries=frozenset({p.directory})),
    ),
    "a default ACL": (
        statement("update entries set default_acl = (select id from acls) where name = 'd'"),
        lambda p: Changes(entries=frozenset({p.directory})),
    ),
    "delivery": (
        statement("update entries set delivery = '{\"identified\": \"sealed\"}' where name = 'd'"),
        lambda p: Changes(entries=frozenset({p.directory})),
    ),
    "a default view": (
        statement("update entries set default_view = 'x' where name = 'd'"),
        lambda p: Changes(entries=frozenset({p.directory})),
    ),
    "a name": (
        statement("update entries set name = 'e' where name = 'd'"),
        lambda p: Changes(entries=frozenset({p.directory})),
    ),
    "the views that are made of a directory's files": (
        statement("update entries set views = '{basic}' where name = 'd'"),
        lambda p: Changes(),
    ),
    "a file removed": (
        lambda db, p: entries.remove_files(db, [p.file]),
        lambda p: Changes(entries=frozenset({p.file})),
    ),
    "a tree removed": (
        lambda db, p: cut_trees.cut_off(db, p.directory),
        lambda p: Changes(entries=frozenset({p.directory})),
    ),
    "an image doomed": (
        statement("update images set doomed = now()"),
        lambda p: Changes(images=frozenset({p.image})),
    ),
    "an image held": (lambda db, p: images.use(db, [p.image], 60.0), lambda p: Changes()),
    "a token revoked": (
        statement("update tokens set revoked = now()"),
        lambda p: Changes(tokens=frozenset({p.token})),
    ),
    "a release": (
        lambda db, p: requests.release(db, [Release(USER, p.read.request)]),
        lambda p: Changes(ended=frozenset({p.read.turl})),
    ),
    "a release of all pins on an entry": (
        lambda db, p: requests.release_entries(db, USER, [p.file]),
        lambda p: Changes(ended=frozenset({p.read.turl})),
    ),
    "a pin extended": (
        lambda db, p: requests.extend(db, USER, p.read.request, None, 100),
        lambda p: Changes(turls=frozenset({p.read.turl})),
    ),
    "an upload aborted": (
        lambda db, p: requests.abort(db, USER, p.write.request, None),
        lambda p: Changes(ended=frozenset({p.write.turl})),
    ),
    "an upload that arrived": (
        lambda db, p: grants.settle(db, p.write, "uploaded", "open"),
        lambda p: Changes(),
    ),
}


@pytest.mark.parametrize("what", DONE)
async def test_what_is_done_is_in_the_feed(
    database: Database, planted: Planted, reader: Reader, what: str
) -> None:
    """By whatever statement, of whatever version of this code."""
    do, expected = DONE[what]
    await reader.look()
    async with database.transaction() as db:
        await do(db, planted)
    assert await reader.look() == expected(planted)


async def test_changes_of_many_do_not_wait_for_each_other(database: Database, planted: Planted) -> None:
    """There was one row that every change of a right wrote."""
    async with database.transaction() as one, database.transaction() as other:
        await one.execute("update tokens set revoked = now()")
        await other.execute("set local lock_timeout = '2s'")
        await other.execute("update entries set default_view = 'x' where name = 'd'")
