"""`mdm config`: the settings in force, and whether they may be served with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import BaseModel, SecretStr

from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.settings import Settings, load

Config = Annotated[Path | None, typer.Option(help="Settings file (TOML).")]
_MASK = "********"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show and check the settings.", no_args_is_help=True)
    group.command()(show)
    group.command()(check)
    app.add_typer(group, name="config")


def show(config: Config = None, json: Json = False) -> None:
    """Print every setting that a server started here would have; secrets are masked.

    Example: `mdm config show --config /etc/mdm.toml`
    """
    settings = load(config)
    if json:
        print_json(as_tree(settings))
    else:
        for line in as_toml(settings):
            print_line(line)


def check(config: Config = None, json: Json = False) -> None:
    """Check the settings; exits 78 with every reason when a server would not start with them.

    Example: `mdm config check --config /etc/mdm.toml && systemctl restart mdm`
    """
    load(config)
    if json:
        print_json({"ok": True})
    else:
        print_line("the settings are fit to serve with")


def as_tree(settings: Settings) -> dict[str, Any]:
    """Sections of values as JSON has them."""
    return {
        name: {key: _plain(value) for key, value in section}
        if isinstance(section, BaseModel)
        else _plain(section)
        for name, section in settings
    }


def as_toml(settings: Settings) -> Iterator[str]:
    """A file that `--config` would read, each setting with what it means; unset ones commented out."""
    yield f"data = {_quoted(settings.data)}  # {Settings.model_fields['data'].description}"
    for name, section in settings:
        if isinstance(section, BaseModel):
            yield ""
            yield f"[{name}]"
            for key, leaf in type(section).model_fields.items():
                value, meaning = getattr(section, key), leaf.description
                yield f"# {key} =  # {meaning}" if value is None else f"{key} = {_quoted(value)}  # {meaning}"


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _MASK
    return str(value) if isinstance(value, Path) else value


def _quoted(value: Any) -> str:
    """JSON's strings, numbers, booleans and lists of strings are TOML's too."""
    return orjson.dumps(_plain(value)).decode()
