"""Rights as a filter in SQL: over random trees it sees what the decision point allows; its pages; what it reads."""

from uuid import UUID, uuid4

import hypothesis
import pytest
from hypothesis import strategies as st

from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, verdicts, visible
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.catalog.rights.visible import VISIBLE, Seen, given
from mdm_async.names import AUTHENTICATED, BASIC, ROOT, Caller, Lfn, Right, Scope, View
from mdm_async.postgres.database import Connection, Database
from tests.catalog.random_trees import LONG, VIEWS, callers, planted, trees

MAYBE = st.sampled_from([False, False, True])
READER = Caller("user:a", frozenset({"user:a", AUTHENTICATED}))


async def seen_below(db: Connection, caller: Caller, place: Place, kept: Verdicts | None = None) -> Seen:
    verdict = await (kept or Verdicts()).of(db, caller, place.newest_acl)
    return await visible.below(db, caller, verdict, place)


async def read(db: Connection, seen: Seen, view: View | None, size: int) -> list[int]:
    """All, by pages of which only the last is not full."""
    found: list[int] = []
    after = visible.START
    while page := await visible.files(db, seen, view, size, after):
        found += [entry.id for entry in page]
        if len(page) < size:
            break
        assert len(page) == size
        assert page[-1].parent is not None
        after = (page[-1].parent, page[-1].name)
    return found


async def listed(db: Connection, seen: Seen) -> list[int]:
    """A query of the test's own that joins the relation: every entry that the caller may list."""
    apart = {one.entry.id: one for one in seen.apart if one.entry is not None}
    rows = await db.fetch(
        f"with recursive {VISIBLE} select e.id from visible v join entries e on e.parent = v.directory"
        f" where e.id <> all($7::bigint[]) and {given('v', 'e')} ? 'l'",
        *seen.arguments,
        list(apart),
    )
    return [row["id"] for row in rows] + [
        id_ for id_, one in apart.items() if acl.allows(seen.caller, one, Right.LIST)
    ]


@LONG
@hypothesis.given(data=st.data())
async def test_it_sees_what_the_decision_point_allows(
    catalog: tuple[Database, UUID], data: st.DataObject
) -> None:
    database, image = catalog
    tree = data.draw(trees())
    asking = [data.draw(callers(tree)) for _ in range(3)]
    size = data.draw(st.integers(1, 3))
    async with database.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        try:
            ids = await planted(db, tree, image)
            rejected = [ids[node.lfn] for node in tree.all() if not node.is_directory and data.draw(MAYBE)]
            await db.execute("update entries set rejected = 113001 where id = any($1::bigint[])", rejected)
            at = await places.of_entries(db, ids.values())
            for caller in asking:
                assert not any(acl.sees(caller, at[id_]) for id_ in rejected)
                for directory in (node for node in tree.all() if node.is_directory):
                    seen = await seen_below(db, caller, at[ids[directory.lfn]])
                    below = {ids[node.lfn]: node for node in directory.all() if node is not directory}
                    may = sorted(id_ for id_ in below if acl.allows(caller, at[id_], Right.LIST))
                    assert sorted(await listed(db, seen)) == may, (caller, directory.lfn)
                    files = [id_ for id_, node in below.items() if not node.is_directory]
                    for view in (None, *map(View, VIEWS)):
                        may = sorted(id_ for id_ in files if acl.allows(caller, at[id_], Right.READ, view))
                        found = await read(db, seen, view, size)
                        assert sorted(found) == may, (caller, directory.lfn, view)
        finally:
            await transaction.rollback()


async def acl_of(db: Connection, *lines: str) -> int:
    """The ACL with these rules, `principal=rights`, by its id."""
    rules = [dict(zip(("principal", "rights"), line.split("="), strict=True)) for line in lines]
    id_: int = await db.fetchval(
        "insert into acls (rules, digest) values ($1, $2::text::bytea) on conflict (digest)"
        " do update set rules = excluded.rules returning id",
        rules,
        " ".join(lines),
    )
    return id_


async def directory(db: Connection, parent: int, name: str, own: int | None = None) -> int:
    made: int = await db.fetchval(
        "insert into entries (parent, name, is_directory, acl) values ($1, $2, true, $3) returning id",
        parent,
        name,
        own,
    )
    return made


async def filled(db: Connection, parent: int, count: int, image: UUID, own: int | None = None) -> list[int]:
    rows = await db.fetch(
        "insert into entries (parent, name, is_directory, image, acl)"
        " select $1, coalesce($4::bigint::text, '') || '-' || n, false, $3, $4 from generate_series(1, $2) n"
        " returning id",
        parent,
        count,
        image,
        own,
    )
    return [row["id"] for row in rows]


@pytest.fixture
async def root(db: Connection) -> int:
    """The root, which everybody may traverse and read."""
    id_: int = await db.fetchval(
        "update entries set acl = $1 where parent is null returning id",
        await acl_of(db, f"{AUTHENTICATED}=rlx"),
    )
    return id_


@pytest.fixture
async def image(db: Connection) -> UUID:
    id_ = uuid4()
    await new_image.insert(db, NewImage(id_, uuid4()))
    return id_


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
async def test_pages_are_full_and_complete_and_tell_nothing_twice(
    db: Connection, root: int, image: UUID, size: int
) -> None:
    hidden, shown = await acl_of(db, "user:b=rlx"), await acl_of(db, "user:a=rlx")
    wanted: list[int] = []
    for number in range(9):
        inner = await directory(db, root, f"d{number}", hidden if number % 3 == 0 else None)
        await filled(db, inner, 13, image, hidden)
        for own in (None, shown):
            wanted += (await filled(db, inner, 11, image, own)) * (number % 3 != 0)
    # Scopes name two files: one that is hidden otherwise, one that is not.
    hidden_file = await db.fetchrow(
        "select id, name from entries where parent = $1 and acl = $2", inner, hidden
    )
    shown_file = await db.fetchrow("select name from entries where parent = $1 and acl = $2", inner, shown)
    assert hidden_file is not None
    assert shown_file is not None
    scopes = [Scope(Lfn(f"/d8/{one['name']}"), frozenset({Right.READ})) for one in (hidden_file, shown_file)]
    reader = Caller(READER.name, READER.principals, tuple(scopes))
    found = await read(db, await seen_below(db, reader, await places.resolve_one(db, ROOT)), BASIC, size)
    assert sorted(found) == sorted([*wanted, hidden_file["id"]])


async def test_a_scope_that_passes_a_closed_directory_opens_none_below_it(
    db: Connection, root: int, image: UUID
) -> None:
    closed = await directory(db, root, "closed", await acl_of(db, "user:b=rlx"))
    await filled(db, await directory(db, closed, "open", await acl_of(db, "user:a=rlx")), 1, image)
    lister = Caller(READER.name, READER.principals, (Scope(Lfn("/closed"), frozenset({Right.LIST})),))
    seen = await seen_below(db, lister, await places.resolve_one(db, ROOT))
    assert len(await listed(db, seen)) == 3
    assert await visible.files(db, seen, BASIC, 10) == []


async def test_what_is_hidden_is_not_looked_into(db: Connection, root: int, image: UUID) -> None:
    """Neither directories that may not be traversed, nor more of a directory than a page."""
    hidden = await directory(db, root, "hidden", await acl_of(db, "user:b=rlx"))
    await filled(db, hidden, 5000, image)
    for number in range(2000):
        await directory(db, hidden, f"d{number}")
    await filled(db, await directory(db, root, "large"), 5000, image)
    seen = await seen_below(db, READER, await places.resolve_one(db, ROOT))
    before = await rows_read(db)
    page = await visible.files(db, seen, BASIC, 50)
    assert len(page) == 50
    after = (page[-1].parent or 0, page[-1].name)
    assert len(await visible.files(db, seen, BASIC, 50, after)) == 50
    assert await rows_read(db) - before < 200


async def rows_read(db: Connection) -> int:
    await db.execute("select pg_stat_force_next_flush()")
    read: int = await db.fetchval(
        "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'entries'"
    )
    return read


async def visible_files(db: Connection, kept: Verdicts, caller: Caller) -> int:
    seen = await seen_below(db, caller, await places.resolve_one(db, ROOT), kept)
    return len(await visible.files(db, seen, BASIC, 10))


async def test_what_one_has_by_a_group_another_with_the_same_name_has_not(
    db: Connection, root: int, image: UUID
) -> None:
    """All that a verdict hangs on is its key: it is not another's, nor the same person's without the group."""
    kept = Verdicts()
    await filled(db, await directory(db, root, "d", await acl_of(db, "group:local#/g=rlx")), 1, image)
    member = Caller("user:a", READER.principals | {"group:local#/g"}, token=1)
    assert await visible_files(db, kept, member) == 1
    assert await visible_files(db, kept, Caller("user:a", READER.principals, token=1)) == 0
    assert await visible_files(db, kept, member) == 1


async def test_a_limited_proxy_is_given_no_identities_by_its_owners_verdict(
    db: Connection, root: int
) -> None:
    kept = Verdicts()
    id_ = str(await acl_of(db, "user:a=rix"))
    for limited, wanted in ((False, ["@", "@identified", "x"]), (True, ["@", "x"])):
        verdict = await kept.of(db, Caller("user:a", READER.principals, limited=limited), 0)
        assert verdict.acls[id_] == wanted


async def test_a_verdict_is_made_once_while_rights_do_not_change(
    db: Connection, root: int, image: UUID
) -> None:
    kept = Verdicts()
    inner = await directory(db, root, "d", await acl_of(db, "user:b=rlx"))
    await filled(db, inner, 1, image)
    assert await visible_files(db, kept, READER) == 0
    old = await kept.of(db, READER, 0)
    assert await kept.of(db, READER, old.newest_acl) is old
    await db.execute("update entries set acl = $2 where id = $1", inner, await acl_of(db, "user:a=rlx"))
    stale = await visible.below(db, READER, old, await places.resolve_one(db, ROOT))
    assert await visible.files(db, stale, BASIC, 10) == []
    assert await visible_files(db, kept, READER) == 1
    current = await kept.of(db, READER, 0)
    assert current.newest_acl > old.newest_acl
    await db.execute("update entries set acl = $2 where id = $1", inner, await acl_of(db, "user:b=rlx"))
    stale = await visible.below(db, READER, current, await places.resolve_one(db, ROOT))
    assert await visible.files(db, stale, BASIC, 10) == []


def caller(name: str) -> Caller:
    return Caller(name, frozenset({name, AUTHENTICATED}))


async def test_only_so_many_verdicts_are_kept(
    db: Connection, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_CALLERS", 2)
    kept = Verdicts()
    first, second = await kept.of(db, caller("user:1"), 0), await kept.of(db, caller("user:2"), 0)
    assert await kept.of(db, caller("user:1"), 0) is first
    await kept.of(db, caller("user:3"), 0)
    assert await kept.of(db, caller("user:1"), 0) is first
    assert await kept.of(db, caller("user:2"), 0) is not second


async def test_only_so_much_of_verdicts_is_kept(
    db: Connection, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_VERDICTS", 1)
    await acl_of(db, "user:2=rlx")
    kept = Verdicts()
    first = await kept.of(db, caller("user:1"), 0)
    assert await kept.of(db, caller("user:1"), 0) is first
    second = await kept.of(db, caller("user:2"), 0)
    assert await kept.of(db, caller("user:2"), 0) is second
    assert await kept.of(db, caller("user:1"), 0) is not first
