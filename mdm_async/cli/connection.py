"""The server that a command talks to, and the loop it does so in."""

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer
import uvloop

from mdm_async.client.client import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """The options before the command's name."""

    url: str | None = None
    ca: Path | None = None

    def client(self) -> Client:
        return Client(self.url, ca=self.ca)


def client_of(context: typer.Context) -> Client:
    """The client for this command line, not yet entered."""
    connection = context.obj
    assert isinstance(connection, Connection)
    return connection.client()


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. Ctrl-C cancels the work, waits for it to clean up, and raises KeyboardInterrupt."""
    return uvloop.run(work)
