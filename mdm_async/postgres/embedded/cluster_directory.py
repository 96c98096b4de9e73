"""The files of an embedded Postgres, prepared before it starts.

DIR/postgres          data directory (of the user who runs Postgres, 0700)
DIR/postgres.socket   where it listens, and nowhere else (of that user, 0700)
DIR/postgres.log      its log
DIR/postgres.hba      who may connect; with postgres.ident kept where Postgres can read but not write
"""

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.postgres.embedded.binaries import PostgresBinaries
from mdm_async.postgres.embedded.server_log import PostgresLog
from mdm_async.postgres.embedded.system_user import PostgresUser

SUPERUSER = "postgres"
ROLE = DATABASE = "mdm"
PORT = 5432  # names the socket; nothing listens on a network
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 107  # bytes, sockaddr_un


@dataclass(frozen=True)
class PostgresDirectory:
    """What lies where below `directory`. Its methods expect that the caller holds the directory's lock."""

    directory: Path
    user: PostgresUser
    binaries: PostgresBinaries

    @property
    def data(self) -> Path:
        return self.directory / "postgres"

    @property
    def log(self) -> PostgresLog:
        return PostgresLog(self.directory / "postgres.log")

    @property
    def access_rules(self) -> Path:
        return self.directory / "postgres.hba"

    @property
    def names(self) -> Path:
        return self.directory / "postgres.ident"

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits of this directory's path, to name things that lie elsewhere."""
        return hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]

    def check(self) -> None:
        """Raise UnsafeSettings when what is there must not be used by this server."""
        if self.directory.stat().st_mode & stat.S_IWOTH:
            raise UnsafeSettings(
                f"everyone may write to {self.directory}, which is to hold the database",
                remedy=f"chmod o-w {self.directory}, or choose a folder inside it",
            )
        if not self.data.exists():
            return
        if self.data.stat().st_uid != self.user.uid:
            raise UnsafeSettings(
                f"{self.data} does not belong to {self.user.name}, which is to run Postgres",
                remedy=f"run mdm as the user it belongs to, or: chown -R {self.user.name}: {self.data}",
            )
        version = self.data / "PG_VERSION"
        found = version.read_text().strip() if version.exists() else ""
        ours = self.binaries.major
        if not found:
            raise UnsafeSettings(
                f"{self.data} is not a Postgres data directory",
                remedy="move it away, or restore what it held",
            )
        if found != ours:
            raise UnsafeSettings(
                f"{self.data} is of PostgreSQL {found}, and this mdm brings PostgreSQL {ours}",
                remedy=f"run the mdm that brings PostgreSQL {found}, or upgrade with both at hand: "
                f"pg_upgrade --old-bindir=BIN_OF_{found} --new-bindir={self.binaries.bin} "
                f"--old-datadir={self.data} --new-datadir={self.data}-{ours}",
            )

    def write_access_rules(self) -> None:
        """Only the server's own operating system user may connect, which the kernel attests: no passwords."""
        rules = f"local all {ROLE},{SUPERUSER} peer map=mdm\n"
        names = "".join(f'mdm "{self.user.server}" {role}\n' for role in (ROLE, SUPERUSER))
        for path, text in ((self.access_rules, rules), (self.names, names)):
            path.write_text(f"# Written by mdm at each start.\n{text}")
            path.chmod(0o644)

    def make_data(self) -> None:
        """Run initdb, aside, then rename: an interrupted one leaves nothing that looks like a database."""
        unfinished = self.directory / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, self.user.uid, self.user.gid)
        made = self.run(
            *(str(self.binaries.initdb), "-D", str(unfinished), "--username", SUPERUSER),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--data-checksums", "--auth-local=peer", "--auth-host=reject", "--no-instructions"),
        ).wait()
        if made != 0:
            raise Unavailable(
                f"initdb ended with {made}: {self.log.last_lines()}", remedy=f"see {self.log.path}"
            )
        unfinished.rename(self.data)
        above = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(above)
        finally:
            os.close(above)

    def make_socket_directory(self) -> Path:
        """A private folder whose path is short enough for a socket: below DIR, or in the system's."""
        directory = self._socket_directory()
        problem = "is not a folder of ours"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            # By descriptor: in a shared temporary folder, someone else may have laid something in our way.
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid in (self.user.uid, os.geteuid()):
                    os.fchmod(descriptor, 0o700)
                    os.fchown(descriptor, self.user.uid, self.user.gid)
                    return directory
            finally:
                os.close(descriptor)
        except OSError as error:
            problem = error.strerror or str(error)
        raise UnsafeSettings(
            f"{directory}, the place for the database's socket, cannot be used: {problem}",
            remedy="remove it, or choose a directory whose path is below 75 bytes",
        )

    def _socket_directory(self) -> Path:
        runtime = (
            Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
        )
        name = f"mdm-{self.user.uid}-{self.fingerprint}"
        places = [self.directory / "postgres.socket"]
        places += [base / name for base in (runtime, Path(tempfile.gettempdir())) if os.access(base, os.W_OK)]
        for place in places:
            fits = len(os.fsencode(place / SOCKET)) <= LONGEST_SOCKET_PATH
            fits = fits and "," not in str(place)  # clients take a comma for the end of a host's name
            if fits and all(self.user.may(above, 1) for above in place.parents):
                return place
        return Path("/tmp") / name  # noqa: S108 - its owner is checked, and it is private

    def run(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program as the user who runs Postgres, in a session of its own, its output to the log."""
        with self.log.open() as output:
            try:
                return subprocess.Popen(  # noqa: S603 - the command is ours throughout
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                    umask=0o077,
                    start_new_session=True,  # Ctrl-C is for mdm, which then stops Postgres in order
                    **self.user.popen_arguments(),
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise UnsafeSettings(
                    f"{command[0]} cannot be run as {self.user.name}: {error}",
                    remedy="run mdm as an ordinary user, or give it the DSN of a Postgres server",
                ) from error
