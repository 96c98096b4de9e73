"""Profile files, as they lie on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

from mdm_async.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from mdm_async.dicom.profile import Profile


def read_profile(file: Path) -> "Profile":
    """The profile in a file. NotFound, or BadRequest with what is wrong."""
    # Here, for tables of the standard and the dictionary take a quarter of a second to load.
    from mdm_async.dicom.profiles.file import parse_profile

    return parse_profile(read_text(file))


def read_text(file: Path) -> str:
    """A profile's TOML. NotFound, or BadRequest when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound("no such file") from None
    except OSError as why:
        raise BadRequest(f"cannot be read: {why.strerror}") from None
    except UnicodeDecodeError:
        raise BadRequest("not a text in UTF-8", remedy="write profiles as TOML") from None
