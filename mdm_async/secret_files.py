"""Which files hold this server's secrets: those that settings name, and all in its own directory of secrets; and what
else nothing that handles foreign bytes may read."""

import os
from pathlib import Path

from mdm_async.private_files import demand_private
from mdm_async.settings import Settings


def secret_files(settings: Settings) -> list[Path]:
    """Those that are there, and their own directory first."""
    own = settings.secrets_directory
    return [path for path in (own, *_inside(own), *_named(settings)) if path.exists()]


def private_places(settings: Settings) -> list[Path]:
    """Everything of this server's, and the secrets that lie elsewhere."""
    own = (
        settings.data,
        settings.database_directory,
        settings.blobs_directory,
        settings.secrets_directory,
    )
    return [path.absolute() for path in (*own, *_named(settings))]


def _named(settings: Settings) -> list[Path]:
    named = (
        settings.database.dsn_file,
        settings.keys.kek_file,
        settings.s3.secret_key_file,
        *(file for store in settings.keys.stores for file in (store.dsn_file, store.kek_file)),
        settings.server.tls_key,
        settings.audit.key_file,
        *(source.token_file for source in settings.pacs.sources),
    )
    return [path for path in named if path is not None]


def _inside(directory: Path) -> list[Path]:
    readable = directory.is_dir() and os.access(directory, os.R_OK | os.X_OK)
    return sorted(directory.iterdir()) if readable else []


def demand_private_secret(settings: Settings, path: Path) -> None:
    """Raises UnsafeSettings when others can read or change it."""
    demand_private(path, keeper=keeper(settings))


def keeper(settings: Settings) -> int | None:
    """To root, the user who owns DIR is none of the others who may not have secrets."""
    return settings.data.stat().st_uid if os.geteuid() == 0 and settings.data.exists() else None
