"""What a caller may still do with his requests: ask for their status, release, abort, extend them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.requests import Release, Released
from mdm_async.catalog.grants.states import LIVE
from mdm_async.catalog.holdings import images
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.tokens import digest
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.crypt4gh.exchange import public_key
from mdm_async.errors import MdmError, Unauthenticated, Unavailable, UnknownRequest
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.transfers.granting import lifetime
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.long_pins import lives
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.images.transfers.spellings import as_asked
from mdm_async.images.transfers.staging import Staging
from mdm_async.keys.derive import SealedKeys, turl_token
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller, Right, Surl
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import TransferSettings

_AT_ONCE = 64


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """An item of a request, and what opens it while it is live."""

    grant: Grant
    token: str | None = None
    """Of its transfer URL."""
    public: bytes | None = None
    """The key that a sealed transfer comes from, or an upload may be sealed for."""
    wait: int | None = None
    """About so many seconds until it is here, if it is not."""
    held_up: str = ""
    """What it waits for other than its turn."""


async def status(
    judge: Judge,
    keys: KeyStore,
    cipher: CipherPool,
    staging: Staging,
    caller: Caller,
    request: UUID,
    operation: str,
) -> list[Item]:
    """A request's items, those that are live with their transfer URLs' tokens.

    Nobody is told of a token who could not ask for it now, by this credential; anonymous callers share their name, and
    are told of none. Raises UnknownRequest when the caller has no such request of that operation.
    """
    async with judge.database.acquire() as db:
        items = await requests.of_request(db, request, caller)
    items = [item for item in items if item.operation == operation]
    if not items:
        raise UnknownRequest()
    found = await waits(judge.database, staging, caller, items)
    if caller.is_anonymous:
        return [_waiting(Item(item), found) for item in items]
    allowed = await judge.allowed_to(caller, [item for item in items if _is_live(item)])
    # Off the loop, and few at a time: a request may have thousands, and others' reads wait for the same threads.
    opened: list[Item] = []
    for start in range(0, len(items), _AT_ONCE):
        opened += await cipher.run(partial(_opened_if, allowed, keys, items[start : start + _AT_ONCE]))
    return [_waiting(one, found) for one in opened]


def _waiting(item: Item, found: Mapping[int, tuple[int, str]]) -> Item:
    wait = found.get(item.grant.item)
    return item if wait is None else replace(item, wait=wait[0], held_up=wait[1])


async def waits(
    database: Database, staging: Staging, caller: Caller, items: Sequence[Grant]
) -> dict[int, tuple[int, str]]:
    """By item, for how many seconds about each waits that is still queued, or was begun and is held up; and what for
    other than its turn."""
    wanted = {"queued", "staging"} if any(line.held_up() for line in staging.lines.values()) else {"queued"}
    waiting = {
        one.item: (one.image, one.state) for one in items if one.state in wanted and one.image is not None
    }
    if not waiting:
        return {}
    async with database.acquire() as db:
        found = await staging.waits(db, caller, list({image for image, _ in waiting.values()}))
    told: dict[int, tuple[int, str]] = {}
    for item, (image, state) in waiting.items():
        if isinstance(wait := found.get(image), tuple):
            why = staging.held_up(wait[0])
            if why or state == "queued":
                told[item] = (wait[1], why)
    return told


def _opened_if(allowed: set[bytes], keys: KeyStore, items: list[Grant]) -> list[Item]:
    return [_opened(keys, item) if item.turl in allowed else Item(item) for item in items]


def _is_live(grant: Grant) -> bool:
    return grant.secret is not None and grant.state in LIVE and grant.life > 0


def _opened(keys: KeyStore, grant: Grant) -> Item:
    assert grant.secret is not None
    try:
        secret = keys.unwrap_grant(grant.secret, grant.request, grant.item)
    except Unavailable:
        return Item(grant)
    token = turl_token(secret)
    if digest(token) != grant.turl:  # made when tokens were not derived
        return Item(grant)
    if grant.operation == "put":
        return Item(grant, token, public_key(secret))
    if grant.context is None:
        return Item(grant, token)
    return Item(grant, token, public_key(SealedKeys(secret, grant.context).sender_private()))


async def summary(database: Database, caller: Caller, request: UUID) -> list[Grant]:
    """A request's items, whatever it asked for. Raises UnknownRequest."""
    async with database.acquire() as db:
        items = await requests.of_request(db, request, caller)
    if not items:
        raise UnknownRequest()
    return items


async def listing(database: Database, caller: Caller, description: str | None) -> list[tuple[UUID, datetime]]:
    """The caller's requests, newest first. Anonymous callers share their name, so nobody is told of theirs."""
    if caller.is_anonymous:
        return []
    async with database.acquire() as db:
        return await requests.requests_of(db, caller, description)


async def release(
    desk: Desk,
    rounds: Rounds,
    changed: ChangedHere,
    caller: Caller,
    request: UUID,
    surls: Sequence[str] | None,
) -> list[Released]:
    """End pins of a request; its transfer URLs die, running transfers stop. Repeating it is no error.

    No crash brings them back once this has returned.
    """
    (found,) = await rounds.releases.ask([Release(caller, request, surls)])
    if not found:
        raise UnknownRequest()
    named = as_asked((item.surl for item in found), surls or ())
    others = named.difference(surls or ())
    ended = [item for item in found if item.ended]
    if others:
        (again,) = await rounds.releases.ask([Release(caller, request, others)])
        ended += [item for item in again if item.ended]
    # What was brought online is outstanding no more.
    desk.end(request, sum(item.waited for item in ended))
    changed.turls(item.turl for item in ended)
    return [item for item in found if surls is None or item.surl in named]


async def release_surls(
    desk: Desk, database: Database, changed: ChangedHere, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, MdmError | None]]:
    """End all pins that the caller holds on these files, whatever request made them.

    Who once pinned a file may always release it; to others it is there if they may list it. Anonymous callers share
    their name and would end each other's. Raises Unauthenticated.
    """
    if caller.is_anonymous:
        raise Unauthenticated(
            "anonymous callers release by request token only", remedy="send the requestToken of prepareToGet"
        )
    async with database.transaction() as db:
        found = await resolve(db, caller, surls)
        there = [one[1].entry.id for one in found if not isinstance(one, MdmError) and one[1].entry]
        pinned, ended = await requests.release_entries(db, caller, there)
    for request, count in ended.items():
        desk.end(request, count)
    changed.everything()
    return list({text: _missing(caller, one, pinned) for text, one in zip(surls, found, strict=True)}.items())


def _missing(caller: Caller, found: tuple[Surl, Place] | MdmError, pinned: set[int]) -> MdmError | None:
    if isinstance(found, MdmError):
        return found
    place = found[1]
    if place.entry is not None and (place.entry.id in pinned or acl.allows(caller, place, Right.LIST)):
        return None
    return acl.missing(caller)


async def abort(
    desk: Desk,
    database: Database,
    changed: ChangedHere,
    caller: Caller,
    request: UUID,
    surls: Sequence[str] | None,
) -> list[Grant]:
    """End what a request still holds; what its uploads brought is destroyed. Finished uploads stay."""
    async with database.transaction() as db:
        known = await requests.of_request(db, request, caller)
        if not known:
            raise UnknownRequest()
        named = None if surls is None else as_asked((item.surl for item in known), surls)
        aborted = await requests.abort(db, caller, request, named)
        await images.doom_unreferenced(
            db, [item.image for item in aborted if item.operation == "put" and item.image is not None]
        )
        await acts.record(db, [Act(caller, "abort", guid=item.guid, view=item.view) for item in aborted])
    desk.end(request, len(aborted))
    changed.turls(item.turl for item in aborted)
    return [item for item in known if named is None or item.surl in named]


async def extend(
    desk: Desk,
    database: Database,
    changed: ChangedHere,
    settings: TransferSettings,
    cache: Cache | None,
    caller: Caller,
    request: UUID,
    surls: Sequence[str] | None,
    seconds: int | None,
) -> list[Grant]:
    """Give live items a new life from now, within `transfers.max_pin`, and beyond `transfers.default_pin` within the
    caller's share of the cache.
    """
    async with database.transaction() as db:
        known = await requests.of_request(db, request, caller)
        if not known:
            raise UnknownRequest()
        named = None if surls is None else as_asked((item.surl for item in known), surls)
        life = lifetime(settings, caller, seconds)
        extended = await requests.extend(db, caller, request, named, life)
        extended = await _lengthened(db, cache, caller, extended, life)
        await acts.record(db, [Act(caller, "extend", guid=item.guid, view=item.view) for item in extended])
    desk.extend(request, life)
    changed.turls(item.turl for item in extended)
    return extended


async def _lengthened(
    db: Connection, cache: Cache | None, caller: Caller, extended: list[Grant], life: int
) -> list[Grant]:
    """These, of which those that the cache has live no longer than they may."""
    images_ = [one.image for one in extended if one.operation == "get" and one.image is not None]
    found = await lives(db, cache, caller.payer.account, images_, life)
    if not found.cached:
        return extended
    bounded = [
        replace(
            one,
            life=min(one.life, found.of(one.image)),
            keeper=caller.payer.account,
            keeps=found.keeps(one.image),
        )
        for one in extended
    ]
    await grants.keep(db, [one for one in bounded if one.image in found.cached])
    return bounded
