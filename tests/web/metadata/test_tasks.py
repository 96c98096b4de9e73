"""Taking the next task: what matches is selected and changed in one, and given to one worker alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mdm_async.catalog.metadata import matches
from mdm_async.images.metadata import rows, tasks
from mdm_async.images.metadata.asked import Asked
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.metadata.taking_together import TakingTogether
from mdm_async.images.names.revealing import NameGuard
from mdm_async.names import Caller, Lfn, Right, Scope
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.metadata.conftest import Meta

ATTRIBUTES = [
    {"name": "state", "kind": "text", "choices": ["new", "running", "done"]}, {"name": "priority", "kind": "int"},
    {"name": "worker"},
]  # fmt: skip
NEW, TAKEN = 'mine.state = "new"', {"mine.state": "running"}


@pytest.fixture
async def queue(server: Server, meta: Meta, folder: str) -> str:
    """A directory of thirty tasks, which are directories."""
    await meta("schemas/create", surl=folder, name="mine", attributes=ATTRIBUTES)
    for n in range(30):
        await server.srm("mkdir", surl=f"{folder}/t{n:02}")
    tasks = [f"{folder}/t{n:02}" for n in range(30)]
    await meta("set", surls=tasks, values={"mine.state": "new", "mine.priority": 1})
    return folder


async def taken(meta: Meta, queue: str, query: str = NEW, **more: Any) -> list[str]:
    answer = await meta("take", **{"query": query, "path": queue, "values": TAKEN} | more)
    assert answer.status == 200, answer.body
    return [one["path"] for one in answer.tree["taken"]]


async def test_each_is_given_once_whoever_asks_at_the_same_time(meta: Meta, queue: str) -> None:
    queries = (NEW, 'mine.priority = 1 and mine.state = "new"', 'mine.state != "running"')
    asked = [taken(meta, queue, queries[n % 3], count=1 + n % 2) for n in range(60)]
    given = [path for some in await asyncio.gather(*asked) for path in some]
    given += await taken(meta, queue, count=30)
    assert sorted(given) == [f"{queue}/t{n:02}" for n in range(30)]
    assert await taken(meta, queue) == []
    (file,) = (await meta("get", surls=[given[0]])).tree["files"]
    assert file["own"]["mine"]["state"] == "running"


async def test_a_worker_who_goes_away_takes_nothing_along_that_was_taken_for_others(
    server: Server, meta: Meta, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, committed, gone = tasks._take_some, asyncio.Event(), asyncio.Event()
    sizes: list[int] = []

    async def slowly(*given: Any) -> Any:
        sizes.append(len(given[-1]))
        found = await some(*given)
        committed.set()
        await gone.wait()
        return found

    monkeypatch.setattr(tasks, "_take_some", slowly)
    house, taking, turn = server.house, TakingTogether(), asyncio.Lock()
    desk = Desk(house.database, house.verdicts, house.views)
    rights = frozenset({Right.GET_METADATA, Right.SET_METADATA})
    caller = Caller("user:worker", frozenset({"user:worker"}), (Scope(Lfn(queue), rights),))
    asked = (desk, house.name_guard, caller, Asked(NEW, queue), TAKEN, 1, lambda *, first=True: turn)
    async with turn:
        leader, *others = [asyncio.create_task(taking.take(*asked)) for _ in range(5)]
        await until(lambda: [len(one.waiting) for one in taking._queues.values()] == [5])
    await committed.wait()
    leader.cancel()
    gone.set()
    given = [one.lfn for some in await asyncio.gather(*others) for one in some]
    assert len(set(given)) == 4
    assert leader.cancelled()
    assert sizes == [5]
    assert len(await taken(meta, queue, count=30)) == 25


async def test_each_page_that_is_looked_at_takes_a_turn(
    server: Server, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LOOKED_AT", 5)
    turns, looked = list[bool](), 0
    page = matches.page

    @asynccontextmanager
    async def turn(*, first: bool = True) -> AsyncIterator[None]:
        nonlocal looked
        turns.append(first)
        looked = 0
        yield

    async def counted(*given: Any) -> Any:
        nonlocal looked
        looked += 1
        assert looked == 1
        return await page(*given)

    monkeypatch.setattr(matches, "page", counted)
    house = server.house
    desk = Desk(house.database, house.verdicts, house.views)
    rights = frozenset({Right.GET_METADATA, Right.SET_METADATA})
    caller = Caller("user:worker", frozenset({"user:worker"}), (Scope(Lfn(queue), rights),))
    none = Asked('not mine.state = "new"', queue)
    assert await tasks.take(desk, house.name_guard, lambda: [caller], none, TAKEN, turn) == []
    assert turns[0]
    assert not any(turns[1:])
    assert len(turns) >= 6


async def test_what_somebody_else_is_taking_is_passed_over(server: Server, meta: Meta, queue: str) -> None:
    async with server.house.database.transaction() as db:
        held = await db.fetchval(
            "select entry from own_values v join collection_attributes a on a.id = v.attribute"
            " join entries e on e.id = entry join entries d on d.id = e.parent and d.name = $1"
            " where text = 'new' order by entry limit 1",
            queue[1:],
        )
        await db.execute("select from entries where id = $1 for no key update", held)
        assert await taken(meta, queue) == [f"{queue}/t01"]
        assert len(await taken(meta, queue, count=30)) == 28
        assert await taken(meta, queue) == []
    assert await taken(meta, queue) == [f"{queue}/t00"]


async def test_what_fails_takes_nothing(meta: Meta, queue: str) -> None:
    for more, status in (
        ({"query": "mine.state ="}, 400), ({"query": 'mine.absent = "new"'}, 400), ({"query": "mine.state = 1"}, 400),
        ({"values": {"mine.state": "begun"}}, 400), ({"values": {"mine.absent": "x"}}, 404), ({"values": {}}, 400),
        ({"count": 0}, 400), ({"count": 1001}, 400), ({"path": f"{queue}/absent"}, 404),
        ({"path": f"/@basic{queue}"}, 400), ({"view": "no view!"}, 400), ({"view": "identified"}, 400),
        ({"query": '\'; drop table entries; --'}, 400),
    ):  # fmt: skip
        answer = await meta("take", **{"query": NEW, "path": queue, "values": TAKEN} | more)
        assert answer.status == status, (more, answer.body)
    assert len(await taken(meta, queue, count=1000)) == 30


async def test_only_what_one_may_see_and_set_is_taken(own_server: Server) -> None:
    server = own_server

    async def call(verb: str, token: str, **body: Any) -> Any:
        answer = await server.call("POST", f"/meta/v1/{verb}", token=token, json=body)
        assert answer.status in (200, 201), answer.body
        return answer.tree

    async def allow(path: str, principal: str, rights: str) -> None:
        rule = {"principal": principal, "rights": rights}
        await server.srm("setPermission", surls=[path], permissionType="SET", rules=[rule])

    tasks = [f"/q/t{n}" for n in range(4)]
    for path in ("/q", *tasks):
        await server.srm("mkdir", surl=path)
    await call("schemas/create", server.admin_token, surl="/q", name="mine", attributes=ATTRIBUTES)
    await call("set", server.admin_token, surls=tasks, values={"mine.state": "new"})
    worker = await server.token("", name="worker")
    await allow("/", "any:authenticated", "x")
    await allow("/q", "any:authenticated", "xg")  # may be seen, not set: t0
    await allow("/q/t1", "user:other", "xlgs")  # is hidden
    await allow("/q/t2", "user:worker", "xs")  # may be set, not seen
    await allow("/q/t3", "user:worker", "gs")
    asked: dict[str, Any] = {"query": NEW, "path": "/q", "values": TAKEN, "count": 30}
    assert [one["path"] for one in (await call("take", worker, **asked))["taken"]] == ["/q/t3"]
    assert (await call("take", worker, **asked))["taken"] == []
    left = (await call("take", server.admin_token, **asked))["taken"]
    assert [one["path"] for one in left] == tasks[:3]


async def test_what_dicom_says_counts_too_and_only_of_a_view_that_one_may_read(
    server: Server, meta: Meta, queue: str, ct: bytes
) -> None:
    await server.put(f"{queue}/a.dcm", ct)
    await meta("set", surls=[f"{queue}/a.dcm"], values={"mine.state": "new"})
    query = f'{NEW} and Modality = "CT"'
    unread = await server.token("xlgs", queue)
    asked = {"query": query, "path": queue, "values": TAKEN, "count": 5}
    assert (await meta("take", unread, **asked)).tree == {"taken": []}
    assert await taken(meta, queue, query.replace("CT", "MR"), count=5) == []
    assert await taken(meta, queue, query, count=5) == [f"{queue}/a.dcm"]


async def test_text_that_tells_who_the_patient_is_takes_nothing(own_server: Server, ct: bytes) -> None:
    server = own_server

    async def call(verb: str, **body: Any) -> Any:
        return await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)

    await server.srm("mkdir", surl="/q")
    await server.put("/q/a.dcm", ct)
    await call("schemas/create", surl="/q", name="mine", attributes=ATTRIBUTES)
    await call("set", surls=["/q/a.dcm"], values={"mine.state": "new"})
    asked = {"query": NEW, "path": "/q"}
    refused = await call("take", **asked, values=TAKEN | {"mine.worker": "CompressedSamples of CT1"})
    assert refused.status == 400
    assert b"identifiers of the file's patient" in refused.body
    done = await call("take", **asked, values=TAKEN | {"mine.worker": "node 17"})
    assert [one["path"] for one in done.tree["taken"]] == ["/q/a.dcm"]


async def test_a_worker_whose_name_is_a_patients_goes_on_with_the_others(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    """What was told before is told again at no cost; that a file was passed over is in the audit."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, naming={"refused": 2}) as server:

        async def call(verb: str, **body: Any) -> Any:
            return await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)

        await server.srm("mkdir", surl="/q")
        await call("schemas/create", surl="/q", name="mine", attributes=ATTRIBUTES)
        for seed, name in enumerate(("Fischer^Anna", *("Kim^Jo",) * 5)):
            await server.put(f"/q/{seed}.dcm", made(name=name, seed=seed))
        files = [f"/q/{seed}.dcm" for seed in range(6)]
        await call("set", surls=files, values={"mine.state": "new"})
        values = TAKEN | {"mine.worker": "fischer-pc"}
        for n in range(1, 6):
            done = await call("take", query=NEW, path="/q", values=values)
            assert [one["path"] for one in done.tree["taken"]] == [f"/q/{n}.dcm"]
        assert (await call("take", query=NEW, path="/q", values=values)).status == 400
        async with server.house.database.acquire() as db:
            guids = await db.fetch("select guid from audit where act = 'take' and outcome = 'refused'")
        assert len(guids) >= 5
        assert len({row["guid"] for row in guids} - {None}) == 1


async def test_another_patients_file_that_takes_its_place_while_it_is_compared_is_not_taken(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server

    async def call(verb: str, **body: Any) -> Any:
        return await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)

    await server.srm("mkdir", surl="/q")
    await server.put("/q/a.dcm", made(name="Kim^Anna"))
    await call("schemas/create", surl="/q", name="mine", attributes=ATTRIBUTES)
    await call("set", surls=["/q/a.dcm"], values={"mine.state": "new"})
    compare = NameGuard.compare

    async def slow(*given: Any) -> Any:
        verdicts = await compare(*given)
        monkeypatch.setattr(NameGuard, "compare", compare)
        await server.put("/q/a.dcm", ct, overwrite=True)
        await call("set", surls=["/q/a.dcm"], values={"mine.state": "new"})
        return verdicts

    monkeypatch.setattr(NameGuard, "compare", slow)
    values = TAKEN | {"mine.worker": "CompressedSamples of CT1"}
    assert (await call("take", query=NEW, path="/q", values=values)).tree == {"taken": []}


async def test_what_is_locked_is_not_taken(server: Server, meta: Meta, queue: str) -> None:
    lock = (
        b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
        b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
    )
    locked = await server.call("LOCK", f"/dav{queue}/t00", token=server.admin_token, data=lock)
    assert locked.status == 200
    assert await taken(meta, queue) == [f"{queue}/t01"]
    token = {"Lock-Token": locked.headers["Lock-Token"]}
    await server.call("UNLOCK", f"/dav{queue}/t00", token=server.admin_token, headers=token)


async def test_a_schema_that_goes_meanwhile_is_told(
    server: Server, meta: Meta, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for = tasks._candidates

    async def gone_first(*given: Any) -> Any:
        await meta("schemas/change", surl=queue, name="mine", remove=["state"])
        async for ids in looked_for(*given):
            yield ids

    monkeypatch.setattr(tasks, "_candidates", gone_first)
    answer = await meta("take", query="mine.priority = 1", path=queue, values=TAKEN)
    assert (answer.status, answer.tree["detail"]) == (409, "the collection has just been changed")


async def test_the_order_tells_nothing_of_hidden_tasks(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first made comes first, however many come between that one may not see, and whichever way they are found."""
    server = own_server

    async def call(verb: str, token: str, **body: Any) -> Any:
        answer = await server.call("POST", f"/meta/v1/{verb}", token=token, json=body)
        assert answer.status in (200, 201), answer.body
        return answer.tree

    hidden = [f"/q/h{n:02}" for n in range(12)]
    for path in ("/q", *hidden, "/q/z", "/q/a"):
        await server.srm("mkdir", surl=path)
    await call("schemas/create", server.admin_token, surl="/q", name="mine", attributes=ATTRIBUTES)
    worker = await server.token("", name="worker")
    for path, principal, rights in (
        ("/", "any:authenticated", "x"), ("/q", "any:authenticated", "xgs"),
        *((path, "user:other", "gs") for path in hidden),
    ):  # fmt: skip
        rule = {"principal": principal, "rights": rights}
        await server.srm("setPermission", surls=[path], permissionType="SET", rules=[rule])
    monkeypatch.setattr(tasks, "_PAGES", (1, 2))
    seen = ["/q/z", "/q/a"]
    for walked, looked_at in ((8, 1000), (8, 1), (1, 1), (0, 1)):
        monkeypatch.setattr(tasks, "_WALKED", walked)
        monkeypatch.setattr(rows, "LOOKED_AT", looked_at)
        monkeypatch.setattr(rows, "_FEW", 2000 if looked_at > 1 else -1)
        for there in ([], hidden):
            await call("set", server.admin_token, surls=seen, values={"mine.state": "new"})
            state = {"mine.state": "new" if there else "done"}
            await call("set", server.admin_token, surls=hidden, values=state)
            asked: dict[str, Any] = {"query": NEW, "path": "/q", "values": TAKEN}
            given = [(await call("take", worker, **asked))["taken"] for _ in range(3)]
            assert [[one["path"] for one in some] for some in given] == [["/q/z"], ["/q/a"], []]
