"""A view that is opened again by the same name, by the same caller: no query, and never what the name led to before."""

import time

import pytest

from mdm_async.crypt4gh.exchange import public_key
from mdm_async.errors import Forbidden, MdmError, NotFound
from mdm_async.images.transfers import download, opening
from tests.conftest import Server
from tests.images.one_step import PRIVATE, caller, content, opened, read, store

RIGHTS = "rwdlxgs"


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that the catalog was asked about."""
    found: list[str] = []
    readable = opening.readable

    async def counted(*given: object, **more: object) -> object:
        found.extend(given[4])  # type: ignore[call-overload]
        return await readable(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "readable", counted)
    return found


async def test_it_is_looked_up_once(own_server: Server, ct: bytes, looked_up: list[str]) -> None:
    await store(own_server, "/a.dcm", ct)
    await own_server.house.warm.feed.catch_up(time.monotonic())
    first = await read(own_server, "/a.dcm")
    assert await read(own_server, "/a.dcm") == first
    assert looked_up == ["/a.dcm"]


async def test_other_callers_views_and_spellings_are_looked_up_by_themselves(
    own_server: Server, ct: bytes, looked_up: list[str]
) -> None:
    await store(own_server, "/a.dcm", ct)
    token, same = await own_server.token(RIGHTS, name="one"), await own_server.token(RIGHTS, name="two")
    await own_server.house.warm.feed.catch_up(time.monotonic())
    for who in (token, same, None):
        for name in ("/a.dcm", "/@basic/a.dcm"):
            await read(own_server, name, who)
    assert len(looked_up) == 6


async def test_a_name_that_is_given_to_another_file_leads_to_that(own_server: Server, ct: bytes) -> None:
    other = ct[:20_000] + bytes([ct[20_000] ^ 1]) + ct[20_001:]
    await store(own_server, "/a.dcm", ct)
    await store(own_server, "/b.dcm", other)
    before, after = await read(own_server, "/a.dcm"), await read(own_server, "/b.dcm")
    assert before != after
    await own_server.srm("mv", fromSURL="/a.dcm", toSURL="/c.dcm")
    await own_server.srm("mv", fromSURL="/b.dcm", toSURL="/a.dcm")
    for _ in range(2):
        assert await read(own_server, "/a.dcm") == after
        # What was moved is judged again, and may still be read: by its new name.
        await own_server.house.warm.feed.catch_up(time.monotonic())
    assert await read(own_server, "/c.dcm") == before


async def test_a_name_moved_by_another_node_leads_nowhere_after_the_next_look(
    own_server: Server, ct: bytes
) -> None:
    await own_server.srm("mkdir", surl="/d")
    await store(own_server, "/d/a.dcm", ct)
    view = await opened(own_server, "/d/a.dcm")
    async with own_server.house.database.acquire() as db:
        await db.execute("update entries set name = 'e' where name = 'd'")
    feed = own_server.house.warm.feed
    await feed.catch_up(time.monotonic())
    # As the watch does, which finds that the file itself may still be read.
    warm = view.warm
    own_server.house.warm.settle(warm, time.monotonic(), 60, feed.now, warm.way)
    with pytest.raises(NotFound):
        await opened(own_server, "/d/a.dcm")
    assert await read(own_server, "/e/a.dcm") == await content(own_server, view)


async def test_whoever_loses_the_right_is_refused_at_once(own_server: Server, ct: bytes) -> None:
    await own_server.srm("mkdir", surl="/d")
    await store(own_server, "/d/a.dcm", ct)
    token = await own_server.token("", name="guest")
    rules = [{"principal": "user:guest", "rights": "rlx"}]
    for path in ("/", "/d"):
        await own_server.srm("setPermission", surls=[path], permissionType="ADD", rules=rules)
    await read(own_server, "/d/a.dcm", token)
    await own_server.srm(
        "setPermission", surls=["/d"], permissionType="CHANGE", rules=[rules[0] | {"rights": "lx"}]
    )
    with pytest.raises(Forbidden):
        await opened(own_server, "/d/a.dcm", token)


async def test_another_default_view_is_served_at_once(own_server: Server, ct: bytes) -> None:
    await store(own_server, "/a.dcm", ct)
    before = await read(own_server, "/a.dcm")
    async with own_server.house.database.acquire() as db:
        await db.execute("update entries set default_view = 'identified' where parent is null")
    await own_server.house.warm.feed.catch_up(time.monotonic())
    with pytest.raises(MdmError):  # it needs `i`
        await opened(own_server, "/a.dcm")
    assert before


async def test_a_sealed_stream_is_never_given_twice(own_server: Server, ct: bytes) -> None:
    await store(own_server, "/a.dcm", ct)
    key = public_key(PRIVATE)
    one, other = [await opened(own_server, "/a.dcm", recipient=key) for _ in range(2)]
    assert one.warm.served.etag != other.warm.served.etag


async def macaroon(server: Server) -> tuple[str, str]:
    """One of the whole tree, and where it is ended."""
    answer = await server.call(
        "POST",
        "/dav/",
        token=server.admin_token,
        json={"caveats": []},
        headers={"Content-Type": "application/macaroon-request"},
    )
    return str(answer.tree["macaroon"]), f"/admin/v1/macaroons/{answer.tree['id']}"


async def test_a_view_hangs_on_the_macaroon_by_which_it_was_opened_and_on_no_other_like_it(
    own_server: Server, ct: bytes
) -> None:
    await store(own_server, "/a.dcm", ct)
    (one, where), (other, _) = await macaroon(own_server), await macaroon(own_server)
    await own_server.house.warm.feed.catch_up(time.monotonic())
    views = [await opened(own_server, "/a.dcm", token) for token in (one, other)]
    await own_server.call("DELETE", where, token=own_server.admin_token)
    assert [await own_server.house.warm.serves_again(view.warm) for view in views] == [False, True]


@pytest.mark.parametrize("kind", ["token", "macaroon"])
async def test_what_is_granted_by_a_credential_that_was_revoked_since_it_was_looked_at_is_dead(
    own_server: Server, ct: bytes, kind: str
) -> None:
    await store(own_server, "/a.dcm", ct)
    house = own_server.house
    if kind == "token":
        token, where = await own_server.token("rlx", name="late"), "/admin/v1/tokens/late"
    else:
        token, where = await macaroon(own_server)
    late = await caller(own_server, token)
    await own_server.call("DELETE", where, token=own_server.admin_token)
    await house.warm.feed.catch_up(time.monotonic())
    ask = download.Ask(["/a.dcm"])
    prepared = await download.prepare(
        house.desk, house.judge, house.warm, house.rounds, house.settings.transfers, late, ask
    )
    ((_, ticket),) = prepared.files
    assert not isinstance(ticket, MdmError)
    assert (await own_server.call("GET", f"/t/{ticket.token}/image.dcm")).status == 410
