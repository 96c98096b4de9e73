"""A face that hands over a representation gets ranges, preconditions and digests with it, as transfer URLs do."""

from dataclasses import dataclass

import pytest

from tests.conftest import Reply, Server
from tests.web.made_images import made
from tests.web.second_face import second_face
from tests.web.test_ranges import Served, parts_of

FILE = made(pixels=3_000_000)


@dataclass
class Face:
    server: Server
    url: str
    whole: Served

    async def get(self, method: str = "GET", **headers: str) -> Reply:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.server.call(method, self.url, token=self.server.admin_token, headers=named)


@pytest.fixture
async def face(server: Server):
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, FILE, token=await server.token("rwl"))
    async with second_face(server.house) as base:
        url = base + surl
        whole = await server.call("GET", url, token=server.admin_token)
        assert whole.status == 200
        yield Face(server, url, Served(url, whole.body, whole.headers["ETag"]))


async def test_head_tells_what_get_does(face: Face) -> None:
    head, get = await face.get("HEAD"), await face.get()
    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type", "Digest", "Accept-Ranges"):
        assert head.headers[name] == get.headers[name]
    assert head.headers["Content-Length"] == str(face.whole.size)


async def test_a_range_is_the_slice_of_the_whole(face: Face) -> None:
    for start, last in ((0, 0), (5, 99_999), (1_000_000, 2_500_000)):
        answer = await face.get(Range=f"bytes={start}-{last}")
        assert (answer.status, answer.body) == (206, face.whole.whole[start : last + 1])


async def test_several_ranges_come_in_parts(face: Face) -> None:
    answer = await face.get(Range="bytes=0-9,70000-2000000,-5")
    size = face.whole.size
    assert parts_of(answer, face.whole) == [range(10), range(70_000, 2_000_001), range(size - 5, size)]


async def test_a_range_past_the_end_is_416(face: Face) -> None:
    answer = await face.get(Range=f"bytes={face.whole.size}-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{face.whole.size}")


async def test_if_range_gives_the_range_of_the_same_bytes_only(face: Face) -> None:
    same = await face.get(Range="bytes=0-9", If_Range=face.whole.etag)
    assert (same.status, same.body) == (206, face.whole.whole[:10])
    assert (await face.get(Range="bytes=0-9", If_Range='"other"')).body == face.whole.whole


async def test_preconditions_hold(face: Face) -> None:
    assert (await face.get(If_None_Match=face.whole.etag)).status == 304
    assert (await face.get(If_Match='"other"')).status == 412
    assert (await face.get(If_Match=face.whole.etag)).status == 200
