"""Several writers and one name, or one transfer URL: one winner, and the others are told."""

import asyncio
from typing import Any

from tests.conftest import Reply, Server
from tests.faults.conditions import stored
from tests.web.made_images import made

ONE, OTHER = made(pixels=300_000, seed=1), made(pixels=300_000, seed=2)


class Put:
    """An upload taken step by step."""

    def __init__(self, server: Server, surl: str, tree: dict[str, Any]) -> None:
        self.server, self.surl = server, surl
        self.request, self.url = tree["requestToken"], tree["files"][0]["transferURL"]

    async def send(self, data: bytes) -> Reply:
        return await self.server.call("PUT", self.url, data=data)

    async def done(self) -> tuple[str, str | None]:
        """The file's status and GUID."""
        tree = await self.server.srm("putDone", expect=None, requestToken=self.request, surls=[self.surl])
        (line,) = tree["files"]
        return line["status"]["statusCode"], line.get("guid")

    async def state(self) -> str:
        tree = await self.server.srm("statusOfPutRequest", requestToken=self.request)
        code: str = tree["files"][0]["status"]["statusCode"]
        return code


async def prepared(server: Server, surl: str, *, overwrite: bool = False) -> Put:
    tree = await server.srm("prepareToPut", files=[{"surl": surl}], overwrite=overwrite)
    return Put(server, surl, tree)


async def sent(server: Server, surl: str, data: bytes, *, overwrite: bool = False) -> Put:
    put = await prepared(server, surl, overwrite=overwrite)
    assert (await put.send(data)).status == 201
    return put


async def content(server: Server, surl: str) -> bytes:
    token = await server.token("pdrwlxgsi")
    return await server.read(surl, view="identified", token=token)


async def images(server: Server) -> int:
    """How many there are after a sweep."""
    await server.house.sweeper.sweep()
    counts = await stored(server)
    assert counts["files"] == counts["blobs"]
    return counts["images"]


async def test_two_files_put_to_one_name_have_one_winner(clear_server: Server) -> None:
    server = clear_server
    for turn in range(5):
        surl = f"{await server.directory()}/a.dcm"
        puts = [await sent(server, surl, data) for data in (ONE, OTHER)]
        outcomes = await asyncio.gather(*(put.done() for put in puts))
        assert sorted(code for code, _ in outcomes) == ["SRM_DUPLICATION_ERROR", "SRM_SUCCESS"]
        winner = next(n for n, (code, _) in enumerate(outcomes) if code == "SRM_SUCCESS")
        assert await content(server, surl) == (ONE, OTHER)[winner]
        assert await images(server) == turn + 1, "the loser's image is still there"
        assert await puts[1 - winner].state() == "SRM_DUPLICATION_ERROR"
        assert (await puts[1 - winner].done())[0] == "SRM_DUPLICATION_ERROR"
        assert (await puts[1 - winner].send(ONE)).status == 410


async def test_the_same_file_put_twice_to_one_name_succeeds_twice(clear_server: Server) -> None:
    surl = f"{await clear_server.directory()}/a.dcm"
    puts = [await sent(clear_server, surl, ONE) for _ in range(3)]
    outcomes = await asyncio.gather(*(put.done() for put in puts))
    assert {code for code, _ in outcomes} == {"SRM_SUCCESS"}
    assert len({guid for _, guid in outcomes}) == 1
    assert await images(clear_server) == 1
    assert await content(clear_server, surl) == ONE


async def test_two_that_overwrite_one_file_have_one_winner(clear_server: Server) -> None:
    server = clear_server
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=20_000))
    puts = [await sent(server, surl, data, overwrite=True) for data in (ONE, OTHER)]
    outcomes = await asyncio.gather(*(put.done() for put in puts))
    assert sorted(code for code, _ in outcomes) == ["SRM_DUPLICATION_ERROR", "SRM_SUCCESS"]
    winner = next(n for n, (code, _) in enumerate(outcomes) if code == "SRM_SUCCESS")
    assert await content(server, surl) == (ONE, OTHER)[winner]
    assert await images(server) == 1


async def test_two_that_overwrite_with_the_same_bytes_both_succeed(clear_server: Server) -> None:
    surl = f"{await clear_server.directory()}/a.dcm"
    await clear_server.put(surl, ONE)
    puts = [await sent(clear_server, surl, OTHER, overwrite=True) for _ in range(2)]
    assert {code for code, _ in await asyncio.gather(*(put.done() for put in puts))} == {"SRM_SUCCESS"}
    assert await content(clear_server, surl) == OTHER
    assert await images(clear_server) == 1


async def test_an_upload_that_arrives_twice_counts_once(clear_server: Server) -> None:
    put = await prepared(clear_server, f"{await clear_server.directory()}/a.dcm")
    answers = await asyncio.gather(*(put.send(ONE) for _ in range(3)))
    assert [answer.status for answer in answers] == [201] * 3
    assert (await put.send(ONE)).status == 201
    assert (await put.done())[0] == "SRM_SUCCESS"
    assert (await put.send(ONE)).status == 201
    assert await images(clear_server) == 1


async def test_other_bytes_to_the_same_transfer_url_are_refused(clear_server: Server) -> None:
    put = await prepared(clear_server, f"{await clear_server.directory()}/a.dcm")
    answers = await asyncio.gather(put.send(ONE), put.send(OTHER))
    assert sorted(answer.status for answer in answers) == [201, 409]
    kept = (ONE, OTHER)[[answer.status for answer in answers].index(201)]
    for _ in range(2):
        assert (await put.done())[0] == "SRM_SUCCESS"
        assert (await put.send(OTHER if kept is ONE else ONE)).status == 409
    assert await content(clear_server, put.surl) == kept
    assert await images(clear_server) == 1


async def test_put_done_may_be_repeated_even_at_once(clear_server: Server) -> None:
    surl = f"{await clear_server.directory()}/a.dcm"
    put = await sent(clear_server, surl, ONE)
    outcomes = [*await asyncio.gather(*(put.done() for _ in range(4))), await put.done()]
    assert {code for code, _ in outcomes} == {"SRM_SUCCESS"}
    assert len({guid for _, guid in outcomes}) == 1


async def test_a_put_and_the_removal_of_its_directory_do_not_lose_each_other(clear_server: Server) -> None:
    for _ in range(10):
        directory = await clear_server.directory()
        put = await sent(clear_server, f"{directory}/a.dcm", ONE)
        (code, _), removed = await asyncio.gather(
            put.done(), clear_server.srm("rmdir", expect=None, surl=directory, recursive=True)
        )
        outcome = code, removed["returnStatus"]["statusCode"]
        assert outcome in (
            ("SRM_SUCCESS", "SRM_SUCCESS"),
            ("SRM_SUCCESS", "SRM_NON_EMPTY_DIRECTORY"),
            ("SRM_INVALID_PATH", "SRM_SUCCESS"),
        ), outcome
