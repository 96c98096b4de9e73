"""Which installation a data directory is of: its first start leaves an id file there. So a database or a key that is
not there any more is told from one that is not there yet, and nothing is begun anew beside what is old.
"""

import os
import re
from pathlib import Path
from typing import Final
from uuid import UUID

from mdm_async.blobs import id_file
from mdm_async.catalog import installation
from mdm_async.errors import UnsafeSettings
from mdm_async.postgres.database import Connection
from mdm_async.settings import Settings

NAME: Final = "mdm.id"
_LINE: Final = re.compile(r"data directory of mdm installation ([0-9a-f-]{36})\n?\Z")
_LONGEST: Final = 200


def demand_there(settings: Settings) -> None:
    """Before anything is made: what an installation that was here before needs is here still. Raises UnsafeSettings."""
    if _known(settings) is None:
        return
    own = settings.database_directory / "postgres"
    if settings.database.dsn is None and not own.exists():
        raise UnsafeSettings(
            f"{own} is not there, and an installation's other files are: a new one would be empty",
            remedy=f"mount or restore {own}; {_anew(settings)}",
        )
    if not settings.secrets_directory.exists():
        raise UnsafeSettings(
            f"{settings.secrets_directory} is not there, and an installation's other files are",
            remedy=f"mount or restore it; {_anew(settings)}",
        )


async def demand_same(settings: Settings, db: Connection) -> None:
    """Before the database is migrated: it holds a catalog, if there ever was one, and this directory's. Raises
    UnsafeSettings."""
    known = _known(settings)
    found = await installation.identity_if_any(db)
    if known is not None and found is None:
        raise UnsafeSettings(
            f"the database holds no catalog, and {settings.data} is of an installation that has one",
            remedy=f"check database.dsn, or restore the database; {_anew(settings)}",
        )
    own = _read(settings.data)
    if own is not None and found != own:
        raise UnsafeSettings(
            f"the database is another mdm installation's than {settings.data}",
            remedy="give this server a data directory of its own, or the database that belongs to this one",
        )


async def mark(settings: Settings, db: Connection) -> None:
    """Leave the id file, where there is none. Raises UnsafeSettings."""
    path = settings.data / NAME
    if path.exists():
        return
    installed = await installation.identity(db)
    new = path.with_name(f"{NAME}.new")
    try:
        with new.open("w") as file:
            new.chmod(0o600)
            file.write(f"data directory of mdm installation {installed}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as why:
        raise UnsafeSettings(f"{path} cannot be written: {why.strerror}") from why


def _known(settings: Settings) -> UUID | None:
    """Of a directory that an older version made, what its blob store says; one that is shared was here before many a
    new node."""
    own = _read(settings.data)
    if (
        own is None
        and not settings.blobs.shared
        and (store := id_file.read(settings.blobs_directory)) is not None
    ):
        return store.installation
    return own


def _read(data: Path) -> UUID | None:
    path = data / NAME
    try:
        with path.open("rb") as file:
            match = _LINE.match(file.read(_LONGEST).decode("ascii", "replace"))
        if match is not None:
            return UUID(match[1])
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        pass
    raise UnsafeSettings(f"{path} does not say whose data these are", remedy="restore that file")


def _anew(settings: Settings) -> str:
    return f"to begin anew, choose another directory than {settings.data}"
