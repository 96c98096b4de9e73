"""The server that a command talks to, and the loop it does so in."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from mdm_async.cli.waiting import Waiting
from mdm_async.errors import BadRequest

if TYPE_CHECKING:
    from mdm_async.client.client import Client

T = TypeVar("T")

_PANEL: Final = "Server"
Url = Annotated[
    str | None,
    typer.Option("--url", help="The server; default: MDM_URL, else that of --data.", rich_help_panel=_PANEL),
]
Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca", help="PEM file of an authority to trust besides the system's.", rich_help_panel=_PANEL
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of a server on this machine, reached by its socket; default: MDM_DATA, else mdm-data.",
        rich_help_panel=_PANEL,
    ),
]
_OPTIONS: Final = {"server_url": Url, "server_ca": Ca, "server_data": Data}


@dataclass(frozen=True, slots=True)
class Connection:
    """Which server, as the command line says it."""

    url: str | None = None
    ca: Path | None = None
    data: Path | None = None

    def client(self) -> "Client":
        if self.url is not None and self.data is not None:
            raise BadRequest("--url and --data name two servers", remedy="give one of them")
        # Here, for `mdm --help` needs no client.
        from mdm_async.client.client import Client

        return Client(self.url, data=self.data, ca=self.ca)

    def but(self, server_url: str | None, server_ca: Path | None, server_data: Path | None) -> "Connection":
        """With what is given here instead."""
        return Connection(server_url or self.url, server_ca or self.ca, server_data)


def takes_server(command: Callable[..., None]) -> Callable[..., None]:
    """The command, which takes the options of its server after its name as well as before it; unchanged if it
    needs no server."""
    known = inspect.signature(command).parameters
    if "context" not in known:
        return command

    @functools.wraps(command)
    def with_options(*, context: typer.Context, **given: Any) -> None:
        context.obj = context.obj.but(**{name: given.pop(name) for name in _OPTIONS})
        command(context=context, **given)

    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _OPTIONS.items()
    ]
    with_options.__signature__ = inspect.Signature([*known.values(), *options])  # type: ignore[attr-defined]
    with_options.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return with_options


def client_of(context: typer.Context) -> "Client":
    """The client for this command line, not yet entered."""
    connection = context.obj
    assert isinstance(connection, Connection)
    client = connection.client()
    client.wire.on_wait = Waiting()
    return client


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. Ctrl-C cancels the work, waits for it to clean up, and raises KeyboardInterrupt."""
    try:
        import uvloop
    except ModuleNotFoundError:  # Of the server's packages; a client does without.
        import asyncio

        return asyncio.run(work)
    return uvloop.run(work)
