"""Preparing and releasing: a thousand SURLs in one request, and single pairs, beside bare asyncpg doing as much.

The bare pair is what no server can do without: two statements on the same tables, a row of `grants` and its audit
written by the one, changed and audited by the other, by as many connections as the server's pool has.
"""

import asyncio
import os
import statistics
import time
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from uuid import uuid4

from bench.images import ct
from bench.load import drive
from bench.plan import Cycle, File
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import Server, running_server, surl_of
from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.requests import Release
from mdm_async.catalog.namespace import places
from mdm_async.catalog.trail.acts import Act
from mdm_async.images.upkeep.days import keep_days
from mdm_async.names import ANYONE, Caller, Lfn
from mdm_async.postgres.database import Database, connect
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from mdm_async.postgres.migrate import migrate

BULK = 1000
PAIRS = 500
_BULKS = 5
_POOL = 16
_CALLER = Caller("user:bench", frozenset({"user:bench", ANYONE}), source="127.0.0.1")


async def measure(scale: Scale, folder: Path) -> Finding:
    images = [ct(number) for number in range(scale.images)]
    finding = Finding(
        "pairs", f"prepare and release, {scale.connections} connections; CPU per pair or request"
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(folder))
        await server.put(images)
        bare = await stack.enter_async_context(EmbeddedPostgres(folder / "bare"))
        async with connect(bare.dsn) as db:
            await migrate(db, "mdm_async.catalog")
        database = await stack.enter_async_context(Database.connect(bare.dsn, pool_size=_POOL))
        await keep_days(database)
        surls = [surl_of(image) for image in images]
        ours, theirs = [], []
        for _ in range(scale.rounds):
            ours.append(await _pairs(server, surls, scale, finding))
            theirs.append(await _bare_pairs(database, scale.seconds, scale.connections))
        bulk = await _bulk(server, surls, finding)
        bare_bulk = await _bare_bulk(database)
    rate, bare_rate = statistics.median(ours), statistics.median(theirs)
    finding.remarks.append(
        f"bare asyncpg: {bare_rate:,.0f} pairs/s ({bare_rate / rate:.1f} times ours), {BULK} paths resolved and "
        f"pinned in {bare_bulk * 1000:.0f} ms"
    )
    finding.targets += [
        Target(f"single prepare and release: {PAIRS} pairs/s", f"{rate:,.0f} pairs/s", rate >= PAIRS),
        Target(f"{BULK} SURLs checked and prepared in a second", f"{bulk * 1000:.0f} ms", bulk <= 1),
    ]
    return finding


async def _pairs(server: Server, surls: list[str], scale: Scale, finding: Finding) -> float:
    cycles = [Cycle([File(surl, 0, 1)], read=False) for surl in surls]
    before = server.meter.cpu()
    outcome = await drive(server.plan(scale.connections, cycles=cycles, seconds=scale.seconds))
    used, timing = server.meter.cpu() - before, outcome.whole["cycle"]
    finding.rows.append(
        {
            "what": "prepare, release",
            "per s": outcome.per_second,
            "p50 ms": timing.p50,
            "p95 ms": timing.p95,
            "p99 ms": timing.p99,
            "server CPU ms": used.server / outcome.requests * 1000,
            "Postgres CPU ms": used.postgres / outcome.requests * 1000,
            "client CPU ms": outcome.client_cpu / outcome.requests * 1000,
        }
    )
    return outcome.per_second


async def _bulk(server: Server, surls: list[str], finding: Finding) -> float:
    """Seconds of a request for a thousand, the files taken round and round; the median."""
    asked = {"files": [{"surl": surls[i % len(surls)]} for i in range(BULK)]}
    taken = []
    before = server.meter.cpu()
    for _ in range(_BULKS):
        begun = time.perf_counter()
        (await server.client.wire.srm("prepareToGet", asked)).demand_all()
        taken.append(time.perf_counter() - begun)
    used = server.meter.cpu() - before
    seconds = statistics.median(taken)
    finding.rows.append(
        {
            "what": f"prepare {BULK}",
            "per s": 1 / seconds,
            "p50 ms": seconds * 1000,
            "p95 ms": None,
            "p99 ms": max(taken) * 1000,
            "server CPU ms": used.server / _BULKS * 1000,
            "Postgres CPU ms": used.postgres / _BULKS * 1000,
            "client CPU ms": None,
        }
    )
    return seconds


def _grant(item: int = 0) -> Grant:
    return Grant(
        turl=os.urandom(32), request=uuid4(), item=item, operation="get", state="pinned", caller=_CALLER.name,
        owner=_CALLER.owner,
        surl="/bench/a.dcm", life=3600.0, entry=1, guid=uuid4(), image=uuid4(), view="basic", version="0.0",
    )  # fmt: skip


async def _bare_pairs(database: Database, seconds: float, connections: int) -> float:
    done = count()
    end = time.perf_counter() + seconds

    async def work() -> None:
        while time.perf_counter() < end:
            grant = _grant()
            async with database.acquire() as db:
                await grants.insert_audited(
                    db, [grant], [Act(_CALLER, "prepare get", guid=grant.guid)], sync=False
                )
            async with database.acquire() as db:
                await requests.release(db, [Release(_CALLER, grant.request)])
            next(done)

    await asyncio.gather(*(work() for _ in range(connections)))
    return next(done) / seconds


async def _bare_bulk(database: Database) -> float:
    rows = [_grant(item) for item in range(BULK)]
    acts = [Act(_CALLER, "prepare get", guid=row.guid) for row in rows]
    async with database.acquire() as db:
        begun = time.perf_counter()
        await places.resolve(db, [Lfn(f"/bench/{item}.dcm") for item in range(BULK)])
        await grants.insert_audited(db, rows, acts, sync=False)
        return time.perf_counter() - begun
