"""`mdm keys acl`: as Hydra had it, who may have an image's keys; that is whoever its entry's ACL lets read it."""

from typing import Annotated

import typer

from mdm_async.cli.options import Json
from mdm_async.cli.rights.acl import Paths, change, get


def register(group: typer.Typer) -> None:
    group.command()(acl)


def acl(
    context: typer.Context,
    paths: Paths,
    add: Annotated[
        list[str] | None, typer.Option(metavar="P=RIGHTS[@VIEW,…]", help="Give rights; again for more.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="P[=RIGHTS]", help="Take rights away; without rights, all.")
    ] = None,
    replace: Annotated[
        list[str] | None, typer.Option(metavar="P=RIGHTS[@VIEW,…]", help="These and no others for P.")
    ] = None,
    json: Json = False,
) -> None:
    """Show who may have the keys of images, or change it: keys have the ACL of their entry, and no second one.

    It is what `mdm acl get` and `mdm acl set` do.

    Example: `mdm keys acl /demo/a.dcm --add fqan:/vo/radiology=rg@basic`
    """
    if add or remove or replace:
        change(context, paths, add, remove, replace, json=json)
    else:
        get(context, paths, json=json)
