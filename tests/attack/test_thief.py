"""What thieves of copies can open: nothing without the key-encryption key; of what was shredded, nothing ever again."""

import base64

from mdm_async.catalog import installation
from tests.attack.thief import every_bytea, stolen, unwrapped
from tests.conftest import Server
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
