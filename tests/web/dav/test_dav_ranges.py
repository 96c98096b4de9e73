"""Ranges of a file by its name, of each view, as of a transfer URL: exact, whatever is open, clipped or malformed."""

import base64
from itertools import pairwise

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from tests.conftest import Reply, Server
from tests.web.dav.face import Dav
from tests.web.made_images import made
from tests.web.test_ranges import Served, parts_of

FILE = made(pixels=300_000)
FACES = ("name", "view", "identified", "turl", "sealed turl")
MALFORMED = (
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=5-2",
    "items=0-1",
    f"bytes={'9' * 10_000}-",
    "bytes=0-1;",
    "0-1",
)
MOST_VALUE = 3900
"""Characters of a Range that davix sends at the most."""


class Face:
    """One way to the bytes of one view."""

    def __init__(self, server: Server, token: str | None, served: Served) -> None:
        self.server, self.token, self.served = server, token, served

    async def get(self, value: str, method: str = "GET") -> Reply:
        return await self.server.call(method, self.served.url, token=self.token, headers={"Range": value})


@pytest.fixture(scope="module")
async def faces(server: Server) -> dict[str, Face]:
    at = await server.directory()
    # By somebody else: who wrote a file is told by HEAD what was sent.
    writer = Dav(server, at, await server.token("wlx", at))
    await writer.puts("a.dcm", FILE)
    body = {"surl": at, "identified": "clear"}
    assert (await server.call("PUT", "/admin/v1/delivery", token=server.admin_token, json=body)).status == 200
    seer = await server.token("rlxi", at, views=["identified", "basic"])
    recipient = base64.b64encode(public_key(new_private_key())).decode()
    urls = {
        "name": (f"/dav{at}/a.dcm", server.admin_token),
        "view": (f"/dav/@basic{at}/a.dcm", server.admin_token),
        "identified": (f"/dav/@identified{at}/a.dcm", seer),
        "turl": ((await server.prepare(f"{at}/a.dcm"))["transferURL"], None),
        "sealed turl": ((await server.prepare(f"{at}/a.dcm", recipient=recipient))["transferURL"], None),
    }
    found = {}
    for name, (url, token) in urls.items():
        whole = await server.call("GET", url, token=token)
        assert whole.status == 200, (name, whole.body)
        found[name] = Face(server, token, Served(url, whole.body, whole.headers["ETag"]))
    assert found["identified"].served.whole == FILE
    return found


@pytest.mark.parametrize("name", FACES)
async def test_open_suffix_and_clipped_ranges_are_exact(faces: dict[str, Face], name: str) -> None:
    face = faces[name]
    whole, size = face.served.whole, face.served.size
    for value, start, stop in (
        ("0-", 0, size),
        ("1-", 1, size),
        (f"{size - 1}-", size - 1, size),
        ("-1", size - 1, size),
        (f"-{size}", 0, size),
        (f"-{size + 9}", 0, size),
        (f"65535-{size + 99}", 65535, size),
        ("65536-131071", 65536, 131072),
    ):
        answer = await face.get(f"bytes={value}")
        assert answer.status == 206, value
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
        assert answer.headers["Content-Length"] == str(stop - start)
        assert answer.body == whole[start:stop], value
    past = await face.get(f"bytes={size}-")
    assert (past.status, past.headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize("name", FACES)
async def test_as_many_ranges_as_davix_sends_come_in_parts(faces: dict[str, Face], name: str) -> None:
    face = faces[name]
    size = face.served.size
    for count in (2, 3, 17, 140, 280):
        step = size // count
        value = "bytes=" + ",".join(f"{i * step}-{i * step + step // 2}" for i in range(count))
        assert len(value) <= MOST_VALUE
        answer = await face.get(value)
        assert answer.status == 206, count
        parts = parts_of(answer, face.served)
        assert len(parts) == count
        assert all(left.stop < right.start for left, right in pairwise(parts))


@pytest.mark.parametrize("name", FACES)
async def test_what_is_no_range_is_as_good_as_none_and_no_range_is_of_a_head(
    faces: dict[str, Face], name: str
) -> None:
    face = faces[name]
    for value in MALFORMED:
        answer = await face.get(value)
        assert (answer.status, answer.body) in ((200, face.served.whole), (416, b"")), value[:20]
        assert "Content-Encoding" not in answer.headers
    for value in ("bytes=0-1", "bytes=-1", f"bytes={face.served.size}-", *MALFORMED):
        head = await face.get(value, "HEAD")
        assert (head.status, head.headers["Content-Length"]) == (200, str(face.served.size)), value[:20]
        assert "Content-Range" not in head.headers


async def test_what_leaves_sealed_only_is_another_stream_each_time_and_its_tag_says_so(
    own_server: Server,
) -> None:
    dav = Dav(own_server, await own_server.directory(), own_server.admin_token)
    await dav.puts("a.dcm", FILE)
    body = {"surl": dav.at, "deidentified": "sealed"}
    assert (await own_server.call("PUT", "/admin/v1/delivery", token=dav.token, json=body)).status == 200
    refused = await dav.call("GET", "a.dcm")
    assert (refused.status, refused.headers["Content-Type"]) == (403, "application/problem+json")
    key = base64.b64encode(public_key(new_private_key())).decode()
    registered = await own_server.call("PUT", "/admin/v1/recipients", token=dav.token, json={"key": key})
    assert registered.status == 200, registered.body
    first = await dav.call("GET", "a.dcm")
    assert first.body.startswith(b"crypt4gh")
    resumed = await dav.call("GET", "a.dcm", Range="bytes=100-", If_Range=first.headers["ETag"])
    assert (resumed.status, len(resumed.body)) == (200, len(first.body))
