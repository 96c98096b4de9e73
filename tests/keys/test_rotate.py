"""All is wrapped under a new key-encryption key, page by page; whatever stops it, it goes on, and nothing is lost."""

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mdm_async.errors import Conflict, Damaged, MdmError, Unavailable
from mdm_async.keys import rewrapping, rotations
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.sources import KekFile, KekSource
from mdm_async.keys.standing import StoreStanding
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.postgres.database import Database
from tests.faults.conditions import until
from tests.keys.database import INSTALLATION, epochs, kek, opened, registrations, some_secrets
from tests.web.test_privacy import captured_log


async def node(database: Database, source: KekSource, name: str = "a node") -> WrappedKeys:
    return await WrappedKeys.open(database, source, INSTALLATION, name, 60)


SPOIL = (
    "create function spoil() returns trigger language plpgsql as $$ begin"
    " new.wrapped = set_byte(new.wrapped, 20, get_byte(new.wrapped, 20) # 1); return new; end $$;"
    "create trigger spoil before update on mdm_keys.{table} for each row execute function spoil()"
)


@pytest.fixture
def kept(tmp_path: Path) -> KeptKeks:
    source = KeptKeks(tmp_path / "kek")
    source.make()
    return source


def site_file(tmp_path: Path, *keks: bytes) -> KekFile:
    path = tmp_path / "site"
    path.touch(0o600)
    path.write_text("\n".join(base64.b64encode(kek).decode() for kek in keks))
    return KekFile(path)


async def standing(keys: WrappedKeys) -> StoreStanding:
    (store,) = (await keys.status()).stores
    return store


async def test_a_kept_key_is_made_used_and_the_old_one_destroyed(database: Database, kept: KeptKeks) -> None:
    keys, secrets = await node(database, kept), some_secrets(700)
    await keys.register(secrets)
    (old,) = await kept.read()
    await keys.rotate()
    assert await keys.fetch(registrations(secrets), identity=True) == secrets  # while it is under way
    await keys.keeper.work()
    assert await epochs(database) == {2}
    assert old not in await kept.read()
    store = await standing(keys)
    assert [(one.number, one.in_use) for one in store.epochs] == [(2, True), (1, False)]
    assert store.epochs[0].rows >= 1401  # the secrets, and keys of transfers
    assert store.epochs[1].rows == 0
    assert store.epochs[1].closed is not None
    assert store.epochs[1].destroyed is not None
    assert store.rotation is not None
    assert (store.rotation.total, store.rotation.done, store.rotation.damaged) == (1401, 1401, 0)
    assert store.rotation.ended is not None
    again = await node(database, kept)
    assert await again.fetch(registrations(secrets), identity=True) == secrets


async def test_a_rotation_that_is_killed_goes_on_with_what_is_left(
    database: Database, kept: KeptKeks, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, secrets = await node(database, kept), some_secrets(500)
    await keys.register(secrets)
    await keys.rotate()
    real, pages = rewrapping.image_secrets, 0

    async def killed(*given: object) -> rewrapping.Page:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise asyncio.CancelledError
        return await real(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(rewrapping, "image_secrets", killed)
        with pytest.raises(asyncio.CancelledError):
            await keys.keeper.work()
    assert await epochs(database) == {1, 2}
    assert len(await kept.read()) == 2
    other = await node(database, kept)  # the same node, started again
    assert await other.fetch(registrations(secrets), identity=True) == secrets
    await other.rotate()  # run again: no third key is made
    await other.keeper.work()
    assert await epochs(database) == {2}
    rotation = (await standing(other)).rotation
    assert rotation is not None
    assert rotation.done == rotation.total
    assert await other.fetch(registrations(secrets), identity=True) == secrets
    assert len(await kept.read()) == 1


@pytest.mark.parametrize("table", ["image_secrets", "project_keys"])
async def test_what_does_not_open_after_it_was_written_is_rolled_back(
    database: Database, kept: KeptKeks, table: str
) -> None:
    keys, secrets = await node(database, kept), some_secrets(3)
    await keys.register(secrets)
    async with database.acquire() as db:
        await db.execute(SPOIL.format(table=table))
    await keys.rotate()
    with pytest.raises((Damaged, Unavailable)):
        await keys.keeper.work()
    assert await keys.fetch(registrations(secrets), identity=True) == secrets
    assert len(await kept.read()) == 2
    async with database.acquire() as db:
        await db.execute(f"drop trigger spoil on mdm_keys.{table}")
    await keys.keeper.work()
    assert await epochs(database) == {2}
    assert await keys.fetch(registrations(secrets), identity=True) == secrets


async def test_a_damaged_row_keeps_its_key_and_is_told(database: Database, kept: KeptKeks) -> None:
    keys, secrets = await node(database, kept), some_secrets(3)
    await keys.register(secrets)
    async with database.acquire() as db:
        await db.execute(
            "update mdm_keys.image_secrets set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
            " where registration = $1 and kind = 'image'",
            registrations(secrets)[0],
        )
    await keys.rotate()
    await keys.keeper.work()
    store = await standing(keys)
    assert store.rotation is not None
    assert store.rotation.damaged == 1
    assert [one.closed for one in store.epochs] == [None, None]
    assert len(await kept.read()) == 2
    await keys.keeper.work()  # it is not tried over and over
    assert (await standing(keys)).rotation == store.rotation


async def test_a_projects_damaged_key_and_what_an_earlier_version_wrapped_keep_their_key(
    database: Database, kept: KeptKeks
) -> None:
    keys = await node(database, kept)
    await keys.make_project_key("trial")
    async with database.acquire() as db:
        await db.execute(
            "update mdm_keys.project_keys set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
            " where project = 'trial'"
        )
        await db.execute("update mdm_keys.kek_proofs set transfers_until = now() + interval '1 hour'")
    await keys.rotate()
    await keys.keeper.work()
    assert [one.closed for one in (await standing(keys)).epochs] == [None, None]
    async with database.acquire() as db:
        await db.execute("delete from mdm_keys.project_keys where project = 'trial'")
    await keys.keeper.work()
    assert [one.closed for one in (await standing(keys)).epochs] == [None, None]
    async with database.acquire() as db:
        await db.execute("update mdm_keys.kek_proofs set transfers_until = now()")
    await keys.keeper.work()
    assert (await standing(keys)).epochs[1].closed is not None


async def test_a_site_is_told_to_bring_a_new_key_and_then_to_remove_the_old_one(
    database: Database, tmp_path: Path
) -> None:
    old, new, secrets = kek(), kek(), some_secrets(5)
    source = site_file(tmp_path, old)
    keys = await node(database, source)
    await keys.register(secrets)
    with pytest.raises(Conflict, match=r"site has no new key-encryption key .* on a line above the others"):
        await keys.rotate()
    site_file(tmp_path, new, old)
    await keys.rotate()
    await keys.keeper.work()
    assert await epochs(database) == {2}
    assert await source.read() == [new, old]  # it is not the server's
    ended = (await standing(keys)).epochs[1]
    assert ended.closed is not None
    assert ended.destroyed is None
    site_file(tmp_path, new)
    await keys.keeper.work()
    assert (await standing(keys)).epochs[1].destroyed is not None
    assert await keys.fetch(registrations(secrets), identity=True) == secrets


async def test_an_old_key_that_comes_back_first_is_not_used_again(database: Database, tmp_path: Path) -> None:
    old, new, secrets = kek(), kek(), some_secrets(2)
    await (await opened(database, old)).register(secrets)
    await (await opened(database, new, old)).keeper.work()
    keys = await opened(database, old, new)
    await keys.register(more := some_secrets(1))
    assert await epochs(database) == {2}
    assert await keys.fetch(registrations(secrets | more), identity=True) == secrets | more
    with pytest.raises(Unavailable, match="key number 2"):
        await opened(database, old)


async def test_nothing_is_written_under_a_key_that_has_ended(database: Database, tmp_path: Path) -> None:
    """By a node that stood still while all others went on, and was taken for gone."""
    old, new = kek(), kek()
    asleep = await node(database, site_file(tmp_path, old), "asleep")
    async with database.acquire() as db:
        await db.execute("update mdm_keys.nodes set seen = now() - interval '1 hour'")
    await (await opened(database, new, old)).keeper.work()
    for refused in (asleep.register(some_secrets(1)), asleep.make_project_key("p")):
        with pytest.raises(Unavailable, match=r"has ended|is in use any more"):
            await refused
    async with database.acquire() as db:
        assert not await db.fetchval("select count(*) from mdm_keys.intents")
    assert await epochs(database) == {2}
    site_file(tmp_path, new, old)
    await asleep.register(secrets := some_secrets(1))  # it reads its file again
    assert await asleep.fetch(registrations(secrets), identity=True) == secrets


async def test_a_new_key_waits_until_every_live_node_has_it(database: Database, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    old, new, secrets = kek(), kek(), some_secrets(3)
    first = await node(database, site_file(tmp_path, old), "first")
    second = await node(database, site_file(tmp_path / "b", old), "second")
    await first.register(secrets)
    site_file(tmp_path, new, old)
    await first.rotate()
    await first.keeper.work()
    assert await epochs(database) == {1}
    store = await standing(first)
    assert {one.name: sorted(one.has) for one in store.nodes} == {"first": [1, 2], "second": [1]}
    site_file(tmp_path / "b", new, old)
    await second.keeper.report()
    await first.keeper.report()
    await first.keeper.work()
    assert await epochs(database) == {2}
    assert await second.fetch(registrations(secrets), identity=True) == secrets
    await second.register(more := some_secrets(1))
    assert await first.fetch(registrations(more), identity=True) == more
    assert await epochs(database) == {2}


async def test_a_node_that_meets_an_unknown_key_reads_its_source_again(
    database: Database, tmp_path: Path
) -> None:
    old, new, secrets = kek(), kek(), some_secrets(3)
    late = await node(database, site_file(tmp_path, old), "late")
    async with database.acquire() as db:
        await db.execute("update mdm_keys.nodes set seen = now() - interval '1 hour'")
    await (await opened(database, new, old)).register(secrets)
    assert await late.fetch(registrations(secrets), identity=True) == {}
    site_file(tmp_path, new, old)
    assert await late.fetch(registrations(secrets), identity=True) == secrets


async def test_a_kept_key_counts_as_destroyed_when_no_node_has_it_or_the_node_is_struck_off(
    database: Database, kept: KeptKeks, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    elsewhere = KeptKeks(tmp_path / "b" / "kek")
    elsewhere.path.write_text(kept.path.read_text())
    elsewhere.path.chmod(0o600)
    await node(database, elsewhere, "away")
    async with database.acquire() as db:
        await db.execute("update mdm_keys.nodes set seen = now() - interval '1 hour'")
    keys = await node(database, kept)
    await keys.rotate()
    await keys.keeper.work()
    assert (await standing(keys)).epochs[1].destroyed is None
    assert [one.name for one in (await standing(keys)).nodes if not one.live] == ["away"]
    await keys.rotate(["away"])
    await keys.keeper.work()
    assert all(one.destroyed for one in (await standing(keys)).epochs[1:])


async def test_a_node_that_lives_is_not_struck_off(database: Database, kept: KeptKeks) -> None:
    keys = await node(database, kept)
    with pytest.raises(Conflict, match="a node is live"):
        await keys.rotate(["a node"])
    assert len(await kept.read()) == 1


async def test_two_nodes_do_not_wrap_the_same_anew(database: Database) -> None:
    async with database.acquire() as db:
        assert await rotations.begin(db, 7, "one") is not None
        assert await rotations.begin(db, 7, "other") is None
        with pytest.raises(MdmError, match="another node"):
            await rotations.renew(db, 7, "other", 5)
        await db.execute("update mdm_keys.rotations set lease = now() - interval '1 second'")
        assert await rotations.begin(db, 7, "other") is not None
        with pytest.raises(MdmError, match="another node"):
            await rotations.renew(db, 7, "one", 5)


async def test_images_that_are_stored_while_all_is_wrapped_anew_are_not_left_behind(
    database: Database, kept: KeptKeks
) -> None:
    keys, secrets = await node(database, kept), some_secrets(400)
    await keys.register(secrets)
    stored: dict[UUID, object] = dict(secrets)

    async def go_on() -> None:
        for _ in range(20):
            await keys.register(more := some_secrets(2))
            stored.update(more)

    await keys.rotate()
    await asyncio.gather(go_on(), keys.keeper.work())
    await keys.keeper.work()
    assert await epochs(database) == {2}
    assert await keys.fetch(_named(list(stored.values())), identity=True) == stored


def _named(secrets: Sequence[object]) -> list[UUID]:
    return [one.registration for one in secrets]  # type: ignore[attr-defined]


async def test_transfers_outlive_the_key_encryption_key(database: Database, kept: KeptKeks) -> None:
    keys = await node(database, kept)
    grant, macaroon = uuid4(), uuid4()
    wrapped = keys.wrap_grant(b"s" * 32, grant, 1)
    root = keys.wrap_macaroon(b"r" * 32, macaroon, b"made")
    await keys.rotate()
    await keys.keeper.work()
    again = await node(database, kept)
    assert again.unwrap_grant(wrapped, grant, 1) == b"s" * 32
    assert again.unwrap_macaroon(root, macaroon, b"made") == b"r" * 32
    with pytest.raises(Unavailable):
        again.unwrap_grant(wrapped, grant, 2)
    with pytest.raises(Unavailable):
        again.unwrap_macaroon(wrapped, grant, b"made")


async def test_keys_are_rotated_in_the_background(database: Database, kept: KeptKeks) -> None:
    keys, secrets = await node(database, kept), some_secrets(10)
    await keys.register(secrets)
    running = asyncio.create_task(keys.forever())
    try:
        await keys.rotate()

        async def is_alone() -> bool:
            return len(await kept.read()) == 1 and await epochs(database) == {2}

        await until(is_alone)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_key_that_cannot_be_destroyed_is_told_and_stops_nothing(
    database: Database, kept: KeptKeks
) -> None:
    keys = await node(database, kept)
    await keys.rotate()
    # As on a disk that is full, or may not be written:
    (obstacle := kept.path.with_name(".kek.new")).mkdir()
    running = asyncio.create_task(keys.forever())
    try:
        with captured_log() as told:
            await until(lambda: running.done() or "cannot be changed" in told.getvalue())
        assert not running.done()
        assert len(await kept.read()) == 2
        obstacle.rmdir()

        async def is_alone() -> bool:
            return len(await kept.read()) == 1

        await until(is_alone)
    finally:
        running.cancel()
        await asyncio.wait([running])
