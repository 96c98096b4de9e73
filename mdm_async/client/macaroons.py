"""Macaroons, as a server has them: told of and revoked. gfal-token and curl ask a path for new ones."""

from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_PATH: Final = "admin/v1/macaroons"


@dataclass(frozen=True, slots=True)
class Macaroon:
    """One that has not expired: who made it, and what bars its bearer."""

    id: str
    maker: str
    caveats: tuple[str, ...]
    expires: str
    revoked: bool
    told: Json = field(default_factory=dict, repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(
            id=told["id"],
            maker=told["maker"],
            caveats=tuple(told["caveats"]),
            expires=told["expires"],
            revoked=bool(told.get("revoked")),
            told=told,
        )


class Macaroons:
    """`mdm.macaroons`: the caller's own; administrators have everybody's."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def listing(self) -> list[Macaroon]:
        """The newest thousand that have not expired, revoked ones too."""
        found = (await self._wire.operate("GET", _PATH)).get("macaroons", [])
        return [Macaroon.parse(told) for told in found]

    async def revoke(self, macaroon: str) -> None:
        """End one, by its id; what it prepared is dead within a second. NotFound."""
        await self._wire.operate("DELETE", f"{_PATH}/{macaroon}")
