"""The server's own file of key-encryption keys, in its directory of secrets: keys are added to it, and destroyed.

A change is whole or has not happened: the new file takes the old one's place, and only then is the old one's content
overwritten. What a crash left between the two is finished by whoever comes next. (A file system that writes elsewhere
than it is told, or takes snapshots, may keep what was overwritten.)
"""

import base64
import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mdm_async.errors import Busy, Unavailable
from mdm_async.keys import files
from mdm_async.keys.files import sync_directory
from mdm_async.keys.sources import KekFile


class KeptKeks(KekFile):
    """Made at the server's first start."""

    def check(self) -> None:
        """One that is not made yet, or not for the one who asks to read, is not wrong."""
        if self.is_readable:
            super().check()

    @property
    def is_readable(self) -> bool:
        return self.path.exists() and os.access(self.path, os.R_OK)

    def make(self) -> bool:
        """Whether there was none, and it was made now."""
        _, made = files.read_or_create(self.path, files.fresh_kek())
        if not made:
            with self._alone():
                self._finish()
        return made

    def add(self) -> None:
        """A fresh key above the others: it is the one to use."""
        with self._alone():
            self._replace([files.fresh_kek(), *self._lines()])

    def destroy(self, keks: Collection[bytes]) -> None:
        """These are there no more. One that is not there is not missed; the last stays."""
        with self._alone():
            lines = self._lines()
            kept = [line for line in lines if base64.b64decode(line) not in keks]
            if kept and kept != lines:
                self._replace(kept)

    def _lines(self) -> list[str]:
        self.check()
        return files.read_text(self.path).split()

    def _replace(self, lines: list[str]) -> None:
        self._finish()
        with open(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(self.path, self._old)
        self._draft.replace(self.path)
        sync_directory(self.path.parent)
        self._finish()

    def _finish(self) -> None:
        """What an earlier change left behind goes."""
        for left in (self._draft, self._old):
            if left.exists():
                if not left.samefile(self.path):
                    _overwrite(left)
                left.unlink()
        sync_directory(self.path.parent)

    @property
    def _draft(self) -> Path:
        return self.path.with_name(f".{self.path.name}.new")

    @property
    def _old(self) -> Path:
        return self.path.with_name(f".{self.path.name}.old")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other node that has this directory too changes the file meanwhile."""
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Busy(f"another node changes {self.path} just now", remedy="try again") from None
        except OSError as why:
            raise Unavailable(
                f"{self.path} cannot be changed: {why.strerror}",
                remedy="let the server's user write in its directory, and free space there; the server tries again",
            ) from None
        finally:
            os.close(descriptor)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
