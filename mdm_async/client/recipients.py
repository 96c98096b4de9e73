"""Keys that sealed transfers go to when a request names none, as a server has them."""

from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client.ticket import decode_key, encode_key
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_PATH: Final = "admin/v1/recipients"


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """An X25519 public key, for whom it is, and who registered it when."""

    principal: str
    key: bytes
    set_by: str
    at: str
    told: Json = field(repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["principal"], decode_key(told["key"]), told["setBy"], told["at"], told)


class Recipients:
    """`mdm.recipients`: one's own key, and as an administrator anybody's."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def listing(self) -> list[RegisteredKey]:
        """All for administrators, for others their own and their groups'."""
        return [RegisteredKey.parse(told) for told in (await self._wire.operate("GET", _PATH))["recipients"]]

    async def set(self, key: bytes, principal: str | None = None) -> str:
        """Register an X25519 public key for the caller, or as an administrator for any principal; for whom."""
        asked = {"key": encode_key(key), **({"principal": principal} if principal is not None else {})}
        return str((await self._wire.operate("PUT", _PATH, asked, repeat=True))["principal"])

    async def remove(self, principal: str | None = None) -> str:
        """Whose key was removed. NotFound when there was none."""
        asked = {"principal": principal} if principal is not None else {}
        return str((await self._wire.operate("POST", f"{_PATH}/remove", asked))["principal"])
