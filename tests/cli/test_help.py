"""Every command explains itself."""

from collections.abc import Iterator

import pytest
import typer

from mdm_async.cli.main import app


def commands(
    group: typer.Typer = app, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], object]]:
    for each in group.registered_commands:
        assert each.callback is not None
        yield (*before, each.name or each.callback.__name__), each.callback
    for each in group.registered_groups:
        assert each.typer_instance is not None
        yield from commands(each.typer_instance, (*before, str(each.name)))


ALL = list(commands())


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


async def test_a_wrong_option_is_code_2(run):
    assert (await run("ls", "--nonsense")).code == 2
