"""What a caller may not is 403 with a problem body, on every verb, and nothing has changed."""

import os

import pytest

from tests.faults.conditions import until
from tests.faults.wire import begun
from tests.web.dav.face import Dav
from tests.web.made_images import made

ONE, OTHER = made(), made(pixels=70_000)


@pytest.fixture
async def filled(dav: Dav) -> Dav:
    for name in ("d", "full"):
        assert (await dav.call("MKCOL", name)).status == 201
    for name in ("a.dcm", "b.dcm", "full/c.dcm"):
        await dav.puts(name, ONE if name == "a.dcm" else OTHER)
    return dav


async def demand_refused(
    dav: Dav, rights: str, method: str, name: str, data: bytes | None = None, **headers: str
):
    before = await dav.names(), await dav.names("full")
    caller = dav.by(await dav.server.token(rights, dav.at))
    answer = await caller.call(method, name, data, **headers)
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json"), method
    if method != "HEAD":
        assert answer.tree["status"] == 403
        assert "right '" in answer.tree["detail"]
    assert (await dav.names(), await dav.names("full")) == before


@pytest.mark.parametrize(
    ("rights", "method", "name", "target"),
    [
        ("lx", "GET", "a.dcm", None),
        ("lx", "HEAD", "a.dcm", None),
        ("gx", "PROPFIND", "", None),
        ("lrx", "PUT", "a.dcm", None),
        ("lwx", "PUT", "a.dcm", None),
        ("lrx", "PUT", "new.dcm", None),
        ("lrx", "MKCOL", "new", None),
        ("lrwx", "DELETE", "a.dcm", None),
        ("lrwx", "DELETE", "full/", None),
        ("lrwx", "MOVE", "a.dcm", "new.dcm"),
        ("lrdx", "MOVE", "a.dcm", "new.dcm"),
        ("lrwx", "MOVE", "full/", "new"),
        ("lrdx", "MOVE", "a.dcm", "b.dcm"),
        ("lwx", "COPY", "a.dcm", "new.dcm"),
        ("lrx", "COPY", "a.dcm", "new.dcm"),
        ("lrwx", "COPY", "a.dcm", "b.dcm"),
        ("lwx", "COPY", "full/", "new"),
    ],
)
async def test_what_is_not_allowed_is_refused_with_the_right_that_is_missing(
    filled: Dav, rights: str, method: str, name: str, target: str | None
) -> None:
    headers = {"Destination": filled.path(target)} if target else {}
    await demand_refused(
        filled,
        rights,
        method,
        name,
        ONE if method == "PUT" else None,
        Depth="infinity" if method != "PROPFIND" else "1",
        **headers,
    )


async def test_what_must_not_be_removed_is_not_replaced_either(filled: Dav) -> None:
    """The source may go, the target may be written to, and what has its name may not be removed."""
    source = filled.by(await filled.server.token("lrwdx", filled.at))
    other = await filled.server.directory()
    await filled.server.put(f"{other}/kept.dcm", OTHER)
    kept = await filled.server.read(f"{other}/kept.dcm")
    for method in ("MOVE", "COPY"):
        answer = await source.call(method, "a.dcm", Destination=f"/dav{other}/kept.dcm")
        assert answer.status in (403, 404, 409)
    assert await filled.server.read(f"{other}/kept.dcm") == kept
    assert "a.dcm" in await filled.names()


async def test_a_move_that_fails_at_its_end_has_removed_nothing(
    filled: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError

    before = (await filled.call("GET", "b.dcm")).body
    with monkeypatch.context() as patched:
        patched.setattr("mdm_async.catalog.namespace.entries.move", fails)
        assert (await filled.call("MOVE", "a.dcm", Destination=filled.path("b.dcm"))).status == 500
        assert (await filled.call("MOVE", "d", Destination=filled.path("full"))).status == 500
    assert await filled.names() == ["a.dcm", "b.dcm", "d/", "full/"]
    assert await filled.names("full") == ["c.dcm"]
    assert (await filled.call("GET", "b.dcm")).body == before


async def test_readers_see_one_file_or_the_other_while_one_takes_the_others_place(filled: Dav) -> None:
    import asyncio

    one, other = [(await filled.call("GET", name)).body for name in ("a.dcm", "b.dcm")]

    async def read() -> bytes:
        answer = await filled.call("GET", "b.dcm")
        assert answer.status == 200
        return answer.body

    reading = [asyncio.create_task(read()) for _ in range(30)]
    moved = await filled.call("MOVE", "a.dcm", Destination=filled.path("b.dcm"))
    assert moved.status == 204
    reading += [asyncio.create_task(read()) for _ in range(10)]
    assert set(await asyncio.gather(*reading)) <= {one, other}
    assert await read() == one


async def test_properties_in_one_request_are_bounded(dav: Dav) -> None:
    names = "".join(f"<p{n} xmlns='urn:x'/>" for n in range(257))
    asked = f'<D:propfind xmlns:D="DAV:"><D:prop>{names}</D:prop></D:propfind>'
    assert (await dav.call("PROPFIND", "", asked.encode(), Depth="0")).status == 413
    told = f'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop>{names}</D:prop></D:set></D:propertyupdate>'
    assert (await dav.call("PROPPATCH", "", told.encode())).status == 413


async def test_a_token_revoked_while_the_body_comes_is_refused(dav: Dav) -> None:
    name = f"t{os.urandom(4).hex()}"
    token = await dav.server.token("rlx", name=name)
    body = b'<D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>'
    headers = {"Authorization": f"Bearer {token}", "Depth": "0", "Content_Length": str(len(body))}
    async with begun("PROPFIND", dav.server.url + dav.path(""), **headers) as client:
        await client.send(body[:10])
        await until(lambda: any(near.used for near in dav.server.house.budget.near()))
        await dav.server.call("DELETE", f"/admin/v1/tokens/{name}", token=dav.server.admin_token)
        await client.send(body[10:])
        assert (await client.head())[0] == 401
