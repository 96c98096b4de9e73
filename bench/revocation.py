"""What it costs a node that somebody changes rights ten times a second while 8,192 transfer URLs are live on it.

The server runs in this process, so that its CPU time and its event loop's stalls are seen; the changes come from
another. Each is a directory that is renamed or given another default view: beside the files, or with some of them.
"""

import asyncio
import math
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg

from bench.images import ct
from bench.report import Finding, Target
from bench.server import FOLDER, Server
from bench.usage import Meter
from mdm_async.app import running
from mdm_async.client.client import Client
from mdm_async.images.transfers import download
from mdm_async.images.transfers.download import Ask
from mdm_async.names import ANYONE, AUTHENTICATED, ROOT, Caller, Right, Scope, View
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from mdm_async.settings import load
from mdm_async.web.http.house import House

LIVE, FOLDERS, AT_ONCE = 8192, 64, 64
RUNNING = 512
PER_SECOND = 10
_BEAT = 0.005
_MOST_CPU, _LONGEST_STALL = 2.0, 20.0
CALLER = Caller(
    "user:reader",
    frozenset({"user:reader", AUTHENTICATED, ANYONE}),
    (Scope(ROOT, frozenset(Right), frozenset({"*"})),),
)

CHANGES = {
    "none": "",
    "beside them": "update entries set name = 'beside-' || clock_timestamp() where name like 'beside-%'",
    "of 128 of them each": "update entries set default_view = case when default_view is null then 'basic' end"
    f" where name = 'f' || (extract(epoch from clock_timestamp()) * {PER_SECOND})::bigint % {FOLDERS}",
}
_GROW = """
with folders as (
    insert into entries (parent, name, is_directory)
    select id, names.name, true from entries, (
        select 'f' || n as name from generate_series(0, $1::int - 1) n union all select 'beside-'
    ) names where parent is null returning id, name
)
insert into entries (parent, name, image, is_directory)
select id, 'i' || n, (select id from images), false from folders, generate_series(0, $2::int - 1) n where name like 'f%'
"""


async def measure(folder: Path, seconds: float = 10.0) -> Finding:
    finding = Finding(
        "revocation", f"{LIVE} live transfer URLs, {RUNNING} running, {PER_SECOND} changes a second"
    )
    async with AsyncExitStack() as stack:
        dsn = (await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))).dsn
        settings = load(
            overrides={
                "data": folder / "data",
                "server": {"port": 0, "tls_port": 0},
                "database": {"dsn": dsn},
            }
        )
        house = await stack.enter_async_context(running(settings))
        await _fill(house, folder)
        for warm in list(house.warm)[:RUNNING]:
            stack.enter_context(warm.ending.cutting(lambda: None))
        for name, statement in CHANGES.items():
            cpu, stall, work = await _under(dsn, statement, seconds)
            finding.rows.append(
                {
                    "changes": name,
                    "CPU, % of a core": round(cpu, 2),
                    "longest stall, ms": round(stall, 1),
                    "of these at work, ms": round(work, 1),
                }
            )
    calm, *busy = finding.rows
    cpu = max(row["CPU, % of a core"] for row in busy) - calm["CPU, % of a core"]
    stall = max(row["of these at work, ms"] for row in busy)
    finding.targets = [
        Target(
            f"ten changes a second cost < {_MOST_CPU:g} % of a core, beside what none cost",
            f"{cpu:.2f} %",
            cpu < _MOST_CPU,
        ),
        Target(f"no stall > {_LONGEST_STALL:g} ms", f"{stall:.1f} ms", stall <= _LONGEST_STALL),
    ]
    finding.remarks = ["At work: what the machine's other processes took is left out."]
    return finding


async def _fill(house: House, folder: Path) -> None:
    """One image under 8,192 names, each prepared and warm, and never let go of."""
    url, token = f"http://127.0.0.1:{house.port}", (folder / "data/secrets/admin.token").read_text().strip()
    async with Client(url, token) as client:
        await client.mkdir(FOLDER)
        await Server(url, token, client, Meter(os.getpid())).put([ct(0)])
    each = LIVE // FOLDERS
    async with house.database.acquire() as db:
        await db.execute(_GROW, FOLDERS, each)
    for folder_number in range(FOLDERS):
        names = [f"/f{folder_number}/i{n}" for n in range(each)]
        for some in (names[start : start + AT_ONCE] for start in range(0, each, AT_ONCE)):
            await download.prepare(
                house.desk,
                house.judge,
                house.warm,
                house.rounds,
                house.settings.transfers,
                CALLER,
                Ask(some, View("basic")),
            )
    found = list(house.warm)
    assert len(found) == LIVE, len(found)
    for warm in found:
        warm.used = math.inf


async def _under(dsn: str, statement: str, seconds: float) -> tuple[float, float, float]:
    """CPU (% of a core) of this process while another changes things; the longest time (ms) that its loop kept a
    task from its turn, and how much of such a time it worked."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.revocation", dsn, statement, str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()  # it is about to begin
    stall = work = 0.0
    began, cpu = time.perf_counter(), time.process_time()
    while (last := time.perf_counter()) - began < seconds:
        worked = time.thread_time()
        await asyncio.sleep(_BEAT)
        stall = max(stall, time.perf_counter() - last - _BEAT)
        work = max(work, time.thread_time() - worked)
    used = time.process_time() - cpu
    await process.communicate()
    assert process.returncode == 0
    return 100 * used / seconds, 1000 * stall, 1000 * work


async def _change(dsn: str, statement: str, seconds: float) -> None:
    connection = await asyncpg.connect(dsn)
    print(flush=True)
    for _ in range(round(seconds * PER_SECOND)):
        if statement:
            await connection.execute(statement)
        await asyncio.sleep(1 / PER_SECOND)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(_change(sys.argv[1], sys.argv[2], float(sys.argv[3])))
