"""What is read without a parser: heads that leave nothing to think about, and where a request ends."""

import pytest
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from mdm_async.web.http.boundary import Boundary
from mdm_async.web.http.plain_get import MOST, PlainGet, plain_get

LINE = "GET /t/abc/image.dcm HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("Host: localhost:8085\r\n", PlainGet("/t/abc/image.dcm", "localhost:8085", None)),
        ("HOST:[::1]:1\r\nRange:  bytes=0-1 \r\n", PlainGet("/t/abc/image.dcm", "[::1]:1", "bytes=0-1")),
        ("Host: a\r\nUser-Agent: b\r\nConnection: KEEP-alive\r\n", PlainGet("/t/abc/image.dcm", "a", None)),
    ],
)
def test_what_most_clients_write_is_read(fields: str, found: PlainGet) -> None:
    assert plain_get(f"{LINE}{fields}\r\n".encode()) == found


@pytest.mark.parametrize(
    "head",
    [
        LINE + "\r\n",
        LINE + "Host: a\r\n",
        LINE + "Host: a\n\n",
        LINE + "Host: a\r\n\r\nGET",
        LINE + "Host: a\r\n Range: bytes=0-1\r\n\r\n",
        LINE + "Host: a\r\nHost: a\r\n\r\n",
        LINE + "Host : a\r\n\r\n",
        LINE + "Host: a b\r\n\r\n",
        LINE + "Host: user@a\r\n\r\n",
        LINE + "Host: a\r\nAccept:\t*\r\n\r\n",
        LINE + "Host: a\r\nAccept: a\rb\r\n\r\n",
        LINE + "Host: a\r\nExpect: 100-continue\r\n\r\n",
        LINE + "Host: a\r\nContent-Length: 0\r\n\r\n",
        LINE + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        LINE + "Host: a\r\nConnection: keep-alive, upgrade\r\n\r\n",
        LINE + "Host: a\r\n" + "Accept: *\r\n" * 8 + "\r\n",
        LINE + f"Host: a\r\nAccept: {'*' * MOST}\r\n\r\n",
        "HEAD /t/abc/image.dcm HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /t/abc/image.dcm HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET /t/abc/image.dcm?force=yes HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /t/abc/%69mage.dcm HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/t/abc/image.dcm HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /t/abc/image.dcm HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_all_else_is_not(head: str) -> None:
    assert plain_get(head.encode()) is None


def message(**fields: str) -> RawRequestMessage:
    headers = CIMultiDict({name.replace("_", "-"): value for name, value in fields.items()})
    chunked = "Transfer-Encoding" in headers
    parts = (CIMultiDictProxy(headers), (), False, None, "Upgrade" in headers, chunked, URL("/"))
    return RawRequestMessage("PUT", "/", HttpVersion11, *parts)


HEAD = b"PUT / HTTP/1.1\r\nA: b\r\n\r\n"


def test_a_request_ends_with_its_body() -> None:
    boundary = Boundary()
    assert boundary.is_here
    boundary.came(HEAD, 1, message())
    assert boundary.is_here
    boundary.came(HEAD + b"12", 1, message(Content_Length="5"))
    assert not boundary.is_here
    boundary.came(b"345", 0, None)
    assert boundary.is_here


@pytest.mark.parametrize(
    ("data", "requests", "sent"),
    [
        (HEAD + b"123456", 1, message(Content_Length="5")),
        (HEAD + HEAD, 2, message()),
        (HEAD + HEAD[:3], 1, message()),
        (HEAD[:9], 0, None),
        (b"\r\n\r\n" + HEAD, 1, message(Content_Length="28")),
        (HEAD, 1, message(Transfer_Encoding="chunked")),
        (HEAD, 1, message(Upgrade="websocket")),
        (b"?", 1, None),
    ],
)
def test_what_cannot_be_told_is_never_told_again(
    data: bytes, requests: int, sent: RawRequestMessage | None
) -> None:
    boundary = Boundary()
    boundary.came(data, requests, sent)
    assert not boundary.is_here
    boundary.came(HEAD, 1, message())
    assert not boundary.is_here
