"""No copy makes the server reach what it may not, or tells one server what was for another."""

import asyncio
import socket
from dataclasses import replace

import pytest

from mdm_async.errors import BadRequest, Forbidden, MdmError, NotSupported
from mdm_async.settings import CopySettings
from mdm_async.web.copying.back_ends import BackEnds
from mdm_async.web.copying.carried import carried
from mdm_async.web.copying.client import CopyClient
from mdm_async.web.copying.guard import Guard
from mdm_async.web.copying.other_side import OtherSide
from mdm_async.web.copying.patience import Patience
from tests.faults.conditions import until
from tests.web.copying.conftest import Copying
from tests.web.copying.peers import Behaviour, Talk, gives

SECRET = "Bearer of-the-other-server"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/f",
        "ftp://localhost:{port}/f",
        "file:///etc/passwd",
        "/etc/passwd",
        "https://user@localhost:{port}/f",
        "https://user:secret@localhost:{port}/f",
        "https://localhost:{port}@elsewhere.example.org/f",
        "https://localhost:{port}/f#fragment",
        "https://localhost:{port}\\@elsewhere.example.org/f",
        "https://local host:{port}/f",
        "https://localhost:{port}/f\tg",
        "https://localhost:/f",
        "https://localhost:0/f",
        "https://localhost:99999/f",
        "https:///f",
        "https://[::1/f",
        "https://[fe80::1%25eth0]:{port}/f",
        "https://löcalhost:{port}/f",
        "https://localhost:{port}/" + "x" * 9000,
        "",
    ],
)
async def test_a_url_that_is_no_plain_https_url_is_refused(copying: Copying, place: str, url: str) -> None:
    before = len(copying.peer.asked)
    told = url.format(port=copying.peer.port)
    with pytest.raises(BadRequest) as why:
        OtherSide.parse(told)
    assert "secret" not in str(why.value)
    assert "elsewhere" not in str(why.value)
    if told.isascii() and "\t" not in told and len(told) < 1000:
        status, _ = await copying.copy(f"{place}/f", Source=told)
        assert (status, len(copying.peer.asked)) == (400, before)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]", "localhost.", "127.0.0.2"]
)
async def test_another_spelling_of_a_listed_host_is_not_listed(
    copying: Copying, place: str, host: str
) -> None:
    status, text = await copying.copy(f"{place}/f", Source=copying.peer.url("/f", host))
    assert (status, "copy.hosts" in text) == (403, True), text


async def test_a_server_that_is_not_listed_is_not_asked(copying: Copying, place: str) -> None:
    status, _ = await copying.copy(f"{place}/f", Source=copying.stranger.url("/f"))
    assert (status, copying.stranger.asked) == (403, [])


async def test_without_listed_hosts_the_client_is_told_to_copy_by_itself() -> None:
    guard = Guard(CopySettings(), BackEnds((), lambda: ()))
    with pytest.raises(NotSupported):
        guard.demand_listed(OtherSide.parse("https://se.example.org/f"))


async def test_where_no_network_is_listed_a_listed_name_may_not_be_inside(copying: Copying) -> None:
    guard = copying.copies.client.guard
    closed = replace(guard, settings=guard.settings.model_copy(update={"networks": ()}))
    side = OtherSide.parse(copying.peer.url("/f"))
    assert await guard.addresses(side) == ["127.0.0.1"]
    with pytest.raises(Forbidden, match=r"copy\.networks"):
        await closed.addresses(side)


async def test_this_server_itself_and_its_database_are_never_reached(copying: Copying) -> None:
    guard, house = copying.copies.client.guard, copying.server.house
    dsn = house.settings.database.dsn
    assert dsn is not None
    own = BackEnds.of(
        house.settings.model_copy(
            update={
                "database": house.settings.database.model_copy(
                    update={"dsn": type(dsn)("postgresql://u:p@127.0.0.1:5432,db.example.org:6543/mdm")}
                ),
                "audit": house.settings.audit.model_copy(update={"seals": "syslog:127.0.0.1:6514"}),
            }
        ),
        lambda: (house.port,),
    )
    ports = [house.port, 5432, 6514]
    hosts = [f"{host}:{port}" for port in ports for host in ("localhost", "127.0.0.1", "127.9.9.9")]
    open_to = guard.settings.model_copy(update={"hosts": (*hosts, "db.example.org:6543")})

    async def lookup(host: str, port: int) -> list[str]:
        return {"localhost": ["::1", "127.0.0.1"], "db.example.org": ["203.0.113.7"]}.get(host, [host])

    guarded = Guard(open_to, own, lookup)
    for host in (*hosts, "db.example.org:6543"):
        with pytest.raises(Forbidden):
            await guarded.addresses(OtherSide.parse(f"https://{host}/"))


async def test_a_name_is_looked_up_once_and_that_address_is_connected_to(copying: Copying) -> None:
    """DNS that changes: a second answer would be another address, and is never asked for."""
    answers = [["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    async def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    copying.peer.on["/once"] = gives(b"x")
    client = copying.copies.client
    client = replace(client, guard=replace(client.guard, lookup=lookup))
    side = OtherSide.parse(copying.peer.url("/once"))
    async with client.request("GET", side, (), Patience(5), {}) as answer:
        assert (answer.status, answer.remote) == (200, ("127.0.0.1", copying.peer.port))
    assert asked == ["localhost"]
    with pytest.raises(Forbidden):
        async with client.request("GET", side, (), Patience(5), {}):
            pass


async def test_of_several_addresses_only_those_that_may_be_reached_are(copying: Copying) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "127.0.0.1", "::1"]

    guard = replace(copying.copies.client.guard, lookup=lookup)
    assert await guard.addresses(OtherSide.parse(copying.peer.url("/"))) == ["127.0.0.1"]


async def test_a_socket_is_made_for_no_other_address_than_those_that_were_judged(copying: Copying) -> None:
    """At the place of use: whatever aiohttp makes of the URL's host."""

    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.9"]

    copying.peer.on["/judged"] = gives(b"x")
    client: CopyClient = copying.copies.client
    client = replace(client, guard=replace(client.guard, lookup=lookup))
    before = len(copying.peer.asked)
    with pytest.raises(MdmError, match="cannot be reached"):
        # An address in the URL is not resolved: the peer listens there, and it was not judged.
        async with client.request(
            "GET", OtherSide.parse(copying.peer.url("/", "127.0.0.1")), (), Patience(5), {}
        ):
            pass
    assert len(copying.peer.asked) == before


def _to(location: str, status: int = 302) -> Behaviour:
    async def behave(talk: Talk) -> None:
        await talk.answer(status, b"", Location=location)

    return behave


async def test_redirects_to_listed_servers_are_followed_and_credentials_stay_behind(
    copying: Copying, place: str, ct: bytes
) -> None:
    copying.peer.on["/start"] = _to("/same")
    copying.peer.on["/same"] = _to(copying.other.url("/pool"), 307)
    copying.other.on["/pool"] = gives(ct)
    await copying.done(
        f"{place}/f",
        Source=copying.peer.url("/start"),
        TransferHeaderAuthorization=SECRET,
        TransferHeaderCookie="session=1",
    )
    first = [one for one in copying.peer.asked if one.path in ("/start", "/same")]
    assert all(one.all("Authorization") == [SECRET] for one in first)
    beyond = [one for one in copying.other.asked if one.path == "/pool"]
    assert [one.method for one in beyond] == ["HEAD", "GET"]
    assert not any(one.all("Authorization") or one.all("Cookie") for one in beyond)


async def test_credentials_do_not_come_back_after_a_detour(copying: Copying, place: str, ct: bytes) -> None:
    copying.peer.on["/detour"] = _to(copying.other.url("/detour"))
    copying.other.on["/detour"] = _to(copying.peer.url("/end"))
    copying.peer.on["/end"] = gives(ct)
    await copying.done(f"{place}/f", Source=copying.peer.url("/detour"), TransferHeaderAuthorization=SECRET)
    assert not any(one.all("Authorization") for one in copying.peer.asked if one.path == "/end")


@pytest.mark.parametrize("inward", ["unlisted", "http", "metadata", "file", "loop", "userinfo", "itself"])
async def test_a_redirect_is_judged_as_the_first_url(copying: Copying, place: str, inward: str) -> None:
    house = copying.server.house
    path = f"/inward/{inward}"
    copying.peer.on[path] = _to(
        {
            "unlisted": copying.stranger.url("/f"),
            "http": f"http://localhost:{copying.peer.port}/f",
            "metadata": "https://169.254.169.254/latest/meta-data/",
            "file": "file:///etc/passwd",
            "loop": path,
            "userinfo": f"https://secret@localhost:{copying.peer.port}/f",
            "itself": f"https://localhost:{house.port}/",
        }[inward]
    )
    why = await copying.failed(f"{place}/f", Source=copying.peer.url(path))
    assert copying.stranger.asked == []
    assert "secret" not in why
    assert "169.254" not in why


async def test_a_put_is_sent_on_only_where_its_method_stays(copying: Copying, place: str, ct: bytes) -> None:
    await copying.server.put(f"{place}/f", ct)
    stored: list[bytes] = []

    async def store(talk: Talk) -> None:
        if talk.asked.method == "PUT":
            stored.append(await talk.body())
            await talk.answer(201)
        elif stored:
            await talk.answer(200, stored[-1])
        else:
            await talk.answer(404)

    copying.other.on["/put"] = store
    for status, goes in ((302, False), (303, False), (307, True), (308, True)):

        async def door(talk: Talk, status: int = status) -> None:
            await talk.answer(status, b"", Location=copying.other.url("/put"))

        stored.clear()
        copying.peer.on["/put"] = door
        url = copying.peer.url("/put")
        if goes:
            await copying.done(f"{place}/f", Destination=url, TransferHeaderAuthorization=SECRET)
        else:
            await copying.failed(f"{place}/f", Destination=url)
        assert bool(stored) == goes
    assert not any(one.all("Authorization") for one in copying.other.asked if one.path == "/put")


async def test_a_certificate_of_another_host_or_authority_is_not_trusted(
    copying: Copying, place: str
) -> None:
    copying.peer.on["/f"] = gives(b"x")
    why = await copying.failed(f"{place}/f", Source=copying.peer.url("/f", "127.0.0.1"))
    assert "certificate" in why


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE", "Trailer"),
        *("Accept-Encoding", "Range", "If-None-Match", "Destination", "Source", "Proxy-Authorization", ""),
    ],
)
async def test_headers_that_frame_a_message_are_not_carried(copying: Copying, place: str, name: str) -> None:
    before = len(copying.peer.asked)
    headers = {"Source": copying.peer.url("/f"), f"TransferHeader{name}": "x"}
    status, _ = await copying.copy(f"{place}/f", **headers)
    assert (status, len(copying.peer.asked)) == (400, before)


async def test_other_headers_are_carried_and_a_scitag_beside_its_own_is_not(
    copying: Copying, place: str, ct: bytes
) -> None:
    copying.peer.on["/carried"] = gives(ct)
    await copying.done(
        f"{place}/f",
        Source=copying.peer.url("/carried"),
        TransferHeaderAuthorization=SECRET,
        TransferHeaderX_Purpose="study",
        TransferHeaderSciTag="66",
        SciTag="65",
    )
    asked = [one for one in copying.peer.asked if one.path == "/carried"]
    for one in asked:
        assert (one.all("Authorization"), one.all("X-Purpose")) == ([SECRET], ["study"])
        assert one.all("SciTag") == []
        # The client's own credential is this server's business.
        assert not any(copying.server.admin_token in value for _, value in one.headers)


async def test_two_sides_two_credentials_and_delegation_are_refused_clearly(
    copying: Copying, place: str
) -> None:
    url = copying.peer.url("/f")
    assert (await copying.copy(f"{place}/f", Source=url, Destination=url))[0] == 400
    assert (await copying.copy(f"{place}/f"))[0] == 400
    status, text = await copying.copy(f"{place}/f", Source=url, Credential="gridsite")
    assert (status, "Credential: none" in text) == (501, True)
    assert (await copying.copy(f"{place}/f", Source=url, Overwrite="perhaps"))[0] == 400
    assert (await copying.copy(f"{place}/f", Source=url, RequireChecksumVerification="no"))[0] == 400
    with pytest.raises(BadRequest, match="two credentials"):
        carried([(f"TransferHeader{name}", "Bearer x") for name in ("Authorization", "authorization")])


async def test_as_many_copies_run_as_may_and_more_are_told_to_come_back(
    copying: Copying, place: str, ct: bytes
) -> None:
    go = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await go.wait()
        await talk.answer(200, ct)

    copying.peer.on["/waits"] = waits
    running = copying.copies.running
    before, running.most = running.most, 1
    try:
        first = asyncio.create_task(copying.copy(f"{place}/a", Source=copying.peer.url("/waits")))
        await until(lambda: running.used)
        status, _ = await copying.copy(f"{place}/b", Source=copying.peer.url("/waits"))
        assert status == 429
        go.set()
        assert (await first)[1].endswith("success: Created\n")
    finally:
        running.most = before
    assert running.used == 0


async def test_nothing_listens_where_a_listed_server_should(copying: Copying) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = copying.copies.client
        settings = client.guard.settings.model_copy(update={"hosts": (f"localhost:{port}",)})
        client = replace(client, guard=replace(client.guard, settings=settings))
        with pytest.raises(MdmError, match="cannot be reached"):
            async with client.request(
                "GET", OtherSide.parse(f"https://localhost:{port}/"), (), Patience(5), {}
            ):
                pass


async def test_a_source_here_is_copied_within_the_namespace(copying: Copying, place: str, ct: bytes) -> None:
    server = copying.server
    await server.put(f"{place}/f", ct)
    url = f"http://127.0.0.1:{server.house.port}/dav{place}/f"
    assert (await copying.copy(f"{place}/g", Source=url))[0] == 201
    assert await server.read(f"{place}/g") == await server.read(f"{place}/f")
    status, _ = await copying.copy(f"{place}/g", Source=url, Destination=url)
    assert status == 400
    # One may read and the other may write: the client copies by itself.
    for header in ("Source", "Destination"):
        headers = {header: url, "TransferHeaderAuthorization": SECRET}
        assert (await copying.copy(f"{place}/g", **headers))[0] == 501


async def test_callers_who_do_not_say_who_they_are_have_nothing_copied(
    copying: Copying, place: str, ct: bytes
) -> None:
    for path, rights in (("/", "x"), (place, "rwlx")):
        rule = {"principal": "any:anonymous", "rights": rights}
        await copying.server.srm("setPermission", surls=[path], permissionType="ADD", rules=[rule])
    before = len(copying.peer.asked)
    reply = await copying.server.call("COPY", f"/dav{place}/f", headers={"Source": copying.peer.url("/f")})
    assert (reply.status, len(copying.peer.asked)) == (401, before)


async def test_cookies_of_another_server_are_neither_kept_nor_told_of(
    copying: Copying, place: str, ct: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    copying.peer.on["/cookies"] = gives(ct, Set_Cookie="sec ret=hunter2")
    await copying.done(f"{place}/f", Source=copying.peer.url("/cookies"))
    assert not any(one.all("Cookie") for one in copying.peer.asked if one.path == "/cookies")
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]
