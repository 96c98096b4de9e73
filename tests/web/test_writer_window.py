"""For a while a file's writer is told of what they sent; everybody else, and GET, of the view."""

import base64
import hashlib
import io
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom import dcmread

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from tests.conftest import Reply, Server
from tests.web.made_images import made
from tests.web.second_face import second_face

DATA = made(pixels=50_000)
MD5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()
ADLER32 = f"{zlib.adler32(DATA):08x}"
RIGHTS = "rwdlg"


@dataclass
class Writer:
    """Somebody who has no `i`, and the file that they wrote."""

    server: Server
    face: str
    token: str
    surl: str

    async def listed(self, surl: str, token: str | None = None) -> tuple[int | None, str | None]:
        """Size and ADLER32, by the file's own line and its directory's alike."""
        tree = await self.server.srm("ls", surls=[surl], token=token or self.token)
        (line,) = tree["files"]
        above = await self.server.srm("ls", surls=[surl.rpartition("/")[0]], token=token or self.token)
        (below,) = [one for one in above["files"][0]["subPaths"] if one["path"] == line["path"]]
        found = [(one.get("size"), one.get("checkSumValue")) for one in (line, below)]
        assert found[0] == found[1]
        return found[0]

    async def headed(self, url: str, token: str | None = None) -> tuple[int, str]:
        """Length and digests."""
        got = await self.server.call("HEAD", url, token=token or self.token, headers={"Want-Digest": "md5"})
        assert got.status == 200
        return int(got.headers["Content-Length"]), got.headers["Digest"]

    async def urls(self, surl: str, token: str | None = None, **options: Any) -> list[str]:
        """Where it is read: by its name, and by a transfer URL."""
        line = await self.server.prepare(surl, token=token or self.token, **options)
        return [f"{self.face}{surl}", line["transferURL"]]

    async def get(self, url: str, token: str | None = None) -> Reply:
        return await self.server.call("GET", url, token=token or self.token)

    async def age(self, seconds: int) -> None:
        async with self.server.house.database.acquire() as db:
            await db.execute(
                "update images set created = created - make_interval(secs => $1)", float(seconds)
            )


@pytest.fixture
async def writer(own_server: Server) -> AsyncIterator[Writer]:
    token = await own_server.token(RIGHTS)
    await own_server.srm("mkdir", surl="/d")
    async with second_face(own_server.house) as url:
        await own_server.put("/d/a.dcm", DATA, token=token)
        yield Writer(own_server, url, token, "/d/a.dcm")


SENT = (len(DATA), ADLER32)
SENT_DIGESTS = (len(DATA), f"adler32={ADLER32},md5={MD5}")


def of(view: bytes) -> tuple[int, str]:
    return len(view), f"{zlib.adler32(view):08x}"


def digests_of(view: bytes) -> tuple[int, str]:
    md5 = base64.b64encode(hashlib.md5(view).digest()).decode()
    return len(view), f"adler32={zlib.adler32(view):08x},md5={md5}"


async def test_its_writer_is_told_of_what_was_sent_and_gets_the_view(writer: Writer) -> None:
    assert await writer.listed(writer.surl) == SENT
    for url in await writer.urls(writer.surl):
        assert await writer.headed(url) == SENT_DIGESTS
        got = await writer.get(url)
        assert got.body != DATA
        assert got.headers["Digest"] == f"adler32={zlib.adler32(got.body):08x}"
        assert int(got.headers["Content-Length"]) == len(got.body)
        head = await writer.server.call("HEAD", url, token=writer.token)
        assert head.headers["ETag"] == got.headers["ETag"]


async def test_who_puts_it_in_one_step_is_its_writer(writer: Writer) -> None:
    answer = await writer.server.call("PUT", f"{writer.face}/d/b.dcm", token=writer.token, data=DATA)
    assert answer.status == 201
    assert await writer.listed("/d/b.dcm") == SENT


async def test_everybody_else_is_told_of_the_view(writer: Writer) -> None:
    other = await writer.server.token(RIGHTS)
    view = await writer.server.read(writer.surl, token=other)
    for token in (other, writer.server.admin_token):
        assert await writer.listed(writer.surl, token) == of(view)
        for url in await writer.urls(writer.surl, token):
            assert await writer.headed(url, token) == digests_of(view)


async def test_after_the_window_its_writer_is_told_of_the_view(writer: Writer) -> None:
    view = await writer.server.read(writer.surl)
    urls = await writer.urls(writer.surl)
    await writer.age(3590)
    assert await writer.listed(writer.surl) == SENT
    await writer.age(11)
    assert await writer.listed(writer.surl) == of(view)
    for url in urls:
        assert await writer.headed(url) == digests_of(view)


async def test_who_names_a_view_is_told_of_that(writer: Writer) -> None:
    view = await writer.server.read(writer.surl)
    named = f"/@basic{writer.surl}"
    tree = await writer.server.srm("ls", surls=[named], token=writer.token)
    assert tree["files"][0]["size"] == len(view)
    for url in await writer.urls(named):
        assert await writer.headed(url) == digests_of(view)


async def test_who_overwrites_it_is_its_writer_from_then_on(writer: Writer) -> None:
    other, data = await writer.server.token(RIGHTS), made(pixels=60_000)
    await writer.server.put(writer.surl, data, token=other, overwrite=True)
    view = await writer.server.read(writer.surl)
    assert await writer.listed(writer.surl) == of(view)
    assert await writer.listed(writer.surl, other) == of(data)


async def test_a_projects_own_entry_tells_of_its_view_alone(writer: Writer) -> None:
    server = writer.server
    await server.srm("mkdir", surl="/project")
    body = {"surls": [writer.surl], "target": "/project", "view": "basic"}
    answer = await server.call("POST", "/admin/v1/link", token=server.admin_token, json=body)
    assert answer.status == 200, answer.body
    linked = answer.tree["files"][0]["lfn"]
    view = await server.read(linked)
    assert await writer.listed(linked) == of(view)
    for url in await writer.urls(linked):
        assert await writer.headed(url) == digests_of(view)


async def test_anonymous_writers_are_told_of_the_view_for_they_are_many(writer: Writer) -> None:
    server = writer.server
    await server.srm("mkdir", surl="/open")
    rule = {"principal": "any:anonymous", "rights": RIGHTS + "x"}
    for path in ("/", "/open"):
        await server.srm("setPermission", surls=[path], permissionType="ADD", rules=[rule])
    answer = await server.call("PUT", f"{writer.face}/open/a.dcm", data=DATA)
    assert answer.status == 201
    listed = await server.call("POST", "/srm/v2/ls", json={"surls": ["/open/a.dcm"]})
    assert listed.tree["files"][0]["size"] == len(await server.read("/open/a.dcm"))


async def test_of_a_file_whose_view_is_refused_its_writer_is_told_all_the_same(writer: Writer) -> None:
    image, written = dcmread(io.BytesIO(DATA)), io.BytesIO()
    image.BurnedInAnnotation = "YES"
    image.save_as(written, enforce_file_format=True)
    data = written.getvalue()
    await writer.server.put("/d/c.dcm", data, token=writer.token)
    tree = await writer.server.srm("ls", surls=["/d/c.dcm"], token=writer.token)
    assert tree["files"][0]["viewState"] == "refused"
    assert await writer.listed("/d/c.dcm") == (len(data), f"{zlib.adler32(data):08x}")
    assert await writer.listed("/d/c.dcm", writer.server.admin_token) == (None, None)
    length, digest = await writer.headed("/dav/d/c.dcm")
    assert (length, digest) == (len(data), f"adler32={zlib.adler32(data):08x},md5={_md5(data)}")
    for method, token in (("GET", writer.token), ("HEAD", writer.server.admin_token)):
        assert (await writer.server.call(method, "/dav/d/c.dcm", token=token)).status == 409
    await writer.age(3601)
    assert (await writer.server.call("HEAD", "/dav/d/c.dcm", token=writer.token)).status == 409


async def test_whoever_else_has_the_transfer_url_is_told_of_the_view(writer: Writer) -> None:
    _, url = await writer.urls(writer.surl)
    size = len((await writer.get(url)).body)
    bare = await writer.server.call("HEAD", url)
    assert (bare.status, bare.headers["Content-Length"]) == (200, str(size))
    other = await writer.server.token(RIGHTS)
    for token in (other, "none such"):
        assert (await writer.headed(url, token))[0] == size != len(DATA)
    assert (await writer.headed(url))[0] == len(DATA)


async def test_of_a_sealed_stream_that_was_prepared_its_writer_is_told_of_the_stream(writer: Writer) -> None:
    recipient = base64.b64encode(public_key(new_private_key())).decode()
    _, url = await writer.urls(writer.surl, recipient=recipient)
    got = await writer.get(url)
    assert (await writer.headed(url))[0] == len(got.body) != len(DATA)


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()
