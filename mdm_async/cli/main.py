"""`mdm`: the commands put together, and the one place where failures end them."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mdm_async import __version__
from mdm_async.cli import keygen
from mdm_async.cli.audit import commands as audit
from mdm_async.cli.connection import Ca, Connection, Url, takes_server
from mdm_async.cli.demo import command as demo
from mdm_async.cli.exit_codes import INTERRUPTED, OTHER, Interrupted, as_epilogue
from mdm_async.cli.names import commands as names
from mdm_async.cli.names import link, replica
from mdm_async.cli.output import Failed, fail, print_line, wants_json
from mdm_async.cli.profile import commands as profile
from mdm_async.cli.profile import pseudonym
from mdm_async.cli.rights import acl, delivery, recipient, token
from mdm_async.cli.server import config, fsck, ping, serve
from mdm_async.cli.transfer import get, put
from mdm_async.errors import BadRequest, MdmError

app = typer.Typer(
    name="mdm",
    help="Medical Data Manager: DICOM images, de-identified and encrypted on the way to the grid.",
    epilog=as_epilogue(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print_line(f"mdm {__version__}")
        raise typer.Exit


@app.callback()
def connection(
    context: typer.Context,
    url: Url = None,
    ca: Ca = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
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
    ping,
    demo,
):
    room.register(app)


def _let_options_stand_anywhere(group: typer.Typer) -> None:
    for command in group.registered_commands:
        if command.callback is not None:
            command.callback = takes_server(command.callback)
    for below in group.registered_groups:
        if below.typer_instance is not None:
            _let_options_stand_anywhere(below.typer_instance)


_let_options_stand_anywhere(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Errors are one line on stderr, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    wants_json.set("--json" in words[: words.index("--") if "--" in words else None])
    try:
        code = app(words, prog_name="mdm", standalone_mode=False)
    except MdmError as error:
        return fail(error)
    except Failed as at:
        return fail(at.error, at.subject)
    except typer.TyperException as wrong:  # Without a message, help was shown instead.
        if wrong.message:
            fail(BadRequest(wrong.format_message(), remedy="see mdm --help"))
        return wrong.exit_code
    except typer.Abort:
        return fail(MdmError("given up"))
    except OSError as why:  # Of a file that the user named.
        return fail(MdmError(f"{why.filename}: {why.strerror}" if why.filename else str(why)))
    except SystemExit as end:  # Of a reader of stdout that went away.
        return end.code if isinstance(end.code, int) else OTHER
    if code == INTERRUPTED:  # Nobody knew better what is done and how to go on.
        return fail(Interrupted())
    return code or 0


def run() -> None:
    """The console script."""
    sys.exit(main())
