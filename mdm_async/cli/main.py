"""`mdm`: the commands put together, and the one place where errors become exit codes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mdm_async.cli import keygen
from mdm_async.cli.audit import commands as audit
from mdm_async.cli.connection import Connection
from mdm_async.cli.demo import command as demo
from mdm_async.cli.names import commands as names
from mdm_async.cli.names import link, replica
from mdm_async.cli.output import complain
from mdm_async.cli.profile import commands as profile
from mdm_async.cli.profile import pseudonym
from mdm_async.cli.rights import acl, delivery, recipient, token
from mdm_async.cli.server import config, fsck, serve
from mdm_async.cli.transfer import get, put
from mdm_async.errors import MdmError

app = typer.Typer(
    name="mdm",
    help="Medical Data Manager: DICOM images, de-identified and encrypted on the way to the grid.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def connection(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="MDM_URL", help="The server; default http://127.0.0.1:8085.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of an authority to trust besides the system's.")
    ] = None,
) -> None:
    """What all commands that talk to a server share."""
    context.obj = Connection(url, ca)


for room in (
    serve,
    config,
    put,
    get,
    names,
    profile,
    link,
    pseudonym,
    token,
    keygen,
    acl,
    delivery,
    recipient,
    replica,
    audit,
    fsck,
    demo,
):
    room.register(app)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code. Errors are one line on stderr, never a traceback."""
    try:
        app(arguments, prog_name="mdm")
    except MdmError as error:
        complain(error)
        return error.exit_code
    except OSError as why:  # Of a file that the user named.
        complain(MdmError(f"{why.filename}: {why.strerror}" if why.filename else str(why)))
        return MdmError.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def run() -> None:
    """The console script."""
    sys.exit(main())
