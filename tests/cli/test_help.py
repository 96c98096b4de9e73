"""Every command explains itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from mdm_async.cli.main import Commands, app


def commands(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        if hasattr(found, "list_commands"):
            yield from commands(found, (*before, name))
        else:
            yield (*before, name), found.callback


MDM: Any = typer.main.get_command(app)
ALL = list(commands(MDM))


@pytest.mark.parametrize(("name", "callback"), ALL, ids=[" ".join(name) for name, _ in ALL])
def test_its_help_has_an_example(name, callback):
    assert f"Example: `mdm {' '.join(name)}" in (callback.__doc__ or "")


@pytest.mark.parametrize(("name", "callback"), ALL, ids=[" ".join(name) for name, _ in ALL])
def test_it_speaks_json_if_it_prints(name, callback):
    assert "json" in callback.__annotations__ or name == ("serve",)


async def test_help_is_shown(run):
    for name, _ in ALL:
        ended = await run(*name, "--help")
        assert ended.code == 0
        assert "Example" in ended.text


async def test_each_tells_a_failure_as_json_too(run):
    for name, callback in ALL:
        if "json" in callback.__annotations__:
            ended = await run(*name, "--no-such-option", "--json")
            code = 3 if name == ("probe",) else 2  # 2 would tell a monitoring system that the endpoint fails.
            assert (ended.code, ended.json["error"]["exit"]) == (code, code), name


async def test_a_wrong_option_is_code_2(run):
    assert (await run("ls", "--nonsense")).code == 2


async def test_a_wrong_command_is_code_2_and_the_like_of_it_is_named(run):
    ended = await run("gte")
    assert ended.code == 2
    assert "get" in ended.err


@pytest.mark.parametrize("name", Commands.table)
def test_the_table_has_the_summary_of_the_command_itself(name):
    shown = MDM.get_command(None, name).get_short_help_str(1000)
    assert shown.rstrip(".") == Commands.table[name].summary.rstrip(".")


def test_every_command_that_a_module_registers_is_in_the_table():
    assert set(MDM.commands) == set(Commands.table)


async def test_a_family_lists_its_commands_in_whole_sentences(run):
    for name in MDM.commands:
        if hasattr(MDM.get_command(None, name), "list_commands"):
            _, _, listed = (await run(name, "--help")).text.partition("Commands:")
            assert listed
            assert "..." not in listed


async def test_what_is_missing_is_named(run):
    for words, missing in ((("mkdir",), "LFN"), (("put", "--json"), "LFN"), (("token", "create"), "--name")):
        ended = await run(*words)
        assert ended.code == 2
        assert missing in ended.err
        assert ("--json" in words) == bool(ended.out)


async def test_a_family_of_commands_by_itself_shows_its_help(run):
    ended = await run("token")
    assert (ended.code, ended.err) == (2, "")
    assert ended.text == (await run("token", "--help")).text
