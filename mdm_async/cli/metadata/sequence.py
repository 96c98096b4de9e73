"""`mdm meta sequence`: numbers that are given once each."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.metadata import Metadata

T = TypeVar("T")
Named = Annotated[str, typer.Argument(metavar="SEQUENCE", show_default=False)]
At = Annotated[
    str, typer.Option("--at", metavar="DIR", help="The directory where the sequence is.", show_default=False)
]
Directory = Annotated[str, typer.Argument(metavar="DIR", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Numbers that are given once each.", no_args_is_help=True)
    group.command()(create)
    group.command("next")(next_)
    group.command("list")(list_)
    group.command()(remove)
    app.add_typer(group, name="sequence")


def create(
    context: typer.Context,
    name: Named,
    at: At,
    start: Annotated[int, typer.Option(help="The first number.")] = 1,
    step: Annotated[int, typer.Option(help="From one number to the next.")] = 1,
    json: Json = False,
) -> None:
    """Make a sequence at a directory; it takes the right 's' there.

    Example: `mdm meta sequence create run --at /vo/study`
    """
    asked(context, at, lambda meta: meta.create_sequence(at, name, start=start, step=step))
    if json:
        print_json({"path": at, "sequence": name})


def next_(
    context: typer.Context,
    name: Named,
    at: At,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="So many numbers.")] = 1,
    json: Json = False,
) -> None:
    """Take the next number, which nobody else is given; it takes the right 's'.

    Example: `mdm meta sequence next run --at /vo/study`
    """
    numbers = asked(context, at, lambda meta: meta.next_numbers(at, name, count))
    if json:
        print_json({"numbers": numbers})
        return
    for number in numbers:
        print_line(str(number))


def list_(context: typer.Context, at: Directory, json: Json = False) -> None:
    """List the sequences at a directory, each with the number that comes next.

    Example: `mdm meta sequence list /vo/study`
    """
    found = asked(context, at, lambda meta: meta.sequences(at))
    if json:
        print_json(found)
        return
    for one in found:
        print_line(f"{one['name']}  {one['next']}  step {one['step']}")


def remove(context: typer.Context, name: Named, at: At, json: Json = False) -> None:
    """Remove a sequence; it takes the rights 's' and 'd'.

    Example: `mdm meta sequence remove run --at /vo/study`
    """
    asked(context, at, lambda meta: meta.remove_sequence(at, name))
    if json:
        print_json({"path": at, "sequence": name})


def asked(context: typer.Context, at: str, ask: Callable[[Metadata], Awaitable[T]]) -> T:
    """What the server answers; what is wrong is told with the directory."""

    async def work() -> Any:
        async with client_of(context) as client:
            return await ask(client.meta)

    with about(at):
        answer: T = complete(work())
        return answer
