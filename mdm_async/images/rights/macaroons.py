"""Macaroons: whoever says who they are makes them, of what they may themselves; makers and administrators end them."""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from mdm_async.catalog.namespace.places import resolve_one
from mdm_async.catalog.rights import acl, macaroons
from mdm_async.catalog.rights.macaroons import Told
from mdm_async.errors import BadRequest, Forbidden, Refusal
from mdm_async.identity import caveats
from mdm_async.identity.caveats import BadCaveat
from mdm_async.identity.macaroon_tokens import Minted, own_names
from mdm_async.identity.macaroons import MAX_BYTES, MAX_CAVEATS, mint
from mdm_async.images.changed import ChangedHere
from mdm_async.keys.store import KeyStore
from mdm_async.names import ROOT, Caller, Credential, Lfn, Right
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import LimitSettings

DEFAULT_SECONDS = 3600.0
MOST_TOLD = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a macaroon is asked for: at and below `path`, for so many seconds, and with caveats more."""

    path: Lfn
    caveats: Sequence[str]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A new macaroon, told once."""

    text: str = field(repr=False)
    id: UUID
    until: float
    """Unix time."""


async def create(
    database: Database, keys: KeyStore, limits: LimitSettings, caller: Caller, shown: bytes, wanted: Wanted,
    location: str,
) -> Made:  # fmt: skip
    """A new macaroon; audited. What its bearer may is asked when they show it, so nothing is asked here.

    `shown`: what is kept of the caller's credential, with which it ends. Raises BadRequest, TooManyRequests.
    """
    # Before they are read: one may hold any number of networks.
    if len(wanted.caveats) > MAX_CAVEATS // 2 or sum(map(len, wanted.caveats)) > MAX_BYTES // 2:
        raise _too_long()
    now, id_, root_key = time.time(), uuid4(), secrets.token_bytes(32)
    until = now + min(wanted.seconds or DEFAULT_SECONDS, limits.macaroon_seconds)
    try:
        before = caveats.of(wanted.caveats, None).before
    except BadCaveat as why:
        raise BadRequest(f"a macaroon is asked for with {why}") from None
    until = min(one for one in (until, before, caller.until) if one is not None)
    if until <= now:
        raise BadRequest("the macaroon would have expired already", remedy="ask for one that lives longer")
    whose, which = own_names(caller.name, id_)
    own = [f"iid:{which}", f"id:{whose}", f"path:{wanted.path}"]
    every = [*own, *wanted.caveats, f"before:{caveats.told_moment(until)}"]
    macaroon = mint(root_key, location, str(id_), every)
    text = macaroon.text()
    if len(every) > MAX_CAVEATS // 2 or len(text) > MAX_BYTES // 2:
        raise _too_long()
    wrapped = keys.wrap_macaroon(root_key, id_, _made(caller.name, shown))
    async with database.transaction() as db:
        await macaroons.create(db, caller, id_, wrapped, shown, every, until - now, limits.macaroons)
    return Made(text, id_, until)


def _too_long() -> BadRequest:
    return BadRequest(
        "the macaroon would be so long that nothing could be added", remedy="ask for fewer caveats"
    )


async def minted(database: Database, keys: KeyStore, changes: Callable[[], int], id_: UUID) -> Minted | None:
    """A macaroon that is neither expired nor revoked, with what verifies it. `changes`: how many are known of now."""
    looked = changes()
    async with database.acquire() as db:
        stored = await macaroons.find(db, id_)
    if stored is None:
        return None
    root_key = keys.unwrap_macaroon(stored.root_key, id_, _made(stored.maker, stored.shown))
    return Minted(root_key, stored.maker, stored.shown, stored.token, stored.expires.timestamp(), looked)


def _made(maker: str, shown: bytes) -> bytes:
    """What a root key is bound to: a row that was given another maker opens none."""
    return hashlib.sha256(maker.encode() + b"\0" + shown).digest()


async def listing(database: Database, caller: Caller) -> list[Told]:
    """Those that have not expired, newest first: the caller's own, and to administrators everybody's.

    Their paths are told, which may be others than a weaker credential of the same person is for. Raises Forbidden.
    """
    if caller.limited or caller.name not in caller.principals:
        raise _refused(caller, "is told of none")
    async with database.acquire() as db:
        return await macaroons.listing(db, await _whose(db, caller), MOST_TOLD)


async def revoke(database: Database, changed: ChangedHere, caller: Caller, id_: UUID) -> None:
    """End a macaroon and what it started: the caller's own, or as an administrator anybody's. Raises NotFound,
    Forbidden."""
    async with database.transaction() as db:
        await macaroons.revoke(db, caller, id_, await _whose(db, caller))
    changed.everything()


async def _whose(db: Connection, caller: Caller) -> Caller | None:
    """Whose macaroons the caller may be told of and may end; None: everybody's. Raises Forbidden."""
    if caller.credential is Credential.MACAROON:
        raise _refused(caller, "tells of no others and ends none")
    return None if acl.is_administrator(caller, await resolve_one(db, ROOT)) else caller


def _refused(caller: Caller, what: str) -> Forbidden:
    why = Forbidden(f"a {caller.credential} like this {what}", remedy="show the credential that made them")
    why.refusal = Refusal(caller.name, Right.PERMISSION)
    return why
