"""Which files hold this server's secrets: those that settings name, and all in its own directory of secrets."""

import os
from pathlib import Path

from mdm_async.private_files import demand_private
from mdm_async.settings import Settings


def secret_files(settings: Settings) -> list[Path]:
    """Those that are there, and their own directory first."""
    named = (
        settings.database.dsn_file,
        settings.keys.kek_file,
        settings.server.tls_key,
        settings.audit.key_file,
    )
    own = settings.secrets_directory
    return [path for path in (own, *_inside(own), *filter(None, named)) if path.exists()]


def _inside(directory: Path) -> list[Path]:
    readable = directory.is_dir() and os.access(directory, os.R_OK | os.X_OK)
    return sorted(directory.iterdir()) if readable else []


def demand_private_secret(settings: Settings, path: Path) -> None:
    """Raises UnsafeSettings when others can read or change it. To root, the user who owns DIR is none of them."""
    keeper = settings.data.stat().st_uid if os.geteuid() == 0 and settings.data.exists() else None
    demand_private(path, keeper=keeper)
