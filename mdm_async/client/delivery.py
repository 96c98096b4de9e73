"""How views leave directories, as a server has it: in the clear, or only sealed."""

from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client.one_or_many import Name, name_of
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_PATH: Final = "admin/v1/delivery"


@dataclass(frozen=True, slots=True)
class Policy:
    """`clear` or `sealed`, and the directory that says so (None: the settings, or one that may not be seen)."""

    delivery: str
    by_settings: bool
    path: str | None

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["delivery"], told["bySettings"], told.get("from", {}).get("path"))


@dataclass(frozen=True, slots=True)
class Policies:
    """Of a directory: for the identified view, and for the others."""

    identified: Policy
    deidentified: Policy
    told: Json = field(repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(Policy.parse(told["identified"]), Policy.parse(told["deidentified"]), told)


class Delivery:
    """`mdm.delivery`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(self, path: Name) -> Policies:
        """Those in force for a directory."""
        return Policies.parse(await self._wire.operate("POST", _PATH, {"surl": name_of(path)}, repeat=True))

    async def set(
        self, path: Name, *, identified: str | None = None, deidentified: str | None = None
    ) -> Policies:
        """Set either to `clear`, `sealed` or `inherit`, None leaves it as it is; those then in force."""
        said = {"identified": identified, "deidentified": deidentified}
        asked = {"surl": name_of(path), **{kind: value for kind, value in said.items() if value is not None}}
        return Policies.parse(await self._wire.operate("PUT", _PATH, asked, repeat=True))
