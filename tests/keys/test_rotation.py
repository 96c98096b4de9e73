"""Another key-encryption key comes into use: nothing that was readable stops being so, and nobody numbers keys."""

import asyncio
from uuid import uuid4

import pytest

from mdm_async.errors import Unavailable
from mdm_async.keys.wrap import Wrapper
from mdm_async.postgres.database import Database
from tests.faults.conditions import until
from tests.keys.database import (
    INSTALLATION,
    as_the_version_before,
    epochs,
    kek,
    opened,
    registrations,
    some_secrets,
)


async def test_what_the_version_before_wrote_is_read(database: Database) -> None:
    old, secrets = kek(), some_secrets(3)
    projects = await as_the_version_before(database, old, secrets)
    for ring in ([old], [kek(), old]):
        keys = await opened(database, *ring)
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
        assert await keys.project_keys(projects) == projects
        request = uuid4()
        bare = Wrapper(old, INSTALLATION).wrap(b"s" * 32, "grant", request.bytes, (5).to_bytes(4, "big"))
        assert keys.unwrap_grant(bare, request, 5) == b"s" * 32


async def test_all_is_wrapped_anew_and_the_old_key_may_go(database: Database) -> None:
    old, new, secrets = kek(), kek(), some_secrets(1203)
    projects = await as_the_version_before(database, old, secrets)
    keys = await opened(database, new, old)
    await keys.keeper.work()
    assert await epochs(database) == {2}
    alone = await opened(database, new)
    assert await alone.fetch(registrations(secrets), identity=True) == secrets
    assert await alone.project_keys(projects) == projects


async def test_wrapping_anew_goes_on_where_it_was_stopped(database: Database) -> None:
    old, new, secrets = kek(), kek(), some_secrets(800)
    await as_the_version_before(database, old, secrets)
    for _ in range(4):  # however far each comes
        begun = asyncio.create_task((await opened(database, new, old)).keeper.work())
        await _stopped_midway(begun, database)
        keys = await opened(database, new, old)
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
    await keys.keeper.work()
    assert await epochs(database) == {2}


async def _stopped_midway(wrapping: asyncio.Task[None], database: Database) -> None:
    await until(lambda: _has_begun(wrapping, database))
    wrapping.cancel()
    await asyncio.wait([wrapping])


async def _has_begun(wrapping: asyncio.Task[None], database: Database) -> bool:
    return wrapping.done() or 2 in await epochs(database)


async def test_a_damaged_secret_keeps_no_other_from_being_wrapped_anew(database: Database) -> None:
    old, new, secrets = kek(), kek(), some_secrets(3)
    await as_the_version_before(database, old, secrets)
    async with database.acquire() as db:
        await db.execute(
            "update mdm_keys.image_secrets set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
            " where registration = $1",
            registrations(secrets)[1],
        )
    keys = await opened(database, new, old)
    await keys.keeper.work()
    assert len(await keys.fetch(registrations(secrets), identity=True)) == 2
    assert await epochs(database) == {1, 2}


async def test_a_ring_that_does_not_open_everything_is_refused(database: Database) -> None:
    first, second = kek(), kek()
    await (await opened(database, first)).make_project_key("a")
    for ring in ([second], [second, kek()]):
        with pytest.raises(Unavailable, match="key number 1"):
            await opened(database, *ring)
    await (await opened(database, second, first)).make_project_key("b")
    for lacking, number in ((first, 2), (second, 1)):
        with pytest.raises(Unavailable, match=f"key number {number}"):
            await opened(database, lacking)
    assert len(await (await opened(database, first, second)).project_keys(["a", "b"])) == 2


async def test_a_refused_ring_leaves_no_trace(database: Database) -> None:
    first = kek()
    await (await opened(database, first)).make_project_key("a")
    with pytest.raises(Unavailable):
        await opened(database, kek())
    async with database.acquire() as db:
        assert await db.fetchval("select count(*) from mdm_keys.kek_proofs") == 1


async def test_nodes_may_be_given_a_new_key_one_after_the_other(database: Database) -> None:
    """First below the one in use, everywhere; then above it, everywhere. All the while all read what any writes."""
    old, new = kek(), kek()
    writers = [
        await opened(database, old),
        await opened(database, old, new),
        await opened(database, new, old),
    ]
    secrets = some_secrets(3)
    for keys, (image, one) in zip(writers, secrets.items(), strict=True):
        await keys.register({image: one})
    for keys in writers[1:]:
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
    await writers[2].keeper.work()
    await writers[1].keeper.work()
    assert await epochs(database) == {2}
    assert await writers[1].fetch(registrations(secrets), identity=True) == secrets


async def test_nodes_that_start_at_once_agree_on_the_epochs(database: Database) -> None:
    old, new = kek(), kek()
    nodes = await asyncio.gather(*(opened(database, new, old) for _ in range(4)))
    wrapped = nodes[0].wrap_grant(b"s" * 32, request := uuid4(), 0)
    assert [node.unwrap_grant(wrapped, request, 0) for node in nodes] == [b"s" * 32] * 4
    async with database.acquire() as db:
        assert await db.fetchval("select count(*) from mdm_keys.kek_proofs") == 2
