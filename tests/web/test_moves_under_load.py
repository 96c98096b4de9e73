"""Directories are moved while files come into them, and no name escapes being compared."""

import asyncio
from itertools import count
from typing import Any

import pytest

from mdm_async.catalog.namespace import moves
from mdm_async.images.intake.placing import Placing
from mdm_async.images.names.revealing import NameGuard
from mdm_async.postgres.database import connect
from tests.conftest import Server
from tests.web.made_images import made

NAME = "Feldmann^Elisabeth"
OTHER = "Kim^Anna"
FILES, MOVES, AT_ONCE = 100, 8, 4


async def _uploaded(server: Server, surls: list[str], data: bytes) -> str:
    """The request in which these have come, and have no name yet."""
    tree = await server.srm("prepareToPut", files=[{"surl": one} for one in surls])
    for start in range(0, len(surls), AT_ONCE):
        some = tree["files"][start : start + AT_ONCE]
        answers = await asyncio.gather(*(server.call("PUT", one["transferURL"], data=data) for one in some))
        assert {answer.status for answer in answers} == {201}
    return str(tree["requestToken"])


async def test_a_directory_into_which_files_come_all_the_time_is_moved(server: Server) -> None:
    top = await server.directory()
    await server.srm("mkdir", surl=f"{top}/0")
    surls = [f"{top}/0/{number}.dcm" for number in range(FILES)]
    request = await _uploaded(server, surls, made(pixels=256))
    waiting, codes = list(surls), list[str]()

    async def give_names() -> None:
        while waiting:
            asked = {"requestToken": request, "surls": [waiting.pop()]}
            done = await server.srm("putDone", expect=None, **asked)
            codes.append(done["files"][0]["status"]["statusCode"])

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(give_names())
        for number in range(MOVES):
            asked = {"fromSURL": f"{top}/{number}", "toSURL": f"{top}/{number + 1}"}
            tree = await server.srm("mv", expect=None, **asked)
            assert waiting, "files still came"
            assert tree["returnStatus"]["statusCode"] == "SRM_SUCCESS"
    assert codes == ["SRM_SUCCESS"] * FILES


async def test_a_name_given_while_its_directory_gets_another_is_compared_with_that(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = await server.directory()
    await server.srm("mkdir", surl=f"{top}/s")
    request = await _uploaded(server, [f"{top}/s/a.dcm"], made(name=NAME))
    placed = Placing.placed

    async def late(*given: Any) -> Any:
        monkeypatch.undo()
        await server.srm("mv", fromSURL=f"{top}/s", toSURL=f"{top}/Feldmann")
        return await placed(*given)

    monkeypatch.setattr(Placing, "placed", late)
    asked = {"requestToken": request, "surls": [f"{top}/s/a.dcm"]}
    done = await server.srm("putDone", expect=None, **asked)
    assert done["files"][0]["status"]["statusCode"] == "SRM_INVALID_REQUEST"
    assert not (await server.srm("ls", surls=[f"{top}/Feldmann"], depth=1))["files"][0].get("children")
    await server.srm("mv", fromSURL=f"{top}/Feldmann", toSURL=f"{top}/t")
    done = await server.srm("putDone", **asked)
    assert done["files"][0]["path"] == f"{top}/t/a.dcm"


async def test_nor_is_one_of_a_file_that_is_replaced_while_its_directory_gets_another_name(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = await server.directory()
    await server.srm("mkdir", surl=f"{top}/s")
    await server.put(f"{top}/a.dcm", made(name=NAME))
    there = (await server.put(f"{top}/s/x.dcm", made(name=OTHER)))["guid"]
    silent = NameGuard.demand_silent

    async def slow(*given: Any) -> None:
        monkeypatch.undo()
        await silent(*given)
        await server.srm("mv", fromSURL=f"{top}/s", toSURL=f"{top}/Feldmann")

    monkeypatch.setattr(NameGuard, "demand_silent", slow)
    files = [{"sourceSURL": f"{top}/a.dcm", "targetSURL": f"guid:{there}"}]
    told = await server.srm("copy", expect=None, files=files, overwrite=True)
    assert told["files"][0]["status"]["statusCode"] == "SRM_FILE_BUSY"
    assert (await server.srm("ls", surls=[f"{top}/Feldmann/x.dcm"]))["files"][0]["guid"] == there


async def test_who_cannot_be_done_with_looking_is_told_when_to_try_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody gives names who waits for no move."""
    top = await server.directory()
    await server.srm("mkdir", surl=f"{top}/s")
    silent, numbers = NameGuard.demand_silent, count()

    async def slow(*given: Any) -> None:
        await silent(*given)
        await server.put(f"{top}/s/{next(numbers)}.dcm", made())

    async def never(*_: Any) -> None: ...

    async def mv() -> Any:
        body = {"fromSURL": f"{top}/s", "toSURL": f"{top}/t"}
        return await server.call("POST", "/srm/v2/mv", token=server.admin_token, json=body)

    with monkeypatch.context() as while_:
        while_.setattr(NameGuard, "demand_silent", slow)
        while_.setattr(moves, "announced", never)
        answer = await mv()
    assert (answer.status, answer.headers["Retry-After"]) == (409, "1")
    assert answer.tree["returnStatus"]["statusCode"] == "SRM_FILE_BUSY"
    # What it announced it has taken back.
    async with connect(server.dsn) as db:
        assert not await db.fetchval("select exists (select from moves)")
    await server.put(f"{top}/s/last.dcm", made())
    assert (await mv()).status == 200


async def test_who_waits_for_a_move_tries_nothing_in_vain(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = await server.directory()
    tried, seen, place = 0, asyncio.Event(), Placing.place

    async def counted(*given: Any) -> Any:
        nonlocal tried
        tried += 1
        return await place(*given)

    async def goes_on(_: object, announced: int) -> bool:
        looks.append(announced)
        if len(looks) == 3:
            seen.set()
        return not over

    looks, over = list[int](), False
    async with connect(server.dsn) as db:
        directory = await db.fetchval("select id from entries where name = $1", top[1:])
        await moves.announce(db, directory)
    monkeypatch.setattr(Placing, "place", counted)
    monkeypatch.setattr(moves, "is_going_on", goes_on)
    async with asyncio.TaskGroup() as group:
        stored = group.create_task(server.put(f"{top}/a.dcm", made()))
        await asyncio.wait_for(seen.wait(), 60)
        assert (tried, set(looks)) == (1, {directory})
        async with connect(server.dsn) as db:
            await moves.end(db, directory)
        over = True
    assert (await stored)["path"] == f"{top}/a.dcm"
    assert tried == 2
