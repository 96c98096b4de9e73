"""`mdm keys`: the family put together."""

import typer

from mdm_async.cli.keys import acl, of_images, rekey, rotate, split, status, unseal


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="The keys of images, and those that they are wrapped under.", no_args_is_help=True
    )
    status.register(group)
    rotate.register(group)
    split.register(group)
    unseal.register(group)
    of_images.register(group)
    rekey.register(group)
    acl.register(group)
    app.add_typer(group, name="keys")
