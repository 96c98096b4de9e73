"""What thieves of copies can open: nothing without the key-encryption key; of what was shredded, nothing ever again."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from uuid import UUID

from mdm_async.catalog import installation
from mdm_async.keys import files
from mdm_async.keys.shamir import combine
from tests.attack.thief import every_bytea, shares_of, stolen, unwrapped
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import BLOB, made
from tests.web.shredding.conftest import Shred


async def _filled(server: Server) -> None:
    for number, pixels in enumerate((20_000, BLOB)):
        await server.put(f"/{number}.dcm", made(pixels=pixels, seed=900 + number))
        await server.read(f"/{number}.dcm")


async def _kek(server: Server) -> list[bytes]:
    return [base64.b64decode(line) for line in (server.data / "secrets" / "kek").read_text().split()]


async def test_the_database_and_the_blobs_open_nothing_without_the_key_encryption_key(
    own_server: Server,
) -> None:
    await _filled(own_server)
    loot = await stolen(own_server.dsn, own_server.data)
    assert loot.files
    assert loot.opens(await every_bytea(own_server.dsn)) == set()
    async with own_server.house.database.acquire() as db:
        installed = await installation.identity(db)
    _, secrets = await unwrapped(own_server.dsn, await _kek(own_server), installed)
    # The thief knows how: with the key-encryption key all of it opens.
    assert len(loot.opens(secrets.values())) == len(loot.parts) + len(loot.views)


async def test_what_was_shredded_opens_with_nothing_that_is_left(own_server: Server) -> None:
    server = own_server
    await _filled(server)
    loot = await stolen(server.dsn, server.data)
    shred = Shred(server)
    done = await shred.do("/0.dcm", "/1.dcm", asAdministrator=True)
    assert done["state"] == "destroyed"
    async with server.house.database.acquire() as db:
        installed = await installation.identity(db)
    _, secrets = await unwrapped(server.dsn, await _kek(server), installed)
    everything = {*secrets.values(), *await every_bytea(server.dsn)}
    assert loot.opens(everything) == set()
    left = await stolen(server.dsn, server.data)
    assert (left.parts, left.views, left.files) == ([], [], {})


class Shared:
    """A server whose secrets are shared: any two of three databases give them."""

    def __init__(self, server: Server, stores: dict[str, str], keks: dict[str, str], own: UUID) -> None:
        self.server, self.stores, self._keks, self._installation = server, stores, keks, own

    async def secrets(self, *names: str) -> set[bytes]:
        """Whatever can be made of what some stores hold, their key-encryption keys at hand."""
        found = {}
        for name in names:
            kek = base64.b64decode(self._keks[name])
            found[name] = await unwrapped(self.stores[name], [kek], self._installation)
        # Behind each secret lies a check of it, shared with it.
        made = {value[:32] for _, values in found.values() for value in values.values()}
        for name in names:
            made |= await every_bytea(self.stores[name])
        for shares in shares_of(found.values()).values():
            for count in range(1, len(shares) + 1):
                made |= {combine(some)[:32] for some in combinations(shares, count)}
        return made


@asynccontextmanager
async def shared(postgres: PostgresForTests, migrated: str, data: Path) -> AsyncIterator[Shared]:
    stores = {name: await postgres.fresh_database() for name in ("a", "b", "c")}
    keks = {name: files.fresh_kek().strip() for name in stores}
    told = [{"name": name, "dsn": dsn, "kek": keks[name]} for name, dsn in stores.items()]
    dsn = await postgres.fresh_database(migrated)
    async with running_server(data, dsn, keys={"stores": told, "threshold": 2}) as server:
        async with server.house.database.acquire() as db:
            own = await installation.identity(db)
        yield Shared(server, stores, keks, own)


async def test_any_one_of_three_stores_opens_nothing_and_any_two_do(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with shared(postgres, migrated, tmp_path / "data") as house:
        await _filled(house.server)
        loot = await stolen(house.server.dsn, house.server.data)
        every = len(loot.parts) + len(loot.views)
        of_the_catalog = await every_bytea(house.server.dsn)
        for name in house.stores:
            assert loot.opens(await house.secrets(name) | of_the_catalog) == set()
        for names in combinations(house.stores, 2):
            assert len(loot.opens(await house.secrets(*names))) == every


async def test_what_was_shredded_opens_with_no_stores_as_they_are_then(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with shared(postgres, migrated, tmp_path / "data") as house:
        server = house.server
        await _filled(server)
        loot = await stolen(server.dsn, server.data)
        done = await Shred(server).do("/0.dcm", "/1.dcm", asAdministrator=True)
        assert done["state"] == "destroyed"
        assert loot.opens(await house.secrets(*house.stores) | await every_bytea(server.dsn)) == set()
