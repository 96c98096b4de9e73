"""Queries that end before they are answered, and things that change while they are."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mdm_async.catalog.metadata import own_values
from mdm_async.catalog.rights import acl
from mdm_async.client.client import Client
from mdm_async.errors import Conflict, DatabaseBusy, NotFound
from mdm_async.images.metadata import finding, joining, rows, tasks
from mdm_async.images.metadata.asked import Asked
from mdm_async.images.metadata.finding import Search
from mdm_async.images.metadata.rows import Found
from mdm_async.images.reading.served import ServedViews
from mdm_async.names import AUTHENTICATED, Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Connection
from mdm_async.web.metadata import find
from tests.conftest import Server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.web.metadata.conftest import Meta
from tests.web.metadata.test_find import found, image, names

EVERYTHING = "Modality is known"


@pytest.fixture(scope="module")
async def study(server: Server) -> str:
    top = await server.directory()
    for seed, name in enumerate("abcd", 400):
        await server.put(f"{top}/{name}", image(seed, Modality="CT"))
    return top


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server.url, server.admin_token) as mdm:
        yield mdm


async def test_a_client_who_goes_away_ends_the_search(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def for_ever(self: Found) -> list[object]:
        await asyncio.sleep(0)
        return []

    monkeypatch.setattr(Found, "next", for_ever)
    house = server.house
    async with server.http.post(
        f"{server.url}/meta/v1/find",
        json={"query": EVERYTHING, "path": study},
        headers={"Authorization": f"Bearer {server.admin_token}"},
    ) as answer:
        assert answer.status == 200
        assert b"columns" in await answer.content.readline()
        assert next(iter(house.budget.near())).used > 0
        answer.close()
    await until(lambda: next(iter(house.budget.near())).used == 0)
    assert house.database.turns.used == 0
    assert house.desk.turns.running == 0


@pytest.mark.parametrize("why", [DatabaseBusy("busy"), ConnectionResetError(), RuntimeError("a mistake")])
async def test_an_answer_that_breaks_off_is_gone_on_with(
    study: str, client: Client, why: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_FEW", -1)
    monkeypatch.setattr(rows, "LOOKED_AT", 1)
    monkeypatch.setattr(find, "_ON_A_LINE", 1)
    calls, whole = 0, Search.next

    async def breaking(self: Search) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise why
        return await whole(self)

    monkeypatch.setattr(Search, "next", breaking)
    matches = client.meta.find(EVERYTHING, study)
    if isinstance(why, RuntimeError):
        with pytest.raises(Exception, match="unexpected failure"):
            [match async for match in matches]
        return
    assert [match.path[-1] async for match in matches] == list("abcd")
    assert calls > 5


async def test_a_limit_counts_what_came_before_an_answer_broke_off(
    study: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_FEW", -1)
    monkeypatch.setattr(rows, "LOOKED_AT", 1)
    monkeypatch.setattr(find, "_ON_A_LINE", 1)
    calls, whole = 0, Search.next

    async def breaking(self: Search) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise DatabaseBusy("busy")
        return await whole(self)

    monkeypatch.setattr(Search, "next", breaking)
    assert [match.path[-1] async for match in client.meta.find(EVERYTHING, study, limit=3)] == list("abc")


def reader(path: str) -> Caller:
    rights = frozenset({Right.READ, Right.GET_METADATA})
    return Caller("user:x", frozenset({"user:x", AUTHENTICATED}), (Scope(Lfn(path), rights),))


async def test_an_attribute_that_goes_meanwhile_is_told_of(
    server: Server, study: str, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_FEW", -1)
    monkeypatch.setattr(rows, "LOOKED_AT", 1)
    await meta("schemas/create", surl=study, name="mine", attributes=[{"name": "n", "kind": "int"}])
    for name in "abcd":
        await meta("set", surls=[f"{study}/{name}"], values={"mine.n": 1})
    search = await finding.begin(server.house.finding, reader(study), Asked("mine.n = 1", study))
    page = await search.next()
    assert page is not None
    assert [one.lfn[-1] for one in page.matches] == ["a"]
    await meta("schemas/change", surl=study, name="mine", remove=["n"])
    with pytest.raises(Conflict, match="just been removed"):
        await search.next()


async def test_what_is_hidden_meanwhile_is_told_no_more(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LOOKED_AT", 1)
    monkeypatch.setattr(rows, "_FEW", -1)
    search = await finding.begin(server.house.finding, reader(study), Asked(EVERYTHING, study))
    assert await search.next() is not None
    monkeypatch.setattr(acl, "allows", lambda *_: False)
    with pytest.raises(NotFound):
        await search.next()


async def test_what_is_hidden_while_it_waits_to_be_joined_is_not_told(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "MOST_JOINED", 4)
    query = Asked("c.Modality = Modality", study, joins={"c": study})
    search = await finding.begin(server.house.finding, reader(study), query)
    told = []
    while not told:
        page = await search.next()
        assert page is not None
        told += [one.lfn[-1] for one in page.matches]
    assert told == ["a"] * 4
    monkeypatch.setattr(acl, "allows", lambda *_: False)
    while not search.is_over and (page := await search.next()) is not None:
        assert not page.matches


async def test_a_view_that_is_not_ready_matches_nothing(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await names(server, "not Modality = 'MR'", study) == "abcd"
    # As when its profile has just been changed: all are pending.
    monkeypatch.setattr(ServedViews, "versions", ["original"])
    for few in (-1, 2000):
        monkeypatch.setattr(rows, "_FEW", few)
        for query in ('Modality = "CT"', 'not Modality = "MR"', "EchoTime is unknown"):
            assert await names(server, query, study) == ""


@pytest.mark.parametrize("few", [-1, 2000])
async def test_whoever_may_not_read_the_view_is_told_nothing_that_it_says(
    server: Server, study: str, meta: Meta, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_FEW", few)
    await meta("schemas/create", surl=study, name="told", attributes=[{"name": "n", "kind": "int"}])
    await meta("set", surls=[f"{study}/a", f"{study}/b"], values={"told.n": 1})
    token = await server.token("lg", study)
    for select in (["*"], ["Modality", "told.n"]):
        for order in ([], ["Modality"]):
            matches = await found(server, "told.n = 1", token, path=study, select=select, order=order)
            assert [one["path"][-1] for one in matches] == ["a", "b"]
            for one in matches:
                assert (one["view"], one["values"]) == (None, {"told.n": [1]} if "told.n" in select else {})
    await meta("schemas/drop", surl=study, name="told")


async def test_a_refused_view_matches_nothing(server: Server) -> None:
    top = await server.directory()
    await server.put(f"{top}/r", image(420, Modality="CT", BurnedInAnnotation="YES"))
    (file,) = (await server.srm("ls", surls=[f"{top}/r"]))["files"]
    assert "refused" in str(file), file
    assert await names(server, "EchoTime is unknown", top) == ""
    assert await names(server, 'not Modality = "MR"', top) == ""


@pytest.mark.parametrize("verb", ["find", "take", "set"])
async def test_a_client_who_goes_away_ends_the_statement_that_runs(
    server: Server, study: str, meta: Meta, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await meta("schemas/create", surl=study, name="gone", attributes=[{"name": "n", "kind": "int"}])

    async def slow(db: Connection, *_: object) -> None:
        await db.execute("select pg_sleep(600) /* a long query */")

    monkeypatch.setattr(rows, "place_of", slow)
    monkeypatch.setattr(tasks, "place_of", slow)
    monkeypatch.setattr(finding, "place_of", slow)
    monkeypatch.setattr(own_values, "lock", slow)
    body: dict[str, object] = {"surls": [f"{study}/a"], "values": {"gone.n": 1}}
    if verb != "set":
        body = {"query": EVERYTHING, "path": study} | ({"values": {"gone.n": 1}} if verb == "take" else {})

    async def running() -> bool:
        async with server.house.database.acquire() as db:
            return bool(
                await db.fetchval(
                    "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
                    " and query like 'select pg_sleep(600)%' and datname = current_database()"
                )
            )

    asking = asyncio.ensure_future(meta(verb, **body))
    while not await running():
        assert not asking.done(), asking.result().body
    asking.cancel()
    async with asyncio.timeout(PATIENCE):
        while await running():
            pass
    await until(lambda: server.house.desk.turns.running == 0)
    monkeypatch.undo()
    await meta("schemas/drop", surl=study, name="gone")
