"""What a command's exit code says, and the one place where errors become exit codes.

Of several names, the first in the order given that failed decides; Ctrl-C before all of them.
"""

from collections.abc import Iterable
from typing import Final

from mdm_async import errors
from mdm_async.errors import MdmError

OTHER: Final = 1
INTERRUPTED: Final = 130
PROBE_UNKNOWN: Final = 3
"""Of `mdm probe` alone, whose codes are those of monitoring plugins."""

MEANINGS: Final = {
    0: "done",
    OTHER: "another failure",
    2: "usage: a malformed option, name or request",
    3: "not found",
    4: "the view is refused",
    5: "damaged",
    6: "lost",
    11: "pending or busy: try again later",
    13: "no right, or no valid credential",
    69: "the server cannot be reached",
    76: "the server's certificate is not trusted",
    78: "the settings are unsafe or incomplete, or the server is not installed",
    INTERRUPTED: "interrupted",
}


class Interrupted(MdmError):
    """Somebody pressed Ctrl-C; `detail` says what is done, `remedy` how to go on."""

    title = "interrupted"


class ServerMissing(MdmError):
    """The command is one of the server's, and only the client is installed."""

    title = "the server is not installed"


_CODES: Final[dict[type[MdmError], int]] = {
    MdmError: OTHER,
    errors.BadRequest: 2,
    errors.NotFound: 3,
    errors.UnknownRequest: 3,
    errors.Gone: 3,
    errors.ViewRefused: 4,
    errors.Damaged: 5,
    errors.Lost: 6,
    errors.WrongContent: 5,
    errors.Busy: 11,
    errors.ViewPending: 11,
    errors.TooManyRequests: 11,
    errors.Unavailable: 11,
    errors.Unauthenticated: 13,
    errors.Forbidden: 13,
    errors.Unreachable: 69,
    errors.Untrusted: 76,
    errors.UnsafeSettings: 78,
    ServerMissing: 78,
    Interrupted: INTERRUPTED,
}
"""Of each class and what is derived from it, unless that has one of its own."""


def exit_code(error: MdmError) -> int:
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)


def first_failure(errors_or_none: Iterable[MdmError | None]) -> int:
    """The code of the first that failed, 0 when none did."""
    return next((exit_code(error) for error in errors_or_none if error is not None), 0)


def as_epilogue() -> str:
    """For `mdm --help`, as Markdown."""
    codes = "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
    return f"Exit codes: {codes}. Of several names, the first that failed decides."
