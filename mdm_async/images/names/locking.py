"""Names are locked and unlocked, by whoever may change what has them.

A file's lock takes the right 'w', to its directory as well, as overwriting it does. A directory's, which keeps
everybody else from adding to it and with depth infinity from all below, takes 'p'; and whoever has 'p' on an entry may
break any lock on it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.namespace import locks
from mdm_async.catalog.namespace.locks import Lock
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Conflict, Forbidden, LockLost, NoParent
from mdm_async.images.names.user_text import UserText, opened, sealed
from mdm_async.images.surls import resolve, resolve_one
from mdm_async.keys.derive import MappingCipher
from mdm_async.names import Caller, Right, split
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True)
class LockAsk:
    """What is asked for. `told`: what the client says of its owner (XML); `seconds` None: as long as may be."""

    shared: bool
    deep: bool
    told: bytes
    seconds: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """A lock as its holder, or another who sees what it is on, is told of it."""

    lock: Lock
    mine: bool
    told: bytes
    """Empty to others."""


@dataclass(frozen=True, slots=True)
class Locking:
    """`most` locks in all, `each` of one account, none for more than so many seconds unless it is refreshed."""

    database: Database
    text: UserText
    most: int
    each: int
    longest: int

    async def lock(self, caller: Caller, surl: str, ask: LockAsk) -> tuple[Held, bool]:
        """The lock, and whether its name is still free. Raises Locked, TooManyRequests, NoParent, as `acl.demand`."""
        cipher = await self.text.cipher()
        async with self.database.transaction() as db:
            named, place = await resolve_one(db, caller, surl)
            if named.guid is not None or named.view is not None:
                raise BadRequest("a name is locked without naming a view", remedy="drop /@view from it")
            _demand_may_lock(caller, place)
            parent, name, way = _named(place)
            entry = place.entry
            lock = Lock(
                uuid4(),
                parent,
                name,
                way,
                deep=ask.deep and (entry is None or entry.is_directory),
                shared=ask.shared,
                owner=caller.owner,
                account=caller.payer.account,
                told=sealed(cipher, ask.told) if ask.told else None,
            )
            below = entry.id if entry is not None and entry.is_directory else None
            lock = await locks.take(db, lock, below, self._seconds(ask.seconds), self.most, self.each)
            guid = entry.guid if entry is not None else None
            details = {"shared": lock.shared, "deep": lock.deep}
            await acts.record(db, [Act(caller, "lock", guid=guid, details=details)])
        return Held(lock, mine=True, told=ask.told), entry is None

    async def refresh(self, caller: Caller, surl: str, tokens: Collection[UUID], seconds: int | None) -> Held:
        """The caller's lock on this name which has one of the tokens lasts anew. Raises LockLost."""
        cipher = await self.text.cipher()
        async with self.database.transaction() as db:
            mine = [
                one
                for one in await _over(db, caller, surl)
                if one.token in tokens and one.owner == caller.owner
            ]
            if len(mine) != 1:
                raise LockLost("no lock of yours on this has that token", remedy="lock it anew")
            await locks.refresh(db, mine[0].token, self._seconds(seconds))
            (lock,) = [one for one in await _over(db, caller, surl) if one.token == mine[0].token]
        return Held(lock, mine=True, told=opened(cipher, lock.told) if lock.told else b"")

    async def unlock(self, caller: Caller, surl: str, token: UUID) -> None:
        """Raises Conflict when this has no lock of that token, Forbidden when it is another's."""
        async with self.database.transaction() as db:
            _, place = await resolve_one(db, caller, surl)
            found = [one for one in await _over(db, caller, surl) if one.token == token]
            if not found:
                raise Conflict("no lock on this has that token", remedy="ask for its DAV:lockdiscovery")
            if found[0].owner != caller.owner and not acl.allows(caller, place, Right.PERMISSION):
                raise Forbidden(
                    "the lock is another's", remedy="whoever has the right 'p' to it may break it"
                )
            await locks.give_up(db, token)
            guid = place.entry.guid if place.entry is not None else None
            await acts.record(db, [Act(caller, "unlock", guid=guid)])

    async def shown(self, caller: Caller, tokens: Collection[UUID]) -> frozenset[UUID]:
        """Those of the tokens that are of the caller's own locks: another's lock is not opened by knowing its token."""
        if not tokens:
            return frozenset()
        async with self.database.acquire() as db:
            return await locks.own(db, tokens, caller.owner)

    async def tokens_over(self, caller: Caller, surls: Sequence[str]) -> list[frozenset[UUID]]:
        """Tokens of the locks that each of these names has; of what the caller may not see, none."""
        async with self.database.acquire() as db:
            found = await resolve(db, caller, surls)
            places = [
                one[1] if isinstance(one, tuple) and _is_seen(caller, one[1]) else None for one in found
            ]
            named = [_named(place)[:2] if place is not None else (-1, "") for place in places]
            return [frozenset(one.token for one in over) for over in await locks.over(db, named)]

    async def discovered(self, caller: Caller, entries: Sequence[tuple[int, str]]) -> list[list[Held]]:
        """The locks of entries that the caller sees, each by its directory's id and its name."""
        cipher = await self.text.cipher()
        async with self.database.acquire() as db:
            found = await locks.over(db, entries)
        return [[_held(caller, one, cipher) for one in over] for over in found]

    def _seconds(self, asked: int | None) -> int:
        return self.longest if asked is None else max(min(asked, self.longest), 1)


def _held(caller: Caller, lock: Lock, cipher: MappingCipher) -> Held:
    mine = lock.owner == caller.owner
    return Held(lock, mine, opened(cipher, lock.told) if mine and lock.told else b"")


async def _over(db: Connection, caller: Caller, surl: str) -> list[Lock]:
    _, place = await resolve_one(db, caller, surl)
    if not _is_seen(caller, place):
        return []
    (found,) = await locks.over(db, [_named(place)[:2]])
    return found


def _is_seen(caller: Caller, place: Place) -> bool:
    return place.missing < 2 and (acl.allows(caller, place, Right.LIST) or acl.may_create(caller, place))


def _demand_may_lock(caller: Caller, place: Place) -> None:
    # First what is asked of a free name: whether this one is must not be told by how it is refused.
    acl.demand_create(caller, place)
    if place.entry is not None:
        acl.demand(caller, place, Right.PERMISSION if place.entry.is_directory else Right.WRITE)
    elif place.parent is None:
        raise NoParent()


def _named(place: Place) -> tuple[int, str, tuple[int, ...]]:
    """The id of the directory that holds the name, the name, and the way there."""
    if place.entry is None:
        return place.ancestor.id, split(place.lfn)[1], place.way
    return place.entry.parent or 0, place.entry.name, place.way[:-1]
