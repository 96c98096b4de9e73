"""The key store of a server, opened: where its key-encryption keys come from, and who is waited for before."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import structlog

from mdm_async.catalog import installation
from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.keys import proofs
from mdm_async.keys.custodians import Custodians, HeldByCustodians
from mdm_async.keys.enrolment import begun_stores
from mdm_async.keys.files import secrets_directory
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.named_source import kek_sources
from mdm_async.keys.share_store import PROBE
from mdm_async.keys.sources import KekSource
from mdm_async.keys.split import SplitKeys, places_of
from mdm_async.keys.store import KeyStore
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.postgres.database import Connection
from mdm_async.postgres.lanes import Lanes
from mdm_async.settings import Settings
from mdm_async.watches import Watches

_log = structlog.get_logger()


def sources_of(settings: Settings) -> dict[str, KekSource]:
    """By key store; the catalog's own is ''."""
    return kek_sources(settings.keys, settings.secrets_directory)


async def make_missing(db: Connection, sources: Mapping[str, KekSource]) -> None:
    """The server's own files of KEKs for stores in which nothing is wrapped yet. `db`: the catalog's. Raises
    UnsafeSettings of one that is missing while something is."""
    used = await begun_stores(db) | ({""} if await proofs.are_used(db) else set())
    for store, source in sources.items():
        if not isinstance(source, KeptKeks):
            continue
        if store in used and not source.path.exists():
            raise UnsafeSettings(
                f"{source.path} is not there, and what the database holds is wrapped under the key that was in it",
                remedy="mount or restore it: no other key opens anything",
            )
        secrets_directory(source.path.parent)
        if source.make():
            _log.warning("made a key-encryption key; back it up apart from the database", file=source.name)


async def custodians_of(
    settings: Settings, sources: Mapping[str, KekSource], lanes: Lanes, dsn: str
) -> Custodians:
    """Of those sources that custodians hold. `dsn`: of the catalog's database."""
    held = [source for source in sources.values() if isinstance(source, HeldByCustodians)]
    if held:
        async with lanes.control.acquire() as db:
            installed = await installation.identity(db)
        places = {place.name: place.dsn for place in places_of(settings.keys, sources)}
        for source in held:
            if source.store:
                source.is_right = partial(proofs.demand_right_if_there, places[source.store], installed)
            else:
                source.is_right = partial(proofs.demand_right, dsn, installed)
    return Custodians(held)


async def wait_for_stores(
    custodians: Custodians,
    going_on: Callable[[Coroutine[Any, Any, object]], Awaitable[None]],
    why: Unavailable,
) -> None:
    """What custodians gave stays here meanwhile: they need not come again."""
    if str(custodians.waits) != str(why):
        _log.warning("the server is unsealed, and waits for its key stores", reason=str(why))
    custodians.waits = why
    await going_on(asyncio.sleep(PROBE))


async def open_keys(
    stack: AsyncExitStack,
    settings: Settings,
    node: str,
    keks: Mapping[str, KekSource],
    lanes: Lanes,
    watches: Watches,
    again: Callable[[Unavailable], Awaitable[None]] | None,
) -> KeyStore:
    """Until the stack ends. `again`: see `SplitKeys.open`."""
    async with lanes.control.acquire() as db:
        installed = await installation.identity(db)
    lapse = float(max(settings.limits.macaroon_seconds, settings.transfers.max_pin))
    keys: SplitKeys | WrappedKeys
    if settings.keys.stores:
        places = places_of(settings.keys, keks)
        split = SplitKeys.open(lanes.keys, places, settings.keys.needed, installed, node, lapse, again)
        keys = await stack.enter_async_context(split)
    else:
        keys = await WrappedKeys.open(lanes.keys, keks[""], installed, node, lapse)
    beside = await stack.enter_async_context(watches.running())
    beside(keys.forever())
    return keys
