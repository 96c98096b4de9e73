"""COPY with `Destination` elsewhere: the other server has what was sent, or the copy has failed and nothing is left."""

import zlib

import pytest

from tests.faults.conditions import until
from tests.web.copying.conftest import Copying
from tests.web.copying.peers import Store, Talk
from tests.web.test_recipients import pair, register


@pytest.fixture
async def file(copying: Copying, place: str, ct: bytes) -> str:
    path = f"{place}/f"
    await copying.server.put(path, ct)
    return path


async def test_a_pushed_file_is_the_view_and_its_digest_is_told(copying: Copying, file: str) -> None:
    view = await copying.server.read(file)
    store = copying.peer.on["/new"] = Store(digest=f"adler32={zlib.adler32(view):08x}")
    told = await copying.done(file, Destination=copying.peer.url("/new"), RequireChecksumVerification="true")
    assert store.content == view
    assert f"Stripe Bytes Transferred: {len(view)}\n" in told
    (put,) = [one for one in copying.peer.asked if (one.path, one.method) == ("/new", "PUT")]
    assert put.all("Digest") == [f"adler32={zlib.adler32(view):08x}"]
    assert put.all("Content-Length") == [str(len(view))]


async def test_a_view_is_pushed_where_the_path_names_it(copying: Copying, file: str, ct: bytes) -> None:
    token = await copying.server.token("rlxi", views=["identified"])
    store = copying.peer.on["/identified"] = Store()
    url = copying.peer.url("/identified")
    status, _ = await copying.copy(f"/@identified{file}", Destination=url)
    assert (status, store.content) == (403, None)
    await copying.done(f"/@identified{file}", token=token, Destination=url)
    assert store.content == ct


async def test_what_leaves_sealed_only_is_not_pushed_in_the_clear(copying: Copying, file: str) -> None:
    await copying.server.call(
        "PUT",
        "/admin/v1/delivery",
        token=copying.server.admin_token,
        json={"surl": file.rpartition("/")[0], "deidentified": "sealed"},
    )
    before, url = len(copying.peer.asked), copying.peer.url("/sealed")
    token = await copying.server.token("rlx", name="sealing")
    status, text = await copying.copy(file, token=token, Destination=url)
    assert (status, len(copying.peer.asked)) == (403, before), text
    # To whoever has registered a key it is sent sealed for that.
    assert (await register(copying.server, pair().text, token)).status in (200, 201, 204)
    store = copying.peer.on["/sealed"] = Store()
    await copying.done(file, token=token, Destination=url)
    assert store.content is not None
    assert store.content.startswith(b"crypt4gh")


async def _lost(talk: Talk) -> None:
    if talk.asked.method == "PUT":
        await talk.body()
        await talk.answer(201)
    else:
        await talk.answer(404)


async def _refuses(talk: Talk) -> None:
    await talk.answer(404 if talk.asked.method == "HEAD" else 403, b"the password is hunter2")


async def _says_yes_at_once(talk: Talk) -> None:
    await talk.answer(404 if talk.asked.method == "HEAD" else 201)


async def _cuts(talk: Talk) -> None:
    if talk.asked.method == "PUT":
        await talk.say("HTTP/1.1 100 Continue\r\n\r\n")
        await talk.reader.readexactly(1000)
        talk.cut()
    else:
        await talk.answer(404)


async def _stalls(talk: Talk) -> None:
    if talk.asked.method == "PUT":
        await talk.body()
        await talk.for_ever()
    else:
        await talk.answer(404)


@pytest.mark.parametrize(
    "behaviour",
    [_lost, _refuses, _says_yes_at_once, _cuts, Store(lies=b""), Store(lies=b"something")],
    ids=["lost", "refuses", "says-yes-at-once", "cuts", "empty", "torso"],
)
async def test_a_destination_that_has_not_what_was_sent_is_a_failure(
    copying: Copying, file: str, behaviour: object
) -> None:
    path = f"/bad/{id(behaviour)}"
    copying.peer.on[path] = behaviour  # type: ignore[assignment]
    why = await copying.failed(file, Destination=copying.peer.url(path))
    assert "hunter2" not in why
    # What it may have made of it is taken away, unless it said that it had taken nothing.
    assert ("DELETE" in copying.peer.methods(path)) == (behaviour is not _refuses)
    if isinstance(behaviour, Store):
        assert behaviour.content is None
    copying.peer.on[path] = good = Store()
    await copying.done(file, Destination=copying.peer.url(path), Overwrite="F")
    assert good.content == await copying.server.read(file)


@pytest.mark.usefixtures("hasty")
async def test_a_destination_that_does_not_say_that_it_has_the_file_is_given_up(
    copying: Copying, file: str
) -> None:
    copying.peer.on["/stalls"] = _stalls
    why = await copying.failed(file, Destination=copying.peer.url("/stalls"))
    assert why == "the other server did not go on in time"
    assert copying.peer.methods("/stalls")[-1] == "DELETE"


async def test_a_file_that_was_there_before_is_never_removed(copying: Copying, file: str) -> None:
    store = copying.peer.on["/theirs"] = Store(content=b"theirs")
    url = copying.peer.url("/theirs")
    assert "has a file of that name" in await copying.failed(file, Destination=url, Overwrite="F")
    assert store.content == b"theirs"
    store.lies = b"torn"
    await copying.failed(file, Destination=url, Overwrite="T")
    assert "DELETE" not in copying.peer.methods("/theirs")


async def test_a_destination_that_takes_nothing_over_a_file_of_that_size_is_a_failure(
    copying: Copying, file: str
) -> None:
    old = bytes(len(await copying.server.read(file)))

    async def pretends(talk: Talk) -> None:
        if talk.asked.method == "PUT":
            await talk.answer(204)
        else:
            await talk.answer(200, old)

    copying.peer.on["/pretends"] = pretends
    why = await copying.failed(file, Destination=copying.peer.url("/pretends"))
    assert "did not take all of it" in why


async def test_another_digest_at_the_destination_is_a_failure(copying: Copying, file: str) -> None:
    copying.peer.on["/digest"] = Store(digest="adler32=00000001")
    assert "another digest" in await copying.failed(file, Destination=copying.peer.url("/digest"))


async def test_a_push_is_in_the_audit_with_the_server_that_it_went_to(copying: Copying, file: str) -> None:
    copying.peer.on["/audited"] = Store()
    await copying.done(file, Destination=copying.peer.url("/audited"))
    server = copying.server
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select act, details->>'to' as peer from audit where act = 'copy' order by id")
    assert (rows[-1]["act"], rows[-1]["peer"]) == ("copy", f"localhost:{copying.peer.port}")
    await until(lambda: copying.copies.running.used == 0)
