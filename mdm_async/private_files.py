"""Files that hold secrets: nobody but the server's user, and root, can read or change them."""

import os
import pwd
import stat
from pathlib import Path
from typing import Final

from mdm_async.errors import UnsafeSettings

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def demand_private(path: Path, *, keeper: int | None = None) -> None:
    """Raises UnsafeSettings, with the remedy, when others can read or change the file or enter the folder.

    Its owner is the server's user, root, or `keeper`.
    """
    facts = path.stat()
    is_folder = stat.S_ISDIR(facts.st_mode)
    if facts.st_mode & _OF_OTHERS and (is_folder or not _is_mounted_for_us(facts)):
        raise UnsafeSettings(f"{path} is open to others", remedy=f"chmod {700 if is_folder else 600} {path}")
    if facts.st_uid not in {0, os.geteuid(), keeper}:
        raise UnsafeSettings(
            f"{path} belongs to {_name(facts.st_uid)}, who can read and change it",
            remedy=f"chown {_name(os.geteuid())} {path}",
        )


def _is_mounted_for_us(facts: os.stat_result) -> bool:
    """Whether it is root's and its group may read it and no more: so systemd (LoadCredential, whose access list shows
    as the group's) and Kubernetes (fsGroup) hand secrets to a service that is not root."""
    return (
        os.geteuid() != 0
        and facts.st_uid == 0
        and not facts.st_mode & _OF_OTHERS & ~stat.S_IRGRP
        and facts.st_gid in {0, os.getegid(), *os.getgroups()}
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
