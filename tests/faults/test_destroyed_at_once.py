"""What is removed is destroyed at once, its secrets first; nobody waits for a sweep."""

from typing import Any

from mdm_async.errors import Unavailable
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made


async def _count(server: Server, what: str) -> int:
    async with server.house.database.acquire() as db:
        return int(await db.fetchval(f"select count(*) from {what}"))


async def test_the_secrets_of_what_is_removed_are_gone_without_a_sweep(own_server: Server) -> None:
    directory = await own_server.directory()
    for name in ("a", "b"):
        await own_server.put(f"{directory}/{name}", made(pixels=1000, seed=len(name)))
    assert await _count(own_server, "mdm_keys.image_secrets") == 4
    await own_server.srm("rm", surls=[f"{directory}/a"])
    await until(lambda: _is(own_server, "mdm_keys.image_secrets", 2))
    await own_server.srm("rmdir", surl=directory, recursive=True)
    await until(lambda: _is(own_server, "mdm_keys.image_secrets", 0))
    await until(lambda: _is(own_server, "images", 0))
    await until(lambda: _is(own_server, "trees_to_remove", 0))


async def test_a_key_store_that_is_away_is_told_later_and_keeps_nothing_else(
    own_server: Server, monkeypatch: Any
) -> None:
    await own_server.put("/a", made(pixels=1000))
    keys = own_server.house.sweeper.keys
    forget, away = keys.forget, True

    async def forget_when_there(registrations: Any) -> None:
        if away:
            raise Unavailable("the key store is away")
        await forget(registrations)

    monkeypatch.setattr(keys, "forget", forget_when_there)
    await own_server.srm("rm", surls=["/a"])
    await until(lambda: _is(own_server, "images", 0))
    assert await _count(own_server, "keys_to_forget") == 1
    away = False
    await own_server.house.sweeper.sweep()
    assert await _count(own_server, "mdm_keys.image_secrets") == 0


async def _is(server: Server, what: str, count: int) -> bool:
    return await _count(server, what) == count
