"""`mdm probe` over every protocol, as the rig's user, with what a monitoring host has: a proxy and the authorities."""

import asyncio
import os

import orjson
import pytest

from mdm_async.cli.main import main
from tests.interop.grid_tools import GridTools

LONG = ("--warning-days", "0", "--critical-days", "0")
"""The rig's certificate ends tomorrow."""


@pytest.fixture
def as_the_user(grid_tools: GridTools, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(("MDM_", "BEARER_TOKEN", "X509_", "XDG_RUNTIME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("X509_USER_PROXY", str(grid_tools.proxy))
    monkeypatch.setenv("X509_CERT_DIR", str(grid_tools.grid.authorities))


@pytest.mark.usefixtures("as_the_user")
@pytest.mark.parametrize("protocol", ["https", "davs", "srm"])
async def test_a_round_trip(
    grid_tools: GridTools, place: str, protocol: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    below = f"{place}/é b"
    await grid_tools.server.srm("mkdir", surl=below)
    url = {"https": grid_tools.https(below), "davs": grid_tools.davs(below), "srm": grid_tools.srm(below)}[
        protocol
    ]
    code = await asyncio.to_thread(main, ["probe", url, "--path", below, "--json", *LONG])
    told = orjson.loads(capsysbinary.readouterr().out.splitlines()[-1])
    assert (code, told["status"]) == (0, "OK"), str(told["steps"])
    assert [step["name"] for step in told["steps"]] == ["certificate", "ping", "ls", "put", "get", "delete"]
    assert told["certificateDays"] > 0


@pytest.mark.usefixtures("as_the_user")
async def test_a_certificate_that_ends_soon_or_is_not_trusted(
    grid_tools: GridTools, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    url = grid_tools.https("/grid")
    for options, code in (
        (["--warning-days", "9999", "--critical-days", "0"], 1),
        (["--warning-days", "9999", "--critical-days", "9999"], 2),
    ):
        assert await asyncio.to_thread(main, ["probe", url, *options]) == code
    monkeypatch.delenv("X509_CERT_DIR")
    capsysbinary.readouterr()
    assert await asyncio.to_thread(main, ["probe", url]) == 2
    assert b"is not trusted" in capsysbinary.readouterr().out
