"""What directories take in, as a server has it: whether files that break PS3.10 are let in unasked."""

from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client.one_or_many import Name, name_of
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_PATH: Final = "admin/v1/intake"


@dataclass(frozen=True, slots=True)
class Forcing:
    """Whether files are taken as with force, and the directory that says so (None: none, or one not to be seen)."""

    force: bool
    by_default: bool
    path: str | None
    told: Json = field(repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["force"], told["byDefault"], told.get("from", {}).get("path"), told)


class Intake:
    """`mdm.intake`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(self, path: Name) -> Forcing:
        """What is in force for a directory."""
        return Forcing.parse(await self._wire.operate("POST", _PATH, {"surl": name_of(path)}, repeat=True))

    async def set(self, path: Name, *, force: str) -> Forcing:
        """Set it to `yes`, `no` or `inherit`; what is then in force."""
        asked = {"surl": name_of(path), "force": force}
        return Forcing.parse(await self._wire.operate("PUT", _PATH, asked, repeat=True))
