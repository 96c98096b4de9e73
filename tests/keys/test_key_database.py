"""Rows of one store open where they were wrapped: in their store, under their share's index, for their image."""

import os
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from mdm_async.errors import Unavailable
from mdm_async.keys import proofs
from mdm_async.keys.enrolment import claimed
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.row_cipher import Held, RowCipher, StoreIdentity
from mdm_async.postgres.database import Database
from tests.keys.database import INSTALLATION, as_the_version_before, kek, opened, registrations, some_secrets


def some_rows(count: int) -> list[Held]:
    return [Held(uuid4(), uuid4(), "image", os.urandom(32)) for _ in range(count)]


async def store(database: Database, key: bytes, share: int = 2) -> KeyDatabase:
    async with database.transaction() as db:
        identity = await claimed(db, StoreIdentity(uuid4(), share, INSTALLATION))
        return KeyDatabase(
            "a", database, RowCipher((await proofs.prove(db, [key], INSTALLATION)).ring, identity)
        )


async def read(keys: KeyDatabase, rows: Sequence[Held]) -> tuple[list[Held], int]:
    return await keys.read([one.registration for one in rows], ["image"])


async def test_a_store_keeps_the_identity_that_it_was_given_first(database: Database) -> None:
    key = kek()
    first, second = await store(database, key), await store(database, key, share=3)
    assert first.cipher.store == second.cipher.store
    assert first.cipher.store.share == 2


async def test_a_row_of_another_store_index_or_image_does_not_open(database: Database) -> None:
    key, (one, other) = kek(), some_rows(2)
    keys = await store(database, key)
    await keys.register([one, other])
    assert await read(keys, [one]) == ([one], 0)
    here, ring = keys.cipher.store, keys.cipher.ring
    for elsewhere in (
        StoreIdentity(uuid4(), here.share, INSTALLATION),
        StoreIdentity(here.id, 3, INSTALLATION),
        StoreIdentity(here.id, 0, INSTALLATION),
    ):
        assert await read(KeyDatabase("b", database, RowCipher(ring, elsewhere)), [one]) == ([], 1)
    async with database.acquire() as db:
        await db.execute(
            "update mdm_keys.image_secrets a set wrapped = b.wrapped from mdm_keys.image_secrets b"
            " where a.registration <> b.registration"
        )
    assert await read(keys, [one, other]) == ([], 2)


@pytest.mark.parametrize(
    "moved", ["registration = gen_random_uuid()", "image = gen_random_uuid()", "kind = 'identity'"]
)
async def test_a_row_that_says_another_registration_image_or_kind_does_not_open(
    database: Database, moved: str
) -> None:
    keys, rows = await store(database, kek()), some_rows(1)
    await keys.register(rows)
    async with database.acquire() as db:
        registration = await db.fetchval(f"update mdm_keys.image_secrets set {moved} returning registration")
    assert await keys.read([registration], ("image", "identity")) == ([], 1)


@pytest.mark.parametrize("form", [1, 3])
async def test_a_share_in_another_format_does_not_open(database: Database, form: int) -> None:
    keys, rows = await store(database, kek()), some_rows(1)
    await keys.register(rows)
    async with database.acquire() as db:
        await db.execute("update mdm_keys.image_secrets set format = $1", form)
    assert await read(keys, rows) == ([], 1)


async def test_what_was_bound_to_no_store_is_bound_when_it_is_wrapped_anew(database: Database) -> None:
    old, new, secrets = kek(), kek(), some_secrets(3)
    projects = await as_the_version_before(database, old, secrets)
    keys = await opened(database, new, old)
    await keys.keeper.work()
    async with database.acquire() as db:
        for table in ("image_secrets", "project_keys"):
            assert await db.fetchval(f"select array_agg(distinct format) from mdm_keys.{table}") == [2]
        await db.execute("update mdm_keys.store set id = $1", UUID(int=9))
    elsewhere = await KeyDatabase.open("elsewhere", database, [new], INSTALLATION)
    assert await elsewhere.read(registrations(secrets), ["image", "identity"]) == ([], 6)
    with pytest.raises(Unavailable, match="does not open"):
        await elsewhere.project_keys(projects)
    with pytest.raises(Unavailable, match="does not open"):
        await opened(database, new)
