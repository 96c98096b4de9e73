"""Locks: they hold in every face and for every node, are bounded, and end."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from mdm_async.catalog.namespace import locks
from mdm_async.errors import BadRequest, Locked
from mdm_async.images.upkeep.trees import remove_trees
from mdm_async.names import Payer
from mdm_async.web.dav.conditions import parse
from tests.conftest import Reply, running_server
from tests.faults.conditions import until
from tests.images.one_step import Stream, store
from tests.images.test_opaque import take_opaque
from tests.postgres.for_tests import PostgresForTests
from tests.web.dav.face import Dav
from tests.web.made_images import made

ONE, OTHER = made(), made(seed=1)


def lockinfo(scope: str = "exclusive", owner: str = "<D:href>mailto:me</D:href>") -> bytes:
    return (
        f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype>'
        f"<D:owner>{owner}</D:owner></D:lockinfo>"
    ).encode()


async def locked(dav: Dav, name: str, scope: str = "exclusive", **headers: str) -> str:
    """The token."""
    answer = await dav.call("LOCK", name, lockinfo(scope), **headers)
    assert answer.status in (200, 201), answer.body
    return answer.headers["Lock-Token"].strip("<>")


async def status(dav: Dav, method: str, name: str, data: bytes | None = None, **headers: str) -> int:
    return (await dav.call(method, name, data, **headers)).status


async def test_a_locked_file_is_changed_by_who_shows_the_token_alone(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    token = await locked(dav, "a.dcm")
    to = dav.path("b.dcm")
    for method, data, headers in (
        ("PUT", OTHER, {}),
        ("DELETE", None, {}),
        ("MOVE", None, {"Destination": to}),
        ("PROPPATCH", PROPERTY, {}),
        ("LOCK", lockinfo(), {}),
        ("LOCK", lockinfo("shared"), {}),
    ):
        assert await status(dav, method, "a.dcm", data, **headers) == 423, method
    assert await status(dav, "GET", "a.dcm") == 200
    assert await status(dav, "PUT", "a.dcm", OTHER, If=f"(<{token}>)") == 204
    # A condition that does not hold comes before the lock.
    assert (
        await status(dav, "PUT", "a.dcm", ONE, If="(<urn:uuid:00000000-0000-0000-0000-000000000000>)") == 412
    )
    assert await status(dav, "MOVE", "a.dcm", Destination=to, If=f"(<{token}>)") == 201
    # The lock does not go with it.
    assert await status(dav, "DELETE", "b.dcm") == 204
    assert await status(dav, "PUT", "a.dcm", ONE) == 201


async def test_anothers_token_opens_nothing(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    token = await locked(dav, "a.dcm")
    other = dav.by(await dav.server.token("rwdlxgs", path=dav.at))
    assert await status(other, "PUT", "a.dcm", OTHER, If=f"(<{token}>)") == 423
    assert await status(other, "UNLOCK", "a.dcm", Lock_Token=f"<{token}>") == 403
    found = (await other.propfind("a.dcm", "0"))[dav.path("a.dcm")].known["lockdiscovery"]
    assert found.find(".//{DAV:}exclusive") is not None
    assert found.find(".//{DAV:}locktoken") is None
    assert found.find(".//{DAV:}owner") is None
    # Who does not see what it is on is told as if there were none.
    blind = dav.by(await dav.server.token("r", path=dav.at))
    assert await status(blind, "UNLOCK", "a.dcm", Lock_Token=f"<{token}>") == 409
    # Whoever may change its rights may break it.
    owner = dav.by(await dav.server.token("pl", path=dav.at))
    assert await status(owner, "UNLOCK", "a.dcm", Lock_Token=f"<{token}>") == 204
    assert await status(other, "PUT", "a.dcm", OTHER) == 204


async def test_it_holds_in_other_faces_and_one_locked_file_spoils_no_other(dav: Dav) -> None:
    server, at = dav.server, dav.at
    for name in ("a.dcm", "b.dcm"):
        await dav.puts(name, ONE)
    await locked(dav, "a.dcm")
    removed = await server.srm("rm", surls=[f"{at}/a.dcm", f"{at}/b.dcm"], expect=None)
    assert await dav.names() == ["a.dcm"], removed
    assert "SRM_FILE_BUSY" in repr(removed)
    for operation, asked in (
        ("mv", {"fromSURL": f"{at}/a.dcm", "toSURL": f"{at}/c.dcm"}),
        ("rmdir", {"surl": at, "recursive": True}),
    ):
        assert "SRM_FILE_BUSY" in repr(await server.srm(operation, expect=None, **asked)), operation
    prepared = await server.srm("prepareToPut", files=[{"surl": f"{at}/a.dcm"}], overwrite=True)
    async with server.http.put(prepared["files"][0]["transferURL"], data=OTHER) as answer:
        assert answer.status == 201
    done = await server.srm(
        "putDone", requestToken=prepared["requestToken"], surls=[f"{at}/a.dcm"], expect=None
    )
    assert "SRM_FILE_BUSY" in repr(done)


async def test_a_lock_that_comes_during_an_upload_keeps_what_has_the_name(dav: Dav) -> None:
    await take_opaque(dav.server, dav.at)
    await dav.puts("a", b"before")

    async def kept() -> object:
        async with dav.server.house.database.acquire() as db:
            return await db.fetch(
                "select account, bytes from opaque_used order by account"
            ), await db.fetchval("select count(*) from images where opaque_bytes is not null")

    charged, body = await kept(), Stream(b"after " * 20_000)
    upload = asyncio.create_task(store(dav.server, f"{dav.at}/a", body, overwrite=True))
    await body.half.wait()
    await locked(dav.by(await dav.server.token("rwdlxgs", path=dav.at)), "a")
    body.on.set()
    with pytest.raises(Locked):
        await upload
    assert (await dav.call("GET", "a")).body == b"before"
    assert await kept() == charged


async def test_a_directory_is_locked_alone_or_with_all_below_by_its_owner(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", ONE)
    writer = dav.by(await dav.server.token("rwdlxgs", path=dav.at))
    assert await status(writer, "LOCK", "d", lockinfo()) == 403
    token = await locked(dav, "d", Depth="0")
    assert await status(dav, "PUT", "d/b.dcm", ONE) == 423
    assert await status(dav, "DELETE", "d/a.dcm") == 423
    assert await status(dav, "PUT", "d/a.dcm", OTHER) == 204
    assert await status(dav, "UNLOCK", "d", Lock_Token=f"<{token}>") == 204
    token = await locked(dav, "d")
    assert await status(dav, "PUT", "d/a.dcm", ONE) == 423
    assert await status(dav, "LOCK", "d/a.dcm", lockinfo()) == 423
    assert await status(dav, "PUT", "d/b.dcm", ONE, If=f"<{dav.path('d')}> (<{token}>)") == 201
    # It is refreshed by way of what it holds, too.
    assert await status(dav, "LOCK", "d/b.dcm", If=f"(<{token}>)") == 200
    assert await status(dav, "UNLOCK", "d/b.dcm", Lock_Token=f"<{token}>") == 204


async def test_what_holds_a_locked_file_is_neither_moved_nor_removed(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    await dav.puts("d/a.dcm", ONE)
    token = await locked(dav, "d/a.dcm")
    assert await status(dav, "MOVE", "d", Destination=dav.path("e")) == 423
    assert await status(dav, "DELETE", "d") == 423
    assert await status(dav, "LOCK", "d", lockinfo()) == 423
    assert await status(dav, "DELETE", "d", If=f"<{dav.path('d/a.dcm')}> (<{token}>)") == 204
    async with dav.server.house.database.acquire() as db:
        assert (
            await db.fetchval(
                "select count(*) from locks where name = 'a.dcm' and token = $1::uuid", token[9:]
            )
            == 0
        )


async def test_a_lock_that_comes_while_its_directory_is_removed_keeps_nothing(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, take = dav.server.house, locks.take
    await dav.call("MKCOL", "d")
    await dav.call("MKCOL", "d/e")
    await dav.puts("d/e/a.dcm", ONE)

    async def later(*about: Any) -> locks.Lock:
        assert await status(dav, "DELETE", "d") == 204
        return await take(*about)

    monkeypatch.setattr(locks, "take", later)
    await locked(dav, "d/e/a.dcm")

    async def is_gone() -> bool:
        await remove_trees(house.database, house.node)
        async with house.database.acquire() as db:
            return not await db.fetchval("select exists (select from trees_to_remove)")

    await until(is_gone)


async def test_shared_locks_have_a_token_each(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    one, other = await locked(dav, "a.dcm", "shared"), await locked(dav, "a.dcm", "shared")
    assert one != other
    assert await status(dav, "LOCK", "a.dcm", lockinfo()) == 423
    assert await status(dav, "PUT", "a.dcm", OTHER) == 423
    assert await status(dav, "PUT", "a.dcm", OTHER, If=f"(<{other}>)") == 204
    assert await status(dav, "UNLOCK", "a.dcm", Lock_Token=f"<{one}>") == 204
    assert await status(dav, "PUT", "a.dcm", ONE) == 423


async def test_a_free_name_is_kept_for_who_locked_it(dav: Dav) -> None:
    """Where only DICOM may lie no empty file stands for it."""
    token = await locked(dav, "new.dcm")
    assert await dav.names() == []
    assert await status(dav, "PUT", "new.dcm", ONE) == 423
    assert await status(dav, "MKCOL", "new.dcm") == 423
    assert await status(dav, "PUT", "new.dcm", ONE, If=f"(<{token}>)") == 201
    assert await status(dav, "PUT", "new.dcm", OTHER) == 423


async def test_a_lock_lasts_as_long_as_may_be_and_no_longer(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    answer = await dav.call("LOCK", "a.dcm", lockinfo(), Timeout="Infinite, Second-4100000000")
    token = answer.headers["Lock-Token"].strip("<>")
    assert b"<D:timeout>Second-3600</D:timeout>" in answer.body
    again = await dav.call("LOCK", "a.dcm", If=f"(<{token}>)", Timeout="Second-77")
    assert b"<D:timeout>Second-77</D:timeout>" in again.body
    assert b"mailto:me" in again.body
    async with dav.server.house.database.acquire() as db:
        assert b"mailto" not in await db.fetchval("select told from locks where token = $1::uuid", token[9:])
        await db.execute("update locks set expires = now() where token = $1::uuid", token[9:])
    assert await status(dav, "LOCK", "a.dcm", If=f"(<{token}>)") == 412
    assert await status(dav, "PUT", "a.dcm", OTHER) == 204


async def test_a_storm_of_locks_is_bounded_for_each_and_for_all(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dsn = await postgres.fresh_database(migrated)
    limits = {"locks": 12, "locks_each": 8}
    async with running_server(tmp_path_factory.mktemp("locks") / "data", dsn, limits=limits) as server:
        one = Dav(server, "", server.admin_token)
        other = one.by(await server.token("wl", name="other"))
        answers: list[Reply] = [await one.call("LOCK", f"a{n}", lockinfo()) for n in range(10)]
        assert [answer.status for answer in answers] == [200] * 8 + [429] * 2
        assert "Retry-After" in answers[-1].headers
        assert [await status(other, "LOCK", f"b{n}", lockinfo()) for n in range(6)] == [200] * 4 + [429] * 2
        # What has ended makes room.
        async with server.house.database.acquire() as db:
            await db.execute("update locks set expires = now() where name like 'a%'")
        assert await status(other, "LOCK", "b9", lockinfo()) == 200


async def test_what_is_shown_by_one_request_is_not_shown_by_the_next_on_its_connection(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    token = await locked(dav, "a.dcm")
    for _ in range(3):
        assert await status(dav, "PUT", "a.dcm", OTHER, If=f"(<{token}>)") == 204
        assert await status(dav, "DELETE", "a.dcm") == 423
    # Nor by one to another face.
    alone = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
    async with alone:
        beside = Dav(replace(dav.server, http=alone), dav.at, dav.token)
        assert await status(beside, "PUT", "a.dcm", OTHER, If=f"(<{token}>)") == 204
        told = await beside.server.srm("rm", surls=[f"{dav.at}/a.dcm"], expect=None)
        assert "SRM_FILE_BUSY" in repr(told)


async def test_the_entity_tag_of_the_if_header_is_that_of_the_view(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    etag = (await dav.call("HEAD", "a.dcm")).headers["ETag"]
    assert await status(dav, "PUT", "a.dcm", OTHER, If=f"([{etag}])") == 204
    assert await status(dav, "PUT", "a.dcm", OTHER, If=f"([{etag}])") == 412
    assert await status(dav, "PUT", "a.dcm", ONE, If=f"(Not [{etag}]) (<DAV:no-lock>)") == 204


@pytest.mark.parametrize(
    "header", ["x", "()", "(", "(<a>", "(Not)", "(Not Not <a>)", "<a>", "((<a>))", "(<a>)" * 65, "(<a b>)"]
)
def test_a_malformed_if_header_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        parse(header)


PROPERTY = (
    b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><note xmlns="urn:x">of <b>the</b> night</note></D:prop></D:set>'
    b"</D:propertyupdate>"
)


async def test_names_of_a_condition_are_looked_up_in_a_turn_that_weighs_as_much(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, weights = dav.server.house.desk.turns, []
    turn = turns.turn

    def weighed(payer: Payer, files: int = 0, *, first: bool = True) -> AbstractAsyncContextManager[None]:
        weights.append(files)
        return turn(payer, files, first=first)

    monkeypatch.setattr(turns, "turn", weighed)
    names = " ".join(f'<{dav.path(f"{n}.dcm")}> (["x"])' for n in range(64))
    assert await status(dav, "PUT", "a.dcm", ONE, If=names) == 412
    assert weights == [64]
