"""What a command says: results and JSON on stdout, complaints and progress on stderr.

Whatever came from a server or a file is shown as text: nothing here obeys it.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import orjson
import typer

from mdm_async.cli.exit_codes import Interrupted, exit_code, first_failure
from mdm_async.errors import MdmError

if TYPE_CHECKING:
    from rich.console import Console

wants_json: ContextVar[bool] = ContextVar("wants_json", default=False)
"""Whether this command line has `--json`: then failures are told as a document too."""


def plain(text: str) -> str:
    """What may stand on a terminal. Characters that could move its cursor, rename its window, reorder or hide what
    stands beside them are shown by their numbers: ESC → '\\x1b', U+202E → '\\u202e'."""
    if text.isprintable():
        return text
    return "".join(each if _is_harmless(each) else _number(each) for each in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in "\t\u00a0\u3000"


def _number(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def stderr_console() -> "Console":
    """For progress and tables beside the result."""
    from rich.console import Console

    return Console(stderr=True)


def print_line(text: str = "") -> None:
    """One line of a result, for people."""
    sys.stdout.write(plain(text) + "\n")


def print_json(document: Any) -> None:
    """The one document that `--json` gives."""
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    if sys.stdout.isatty():
        options |= orjson.OPT_INDENT_2
    text = orjson.dumps(document, option=options).decode()
    sys.stdout.write("".join(each if each == "\n" or _is_harmless(each) else _as_json(each) for each in text))


def _as_json(character: str) -> str:
    """As a string in JSON may write it: what reads the document has it as it was, and a terminal only shows it."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def complain(error: MdmError, subject: str = "") -> None:
    """`mdm: [subject: ]<detail>; <remedy>`, one line for each line of the detail."""
    about = f"{subject}: " if subject else ""
    details = error.detail.splitlines() or [error.title]
    details[-1] += f"; {error.remedy}" if error.remedy else ""
    for detail in details:
        sys.stderr.write(plain(f"mdm: {about}{detail}") + "\n")
    sys.stderr.flush()


def fail(error: MdmError, subject: str = "", *, code: int | None = None) -> int:
    """Tell why the whole command failed, with `--json` as `{"error": …}` too; its exit code, which is the
    error's where the command has none of its own."""
    code = exit_code(error) if code is None else code
    complain(error, subject)
    if wants_json.get():
        sys.stdout.flush()
        print_json({"error": error_json(error) | {"exit": code}} | ({"subject": subject} if subject else {}))
    return code


class Failed(Exception):
    """The whole command failed at one of the names on its line."""

    def __init__(self, error: MdmError, subject: str) -> None:
        super().__init__()
        self.error, self.subject = error, subject


def whole_seconds(time: str) -> str:
    """A server's time in UTC, without what is below seconds."""
    return f"{time[:19]}Z"


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Adds to an error which of the names on the command line it is about, for `main` to tell."""
    try:
        yield
    except MdmError as error:
        raise Failed(error, subject) from error


@contextmanager
def on_interrupt(done: str, how_to_go_on: str) -> Iterator[None]:
    """On Ctrl-C, says what is done by then and what to do next."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {done}", remedy=how_to_go_on) from None


def end(errors: Iterable[MdmError | None]) -> None:
    """End the command with the code of the first name that failed, if one did; all has been said."""
    if code := first_failure(errors):
        raise typer.Exit(code)


def error_json(error: MdmError) -> dict[str, Any]:
    """An error inside a JSON document."""
    fields = {
        "type": error.urn,
        "code": error.srm,
        "detail": error.detail,
        "remedy": error.remedy,
        "exit": exit_code(error),
    }
    return {name: value for name, value in fields.items() if value != ""}


def in_words(size: float) -> str:
    """Bytes for people: 530758 → '518.3 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
