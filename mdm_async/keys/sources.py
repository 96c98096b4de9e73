"""Where the key-encryption keys (KEKs) of one database come from, and come from again when a node meets a new one.

The first is the one that the site wants in use; those below it still open what they wrapped. No error tells a byte.
"""

import os
from pathlib import Path
from typing import Protocol

from mdm_async.errors import UnsafeSettings
from mdm_async.keys import files
from mdm_async.keys.command import KekCommand
from mdm_async.keys.custodians import HeldByCustodians
from mdm_async.private_files import demand_private
from mdm_async.settings.keys import KekSettings, KeyStoreSettings


class KekSource(Protocol):
    """`name` says to operators where it is."""

    name: str

    def check(self) -> None:
        """Raises UnsafeSettings for what can be seen to be wrong without asking anybody."""

    async def read(self) -> list[bytes]:
        """All of them as they are now, at least one. Raises UnsafeSettings, or Unavailable when nobody answers."""


class GivenKeks:
    """In the environment or the settings file: what was given holds until the server is started again."""

    def __init__(self, text: str) -> None:
        self.name = "keys.kek"
        self._text = text

    def check(self) -> None:
        files.decode_keks(self._text, self.name)

    async def read(self) -> list[bytes]:
        return files.decode_keks(self._text, self.name)


class KekFile:
    """A file of the site's, which it changes itself."""

    def __init__(self, path: Path, keeper: int | None = None) -> None:
        self.path, self.name = path, str(path)
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


class KeptKeks(KekFile):
    """The server's own file, made at its first start: here it adds and destroys keys itself."""

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
        return made


def kek_source(settings: KekSettings, kept: Path, keeper: int | None = None) -> KekSource:
    """The one that these settings name; `kept` is the server's own file, used when they name none.

    Files belong to the server's user, root, or `keeper`.
    """
    if settings.kek_custodians:
        return HeldByCustodians(settings.name if isinstance(settings, KeyStoreSettings) else "")
    if settings.kek_command:
        return KekCommand(settings.kek_command)
    if settings.kek_file is not None:
        return KekFile(settings.kek_file, keeper)
    if settings.kek is not None:
        return GivenKeks(settings.kek.get_secret_value())
    return KeptKeks(kept, keeper)
