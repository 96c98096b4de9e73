"""What a change has others asked again, by counting: those that it can touch, and of these those that are used."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.images.changed import ChangedHere
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.warm import WarmTurl
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made

FOLDERS, FILES = 4, 3


class Asked:
    """The SURLs of transfer URLs that were judged, and how many were looked up."""

    def __init__(self) -> None:
        self.judged: list[str] = []
        self.looked_up = 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked, judge, by_turl, liveness = Asked(), Judge.still_allowed, grants.by_turl, grants.liveness

    async def judged(self: Judge, held: Collection[Grant]) -> Any:
        asked.judged += [grant.surl for grant in held]
        return await judge(self, held)

    async def one(db: Any, turl: bytes) -> Any:
        asked.looked_up += 1
        return await by_turl(db, turl)

    async def some(db: Any, turls: Collection[bytes]) -> Any:
        asked.looked_up += len(turls)
        return await liveness(db, turls)

    monkeypatch.setattr(Judge, "still_allowed", judged)
    monkeypatch.setattr(grants, "by_turl", one)
    monkeypatch.setattr(grants, "liveness", some)
    return asked


class Urls:
    """Warm transfer URLs by SURL, /0/0 to /3/2, of a caller with rights by ACLs alone."""

    def __init__(self, server: Server, urls: dict[str, str]) -> None:
        self.server, self.urls = server, urls

    async def read(self, *surls: str) -> None:
        for surl in surls or self.urls:
            assert await self.server.get(self.urls[surl])

    @contextmanager
    def running(self) -> Iterator[dict[str, WarmTurl]]:
        """Somebody reads each."""
        house = self.server.house
        found = {warm.grant.surl: warm for warm in house.warm}
        with ExitStack() as stack:
            for warm in found.values():
                stack.enter_context(warm.ending.cutting(lambda: None))
            yield found

    async def two_looks(self) -> None:
        feed = self.server.house.warm.feed
        for _ in range(2):
            looked = feed.as_of
            await until(lambda looked=looked: feed.as_of > looked)


@pytest.fixture
async def urls(own_server: Server) -> Urls:
    server = own_server
    await rule(server, "/", "any:authenticated", "x")
    token = await server.token("", name="reader")
    for folder in range(FOLDERS):
        await server.srm("mkdir", surl=f"/{folder}")
        await rule(server, f"/{folder}", "user:reader", "rlx")
        for file in range(FILES):
            await server.put(f"/{folder}/{file}", made(seed=FILES * folder + file))
    surls = [f"/{folder}/{file}" for folder in range(FOLDERS) for file in range(FILES)]
    tree = await server.srm("prepareToGet", token=token, files=[{"surl": surl} for surl in surls])
    urls = Urls(server, {line["surl"]: line["transferURL"] for line in tree["files"]})
    await urls.two_looks()
    await urls.read()
    return urls


async def rule(server: Server, surl: str, principal: str, rights: str, kind: str = "ADD") -> None:
    await server.srm(
        "setPermission", surls=[surl], permissionType=kind, rules=[{"principal": principal, "rights": rights}]
    )


async def test_nothing_is_asked_again_while_nothing_changes(urls: Urls, asked: Asked) -> None:
    with urls.running():
        await urls.two_looks()
        await urls.read()
    assert (asked.judged, asked.looked_up) == ([], 0)


async def test_a_change_elsewhere_touches_nobody(urls: Urls, asked: Asked) -> None:
    await urls.server.srm("mkdir", surl="/elsewhere")
    await urls.server.srm("mv", fromSURL="/elsewhere", toSURL="/moved")
    with urls.running():
        await urls.two_looks()
        await urls.read()
    assert (asked.judged, asked.looked_up) == ([], 0)


async def test_a_moved_directory_touches_what_is_in_it(urls: Urls, asked: Asked) -> None:
    await urls.server.srm("mv", fromSURL="/1", toSURL="/new")
    await urls.read()
    await urls.read()
    assert sorted(asked.judged) == ["/1/0", "/1/1", "/1/2"]
    assert asked.looked_up == FILES


async def test_a_change_above_touches_what_was_moved_there(urls: Urls, asked: Asked) -> None:
    """The directories above are others since."""
    await urls.server.srm("mv", fromSURL="/1", toSURL="/2/new")
    await urls.read()
    asked.judged.clear()
    await rule(urls.server, "/2", "user:somebody", "x")
    await urls.read()
    assert sorted(asked.judged) == ["/1/0", "/1/1", "/1/2", "/2/0", "/2/1", "/2/2"]


async def test_of_what_is_touched_only_what_runs_is_judged_before_it_is_used(
    urls: Urls, asked: Asked
) -> None:
    await rule(urls.server, "/", "user:somebody", "x")
    await urls.two_looks()
    assert asked.judged == []
    with urls.running() as running:
        await until(lambda: len(asked.judged) >= FOLDERS * FILES)
        await urls.two_looks()
        assert sorted(asked.judged) == sorted(urls.urls)
        asked.judged.clear()
        await rule(urls.server, "/3", "user:reader", "r", "REMOVE")
        await until(lambda: running["/3/2"].ending.ended)
        assert sorted(asked.judged) == ["/3/0", "/3/1", "/3/2"]
        assert not any(warm.ending.ended for surl, warm in running.items() if surl < "/3")


async def test_a_changed_file_touches_itself(urls: Urls, asked: Asked) -> None:
    await rule(urls.server, "/0/1", "user:somebody", "r", "SET")
    for surl in urls.urls:
        answer = await urls.server.call("GET", urls.urls[surl])
        assert answer.status == (410 if surl == "/0/1" else 200)
    assert asked.judged == ["/0/1"]


async def test_what_was_changed_while_it_was_prepared_is_asked_again(
    urls: Urls, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rights were looked at before the change, and it was warm after the look that brought it."""
    server, insert = urls.server, grants.insert_audited

    async def inserted(db: Any, *arguments: Any, **options: Any) -> None:
        await rule(server, "/0", "user:reader", "r", "REMOVE")
        await urls.two_looks()
        await insert(db, *arguments, **options)

    token = await server.token("", name="other")
    await rule(server, "/0", "user:other", "rlx")
    monkeypatch.setattr(grants, "insert_audited", inserted)
    tree = await server.srm(
        "prepareToGet", token=token, files=[{"surl": "/0/0"}, {"surl": "/1/0"}], expect=None
    )
    assert await server.get(tree["files"][0]["transferURL"])
    assert asked.judged == ["/0/0"]


async def test_a_token_touches_what_was_asked_for_by_it(urls: Urls, asked: Asked) -> None:
    token = await urls.server.token("rlx", name="another")
    line = await urls.server.prepare("/0/0", token=token)
    await urls.two_looks()
    answer = await urls.server.call("DELETE", "/admin/v1/tokens/another", token=urls.server.admin_token)
    assert answer.status == 204
    await urls.read()
    assert asked.looked_up == 0
    assert (await urls.server.call("GET", line["transferURL"])).status == 410


async def test_nodes_of_the_version_before_are_told_that_something_has_changed(urls: Urls) -> None:
    async def epoch() -> int:
        async with urls.server.house.database.acquire() as db:
            return int(await db.fetchval("select acl_epoch from installation"))

    before = await epoch()
    await rule(urls.server, "/0", "user:somebody", "x")

    async def moved() -> bool:
        return await epoch() > before

    await until(moved)


def test_what_this_node_has_ended_is_remembered_one_by_one_up_to_a_bound() -> None:
    changed = ChangedHere()
    changed.turls([bytes([1]), bytes([2])])
    assert changed.since == float("-inf")
    changed.turls(i.to_bytes(4, "big") for i in range(1_000_000))
    assert len(changed._turls) <= 10_000
    assert changed.since > float("-inf")  # the feed is read before anything else is believed
