"""What directories take in, as a server has it: files that break PS3.10, and files that are not DICOM."""

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


@dataclass(frozen=True, slots=True)
class Opaque:
    """Whether files that are not DICOM are taken, and the directory that says so (as in `Forcing`)."""

    opaque: bool
    by_default: bool
    path: str | None
    told: Json = field(repr=False, compare=False)

    @classmethod
    def parse(cls, told: Json) -> Self:
        mine = told["forOpaque"]
        return cls(mine["opaque"], mine["byDefault"], mine.get("from", {}).get("path"), mine)


class Intake:
    """`mdm.intake`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(self, path: Name) -> Forcing:
        """What is in force for a directory."""
        return Forcing.parse(await self._got(path))

    async def set(self, path: Name, *, force: str) -> Forcing:
        """Set it to `yes`, `no` or `inherit`; what is then in force."""
        return Forcing.parse(await self._said(path, "force", force))

    async def get_opaque(self, path: Name) -> Opaque:
        """Whether a directory takes files that are not DICOM."""
        return Opaque.parse(await self._got(path))

    async def set_opaque(self, path: Name, *, opaque: str) -> Opaque:
        """Set it to `yes`, `no` or `inherit`; what is then in force."""
        return Opaque.parse(await self._said(path, "opaque", opaque))

    async def _got(self, path: Name) -> Json:
        return await self._wire.operate("POST", _PATH, {"surl": name_of(path)}, repeat=True)

    async def _said(self, path: Name, what: str, said: str) -> Json:
        return await self._wire.operate("PUT", _PATH, {"surl": name_of(path), what: said}, repeat=True)
