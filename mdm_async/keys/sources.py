"""Where the key-encryption keys (KEKs) of one database come from, and come from again when a node meets a new one.

The first is the one that the site wants in use; those below it still open what they wrapped. No error tells a byte.
"""

from pathlib import Path
from typing import Protocol

from mdm_async.errors import UnsafeSettings
from mdm_async.keys import files
from mdm_async.private_files import demand_private


class KekSource(Protocol):
    """`name` says to operators where it is, and `how_to_change` how a new one comes there."""

    name: str
    how_to_change: str
    seconds: float
    """Until it may be asked again by itself."""

    def check(self) -> None:
        """Raises UnsafeSettings for what can be seen to be wrong without asking anybody."""

    async def read(self) -> list[bytes]:
        """All of them as they are now, at least one. Raises UnsafeSettings, or Unavailable when nobody answers."""


class GivenKeks:
    """In the environment or the settings file: what was given holds until the server is started again."""

    seconds = 0.0

    def __init__(self, text: str) -> None:
        self.name = "keys.kek"
        self.how_to_change = "put a new key before the others there, and start the server again"
        self._text = text

    def check(self) -> None:
        files.decode_keks(self._text, self.name)

    async def read(self) -> list[bytes]:
        return files.decode_keks(self._text, self.name)


class KekFile:
    """A file of the site's, which it changes itself."""

    seconds = 0.0

    def __init__(self, path: Path, keeper: int | None = None) -> None:
        self.path, self.name = path, str(path)
        self.how_to_change = "put a new key on a line above the others there, then ask again"
        self._keeper = keeper

    def check(self) -> None:
        self._keks()

    async def read(self) -> list[bytes]:
        return self._keks()

    def _keks(self) -> list[bytes]:
        """One that others can read is none to wrap secrets under."""
        try:
            demand_private(self.path, keeper=self._keeper)
            return files.decode_keks(files.read_text(self.path), self.name)
        except OSError as why:
            raise UnsafeSettings(
                f"{self.path} cannot be read: {why.strerror}", remedy="restore that file"
            ) from None
