"""`mdm probe`: an endpoint checked for a monitoring system."""

import socket

import pytest

from tests.cli.conftest import Run
from tests.conftest import Server


async def test_it_lists_and_makes_a_round_trip(mdm: Run, server: Server) -> None:
    place = await server.directory()
    ended = await mdm("probe", server.url, "--path", place, "--json")
    assert (ended.code, ended.json["status"]) == (0, "OK"), ended.text
    assert [step["name"] for step in ended.json["steps"]] == [
        "certificate",
        "ping",
        "ls",
        "put",
        "get",
        "delete",
    ]
    listed = await server.srm("ls", surls=[place])
    assert not listed["files"][0].get("subPaths")


async def test_it_says_one_line_with_performance_data(mdm: Run, server: Server) -> None:
    ended = await mdm("probe", server.url)
    told, bar, numbers = ended.text.partition(" | ")
    assert told.startswith(f"MDM OK - {server.url}: ")
    assert bar
    assert [one.partition("=")[0] for one in numbers.split()] == ["certificate", "ping", "ls"]
    assert all(one.endswith("s") for one in numbers.split())
    assert ended.text.count("\n") == 1


async def test_what_cannot_be_done_is_critical(mdm: Run, server: Server) -> None:
    ended = await mdm("probe", f"{server.url}/none-such")
    assert (ended.code, "no such file or directory" in ended.text) == (2, True)
    ended = await mdm("probe", server.url, "--path", "/none-such")
    assert ended.code == 2
    assert "put: " in ended.text


async def test_a_server_that_is_not_there_is_critical(run: Run) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        ended = await run("probe", f"http://127.0.0.1:{unheard.getsockname()[1]}")
    assert (ended.code, ended.text.startswith("MDM CRITICAL - ")) == (2, True)


async def test_a_server_that_says_nothing_is_critical(run: Run) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        ended = await run("probe", f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")
    assert (ended.code, "no answer within 0.2 s" in ended.text) == (2, True)


async def test_what_is_slow_is_a_warning(mdm: Run, server: Server) -> None:
    ended = await mdm("probe", server.url, "--slow", "0")
    assert (ended.code, ended.text.startswith("MDM WARNING - ")) == (1, True)


async def test_without_a_credential_it_is_unknown_whether_one_may_list(run: Run, server: Server) -> None:
    ended = await run("probe", server.url)
    assert (ended.code, ended.text.startswith("MDM UNKNOWN - ")) == (3, True)
    assert "BEARER_TOKEN" in ended.text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x",
        "https://",
        "https://u:p@h/",
        "davs://h/elsewhere",
        "srm://h/x?SFN=/y",
        "x",
        "http://h/",
        "https://h:x",
    ],
)
async def test_what_is_no_endpoint_is_unknown(run: Run, url: str) -> None:
    ended = await run("probe", url)
    assert (ended.code, ended.text.startswith("MDM UNKNOWN - ")) == (3, True), ended.text
    assert (await run("probe", url, "--json")).json["status"] == "UNKNOWN"


async def test_wrong_usage_is_unknown_and_no_endpoint_that_fails(run: Run, mdm: Run, server: Server) -> None:
    for words in (
        (),
        ("https://h/", "--nothing"),
        ("https://h/", "--slow", "x"),
        (server.url, "--path", "demo"),
    ):
        assert (await mdm("probe", *words)).code == 3


async def test_plain_http_is_told_as_that(mdm: Run, server: Server) -> None:
    assert f" {server.url}: " in (await mdm("probe", server.url)).text


async def test_a_wrong_credential_is_critical(
    mdm: Run, server: Server, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("BEARER_TOKEN", "wrong")
    ended = await mdm("probe", server.url)
    assert (ended.code, "ls: " in ended.text) == (2, True)
