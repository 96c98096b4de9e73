"""Every spelling of a path is one name, and what others may decode to another name is refused alike on every verb."""

from urllib.parse import quote

import pytest

from tests.attack.test_lookalikes import LOOKALIKES
from tests.conftest import Server
from tests.web.dav.face import Dav
from tests.web.made_images import made
from tests.web.raw import connected

VERBS = ("GET", "PROPFIND", "PUT", "MKCOL", "DELETE", "MOVE", "COPY")
REFUSED = (
    "{at}/../x", "{at}/%2e%2e/x", "{at}/.%2E/x", "{at}/a%2fb", "{at}/a%2Fb", "{at}/a%00b", "{at}/a%5cb", "{at}/a%252fb",
    "{at}/a%ff", "{at}/a%c0%afb", "{at}/a%zz", "{at}/a%", "/@Basic{at}/a",
)  # fmt: skip
SAME = ("/{at}//a.dcm", "{at}/./a.dcm", "{at}/%61.dcm", "{at}/a%2Edcm", "/.{at}/a.dcm", "/%40basic{at}/a.dcm")


async def said(dav: Dav, method: str, path: str, *more: str) -> tuple[int, dict[str, str], bytes]:
    headers = [
        f"Host: 127.0.0.1:{dav.server.house.port}",
        f"Authorization: Bearer {dav.token}",
        "Depth: 0",
        *more,
    ]
    async with connected(dav.server) as line:
        await line.send("\n".join([f"{method} /dav{path} HTTP/1.1", *headers]))
        if method != "HEAD":
            return await line.answer()
        return *(await line.head()), b""


@pytest.mark.parametrize("form", REFUSED)
async def test_what_others_may_decode_to_another_name_is_refused(dav: Dav, form: str) -> None:
    path = form.format(at=dav.at)
    for method in VERBS:
        status, headers, _ = await said(dav, method, path, f"Destination: {dav.path('c')}")
        assert (status, headers["content-type"]) == (400, "application/problem+json"), method
    await dav.puts("kept.dcm", made())
    for method in ("MOVE", "COPY"):
        status, _, _ = await said(dav, method, f"{dav.at}/kept.dcm", f"Destination: /dav{path}")
        assert status == 400
    assert await dav.names() == ["kept.dcm"]


@pytest.mark.parametrize("name", [one for one in LOOKALIKES if one.startswith("/")])
async def test_what_is_taken_for_another_name_is_refused(dav: Dav, name: str) -> None:
    assert (await said(dav, "GET", quote(name, errors="surrogatepass")))[0] == 400


async def test_a_file_is_told_in_the_spelling_in_which_it_was_asked_for(dav: Dav) -> None:
    await dav.puts("a.dcm", made())
    for form in SAME:
        path = form.format(at=dav.at)
        status, _, body = await said(dav, "PROPFIND", path)
        assert status == 207, path
        assert f"<D:href>/dav{path}</D:href>".encode() in body
        assert (await said(dav, "HEAD", path))[0] == 200, path


async def test_a_slash_at_the_end_makes_no_difference(dav: Dav) -> None:
    assert (await dav.call("MKCOL", "d/")).status == 201
    for spelling, told in (("d", "d/"), ("d/", "d/"), ("d//", "d//")):
        assert list(await dav.propfind(spelling, depth="0")) == [dav.path(told)]


async def test_a_fragment_is_no_part_of_a_name(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    status, _, _ = await said(dav, "DELETE", f"{dav.at}/d#ment")
    assert status == 400
    assert await dav.names() == ["d/"]


async def test_the_destination_is_a_url_of_this_host(dav: Dav) -> None:
    await dav.call("MKCOL", "d")
    for wrong, status in (("", 400), ("http://[/x", 400), ("/other/x", 400), ("ftp://127.0.0.1/dav/x", 502)):
        assert (await dav.call("MOVE", "d", Destination=wrong)).status == status, wrong
    assert (await dav.call("MOVE", "d")).status == 400
    url = f"https://127.0.0.1:{dav.server.house.port}{dav.path('e')}"
    assert (await dav.call("MOVE", "d", Destination=url)).status == 201, (
        "TLS may be ended by a proxy before this"
    )


async def test_the_root_is_no_name_to_change(server: Server) -> None:
    dav = Dav(server, "", server.admin_token)
    assert "/dav/" in await dav.propfind(depth="0")
    for method in ("DELETE", "MOVE", "COPY", "MKCOL", "PUT"):
        answer = await dav.call(method, "", Destination="/dav/elsewhere")
        assert 400 <= answer.status < 500, method
