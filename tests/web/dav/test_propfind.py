"""What a PROPFIND tells, of which properties, and what it does not take."""

from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest

from mdm_async.catalog.namespace import entries
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.errors import Unavailable
from mdm_async.images.names import listing
from tests.conftest import Server
from tests.web.dav.face import Dav
from tests.web.made_images import made
from tests.web.own_acls import give, rule, user

ONE = made()
DAVIX = b"""<?xml version="1.0" encoding="utf-8" ?><D:propfind xmlns:D="DAV:" xmlns:L="LCGDM:"><D:prop>
<D:displayname/><D:getlastmodified/><D:creationdate/><D:getcontentlength/><D:quota-used-bytes/><D:resourcetype/>
<L:mode/><L:owner/><L:group/></D:prop></D:propfind>"""


def asking(names: str) -> bytes:
    return f'<D:propfind xmlns:D="DAV:" xmlns:O="urn:other">{names}</D:propfind>'.encode()


async def test_what_davix_asks_for_is_told_and_a_file_has_no_quota(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    told = (await dav.propfind(body=DAVIX))[dav.path("a.dcm")]
    assert {"displayname", "getlastmodified", "creationdate", "getcontentlength", "resourcetype"} <= set(
        told.known
    )
    assert told.text("displayname") == "a.dcm"
    assert told.lacking["quota-used-bytes"] == 404


async def test_a_property_that_nobody_knows_is_told_as_missing_in_its_namespace(dav: Dav) -> None:
    answer = await dav.call("PROPFIND", "", asking("<D:prop><O:a/><b/></D:prop>"), Depth="0")
    assert b'<X:a xmlns:X="urn:other"/><b/>' in answer.body
    told = (await dav.propfind(depth="0", body=asking("<D:prop><O:a/><b/></D:prop>")))[dav.path("")]
    assert (told.known, told.lacking) == ({}, {"a": 404, "b": 404})


async def test_names_alone_are_told_without_values(dav: Dav) -> None:
    told = (await dav.propfind(depth="0", body=asking("<D:propname/>")))[dav.path("")]
    assert "displayname" in told.known
    assert all(not one.text and not len(one) for one in told.known.values())


async def test_names_come_back_as_they_were_sent(dav: Dav) -> None:
    names = ["a b.dcm", "a+b.dcm", "a%25b.dcm", "ä&<é>.dcm", "a#?;b.dcm"]
    for name in names:
        surl = f"{dav.at}/{name}"
        await dav.server.put(surl, ONE)
    found = await dav.propfind()
    assert sorted(told.text("displayname") for told in list(found.values())[1:]) == sorted(names)
    for href in list(found)[1:]:
        assert [unquote(one) for one in await dav.server_propfind(href)] == [unquote(href)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<foo>", 400),
        (b"<foo/>", 400),
        (b'<D:propfind xmlns:D="DAV:"/>', 400),
        (asking("<D:propname/><D:allprop/>"), 400),
        (b'<D:propfind xmlns:D="DAV:"><D:prop><bar:foo xmlns:bar=""/></D:prop></D:propfind>', 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>', 400),
        (b"\xff\xfe<\x00", 400),
        (asking("<D:prop>" + "".join(f"<O:a{i}/>" for i in range(257)) + "</D:prop>"), 413),
        (asking("<D:prop>" + "<O:a/>" * 600_000 + "</D:prop>"), 413),
    ],
    ids=range(9),
)
async def test_what_is_no_propfind_is_refused(dav: Dav, body: bytes, status: int) -> None:
    answer = await dav.call("PROPFIND", "", body, Depth="0")
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_directory_of_several_pages_is_told_whole(dav: Dav, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdm_async.web.dav.propfind._PAGE", 3)
    for i in range(8):
        assert (await dav.call("MKCOL", f"d{i}")).status == 201
    assert await dav.names() == [f"d{i}/" for i in range(8)]


async def test_what_cannot_be_read_is_told_with_a_status_of_its_own_and_what_is_hidden_is_not(
    own_server: Server,
) -> None:
    owner = Dav(own_server, await own_server.directory(), own_server.admin_token)
    for name in ("damaged.dcm", "hidden.dcm", "well.dcm"):
        await owner.puts(name, ONE)
    principal, token = await user(own_server)
    for surl, rights in (("/", "x"), (owner.at, "lrx")):
        await own_server.srm(
            "setPermission", surls=[surl], permissionType="ADD", rules=[rule(principal, rights)]
        )
    await give(own_server, f"{owner.at}/hidden.dcm", [])
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "update views v set record = $1 from entries e where e.name = 'damaged.dcm' and v.image = e.image"
            " and v.name = 'basic'",
            bytes(64),
        )
    found = await owner.by(token).propfind(body=DAVIX)
    assert list(found) == [owner.path(""), owner.path("damaged.dcm"), owner.path("well.dcm")]
    assert found[owner.path("damaged.dcm")].lacking["getcontentlength"] == 500
    assert "getcontentlength" in found[owner.path("well.dcm")].known


async def test_the_size_of_a_view_that_may_not_be_read_is_forbidden(dav: Dav) -> None:
    await dav.puts("a.dcm", ONE)
    reader = dav.by(await dav.server.token("lrx", dav.at))
    at = f"/@identified{dav.at}"
    told = (await reader.propfind(at, body=DAVIX))[f"/dav{at}/a.dcm"]
    assert told.lacking["getcontentlength"] == 403


async def test_a_huge_directory_is_told_a_page_at_a_time_and_never_with_all_below_it(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dav = Dav(own_server, await own_server.directory(), own_server.admin_token)
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "insert into entries (parent, name, is_directory)"
            " select id, 'd' || lpad(i::text, 5, '0'), true from entries, generate_series(1, 3000) i where name = $1",
            dav.at[1:],
        )
    sizes, page = [], entries.page

    async def counted(*of: Any, **options: Any) -> list[Entry]:
        found = await page(*of, **options)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(entries, "page", counted)
    answer = await dav.call("PROPFIND", Depth="infinity")
    assert (answer.status, sizes) == (403, [])
    assert await dav.names() == [f"d{i:05}/" for i in range(1, 3001)]
    assert len(sizes) == 6
    assert max(sizes) == 501


async def test_a_listing_that_breaks_off_is_not_taken_for_a_whole_one(
    dav: Dav, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdm_async.web.dav.propfind._PAGE", 2)
    for i in range(5):
        await dav.call("MKCOL", f"d{i}")
    listed, ls = [], listing.ls

    async def breaks(*of: Any, **options: Any) -> Any:
        listed.append(of)
        if len(listed) > 1:
            raise Unavailable
        return await ls(*of, **options)

    monkeypatch.setattr(listing, "ls", breaks)
    with pytest.raises(aiohttp.ClientError):
        await dav.propfind()
