"""Key stores: reading one image's keys from two of three stores, from one, and a bare statement on one; interleaved.

All of them are real Postgres clusters of their own on this machine. Every key that is read is compared with the one
that was registered.
"""

import base64
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from bench.connection import WrongAnswer
from bench.report import Finding, Target
from bench.scale import Scale
from mdm_async.keys.sources import GivenKeks
from mdm_async.keys.split import SplitKeys, StorePlace
from mdm_async.keys.store import KeyStore, Secrets, new_secrets
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.postgres.database import Database, connect
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from mdm_async.postgres.migrate import migrate

STORES, THRESHOLD = 3, 2
BULK = 1_000
_BULKS = 5
_LAPSE = 86_400
_TIMES, _SECONDS = 3.0, 2.0
"""What is promised: a read beside one store's, and the registration of BULK images' keys."""


async def measure(scale: Scale, folder: Path) -> Finding:
    finding = Finding("keys", f"key stores: {THRESHOLD} of {STORES} beside one, a read at a time (ms)")
    async with _both(folder) as (split, one, bare):
        secrets = {uuid4(): new_secrets() for _ in range(BULK)}
        await split.register(secrets)
        await one.register(secrets)
        reads: dict[str, Callable[[UUID, Secrets], Awaitable[None]]] = {
            f"{THRESHOLD} of {STORES} stores": lambda image, made: _read(split, image, made),
            "one store": lambda image, made: _read(one, image, made),
            "bare statement": lambda image, made: _fetched(bare, made),
        }
        taken: dict[str, list[float]] = {what: [] for what in reads}
        for _ in range(scale.rounds):
            for what, read in reads.items():
                taken[what] += await _times(list(secrets.items())[: scale.samples], read)
        bulk, single = await _bulk(split), await _bulk(one)
    for what, times in taken.items():
        finding.rows.append({"what": what, "per s": len(times) / sum(times)} | _percentiles(times))
    both = [_percentiles(taken[what])["p95 ms"] for what in list(taken)[:2]]
    finding.remarks.append(
        f"{BULK} images' keys registered at once: {bulk:.2f} s on {STORES} stores, {single:.2f} s on one"
    )
    finding.targets += [
        Target(
            f"p95 of a read from {THRESHOLD} of {STORES} ≤ {_TIMES:.0f} × one store's",
            f"{both[0] / both[1]:.1f} ×",
            both[0] <= _TIMES * both[1],
        ),
        Target(f"{BULK} images' keys registered in {_SECONDS:.0f} s", f"{bulk:.2f} s", bulk <= _SECONDS),
    ]
    return finding


@asynccontextmanager
async def _both(folder: Path) -> AsyncIterator[tuple[KeyStore, KeyStore, asyncpg.Connection]]:
    """Secrets in shares, secrets in one database, and a connection to that."""
    async with AsyncExitStack() as stack:
        first, *others = [
            await stack.enter_async_context(EmbeddedPostgres(folder / f"keys-{number}"))
            for number in range(STORES + 1)
        ]
        async with connect(first.dsn_of("postgres")) as db:
            await db.execute("create database whole")
        # A catalog says whether its secrets are shared; so each of the two kinds has one.
        catalog = await stack.enter_async_context(_catalog(first.dsn))
        whole = await stack.enter_async_context(_catalog(first.dsn_of("whole")))
        installation = uuid4()
        places = [StorePlace(f"store{n}", other.dsn, GivenKeks(_kek())) for n, other in enumerate(others)]
        opened = SplitKeys.open(catalog, places, THRESHOLD, installation, "bench", _LAPSE)
        split = await stack.enter_async_context(opened)
        one = await WrappedKeys.open(whole, GivenKeks(_kek()), installation, "bench", _LAPSE)
        async with whole.acquire() as bare:
            yield split, one, bare


@asynccontextmanager
async def _catalog(dsn: str) -> AsyncIterator[Database]:
    async with connect(dsn) as db:
        await migrate(db, "mdm_async.catalog")
        await migrate(db, "mdm_async.keys")
    async with Database.connect(dsn, pool_size=4) as database:
        yield database


def _kek() -> str:
    return base64.b64encode(os.urandom(32)).decode()


async def _times(
    images: Sequence[tuple[UUID, Secrets]], read: Callable[[UUID, Secrets], Awaitable[None]]
) -> list[float]:
    taken = []
    for image, made in images:
        begun = time.perf_counter()
        await read(image, made)
        taken.append(time.perf_counter() - begun)
    return taken


async def _read(store: KeyStore, image: UUID, made: Secrets) -> None:
    found = (await store.fetch([made.registration], identity=False))[image]
    if found.image != made.image:
        raise WrongAnswer("a key store gave another key than was registered")


async def _fetched(bare: asyncpg.Connection, made: Secrets) -> None:
    await bare.fetch(
        "select wrapped from mdm_keys.image_secrets where registration = any($1::uuid[]) and kind = 'image'",
        [made.registration],
    )


async def _bulk(store: KeyStore) -> float:
    """Seconds; the median."""
    taken = []
    for _ in range(_BULKS):
        secrets = {uuid4(): new_secrets() for _ in range(BULK)}
        begun = time.perf_counter()
        await store.register(secrets)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {f"p{percent} ms": cuts[percent - 1] * 1000 for percent in (50, 95, 99)}
