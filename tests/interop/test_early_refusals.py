"""An upload that is refused while its body still comes: who sends it is told why, not that the connection was reset."""

from pathlib import Path

import pytest

from mdm_async.blobs.local import LocalBlobs
from tests.interop.grid_tools import GridTools

SIZE = 1 << 30
"""Bytes, of a file with a hole."""
BY_CURL, BY_DAVIX = 5, 2
"""Uploads of each kind; a hundred of each were looked at by hand."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("early") / "large.dcm"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


@pytest.fixture(params=[403, 507])
async def refused(
    request: pytest.FixtureRequest, grid_tools: GridTools, place: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    """The status that an upload gets, its URL's path, and the token that gets it."""
    token = await grid_tools.server.token("rl" if request.param == 403 else "rwl")
    if request.param == 507:

        async def none(self: LocalBlobs, payer: str) -> int:
            return 0

        monkeypatch.setattr(LocalBlobs, "free", none)
    return request.param, f"/dav{place}/a.dcm", token


@pytest.mark.parametrize("expects", [True, False])
@pytest.mark.parametrize("tls", [True, False])
async def test_curl_prints_our_refusal(
    grid_tools: GridTools, large: Path, refused: tuple[int, str, str], *, tls: bool, expects: bool
) -> None:
    status, path, token = refused
    url = grid_tools.https(path) if tls else grid_tools.server.url + path
    options = ["--capath", str(grid_tools.grid.authorities), "-H", f"Authorization: Bearer {token}"]
    options += ["-H", "Expect: 100-continue" if expects else "Expect:"]
    uploads = ["-T", str(large), url] * BY_CURL
    ran = await grid_tools.run("curl", "-sS", *options, "-w", "\\n%{http_code}\\n", *uploads)
    lines = [line for line in ran.out.splitlines() if line]
    assert lines.count(str(status)) == BY_CURL, str(ran)
    assert sum('"type":"urn:mdm:error:' in line for line in lines) == BY_CURL
    assert ran.code == 0, str(ran)


@pytest.mark.parametrize("tls", [True, False])
async def test_davix_prints_our_refusal(
    grid_tools: GridTools, large: Path, refused: tuple[int, str, str], *, tls: bool
) -> None:
    status, path, token = refused
    url = grid_tools.https(path) if tls else grid_tools.server.url + path
    options = ["--capath", str(grid_tools.grid.authorities), "-H", f"Authorization: Bearer {token}"]
    for _ in range(BY_DAVIX):
        ran = await grid_tools.run("davix-put", *options, str(large), url)
        assert ran.code != 0
        assert f"HTTP {status}" in ran.said, str(ran)
