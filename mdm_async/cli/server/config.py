"""`mdm config`: the settings in force, and whether they may be served with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import BaseModel, SecretStr

from mdm_async.cli.connection import complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import complain, print_json, print_line
from mdm_async.cli.server.serve import overrides
from mdm_async.client.local_server import SOCKET
from mdm_async.errors import MdmError, UnsafeSettings
from mdm_async.settings import Settings, load

Config = Annotated[Path | None, typer.Option(help="Settings file (TOML).")]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of secrets, ciphertext and embedded Postgres, as `mdm serve` has it."),
]
_MASK = "********"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show and check the settings.", no_args_is_help=True)
    group.command()(show)
    group.command()(check)
    app.add_typer(group, name="config")


def show(config: Config = None, data: Data = None, json: Json = False) -> None:
    """Print every setting that a server started here would have; secrets are masked.

    Example: `mdm config show --config /etc/mdm.toml`
    """
    settings = load(config, overrides=overrides(data, {}))
    if json:
        print_json(as_tree(settings))
    else:
        for line in as_toml(settings):
            print_line(line)


def check(config: Config = None, data: Data = None, json: Json = False) -> None:
    """Check the settings and all that they name; exits 78 with every reason when a server would not start.

    Example: `mdm config check --config /etc/mdm.toml && systemctl restart mdm`
    """
    settings = load(config, overrides=overrides(data, {}))
    # Here, for only this command and `serve` need the server's rooms, which take half a second to load.
    from mdm_async.premises import reasons_against, warnings_about

    warnings = warnings_about(settings) + complete(unknown_views(settings))
    for warning in warnings:
        complain(MdmError(f"warning: {warning}"))
    if reasons := complete(reasons_against(settings)):
        raise UnsafeSettings("\n".join(reasons))
    if json:
        print_json({"ok": True} | ({"warnings": warnings} if warnings else {}))
    else:
        print_line("the settings are fit to serve with")


async def unknown_views(settings: Settings) -> list[str]:
    """Of devices, as the server that runs with this data knows them, or the database of the settings; nothing where
    neither can be asked."""
    wanted = {one.ae: one.view for one in settings.pacs.calling if one.view is not None}
    if not wanted:
        return []
    # Here, for few settings name devices.
    from mdm_async.cli.known_views import none_of, unknown
    from mdm_async.client.client import Client
    from mdm_async.premises import profiles_there

    missing: set[str] = set()
    if (settings.data / SOCKET).exists():
        async with Client(data=settings.data) as client:
            missing = await unknown(client, wanted.values())
    elif (there := await profiles_there(settings)) is not None:
        missing = none_of(wanted.values(), there)
    return [
        f"pacs.calling of {ae}: no profile makes the view {view!r}, and nothing is shown to it; see "
        "`mdm profile list`, or make it: mdm profile add"
        for ae, view in wanted.items()
        if view in missing
    ]


def as_tree(settings: Settings) -> dict[str, Any]:
    """Sections of values as JSON has them."""
    return {name: _plain(section) for name, section in settings}


def as_toml(settings: Settings) -> Iterator[str]:
    """A file that `--config` would read, each setting with what it means; unset ones commented out."""
    yield f"data = {_quoted(settings.data)}  # {Settings.model_fields['data'].description}"
    for name, section in settings:
        if isinstance(section, BaseModel):
            yield ""
            yield f"[{name}]"
            yield from _section(section)
            yield from _tables(name, section)
    for name, hook in settings.hooks.items():
        yield ""
        yield f"[hooks.{name}]"
        yield from _section(hook)


def _section(section: BaseModel) -> Iterator[str]:
    for key, leaf in type(section).model_fields.items():
        value, meaning = getattr(section, key), leaf.description
        if not _is_tables(value):
            is_set = value is not None and getattr(section, f"{key}_file", None) is None
            yield f"{key} = {_quoted(value)}  # {meaning}" if is_set else f"# {key} =  # {meaning}"


def _tables(name: str, section: BaseModel) -> Iterator[str]:
    for key, value in section:
        if _is_tables(value):
            for one in value:
                yield ""
                yield f"[[{name}.{key}]]"
                yield from _section(one)


def _is_tables(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(one, BaseModel) for one in value)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, BaseModel):
        return {key: _plain(one) for key, one in value}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, Path) else value


def _quoted(value: Any) -> str:
    """JSON's strings, numbers, booleans and lists of strings are TOML's too."""
    return orjson.dumps(_plain(value)).decode()
