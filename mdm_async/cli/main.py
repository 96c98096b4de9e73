"""`mdm`: the commands put together, and the one place where failures end them."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mdm_async.cli.connection import Ca, Connection, Url, takes_server
from mdm_async.cli.exit_codes import (
    INTERRUPTED,
    OTHER,
    PROBE_UNKNOWN,
    Interrupted,
    ServerMissing,
    as_epilogue,
)
from mdm_async.cli.lazy_group import Family, LazyGroup, Listed
from mdm_async.cli.output import Failed, fail, print_line, wants_json
from mdm_async.errors import BadRequest, MdmError


class Commands(LazyGroup):
    """All of them."""

    table = {  # noqa: RUF012 — never written to
        "serve": Listed(
            "mdm_async.cli.server.serve",
            "Serve images until SIGTERM; prints one line with the URL when ready.",
        ),
        "config": Listed("mdm_async.cli.server.config", "Show and check the settings."),
        "put": Listed(
            "mdm_async.cli.transfer.put",
            "Store DICOM files; into LFN when it is a directory or there are several.",
        ),
        "get": Listed(
            "mdm_async.cli.transfer.get",
            "Pull a view of an image, resumed where an earlier pull ended, and checked.",
        ),
        "ls": Listed("mdm_async.cli.names.commands", "List a directory."),
        "stat": Listed(
            "mdm_async.cli.names.commands",
            "Show all that is known of names, or of GUIDs such as guid:3f2504e0-4f89-41d3-9a0c-0305e82c3301.",
        ),
        "mkdir": Listed("mdm_async.cli.names.commands", "Make directories."),
        "rm": Listed("mdm_async.cli.names.commands", "Delete files, and with -r directories."),
        "mv": Listed("mdm_async.cli.names.commands", "Move or rename; into TARGET when that is a directory."),
        "link": Listed(
            "mdm_async.cli.names.link",
            "Give a research project names of its own for images, in a directory that is there; nothing is copied.",
        ),
        "replica": Listed("mdm_async.cli.names.replica", "Tell where else copies of images lie."),
        "mirror": Listed(
            "mdm_async.cli.mirror.commands",
            "A second site that follows a directory, and takes the first one's place when that is lost.",
        ),
        "intake": Listed(
            "mdm_async.cli.names.intake",
            "What a directory takes in: whether files that break DICOM's file format are let in.",
        ),
        "dir": Listed(
            "mdm_async.cli.names.dir",
            "What a directory is for: whether it takes opaque files, which are not DICOM.",
        ),
        "meta": Listed(
            "mdm_async.cli.metadata.commands",
            "Metadata: what views and users say of images, set, shown and searched.",
        ),
        "cohort": Listed(
            "mdm_async.cli.cohorts.commands",
            "Cohorts: files pinned in the versions of their views, under a signed digest.",
        ),
        "acl": Listed("mdm_async.cli.rights.acl", "Who may do what: rights on files and directories."),
        "delivery": Listed(
            "mdm_async.cli.rights.delivery", "How views leave a directory: in the clear over TLS, or sealed."
        ),
        "recipient": Listed("mdm_async.cli.rights.recipient", "Keys that sealed images are sealed for."),
        "token": Listed("mdm_async.cli.rights.token", "Make, list and revoke local tokens."),
        "macaroon": Listed(
            "mdm_async.cli.rights.macaroon", "List and revoke macaroons; gfal-token and curl make them."
        ),
        "keys": Listed(
            "mdm_async.cli.keys.commands", "The keys of images, and those that they are wrapped under."
        ),
        "keygen": Listed(
            "mdm_async.cli.keygen",
            "Make a key pair to receive sealed images with; `crypt4gh decrypt --sk NAME.sec` opens them.",
        ),
        "profile": Listed(
            "mdm_async.cli.profile.commands", "De-identification profiles: what views are made by."
        ),
        "manifest": Listed(
            "mdm_async.cli.names.manifest",
            "Make a manifest of a study for another enterprise: a Key Object Selection, or FHIR.",
        ),
        "pacs": Listed(
            "mdm_async.cli.pacs.commands",
            "The hospital's archives: asked, registered at, brought from; and what is rejected.",
        ),
        "cache": Listed(
            "mdm_async.cli.pacs.cache",
            "What is kept here of images that archives have: how full it is, and what is let go.",
        ),
        "certificate": Listed(
            "mdm_async.cli.profile.certificate", "Verify certificates of de-identification, offline."
        ),
        "pseudonym": Listed("mdm_async.cli.profile.pseudonym", "Find whom a pseudonym stands for."),
        "project": Listed("mdm_async.cli.profile.project", "Research projects: whom they call what."),
        "audit": Listed("mdm_async.cli.audit.commands", "Look at the audit trail, keep it, verify it."),
        "shred": Listed(
            "mdm_async.cli.keys.shred",
            "Destroy images for good, in all projects: keys, stored bytes, names, transfer URLs; it cannot be undone.",
        ),
        "shreds": Listed("mdm_async.cli.keys.shreds", "Receipts of what was shredded, and how far it is."),
        "fsck": Listed(
            "mdm_async.cli.server.fsck",
            "Compare stored ciphertext with the catalog; exits 1 when something is left unrepaired.",
        ),
        "status": Listed(
            "mdm_async.cli.server.status",
            "Show how a server stands: node, version, space, transfers, limits, and the work that waits or fails.",
        ),
        "ping": Listed(
            "mdm_async.cli.server.ping",
            "Ask the server whether it is there: its version, and how long the answer took.",
        ),
        "probe": Listed(
            "mdm_async.cli.server.probe",
            "Check an endpoint as a monitoring system would: certificate, ping, ls, and a round trip of a tiny image.",
        ),
        "whoami": Listed(
            "mdm_async.cli.rights.whoami",
            "Tell who the server takes you for, by which credential, until when, and with what rights at LFN.",
        ),
        "demo": Listed(
            "mdm_async.cli.demo.command",
            "Start a server, store images, pull them de-identified with many workers, and check every byte.",
        ),
    }

    def adapt(self, room: typer.Typer) -> None:
        _adapt(room)


def _adapt(group: typer.Typer) -> None:
    """Options of the connection may stand anywhere, and families list their commands in whole sentences."""
    for command in group.registered_commands:
        if command.callback is not None:
            command.callback = takes_server(command.callback)
    for below in group.registered_groups:
        if below.typer_instance is not None:
            below.typer_instance.info.cls = Family
            _adapt(below.typer_instance)


app = typer.Typer(
    name="mdm",
    cls=Commands,
    help="Medical Data Manager: DICOM images, de-identified and encrypted on the way to the grid.",
    epilog=as_epilogue(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from mdm_async import __version__

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
    except typer.TyperException as wrong:
        told = wrong.format_message()
        named = asked.command_path if (asked := getattr(wrong, "ctx", None)) is not None else "mdm"
        # A monitoring system takes 2, which says elsewhere that the usage is wrong, for an endpoint that fails.
        code = PROBE_UNKNOWN if named == "mdm probe" else wrong.exit_code
        if told.startswith("Usage: ") and not wants_json.get():  # Of a family of commands none is named.
            for line in told.splitlines():
                print_line(line)
        else:
            told = "no command is named" if told.startswith("Usage: ") else told.rstrip(".")
            fail(BadRequest(" ".join(told.split()), remedy=f"see {named} --help"), code=code)
        return code
    except typer.Abort:
        return fail(MdmError("given up"))
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("mdm_async"):
            raise
        return fail(
            ServerMissing(
                f"this command needs the server's packages, and {missing.name} is not there",
                remedy="pip install 'mdm_async[server]'",
            )
        )
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
