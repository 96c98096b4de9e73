"""litmus, the test suite of WebDAV servers, on a directory that takes opaque files: all of it passes."""

import re

from tests.conftest import Server
from tests.interop.grid_tools import GridTools
from tests.web.own_acls import give, rule

_SUITES = ("basic", "copymove", "props", "http", "locks")


async def test_litmus_passes_without_a_failure_or_warning(grid_tools: GridTools, own_server: Server) -> None:
    # It has no bearer tokens; and `expect100` it does without TLS alone.
    await own_server.srm("mkdir", surl="/scratch")
    await give(own_server, "/", [rule("any:anonymous", "x")])
    await give(own_server, "/scratch", [rule("any:anonymous", "pdrwlxgs")])
    asked = {"surl": "/scratch", "opaque": "yes"}
    told = await own_server.call("PUT", "/admin/v1/intake", token=own_server.admin_token, json=asked)
    assert told.status == 200, told.body
    for suite in _SUITES:
        ran = await grid_tools.run("litmus", f"{own_server.url}/dav/scratch/", TESTS=suite)
        assert ran.code == 0, str(ran)
        assert not re.search("FAIL|WARNING|SKIP", ran.said), str(ran)
        assert "100.0%" in ran.said, str(ran)
