"""A download on its way to its place: `OUT.part`, and beside it a note of which bytes it holds.

Calls block on the disk and belong in a thread; `close` waits for one that still runs, as a cancelled task
leaves behind.
"""

import fcntl
import os
import threading
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

import orjson

from mdm_async.errors import BadRequest, Busy, MdmError, NotADirectory

RESUMABLE: Final = 1 << 20
"""Bytes below which nothing is noted while a pull runs: so little is pulled again sooner than it is resumed."""
_BLOCK: Final = 1 << 20
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Content:
    """Which bytes a part file holds the beginning of."""

    surl: str
    view: str
    size: int
    adler32: str
    etag: str | None = None

    def same_bytes(self, other: "Content") -> bool:
        """The ETag aside, which the server is asked about."""
        return (self.surl, self.view, self.size, self.adler32) == (
            other.surl,
            other.view,
            other.size,
            other.adler32,
        )


class PartFile:
    """The unfinished file beside `target`, locked against a second pull of the same (Busy).

    `position` bytes are written, `adler` is their ADLER32. `private`: for the eyes of its owner alone, also when it is
    in its place.
    """

    def __init__(self, target: Path, *, private: bool = False) -> None:
        self.target = target
        self.position = 0
        self.adler = zlib.adler32(b"")
        self._part = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")
        self._mode = 0o600 if private else 0o666
        self._noted: Content | None = None
        self._lock = threading.RLock()
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        try:
            if self.target.exists() and not self.target.is_file():  # A device would be replaced by a file.
                raise BadRequest(
                    f"{self.target} is no regular file", remedy="give another name, or '-' for stdout"
                )
            while True:
                descriptor = os.open(self._part, _FLAGS, self._mode)
                file = os.fdopen(descriptor, "r+b", buffering=0)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    raise Busy("another process is pulling to the same file") from None
                if self._still_named(descriptor):
                    if self._mode == 0o600:  # An earlier pull may have left it open to others.
                        os.fchmod(descriptor, self._mode)
                    return file
                file.close()  # Its pull ended between our open and our lock.
        except FileNotFoundError:
            raise NotADirectory(f"the folder {self.target.parent} does not exist", remedy="make it") from None
        except OSError as why:
            raise MdmError(f"the output file cannot be written: {why.strerror}") from None

    def _still_named(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._part.lstat())
        except FileNotFoundError:
            return False

    def resume(self, content: Content) -> str | None:
        """Keep what an earlier pull of the same bytes left, else begin empty; returns the ETag it saw."""
        try:
            noted = Content(**orjson.loads(self._note.read_bytes()))
        except (OSError, TypeError, orjson.JSONDecodeError):
            noted = None
        if noted is None or not noted.same_bytes(content):
            self.restart()
            return None
        self._noted = noted
        while self.position < content.size and (
            block := self._file.read(min(_BLOCK, content.size - self.position))
        ):
            self.adler = zlib.adler32(block, self.adler)
            self.position += len(block)
        self._file.truncate(self.position)
        return noted.etag

    def restart(self) -> None:
        """Throw away what was written."""
        with self._lock:
            self._file.seek(0)
            self._file.truncate(0)
            self._note.unlink(missing_ok=True)
            self.position, self.adler, self._noted = 0, zlib.adler32(b""), None

    def write(self, chunk: bytes | memoryview) -> None:
        """Append; MdmError when the disk is full or fails."""
        with self._lock:
            left = memoryview(chunk)
            while left and not self._file.closed:
                try:
                    written = self._file.write(left)
                except OSError as why:
                    raise MdmError(f"the output file cannot be written: {why.strerror}") from None
                left = left[written:]
            self.adler = zlib.adler32(chunk, self.adler)
            self.position += len(chunk)

    def note(self, content: Content) -> None:
        """Tell a later pull what lies here."""
        if content != self._noted:
            temporary = self._note.with_name(self._note.name + ".new")
            temporary.touch(self._mode)
            temporary.write_bytes(orjson.dumps(asdict(content)))
            temporary.replace(self._note)
            self._noted = content

    def finish(self) -> None:
        """Put the file in its place, durably and at once."""
        with self._lock:
            try:
                os.fsync(self._file.fileno())
                self._part.replace(self.target)
                self._note.unlink(missing_ok=True)
                _sync_folder(self.target.parent)
            except OSError as why:
                raise MdmError(f"the output file cannot be written: {why.strerror}") from None

    def close(self) -> None:
        """Let go of it. What is not noted is not worth keeping."""
        with self._lock:
            if self._noted is None and self._still_named(self._file.fileno()):
                self._part.unlink(missing_ok=True)
            self._file.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
