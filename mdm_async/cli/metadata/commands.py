"""`mdm meta`: its commands put together."""

import typer

from mdm_async.cli.metadata import find, query, schema, sequence, values


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Metadata: attributes of your own, set and shown.", no_args_is_help=True)
    for each in (find, values, schema, sequence, query):
        each.register(group)
    app.add_typer(group, name="meta")
