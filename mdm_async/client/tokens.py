"""Local tokens, as a server has them: made, listed, revoked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client.one_or_many import Name, name_of
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.names import parse_lfn, parse_rights

_PATH: Final = "admin/v1/tokens"


@dataclass(frozen=True, slots=True)
class Token:
    """What a token allows its holder: these rights below `path`, `r` of these views (None: the default ones)."""

    name: str
    rights: str
    path: str
    views: tuple[str, ...] | None
    expires: str | None
    revoked: bool
    secret: str | None = field(default=None, repr=False)
    """What its holder shows; told once, when it is made."""
    told: Json = field(default_factory=dict, repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        views = told.get("views")
        return cls(
            name=told["name"],
            rights=told["rights"],
            path=told["path"],
            views=None if views is None else tuple(views),
            expires=told.get("expires"),
            revoked=bool(told.get("revoked")),
            secret=told.get("token"),
            told=told,
        )


class Tokens:
    """`mdm.tokens`: for administrators."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def create(
        self,
        name: str,
        rights: str,
        path: Name = "/",
        *,
        views: Iterable[str] | None = None,
        lifetime: int | None = None,
    ) -> Token:
        """A new token for a directory, good for `lifetime` seconds (None: until it is revoked), and its secret.

        `rights` are letters of pdrwlxgs, and i for the identified view. Exists, where a token has the name.
        """
        parse_rights(rights)
        asked: Json = {"name": name, "rights": rights, "path": parse_lfn(name_of(path))}
        if views:
            asked["views"] = [views] if isinstance(views, str) else list(views)
        if lifetime:
            asked["lifetime"] = lifetime
        return Token.parse(await self._wire.operate("POST", _PATH, asked))

    async def listing(self) -> list[Token]:
        """All that there are, revoked ones too."""
        return [Token.parse(told) for told in (await self._wire.operate("GET", _PATH)).get("tokens", [])]

    async def revoke(self, name: str) -> None:
        """End it; what it prepared is dead within a second. NotFound."""
        await self._wire.operate("DELETE", f"{_PATH}/{name}")
