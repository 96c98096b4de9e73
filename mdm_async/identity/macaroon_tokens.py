"""Callers by macaroons: who made one may what they may now, and its bearer no more of it than its caveats leave."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

from mdm_async.errors import Unauthenticated
from mdm_async.identity import caveats
from mdm_async.identity.authenticator import Circumstances
from mdm_async.identity.caveats import BadCaveat
from mdm_async.identity.macaroons import NoMacaroon, looks_like_one, parse
from mdm_async.names import Caller, Credential


@dataclass(frozen=True, slots=True)
class Minted:
    """A macaroon as its server knows it, while it is neither expired nor revoked."""

    root_key: bytes = field(repr=False)
    maker: str
    """The principal's name."""
    shown: bytes = field(repr=False)
    """What is kept of the maker's credential."""
    token: int
    """Its row."""
    until: float
    looked: int
    """As `Caller.looked`."""


def own_names(maker: str, identifier: UUID) -> tuple[str, str]:
    """What its caveats `id` and `iid` say. A macaroon is handed to others, whom its maker's name does not concern."""
    return hashlib.sha256(maker.encode()).hexdigest()[:16], str(identifier)


class Macaroons:
    """A kind of bearer tokens."""

    def __init__(
        self,
        minted: Callable[[UUID], Awaitable[Minted | None]],
        maker: Callable[[bytes], Awaitable[Caller]],
    ) -> None:
        """`maker`: whom what is kept of a credential speaks for now."""
        self._minted = minted
        self._maker = maker

    async def caller(self, token: str, circumstances: Circumstances) -> Caller | None:
        if not looks_like_one(token):
            return None
        try:
            macaroon = parse(token)
            identifier = UUID(macaroon.identifier)
        except (NoMacaroon, ValueError) as why:
            reason = why if isinstance(why, NoMacaroon) else "its identifier is none of this server's"
            raise Unauthenticated(
                f"the macaroon is malformed: {reason}", remedy="send the whole macaroon as it was made"
            ) from None
        minted = await self._minted(identifier)
        if minted is None or not macaroon.is_made_with(minted.root_key):
            raise Unauthenticated(
                "the macaroon is unknown, altered, expired or revoked", remedy="ask for a new one"
            )
        try:
            left = caveats.of(macaroon.caveats, own_names(minted.maker, identifier))
        except BadCaveat as why:
            raise Unauthenticated(
                f"the macaroon has a caveat that nobody can keep: {why}", remedy="ask for a new one"
            ) from None
        if left.before is not None and left.before <= time.time():
            raise Unauthenticated("the macaroon has expired (before)", remedy="ask for a new one")
        if not left.admit(circumstances.source):
            raise Unauthenticated(
                "the macaroon is for other addresses than yours (ip)", remedy="use it where it is for"
            )
        if left.bound is None:
            raise Unauthenticated(
                "the macaroon's paths have nothing in common", remedy="ask for one of the path that you need"
            )
        maker = await self._maker(minted.shown)
        ends = [one for one in (maker.until, left.before, minted.until) if one is not None]
        return replace(
            maker,
            bound=left.bound,
            until=min(ends),
            token=minted.token,
            looked=minted.looked,
            credential=Credential.MACAROON,
            macaroon=identifier,
        )
