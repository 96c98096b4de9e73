"""A file stored under a name in one step: all of it appears at the commit, or nothing is left."""

import asyncio
import hashlib
import zlib
from pathlib import Path

import pytest

from mdm_async.catalog.work.views_to_make import lock_demands
from mdm_async.errors import (
    Exists,
    Forbidden,
    MdmError,
    NotDicom,
    NotFound,
    TooLarge,
    Truncated,
    Unauthenticated,
    WrongContent,
)
from mdm_async.images.transfers import upload
from mdm_async.images.transfers.upload import PutAsk
from mdm_async.names import IDENTIFIED
from tests.conftest import Server, running_server
from tests.faults.conditions import NOTHING, stored, until, waiting_for_a_lock
from tests.images.one_step import RECIPIENT, Stream, caller, read, store
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.own_acls import give, rule

SMALL, LARGE, OTHER = made(), made(pixels=3_000_000, head=300_000), made(seed=1)


async def names(server: Server) -> list[str]:
    async with server.house.database.acquire() as db:
        return [row["name"] for row in await db.fetch("select name from entries where parent is not null")]


async def nothing_came_of_it(server: Server) -> bool:
    return await stored(server) == NOTHING and await names(server) == []


async def acts(server: Server) -> list[tuple[str, str]]:
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select act, caller from audit where act in ('put', 'mkdir', 'open') order by id"
        )
    return [(row["act"], row["caller"]) for row in rows]


@pytest.mark.parametrize("data", [SMALL, LARGE, made(deflated=True)], ids=["inline", "blobs", "deflated"])
async def test_what_is_stored_is_what_is_opened(own_server: Server, data: bytes) -> None:
    file = await store(own_server, "/a.dcm", data)
    assert (file.lfn, file.size, file.adler32) == ("/a.dcm", len(data), zlib.adler32(data))
    assert (file.sha256, file.replaced) == (hashlib.sha256(data).hexdigest(), False)
    token = await own_server.token("rli", views=["identified", "basic"])
    identified = await read(own_server, "/a.dcm", token, view=IDENTIFIED, recipient=RECIPIENT)
    assert identified == data
    assert await read(own_server, "/a.dcm") == await own_server.read("/a.dcm")
    (line,) = (await own_server.srm("ls", surls=["/a.dcm"]))["files"]
    assert line["guid"] == str(file.guid)


async def test_its_directories_are_made_with_it(own_server: Server) -> None:
    file = await store(own_server, "/vo/study/a.dcm", SMALL, parents=True)
    assert file.lfn == "/vo/study/a.dcm"
    assert await read(own_server, "/vo/study/a.dcm")
    await store(own_server, "/vo/study/b.dcm", OTHER, parents=True)
    assert [act for act, _ in await acts(own_server) if act != "open"] == ["mkdir", "mkdir", "put", "put"]


async def test_without_being_asked_none_are_made(own_server: Server) -> None:
    with pytest.raises(NotFound) as told:
        await store(own_server, "/vo/a.dcm", SMALL)
    assert "mkdir" in told.value.remedy


@pytest.mark.parametrize(
    ("data", "known", "error"),
    [
        (LARGE, {"sha256": "0" * 64}, WrongContent),
        (LARGE, {"size": len(LARGE) - 1}, TooLarge),
        (LARGE, {"size": len(LARGE) + 1}, Truncated),
        (LARGE[:-200_000], {}, Truncated),
        (b"no DICOM file" * 100, {}, NotDicom),
        (b"", {}, NotDicom),
    ],
    ids=["digest", "too much", "too little", "truncated", "not DICOM", "empty"],
)
async def test_what_is_not_as_it_should_be_leaves_nothing(
    own_server: Server, data: bytes, known: dict[str, object], error: type[MdmError]
) -> None:
    with pytest.raises(error):
        await store(own_server, "/vo/a.dcm", data, parents=True, **known)
    assert await nothing_came_of_it(own_server)
    assert await acts(own_server) == []
    assert await store(own_server, "/vo/a.dcm", LARGE, parents=True, size=len(LARGE))


async def test_a_stream_that_is_cut_leaves_nothing(own_server: Server) -> None:
    body = Stream(LARGE)
    storing = asyncio.create_task(store(own_server, "/a.dcm", body))
    await body.half.wait()
    body.break_off()
    with pytest.raises(ConnectionResetError):
        await storing
    assert await nothing_came_of_it(own_server)


async def test_a_task_that_is_cancelled_leaves_nothing(own_server: Server) -> None:
    body = Stream(LARGE)
    storing = asyncio.create_task(store(own_server, "/a.dcm", body))
    await body.half.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert await nothing_came_of_it(own_server)


async def test_it_is_refused_as_preparing_it_would_be(own_server: Server) -> None:
    """What one may not do, and what one may not see, is told in the same words."""
    await give(own_server, "/", [rule("any:authenticated", "x"), rule("user:admin", "pdrwlxgs")])
    for name in ("/hidden", "/seen", "/open"):
        await own_server.srm("mkdir", surl=name)
    for name in ("/seen/there.dcm", "/open/there.dcm", "/open/unseen.dcm"):
        await own_server.put(name, SMALL)
    await give(own_server, "/hidden", [])
    await give(own_server, "/seen", [rule("user:me", "lx")])
    await give(own_server, "/open", [rule("user:me", "wlx")])
    await give(own_server, "/open/unseen.dcm", [rule("user:me", "w")])
    token = await own_server.token("", name="me")
    surls = [
        *("/hidden/a.dcm", "/missing/a.dcm", "/seen/a.dcm", "/seen/there.dcm", "/open/there.dcm"),
        *("/open/unseen.dcm", "/open", "/open/no/a.dcm", "/open/there.dcm/a.dcm", "/@basic/open/a.dcm"),
        *("/.guid/00000000-0000-0000-0000-000000000000", "no path"),
    ]
    house, who = own_server.house, await caller(own_server, token)
    refused = set()
    for overwrite in (False, True):
        ask = PutAsk([(surl, None) for surl in surls], overwrite)
        prepared = await upload.prepare(
            house.desk, house.intake, house.judge.callers, own_server.house.settings.transfers, who, ask
        )
        for surl, why in prepared.files:
            assert isinstance(why, MdmError), surl
            refused.add(type(why).__name__)
            with pytest.raises(type(why)) as told:
                await store(own_server, surl, OTHER, token, overwrite=overwrite)
            assert _told(told.value) == _told(why), surl
    assert refused == {"NoParent", "Forbidden", "Exists", "BadPath", "BadRequest"}


def _told(why: MdmError) -> tuple[object, ...]:
    return why.detail, why.remedy, why.refusal


async def test_directories_that_may_not_be_made_are_refused_before_a_byte_is_read(own_server: Server) -> None:
    token = await own_server.token("l")
    body = Stream(LARGE)
    with pytest.raises(NotFound):
        await store(own_server, "/vo/a.dcm", body, token, parents=True)
    assert not body.half.is_set()


async def test_to_overwrite_needs_d(server: Server) -> None:
    folder = await server.directory()
    await server.put(f"{folder}/a.dcm", SMALL)
    with pytest.raises(Exists):
        await store(server, f"{folder}/a.dcm", OTHER)
    with pytest.raises(Forbidden):
        await store(server, f"{folder}/a.dcm", OTHER, await server.token("rwlx"), overwrite=True)
    before = await server.read(f"{folder}/a.dcm")
    file = await store(server, f"{folder}/a.dcm", OTHER, await server.token("rwlxd"), overwrite=True)
    assert file.replaced
    assert await read(server, f"{folder}/a.dcm") != before


async def test_two_at_once_have_one_winner(own_server: Server) -> None:
    bodies = [Stream(SMALL), Stream(OTHER)]
    storing = [asyncio.create_task(store(own_server, "/a.dcm", body)) for body in bodies]
    for body in bodies:
        await body.half.wait()
    for body in bodies:
        body.on.set()
    ended = await asyncio.gather(*storing, return_exceptions=True)
    (lost,) = [one for one in ended if isinstance(one, BaseException)]
    assert isinstance(lost, Exists)
    async with own_server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from images") == 1


async def test_two_that_overwrite_the_same_file_have_one_winner(own_server: Server) -> None:
    await own_server.put("/a.dcm", made(seed=7))
    bodies = [Stream(SMALL), Stream(OTHER)]
    storing = [asyncio.create_task(store(own_server, "/a.dcm", body, overwrite=True)) for body in bodies]
    for body in bodies:
        await body.half.wait()
    for body in bodies:
        body.on.set()
    ended = await asyncio.gather(*storing, return_exceptions=True)
    assert sorted(isinstance(one, Exists) for one in ended) == [False, True]


async def test_the_same_bytes_again_are_no_error(own_server: Server) -> None:
    """Not even to whoever may not overwrite: the answer to the first may have been lost."""
    token = await own_server.token("rwl")
    first = await store(own_server, "/a.dcm", SMALL, token)
    for overwrite in (False, True):
        again = await store(own_server, "/a.dcm", SMALL, token, overwrite=overwrite)
        assert (again.guid, again.replaced) == (first.guid, False)
    with pytest.raises(Exists):
        await store(own_server, "/a.dcm", OTHER, token)
    with pytest.raises(Forbidden):
        await store(own_server, "/a.dcm", OTHER, token, overwrite=True)


async def test_a_file_of_ones_own_that_is_hidden_since_is_told_of_as_any_other(own_server: Server) -> None:
    await give(own_server, "/", [rule("user:writer", "wlx")])
    token = await own_server.token("", name="writer")
    await store(own_server, "/a.dcm", SMALL, token)
    assert await store(own_server, "/a.dcm", SMALL, token)
    await give(own_server, "/a.dcm", [])
    with pytest.raises(Exists):
        await store(own_server, "/a.dcm", SMALL, token)


async def test_a_directory_removed_meanwhile_is_missed(own_server: Server) -> None:
    await own_server.srm("mkdir", surl="/d")
    body = Stream(LARGE, deaf=True)
    storing = asyncio.create_task(store(own_server, "/d/a.dcm", body))
    await body.half.wait()
    await own_server.srm("rmdir", surl="/d")
    body.on.set()
    with pytest.raises(NotFound):
        await storing
    assert await nothing_came_of_it(own_server)


async def test_to_another_the_same_bytes_are_another_file(own_server: Server) -> None:
    """Else a writer could try which patient an image is of."""
    await store(own_server, "/a.dcm", SMALL)
    with pytest.raises(Exists):
        await store(own_server, "/a.dcm", SMALL, await own_server.token("rwl"))


async def test_even_when_it_was_first_by_a_moment(own_server: Server) -> None:
    body = Stream(SMALL)
    storing = asyncio.create_task(store(own_server, "/a.dcm", body, await own_server.token("rwl")))
    await body.half.wait()
    await store(own_server, "/a.dcm", SMALL)
    body.on.set()
    with pytest.raises(Exists):
        await storing


async def test_a_repetition_by_the_other_way_is_one_too(own_server: Server) -> None:
    line = await own_server.put("/a.dcm", SMALL)
    assert str((await store(own_server, "/a.dcm", SMALL)).guid) == line["guid"]


async def test_a_token_revoked_meanwhile_stores_nothing(own_server: Server) -> None:
    token = await own_server.token("rwl", name="writer")
    body = Stream(LARGE, deaf=True)
    storing = asyncio.create_task(store(own_server, "/a.dcm", body, token))
    await body.half.wait()
    answer = await own_server.call("DELETE", "/admin/v1/tokens/writer", token=own_server.admin_token)
    assert answer.status == 204
    body.on.set()
    with pytest.raises(Unauthenticated, match="revoked"):
        await storing
    assert await nothing_came_of_it(own_server)


async def test_a_right_lost_meanwhile_stores_nothing(own_server: Server) -> None:
    await own_server.srm("mkdir", surl="/d")
    await give(own_server, "/", [rule("any:authenticated", "lx"), rule("user:admin", "pdrwlxgs")])
    await own_server.put("/d/there.dcm", SMALL)
    before = await stored(own_server)
    token = await own_server.token("", name="writer")
    for name, rights, left, lost in (
        ("new.dcm", "wlx", "lx", "'w'"),
        ("there.dcm", "wdlx", "wlx", "'d'"),
        ("there.dcm", "wdlx", "dlx", "'w'"),
    ):
        await give(own_server, "/d", [rule("user:writer", rights)])
        body = Stream(LARGE, deaf=True)
        storing = asyncio.create_task(store(own_server, f"/d/{name}", body, token, overwrite=True))
        await body.half.wait()
        await give(own_server, "/d", [rule("user:writer", left)])
        body.on.set()
        with pytest.raises(Forbidden, match=lost):
            await storing
    assert await stored(own_server) == before


async def test_a_running_one_is_cut_when_its_token_is_revoked(own_server: Server) -> None:
    token = await own_server.token("rwl", name="writer")
    body = Stream(LARGE)
    storing = asyncio.create_task(store(own_server, "/a.dcm", body, token))
    await body.half.wait()
    answer = await own_server.call("DELETE", "/admin/v1/tokens/writer", token=own_server.admin_token)
    assert answer.status == 204
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionResetError):
            await storing
    assert await nothing_came_of_it(own_server)


async def test_a_name_that_tells_the_patient_is_refused(own_server: Server) -> None:
    with pytest.raises(MdmError, match="identifiers"):
        await store(own_server, "/mustermann-erika.dcm", made(name="Mustermann^Erika"))
    assert await nothing_came_of_it(own_server)


async def test_it_is_audited_without_its_size(own_server: Server) -> None:
    await store(own_server, "/a.dcm", SMALL)
    async with own_server.house.database.acquire() as db:
        (row,) = await db.fetch("select * from audit where act = 'put'")
    assert row["outcome"] == "success"
    assert row["guid"] is not None
    assert row["bytes"] % (64 << 10) == 0


async def test_neither_way_needs_a_grant(own_server: Server) -> None:
    await store(own_server, "/a.dcm", SMALL)
    await read(own_server, "/a.dcm")
    async with own_server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from grants") == 0


async def test_a_name_that_tells_the_patient_is_exchanged_where_that_is_set(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, naming={"identifying": "rename"}) as server:
        await server.put("/mustermann-erika.dcm", SMALL)
        file = await store(server, "/mustermann-erika.dcm", made(name="Mustermann^Erika"), overwrite=True)
        assert "mustermann" not in file.lfn
        assert not file.replaced
        assert await read(server, file.lfn)


async def test_it_waits_for_who_moves_entries_before_it_holds_any(own_server: Server) -> None:
    """Or each would wait for the other, and the whole file would have to be sent again."""
    async with own_server.house.database.transaction() as moving:
        await lock_demands(moving)
        storing = asyncio.create_task(store(own_server, "/x/a.dcm", SMALL, parents=True))
        await until(lambda: waiting_for_a_lock(own_server))
        await moving.execute("select from entries where parent is null for update nowait")
    assert (await storing).lfn == "/x/a.dcm"
