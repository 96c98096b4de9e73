"""Digests as the grid's programs ask for them, of what they have written and of what they read."""

import hashlib
import zlib

import pytest

from tests.interop.grid_tools import GridTools
from tests.web.made_images import made

DATA = made(pixels=70_000)


async def _sums(grid_tools: GridTools, url: str) -> list[str]:
    found = []
    for algorithm in ("MD5", "ADLER32"):
        ran = await grid_tools.well("gfal-sum", url, algorithm)
        found.append(ran.out.split()[-1])
    return found


def _of(data: bytes) -> list[str]:
    return [hashlib.md5(data).hexdigest(), f"{zlib.adler32(data):08x}"]


@pytest.mark.parametrize("scheme", ["davs", "srm"])
async def test_who_copies_a_file_here_finds_it_as_it_was_sent(
    grid_tools: GridTools, place: str, scheme: str
) -> None:
    (grid_tools.home / "sent.dcm").write_bytes(DATA)
    url = getattr(grid_tools, scheme)(f"{place}/a.dcm")
    local = f"file://{grid_tools.home}/sent.dcm"
    await grid_tools.well("gfal-copy", "-K", "ADLER32", local, url)
    await grid_tools.well("gfal-copy", "-f", "-K", "MD5", local, url)
    assert await _sums(grid_tools, url) == _of(DATA)
    assert str(len(DATA)) in (await grid_tools.well("gfal-ls", "-l", url)).out.split()
    view = await grid_tools.server.read(f"{place}/a.dcm")
    await grid_tools.well("gfal-copy", "-f", url, f"file://{grid_tools.home}/got.dcm")
    assert (grid_tools.home / "got.dcm").read_bytes() == view != DATA


@pytest.mark.parametrize("scheme", ["davs", "srm"])
async def test_who_reads_a_file_is_told_of_what_is_read(
    grid_tools: GridTools, place: str, scheme: str
) -> None:
    await grid_tools.server.put(f"{place}/a.dcm", DATA)
    view = await grid_tools.server.read(f"{place}/a.dcm")
    url = getattr(grid_tools, scheme)(f"{place}/a.dcm")
    assert await _sums(grid_tools, url) == _of(view)
    await grid_tools.well("gfal-copy", "-f", "-K", "MD5", url, f"file://{grid_tools.home}/got.dcm")


async def test_of_what_was_sent_only_its_writer_in_person_is_told_not_whoever_holds_their_macaroon(
    grid_tools: GridTools, place: str
) -> None:
    (grid_tools.home / "sent.dcm").write_bytes(DATA)
    url = grid_tools.davs(f"{place}/a.dcm")
    await grid_tools.well("gfal-copy", f"file://{grid_tools.home}/sent.dcm", url)
    view = await grid_tools.server.read(f"{place}/a.dcm")
    macaroon = (await grid_tools.well("gfal-token", url, "LIST", "DOWNLOAD")).out.strip()
    ask = (
        "curl",
        "-sSI",
        "--capath",
        str(grid_tools.grid.authorities),
        "-H",
        f"Authorization: Bearer {macaroon}",
    )
    https = grid_tools.https(f"/dav{place}/a.dcm")
    assert f"Content-Length: {len(view)}\r" in (await grid_tools.well(*ask, https)).out
    beside = (*ask, "--cert", str(grid_tools.proxy))
    assert f"Content-Length: {len(DATA)}\r" in (await grid_tools.well(*beside, https)).out
    # The certificate adds nothing to what the macaroon may.
    named = await grid_tools.run(*beside, grid_tools.https(f"/dav{place}/b.dcm"))
    assert "404" in named.out
