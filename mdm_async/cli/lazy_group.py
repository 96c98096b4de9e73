"""Commands in a table, imported only when one of them is run: `mdm --help` costs a worker next to nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Listed:
    """A command or a group: the module that registers it, and its summary, the first sentence of its help."""

    module: str
    summary: str


class Family(TyperGroup):
    """A group whose list has the whole first sentence of each command, on as many lines as that takes."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = [(name, command.get_short_help_str(1000)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(shown)


class LazyGroup(TyperGroup):
    """A group whose commands are in `table`, by name, in the order in which they are shown."""

    table: ClassVar[Mapping[str, Listed]]

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._imported: set[str] = set()
        self.commands = {name: TyperCommand(name) for name in self.table}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        listed = self.table.get(cmd_name)
        if listed is not None and listed.module not in self._imported:
            room = typer.Typer(rich_markup_mode=self.rich_markup_mode, callback=_only_a_room)
            import_module(listed.module).register(room)
            self.adapt(room)
            self.commands.update(typer.main.get_group(room).commands)
            self._imported.add(listed.module)
        return self.commands.get(cmd_name)

    def adapt(self, room: typer.Typer) -> None:
        """Change what a module registered before it becomes commands."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.summary) for name, listed in self.table.items()])


def _only_a_room() -> None:
    """Makes a group of what may be one command alone."""
