"""The operating system user that runs embedded Postgres, and the way to its files.

Postgres refuses to run as root. A server started by root runs Postgres as the system user `mdm-postgres`;
any other server runs it as itself.
"""

import os
import pwd
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from mdm_async.errors import UnsafeSettings

SYSTEM_USER = "mdm-postgres"
_USERADD = [
    *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"),
    *("--shell", "/usr/sbin/nologin", "--comment", "Postgres of the Medical Data Manager", SYSTEM_USER),
]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PostgresUser:
    """Who runs Postgres. `server` is the name of the user that runs *this* process, who connects to it."""

    name: str
    uid: int
    gid: int
    server: str

    @property
    def is_another(self) -> bool:
        return self.uid != os.geteuid()

    def popen_arguments(self) -> dict[str, Any]:
        """What subprocess.Popen needs to run a program as this user, holding no other group."""
        if not self.is_another:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may(self, path: Path, bits: int) -> bool:
        """Whether this user has `bits` (4 read, 2 write, 1 execute) on `path`, by its mode alone."""
        if not self.is_another:
            return os.access(path, bits)
        return (path.stat().st_mode >> self._shift(path)) & bits == bits

    def reaches(self, path: Path, bits: int) -> bool:
        """Whether this user can walk to `path` and has `bits` on it."""
        return all(self.may(parent, 1) for parent in reversed(path.parents)) and self.may(path, bits)

    def open_way(self, directory: Path) -> None:
        """Let this user walk through `directory` and the folders above it: the execute bit, where it lacks.

        Walking through is not listing: names inside stay unreadable, and so do all private folders beside.
        """
        if not self.is_another:
            return
        for folder in [*reversed(directory.parents), directory]:
            if self.may(folder, 1):
                continue
            mode = stat.S_IMODE(folder.stat().st_mode) | 1 << self._shift(folder)
            try:
                folder.chmod(mode)
            except OSError as error:
                raise UnsafeSettings(
                    f"{self.name}, the user who runs Postgres, cannot pass {folder}: {error.strerror}",
                    remedy=f"chmod o+x {folder}, or choose a directory elsewhere",
                ) from None
            log.info("opened a folder for passage", folder=str(folder), user=self.name, mode=f"{mode:04o}")

    def _shift(self, path: Path) -> int:
        """Which three of the mode's nine bits hold for this user."""
        facts = path.stat()
        return 6 if facts.st_uid == self.uid else 3 if facts.st_gid == self.gid else 0


def postgres_user() -> PostgresUser:
    """The user to run Postgres as; made when root runs the server and it is missing.

    Raises UnsafeSettings when there is none to be had.
    """
    uid = os.geteuid()
    try:
        me = pwd.getpwuid(uid)
    except KeyError:
        raise UnsafeSettings(
            f"user id {uid} has no name on this system, and Postgres refuses such users",
            remedy="add it to /etc/passwd, or give mdm the DSN of a Postgres server",
        ) from None
    if uid != 0:
        return PostgresUser(me.pw_name, me.pw_uid, me.pw_gid, server=me.pw_name)
    account = _account() or _make_account()
    return PostgresUser(SYSTEM_USER, account.pw_uid, account.pw_gid, server=me.pw_name)


def _account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None


def _make_account() -> pwd.struct_passwd:
    reason = ""
    for _ in range(20):  # servers that start side by side wait for each other's lock on /etc/passwd
        try:
            made = subprocess.run(_USERADD, capture_output=True, text=True, check=False)  # noqa: S603 - constant
            reason = made.stderr.strip()
        except OSError as error:
            reason = f"useradd: {error.strerror}"
        if (account := _account()) is not None:
            log.info("made the system user for Postgres", user=SYSTEM_USER, uid=account.pw_uid)
            return account
        if "useradd" in reason and "lock" not in reason:
            break
        time.sleep(0.25)
    raise UnsafeSettings(
        f"Postgres does not run as root, and the system user {SYSTEM_USER} cannot be made ({reason})",
        remedy=f"make the system user {SYSTEM_USER} yourself, run mdm as an ordinary user, or give it a DSN",
    )
