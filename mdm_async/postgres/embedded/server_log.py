"""The log file of an embedded Postgres."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LARGEST = 16 << 20  # bytes


@dataclass(frozen=True)
class PostgresLog:
    """Opened by the server and handed to Postgres, so that Postgres's own user need not reach it."""

    path: Path

    def open(self) -> BinaryIO:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def shorten(self) -> None:
        """Put a large log aside as .1. Postgres keeps it open for appending, so it is copied and emptied."""
        if self.size() > LARGEST:
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
            os.truncate(self.path, 0)

    def last_lines(self, count: int = 8) -> str:
        try:
            with self.path.open("rb") as lines:
                lines.seek(max(0, self.size() - 4096))
                return " | ".join(lines.read().decode("utf-8", "replace").splitlines()[-count:])
        except FileNotFoundError:
            return "nothing"
