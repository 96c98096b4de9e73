"""Making good what a store missed while it was away: it is given its shares again, from those of enough others.

Registrations are compared page by page. A share that is there is never changed. What others have forgotten is
forgotten.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

import structlog

from mdm_async.errors import MdmError, Unavailable
from mdm_async.keys import metrics
from mdm_async.keys.key_database import WRITABLE, KeyDatabase
from mdm_async.keys.row_cipher import FORMAT, Held
from mdm_async.keys.share_store import ShareStore
from mdm_async.keys.shares import Shares
from mdm_async.keys.splitting import Key, join, shares_of

_LOOK = 2.0
_PAUSE = 1.0
"""Seconds until what is being registered is looked at again."""
_PAGE = 1000
_YOUNG = 60.0
"""Seconds for which what is being registered is left to whoever does it."""

_FIRST = UUID(int=0)
_T = TypeVar("_T")

_log = structlog.get_logger()


class Mended(NamedTuple):
    restored: int = 0
    """Shares."""
    forgotten: int = 0
    """Registrations that others have destroyed."""
    lost: int = 0
    """Secrets of which those that are there have too few shares."""
    young: frozenset[UUID] = frozenset()
    """Registrations that may be on their way to where they lack."""

    def plus(self, other: "Mended") -> "Mended":
        return Mended(
            self.restored + other.restored,
            self.forgotten + other.forgotten,
            self.lost + other.lost,
            self.young | other.young,
        )


async def repair_forever(shares: Shares) -> None:
    tried: object = None
    while True:
        await asyncio.sleep(_LOOK)
        with suppress(MdmError):
            await make_good(shares, shares.take_lacking(_PAGE))
        now = [(store.name, store.missed) for store in shares.up]
        if now == tried or not any(store.behind for store in shares.up):
            continue
        with suppress(MdmError):
            tried = now if (await repair(shares)).lost else None


async def repair(shares: Shares) -> Mended:
    """All stores that are up. Raises Unavailable when one goes away meanwhile, or too few are there."""
    stores = shares.up
    if len(stores) < shares.threshold:
        raise shares.too_few()
    missed = {store: store.missed for store in stores}
    total = Mended()
    after: UUID | None = _FIRST
    while after is not None:
        page, after = await _page(shares, stores, after)
        total = total.plus(page)
    # By our own clock: by a store's, what is being registered may be young for ever.
    grown = time.monotonic() + _YOUNG
    while total.young:
        await asyncio.sleep(_PAUSE)
        held = await _ask(shares, stores, partial(_listed_of, registrations=total.young))
        having = {store: set(keys) for store, keys in held.items()}
        total = total._replace(young=frozenset()).plus(
            await _level(shares, having, is_grown=time.monotonic() >= grown)
        )
    # What too few have shares of waits for the stores that are away, and where none is, for nothing.
    if not total.lost or len(stores) == len(shares.stores):
        for store, up_to in missed.items():
            store.mend(up_to)
    if any(total):
        told = {"restored": total.restored, "forgotten": total.forgotten, "lost": total.lost}
        _log.info("compared what the key stores hold", **told)
    return total


async def make_good(shares: Shares, registrations: Collection[UUID]) -> None:
    """These, in the stores that are up. Raises Unavailable when a store goes away meanwhile."""
    if not registrations:
        return
    held = await _ask(shares, shares.up, partial(_listed_of, registrations=registrations))
    await _level(shares, {store: set(keys) for store, keys in held.items()})


async def _page(shares: Shares, stores: list[ShareStore], after: UUID) -> tuple[Mended, UUID | None]:
    """What was made good, and after what the next page begins."""
    listed = await _ask(shares, stores, lambda db: _listed(db, after))
    # A page may end within a registration, which then belongs to the next one. What fewer stores than the threshold
    # have is not made good: so few, which may list whatever they like without an end, keep nobody from what follows.
    ends = sorted(keys[-1][0] for keys in listed.values() if len(keys) == _PAGE)
    end = ends[shares.threshold - 1] if len(ends) >= shares.threshold else None
    having = {store: {key for key in keys if end is None or key[0] < end} for store, keys in listed.items()}
    return await _level(shares, having), None if end is None else UUID(int=end.int - 1)


async def _level(shares: Shares, having: dict[ShareStore, set[Key]], *, is_grown: bool = False) -> Mended:
    stores, every = list(having), set[Key]().union(*having.values())
    lacking = {store: every - keys for store, keys in having.items() if every - keys}
    if not lacking:
        return Mended()
    uneven = {registration for keys in lacking.values() for registration, _ in keys}
    states = (await _ask(shares, stores, lambda db: _state(db, uneven))).values()
    young = frozenset[UUID]() if is_grown else frozenset[UUID]().union(*(state.young for state in states))
    buried = [one for state in states for one in state.forgotten]
    # So many have destroyed it that it can never be read; fewer than that may be mistaken, and bring nothing back.
    fatal = len(shares.stores) - shares.threshold + 1
    dead = {one for one in set(buried) if buried.count(one) >= fatal}
    if dead:
        await _ask(shares, stores, lambda db: _told(db.forget(dead)))
    aside = young | set(buried)
    wanted = {store: {key for key in keys if key[0] not in aside} for store, keys in lacking.items()}
    restored, lost = await _restore(shares, stores, wanted)
    return Mended(restored, len(dead), lost, young - set(buried))


async def _restore(
    shares: Shares, stores: list[ShareStore], wanted: dict[ShareStore, set[Key]]
) -> tuple[int, int]:
    """How many shares were given, and how many secrets have too few of them."""
    keys = set[Key]().union(*wanted.values())
    if not keys:
        return 0, 0
    registrations, kinds = {one for one, _ in keys}, {kind for _, kind in keys}
    read = await _ask(shares, stores, lambda db: db.read(registrations, kinds))
    found = {
        store.index: {(one.registration, one.kind): one for one in opened.held}
        for store, opened in read.items()
    }
    joined = join(found, keys, shares.threshold)
    count = 0
    for store, lacked in wanted.items():
        made = [
            one for one in shares_of(found, joined, store.index) if (one.registration, one.kind) in lacked
        ]
        if not made:
            continue
        given = (await _ask(shares, [store], partial(_give, shares=made)))[store]
        metrics.RESTORED.labels(store.name).inc(given)
        count += given
    return count, len(keys - joined.secrets.keys())


class _State(NamedTuple):
    forgotten: list[UUID]
    young: list[UUID]


async def _listed(keys: KeyDatabase, after: UUID) -> list[Key]:
    async with keys.database.acquire() as db:
        rows = await db.fetch(
            "select registration, kind from mdm_keys.image_secrets where registration > $1"
            " order by registration, kind limit $2",
            after,
            _PAGE,
        )
    return [(row["registration"], row["kind"]) for row in rows]


async def _listed_of(keys: KeyDatabase, registrations: Collection[UUID]) -> list[Key]:
    async with keys.database.acquire() as db:
        rows = await db.fetch(
            "select registration, kind from mdm_keys.image_secrets where registration = any($1::uuid[])",
            list(registrations),
        )
    return [(row["registration"], row["kind"]) for row in rows]


async def _state(keys: KeyDatabase, registrations: Collection[UUID]) -> _State:
    async with keys.database.acquire() as db:
        row = await db.fetchrow(
            "select array(select registration from mdm_keys.forgotten where registration = any($1::uuid[])),"
            " array(select registration from mdm_keys.intents where registration = any($1::uuid[])"
            "  and at > now() - make_interval(secs => $2))",
            list(registrations),
            _YOUNG,
        )
    assert row is not None
    return _State(*row)


async def _give(keys: KeyDatabase, shares: list[Held]) -> int:
    """Those that are not there and were not destroyed meanwhile; how many."""
    async with keys.database.transaction() as db:
        # Whoever destroys waits until these are there to be destroyed.
        await db.execute("lock table mdm_keys.forgotten in share mode")
        rows = await db.fetch(
            f"with {WRITABLE.format('$5::int')}"
            " insert into mdm_keys.image_secrets (registration, image, kind, wrapped, epoch, format)"
            " select registration, image, kind, wrapped, $5, $6"
            " from writable, unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[])"
            " as given (registration, image, kind, wrapped)"
            " where not exists (select from mdm_keys.forgotten f where f.registration = given.registration)"
            " on conflict do nothing returning registration",
            [one.registration for one in shares],
            [one.image for one in shares],
            [one.kind for one in shares],
            [keys.cipher.wrap(one) for one in shares],
            keys.cipher.ring.epoch,
            FORMAT,
        )
    return len(rows)


async def _told(work: Awaitable[None]) -> bool:
    await work
    return True


async def _ask(
    shares: Shares, stores: list[ShareStore], work: Callable[[KeyDatabase], Awaitable[_T]]
) -> dict[ShareStore, _T]:
    """All of them. Raises Unavailable when one does not answer: it is seen to again when it is back."""
    answers = {
        store: answer for store, answer in (await shares.ask(work, stores)).items() if answer is not None
    }
    if len(answers) < len(stores):
        raise Unavailable("a key store went away while it was made good")
    return answers
