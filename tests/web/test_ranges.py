"""Conditional and range requests (RFC 9110 §13, §14) on transfer URLs: any range is the slice of the whole."""

import base64
import re
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.segment import SEGMENT
from mdm_async.web.http import ranges
from mdm_async.web.http.ranges import Span, Unsatisfiable
from tests.conftest import Reply, Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import INLINE, made

RECIPIENT = base64.b64encode(public_key(new_private_key())).decode()
KINDS = ["small clear", "small sealed", "large clear", "large sealed"]
LARGE = 3_400_000


@dataclass(frozen=True)
class Served:
    """A transfer URL and the whole of what it serves."""

    url: str
    whole: bytes
    etag: str

    @property
    def size(self) -> int:
        return len(self.whole)


@pytest.fixture(scope="module")
async def served(server: Server) -> dict[str, Served]:
    directory, writer = await server.directory(), await server.token("rwl")
    found = {}
    for size, pixels in (("small", INLINE), ("large", LARGE)):
        surl = f"{directory}/{size}.dcm"
        # Written by somebody else than who reads it: whoever wrote it is told of what was sent.
        await server.put(surl, made(pixels=pixels), token=writer)
        for delivery, recipient in (("clear", None), ("sealed", RECIPIENT)):
            line = await server.prepare(surl, recipient=recipient)
            answer = await server.call("GET", line["transferURL"])
            assert answer.headers["Accept-Ranges"] == "bytes"
            assert "Content-Range" not in answer.headers
            found[f"{size} {delivery}"] = Served(line["transferURL"], answer.body, answer.headers["ETag"])
    return found


async def ranged(server: Server, one: Served, value: str, **headers: str) -> Reply:
    return await server.call("GET", one.url, headers={"Range": value, **headers})


def places(size: int) -> st.SearchStrategy[int]:
    """Bytes anywhere, more often at the borders where something begins or ends."""
    borders = [0, 1, 1797, 1798, 1799, SEGMENT, SEGMENT + 28, size - 1, size, size + 1]
    return st.one_of(
        st.integers(0, size + 10),
        st.sampled_from(borders).flatmap(lambda b: st.integers(max(b - 2, 0), b + 2)),
    )


@st.composite
def specs(draw: st.DrawFn, size: int) -> str:
    first, last = sorted((draw(places(size)), draw(places(size))))
    return draw(st.sampled_from([f"{first}-{last}", f"{first}-{last}", f"{first}-", f"-{last}"]))


def wanted(spec: str, size: int) -> range:
    """What one well-formed range asks for, by RFC 9110 §14.1.2."""
    first, last = spec.split("-")
    if not first:
        return range(max(size - int(last), 0), size)
    return range(int(first), min(int(last) + 1, size) if last else size)


@given(data=st.data())
@settings(max_examples=150)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_range_is_the_slice_of_the_whole(
    server: Server, served: dict[str, Served], kind: str, data: st.DataObject
) -> None:
    one = served[kind]
    spec = data.draw(specs(one.size))
    answer = await ranged(server, one, f"bytes={spec}")
    asked = wanted(spec, one.size)
    if not asked:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{one.size}"
        return
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {asked.start}-{asked.stop - 1}/{one.size}"
    assert answer.body == one.whole[asked.start : asked.stop]


@given(data=st.data())
@settings(max_examples=60)
@pytest.mark.parametrize("kind", KINDS)
async def test_several_ranges_are_the_slices_of_the_whole(
    server: Server, served: dict[str, Served], kind: str, data: st.DataObject
) -> None:
    one = served[kind]
    chosen = data.draw(st.lists(specs(one.size), min_size=2, max_size=6))
    space = data.draw(st.sampled_from(["", " "]))
    answer = await ranged(server, one, "bytes=" + f"{space},{space}".join(chosen))
    asked = [span for spec in chosen if (span := wanted(spec, one.size))]
    if not asked:
        assert answer.status == 416
        return
    assert answer.status == 206
    got = parts_of(answer, one)
    covered = sorted({(span.start, span.stop) for span in got})
    assert [(span.start, span.stop) for span in got] == covered
    assert all(left.stop < right.start for left, right in pairwise(got))
    for span in asked:
        assert any(g.start <= span.start and span.stop <= g.stop for g in got)
    for span in got:
        assert any(span.start == a.start for a in asked)
        assert any(span.stop == a.stop for a in asked)


def parts_of(answer: Reply, one: Served) -> list[range]:
    """The ranges that a 206 gives, each of which must hold the right bytes."""
    kind = answer.headers["Content-Type"]
    if not kind.startswith("multipart/byteranges"):
        return [_checked(answer.headers["Content-Range"], answer.body, one)]
    boundary = b"--" + kind.partition("boundary=")[2].encode()
    _, *parts, end = answer.body.split(b"\r\n" + boundary)
    assert end == b"--\r\n"
    assert answer.body.startswith(b"\r\n" + boundary + b"\r\n")
    found = []
    for part in parts:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head)
        assert headers["Content-Type"] in ("application/dicom", "application/octet-stream")
        found.append(_checked(headers["Content-Range"], body, one))
    assert len(found) > 1
    return found


def _checked(content_range: str, body: bytes, one: Served) -> range:
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range)
    assert match is not None
    start, last, size = map(int, match.groups())
    assert size == one.size
    assert body == one.whole[start : last + 1]
    return range(start, last + 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_range_that_begins_past_the_end_is_416(
    server: Server, served: dict[str, Served], kind: str
) -> None:
    one = served[kind]
    for value in (f"bytes={one.size}-", f"bytes={one.size}-{one.size + 9}", "bytes=-0"):
        answer = await ranged(server, one, value)
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{one.size}"
        assert answer.body == b""


async def test_one_range_past_the_end_does_not_spoil_the_others(
    server: Server, served: dict[str, Served]
) -> None:
    one = served["small clear"]
    answer = await ranged(server, one, f"bytes={one.size}-,0-9")
    assert (answer.status, answer.body) == (206, one.whole[:10])


@pytest.mark.parametrize(
    "value",
    [
        "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,x", "bytes=1", "bytes=0--1", "bytes 0-1",
        "octets=0-1", "lines=0-1", "bytes=0-1;", "0-1", "bytes=0 - 1", "bytes=0x0-0x1", "bytes=٠-٩", "bytes=+0-1",
        "bytes=" + "9" * 5000 + "-",
    ],
)  # fmt: skip
async def test_a_malformed_range_is_ignored(server: Server, served: dict[str, Served], value: str) -> None:
    one = served["small clear"]
    answer = await ranged(server, one, value)
    assert (answer.status, answer.body) == (200, one.whole)


async def test_more_ranges_than_anyone_needs_are_ignored(server: Server, served: dict[str, Served]) -> None:
    one = served["small clear"]
    most = ",".join(f"{2 * i}-{2 * i}" for i in range(1024))
    answer = await ranged(server, one, f"bytes={most}")
    assert answer.status == 206
    assert answer.body.count(b"Content-Range: bytes ") == 1024
    answer = await ranged(server, one, f"bytes={most},9000-9000")
    assert (answer.status, answer.body) == (200, one.whole)


async def test_overlapping_and_adjacent_ranges_become_one(server: Server, served: dict[str, Served]) -> None:
    one = served["small clear"]
    answer = await ranged(server, one, "bytes=100-199,0-99,150-300,0-0")
    assert answer.headers["Content-Range"] == f"bytes 0-300/{one.size}"
    assert answer.body == one.whole[:301]


@pytest.mark.parametrize("kind", KINDS)
async def test_head_agrees_with_get(server: Server, served: dict[str, Served], kind: str) -> None:
    one = served[kind]
    get = await server.call("GET", one.url)
    head = await server.call("HEAD", one.url)
    assert (head.status, head.body) == (200, b"")
    changing = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k.lower() not in changing} == {
        k: v for k, v in get.headers.items() if k.lower() not in changing
    }
    assert head.headers["Content-Length"] == str(one.size)
    # RFC 9110 §14.2: a Range header means something for GET only.
    assert (await server.call("HEAD", one.url, headers={"Range": "bytes=0-1"})).status == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_if_range_gives_the_range_only_while_the_tag_is_the_same(
    server: Server, served: dict[str, Served], kind: str
) -> None:
    one = served[kind]
    same = await ranged(server, one, "bytes=5-9", **{"If-Range": one.etag})
    assert (same.status, same.body) == (206, one.whole[5:10])
    for other in (f"W/{one.etag}", '"other"', "Sat, 29 Oct 1994 19:43:31 GMT", one.etag.strip('"'), "*"):
        answer = await ranged(server, one, "bytes=5-9", **{"If-Range": other})
        assert (answer.status, answer.body) == (200, one.whole), other


async def test_if_range_with_another_tag_sends_the_whole_even_of_an_unsatisfiable_range(
    server: Server, served: dict[str, Served]
) -> None:
    one = served["small clear"]
    answer = await ranged(server, one, f"bytes={one.size}-", **{"If-Range": '"other"'})
    assert answer.status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_if_none_match_spares_what_the_caller_has(
    server: Server, served: dict[str, Served], method: str
) -> None:
    one = served["small clear"]
    for value in (one.etag, f"W/{one.etag}", f'"other", {one.etag}', "*"):
        answer = await server.call(method, one.url, headers={"If-None-Match": value})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == one.etag
    answer = await server.call(method, one.url, headers={"If-None-Match": '"other"'})
    assert answer.status == 200


async def test_if_none_match_may_come_in_several_lines(server: Server, served: dict[str, Served]) -> None:
    one = served["small clear"]
    lines = [("If-None-Match", '"other"'), ("If-None-Match", one.etag)]
    async with server.http.get(one.url, headers=lines) as answer:
        assert answer.status == 304


async def test_if_match_demands_the_very_same(server: Server, served: dict[str, Served]) -> None:
    one = served["small clear"]
    for value in (one.etag, f'"other", {one.etag}', "*"):
        answer = await ranged(server, one, "bytes=0-9", **{"If-Match": value})
        assert (answer.status, answer.body) == (206, one.whole[:10])
    for value in ('"other"', f"W/{one.etag}"):
        answer = await ranged(server, one, "bytes=0-9", **{"If-Match": value})
        assert (answer.status, answer.body) == (412, b"")


async def test_if_match_is_looked_at_before_if_none_match(server: Server, served: dict[str, Served]) -> None:
    one = served["small clear"]
    headers = {"If-Match": '"other"', "If-None-Match": one.etag}
    assert (await server.call("GET", one.url, headers=headers)).status == 412


async def test_clear_and_sealed_have_tags_of_their_own(served: dict[str, Served]) -> None:
    assert len({one.etag for one in served.values()}) == len(served)


async def test_a_clear_range_decrypts_only_the_segments_it_needs(
    server: Server, served: dict[str, Served]
) -> None:
    def decrypted() -> float:
        return REGISTRY.get_sample_value("mdm_segments_decrypted_total", {"kind": "pixels"}) or 0

    before = decrypted()
    await ranged(server, served["large clear"], "bytes=2000000-2000009")
    assert decrypted() - before == 1


async def test_a_sealed_url_serves_the_same_bytes_after_a_restart(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn, data = await postgres.fresh_database(migrated), tmp_path / "data"
    async with running_server(data, dsn) as first:
        surl = f"{await first.directory()}/a.dcm"
        await first.put(surl, made(pixels=LARGE))
        lines = [await first.prepare(surl, recipient=r) for r in (RECIPIENT, None)]
        paths = [line["transferURL"].removeprefix(first.url) for line in lines]
        before = [await first.call("GET", path) for path in paths]
    async with running_server(data, dsn) as second:
        for path, was in zip(paths, before, strict=True):
            middle = {"Range": "bytes=1000000-1999999", "If-Range": was.headers["ETag"]}
            answer = await second.call("GET", path, headers=middle)
            assert (answer.status, answer.body) == (206, was.body[1_000_000:2_000_000])
            assert (await second.call("GET", path)).body == was.body


# The parser by itself


def spans(header: str | None, size: int) -> list[tuple[int, int]] | None:
    found = ranges.parse(header, size, 1024)
    return None if found is None else [(span.start, span.stop) for span in found]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", [(0, 100)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=99-99", [(99, 100)]),
        ("bytes=99-1000", [(99, 100)]),
        ("bytes=-1", [(99, 100)]),
        ("bytes=-1000", [(0, 100)]),
        ("BYTES=1-2", [(1, 3)]),
        ("bytes=,1-2,,", [(1, 3)]),
        ("bytes=1-2, 5-6", [(1, 3), (5, 7)]),
        ("bytes=5-6,1-2", [(1, 3), (5, 7)]),
        ("bytes=1-2,3-4", [(1, 5)]),
        ("bytes=0-,5-6", [(0, 100)]),
        ("bytes=200-,5-6", [(5, 7)]),
        ("bytes=6-5", None),
    ],
)
def test_the_header_is_read_as_the_standard_says(
    header: str | None, expected: list[tuple[int, int]] | None
) -> None:
    assert spans(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=100-200,300-"])
def test_what_no_byte_satisfies_is_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        ranges.parse(header, 100, 1024)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_nothing_of_an_empty_file_satisfies(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        ranges.parse(header, 0, 1024)


@given(st.text(max_size=40), st.integers(0, 50))
def test_any_header_gives_spans_within_the_size_or_none(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            found = ranges.parse(header, size, 1024)
        except Unsatisfiable:
            continue
        assert found is None or all(0 <= s.start < s.stop <= size for s in found)


def test_a_content_range_names_the_last_byte() -> None:
    assert Span(5, 10, 100).content_range == "bytes 5-9/100"
