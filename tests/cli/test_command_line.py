"""Habits that all commands share: where options may stand, and how failures look to programs."""

import importlib.metadata

import pytest

from tests.cli.conftest import Run
from tests.conftest import Server


async def test_the_version_is_the_packages(run: Run) -> None:
    assert (await run("--version")).text == f"mdm {importlib.metadata.version('mdm_async')}\n"


async def test_ping_tells_where_which_version_and_how_long(mdm: Run, server: Server) -> None:
    told = (await mdm("ping", "--json")).json
    assert told["server"] == server.url
    assert told["version"] == importlib.metadata.version("mdm_async")
    assert 0 < told["seconds"] < 60
    assert (await mdm("ping")).text.startswith(f"{server.url}: mdm {told['version']}, ")


async def test_the_url_may_stand_before_and_after_a_commands_name(
    run: Run, server: Server, environment: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    environment.setenv("BEARER_TOKEN", server.admin_token)
    nobody = f"http://127.0.0.1:{unused_tcp_port}"
    for words in (
        ["--url", server.url, "ls", "/"],
        ["ls", "--url", server.url, "/"],
        ["ls", "/", f"--url={server.url}"],
        ["--url", nobody, "ls", "/", "--url", server.url],
        ["--url", server.url, "token", "list"],
        ["token", "list", "--url", server.url],
    ):
        assert (await run(*words)).code == 0, words
    assert (await run("--url", server.url, "ls", "--url", nobody, "/")).code == 69


@pytest.mark.parametrize(
    ("words", "code", "subject"),
    [
        (["ls", "/no-such-directory"], 3, "/no-such-directory"),
        (["fsck", "--url", "nothing"], 2, None),
        (["token", "revoke", "no-such-token"], 3, None),
        (["audit", "show", "--last", "0"], 2, None),
        (["no-such-command"], 2, None),
        (["config", "check", "--config", "/no/such/file"], 78, None),
    ],
)
async def test_with_json_a_failure_is_a_document_too(
    mdm: Run, words: list[str], code: int, subject: str | None
) -> None:
    ended = await mdm(*words, "--json")
    assert ended.code == code
    assert ended.json["error"]["exit"] == code
    assert ended.json["error"]["type"].startswith("urn:mdm:error:")
    assert ended.json["error"]["detail"] in ended.err
    assert ended.json.get("subject") == subject


async def test_behind_two_dashes_json_is_a_name(mdm: Run) -> None:
    ended = await mdm("ls", "--", "--json")
    assert (ended.code, ended.out) == (2, b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["intake", "set", "/demo"], "'--force'. Choose from: yes, no, inherit; see mdm intake set --help"),
        (["profile", "try"], "Missing argument 'FILE…'; see mdm profile try --help"),
        (["profile", "nope"], "No such command 'nope'; see mdm profile --help"),
        (["nope"], "No such command 'nope'; see mdm --help"),
        (["ls", "--nope"], "No such option: --nope; see mdm ls --help"),
    ],
)
async def test_a_wrong_command_line_is_told_in_one_line_that_says_where_to_look(
    run: Run, words: list[str], said: str
) -> None:
    ended = await run(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, b"", 1)
    assert ended.err.endswith(said + "\n")
