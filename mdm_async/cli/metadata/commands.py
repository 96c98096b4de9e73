"""`mdm meta`: its commands put together."""

import typer

from mdm_async.cli.metadata import find, query, schema, sequence, take, values


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Metadata: what views and users say of images, set, shown and searched.", no_args_is_help=True
    )
    for each in (find, values, take, schema, sequence, query):
        each.register(group)
    app.add_typer(group, name="meta")
