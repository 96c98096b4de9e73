"""Queries in a large catalog, beside bare statements on the same tables; tasks that many take at once; and whether
time tells of rows that are hidden.

The catalog is the hospital of `entries`, each study a series with attributes of its own. Half of it lies under an ACL
that the reader has nothing by.
"""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson

from bench.connection import WrongAnswer
from bench.entries import FILES, HOSPITAL, grow
from bench.images import ct
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import Server, running_server
from mdm_async.dicom.indexed import by_keyword
from mdm_async.postgres.database import connect
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres

RATE, SELECTIVE_MS, TASKS = 1400, 50.0, 500
"""What is promised: queries of one row a second, milliseconds of a selective one, tasks taken a second."""
_AT_ONCE = 16
_DISTINCT = 200
_TASKS = 2000
_TIMED = 40

# Attributes as ingest keeps them: a set of each patient, study and series, and what is the image's own.
_DESCRIBE = (
    "insert into views (image, name, version, state, secret, record)"
    " select image, 'basic', $1, 'ready', 'image', '\\x00' from entries where image is not null and parent in"
    "  (select id from entries where name like 'study-%')",
    "insert into meta_sets (level, parent, digest, attributes)"
    " select 1, null, sha256(('patient' || e.id)::bytea),"
    " jsonb_build_object('PatientID', jsonb_build_array('P' || e.id))"
    " from entries e where e.name like 'patient-%' and e.is_directory",
    "insert into meta_sets (level, parent, digest, attributes)"
    " select 2, p.id, sha256(('study' || e.id)::bytea),"
    " jsonb_build_object('StudyInstanceUID', jsonb_build_array('2.25.' || e.id))"
    " from entries e join meta_sets p on p.digest = sha256(('patient' || e.parent)::bytea) where e.name like 'study-%'",
    "insert into meta_sets (level, parent, digest, attributes)"
    " select 3, s.id, sha256(('series' || e.id)::bytea), jsonb_build_object("
    "  'SeriesInstanceUID', jsonb_build_array('2.25.1' || e.id),"
    "  'Modality', jsonb_build_array(case when e.id % 2 = 0 then 'CT' else 'MR' end),"
    "  'SliceThickness', jsonb_build_array((e.id % 40) / 4.0))"
    " from entries e join meta_sets s on s.digest = sha256(('study' || e.id)::bytea) where e.name like 'study-%'",
    "insert into view_attributes (image, view, version, series, sop_uid, attributes)"
    " select e.image, 'basic', $1, s.id, '2.25.2' || e.id, jsonb_build_object("
    "  'SOPInstanceUID', jsonb_build_array('2.25.2' || e.id),"
    "  'InstanceNumber', jsonb_build_array(right(split_part(e.name, '.', 1), 3)::int))"
    " from entries e join meta_sets s on s.digest = sha256(('series' || e.parent)::bytea) where e.image is not null",
)
_VALUES = (
    "insert into meta_values (set, tag, text) select id, $1, attributes -> $2 ->> 0 from meta_sets"
    " where attributes ? $2 and jsonb_typeof(attributes -> $2 -> 0) = 'string'",
    "insert into meta_values (set, tag, number) select id, $1, (attributes -> $2 ->> 0)::float8 from meta_sets"
    " where attributes ? $2 and jsonb_typeof(attributes -> $2 -> 0) = 'number'",
)
_KEYWORDS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "SliceThickness")
_BARE = (
    "select e.guid, p.attributes -> 'PatientID' as patient, v.attributes -> 'InstanceNumber' as number"
    " from view_attributes v join meta_sets s on s.id = v.series join meta_sets t on t.id = s.parent"
    " join meta_sets p on p.id = t.parent join entries e on e.image = v.image"
    " where v.sop_uid = $1 and v.view = 'basic'"
)


async def measure(scale: Scale, folder: Path) -> Finding:
    finding = Finding(
        "metadata", f"queries among {scale.entries:,} entries; ms, and the server's CPU ms of each"
    )
    async with _hospital(scale, folder) as hospital:
        ours, bare = [], []
        for _ in range(scale.rounds):
            ours.append(await _rate(hospital, scale, finding))
            bare.append(await _bare_rate(hospital, scale))
        selective = await _selective(hospital, finding)
        hidden = await _hidden(hospital)
        taken = await _tasks(hospital, finding)
    rate, bare_rate = statistics.median(ours), statistics.median(bare)
    finding.remarks += [
        f"bare asyncpg: {bare_rate:,.0f} look-ups of the same row and attributes a second "
        f"({bare_rate / rate:.1f} times ours)",
        "a query of what only hidden images have, beside one of what none has: "
        f"{hidden[0]:.2f} ms and {hidden[1]:.2f} ms (medians, in turns)",
    ]
    finding.targets += [
        Target(f"queries of one row with two attributes: {RATE:,}/s", f"{rate:,.0f}/s", rate >= RATE),
        Target(
            f"a selective query among {scale.entries:,}: {SELECTIVE_MS:.0f} ms",
            f"{selective:.1f} ms (the slowest kind's p95)",
            selective <= SELECTIVE_MS,
        ),
        Target(f"the next task taken: {TASKS}/s, none twice", f"{taken:,.0f}/s", taken >= TASKS),
    ]
    return finding


@dataclass(slots=True)
class _Hospital:
    server: Server
    http: aiohttp.ClientSession
    bare: asyncpg.Pool
    uids: list[tuple[str, int]]
    """SOP Instance UIDs of some images, and their Instance Numbers."""
    studies: list[str]
    hidden: list[str]
    """Study Instance UIDs that the reader may know, and others."""

    async def find(self, token: str, query: str, *select: str) -> list[dict[str, Any]]:
        asked = {"query": query, "path": f"/{HOSPITAL}", "select": select}
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.post(f"{self.server.url}/meta/v1/find", json=asked, headers=headers) as answer:
            lines = [orjson.loads(line) for line in (await answer.read()).splitlines() if line]
        if answer.status != 200 or "end" not in lines[-1]:
            raise WrongAnswer(f"a query was answered {answer.status}: {lines[-1]}")
        return [match for line in lines for match in line.get("matches", ())]


@asynccontextmanager
async def _hospital(scale: Scale, folder: Path) -> AsyncIterator[_Hospital]:
    async with AsyncExitStack() as stack:
        settings = {"shared_buffers": "512MB", "fsync": "off"}
        dsn = (await stack.enter_async_context(EmbeddedPostgres(folder / "postgres", settings=settings))).dsn
        server = await stack.enter_async_context(running_server(folder, dsn))
        await server.put([ct(0)])
        async with connect(dsn) as db:
            # The one that this server serves now.
            version = await db.fetchval("select version from views where name = 'basic'")
            await grow(db, scale.entries)
            for statement in _DESCRIBE:
                await db.execute(statement, *([version] if "$1" in statement else []), timeout=900)
            for keyword in _KEYWORDS:
                for statement in _VALUES:
                    await db.execute(statement, by_keyword()[keyword].tag, keyword, timeout=900)
            await _hide(db)
            await db.execute("vacuum analyze", timeout=900)
            rows = await db.fetch(
                "select v.sop_uid, v.attributes -> 'InstanceNumber' ->> 0 as number"
                " from entries s join entries e on e.parent = s.id join view_attributes v on v.image = e.image"
                " where s.name like 'study-%' order by v.sop_uid limit $1",
                _DISTINCT,
            )
            studies = {
                hidden: [row["uid"] for row in await db.fetch(_STUDIES, hidden, _DISTINCT)]
                for hidden in (False, True)
            }
        bare = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=_AT_ONCE, max_size=_AT_ONCE))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        uids = [(row["sop_uid"], int(float(row["number"]))) for row in rows]
        yield _Hospital(server, http, bare, uids, studies[False], studies[True])


_STUDIES = (
    "select s.attributes -> 'StudyInstanceUID' ->> 0 as uid from entries e"
    " join meta_sets s on s.digest = sha256(('study' || e.id)::bytea) join entries p on p.id = e.parent"
    " where (p.acl = (select id from acls where digest = sha256('nobody'))) is not distinct from $1"
    " or (not $1 and p.acl is null) limit $2"
)


async def _hide(db: asyncpg.Connection) -> None:
    """Half of the patients are nobody's."""
    await db.execute("insert into acls (rules, digest) values ('[]', sha256('nobody'))")
    await db.execute(
        "update entries set acl = (select id from acls where digest = sha256('nobody'))"
        " where is_directory and name like 'patient-%' and right(name, 1)::int % 2 = 1"
    )


async def _rate(hospital: _Hospital, scale: Scale, finding: Finding) -> float:
    async def one(index: int) -> None:
        uid, number = hospital.uids[index % len(hospital.uids)]
        found = await hospital.find(
            hospital.server.token, f'SOPInstanceUID = "{uid}"', "PatientID", "InstanceNumber"
        )
        if [match["values"]["InstanceNumber"] for match in found] != [[number]]:
            raise WrongAnswer(f"a query found {found}")

    before = hospital.server.meter.cpu()
    times, seconds = await _storm(one, scale.seconds)
    used = hospital.server.meter.cpu() - before
    _row(finding, "one row, two attributes", times, len(times) / seconds, used.server / len(times))
    return len(times) / seconds


async def _bare_rate(hospital: _Hospital, scale: Scale) -> float:
    async def one(index: int) -> None:
        uid, _ = hospital.uids[index % len(hospital.uids)]
        if len(await hospital.bare.fetch(_BARE, uid)) != 1:
            raise WrongAnswer("the bare statement found something else")

    times, seconds = await _storm(one, scale.seconds)
    return len(times) / seconds


async def _selective(hospital: _Hospital, finding: Finding) -> float:
    """Milliseconds: the p95 of the kind of query that takes the longest. One at a time."""
    noise = random.Random(7)
    study = [noise.choice(hospital.studies) for _ in range(_TIMED)]
    kinds: dict[str, tuple[list[str], int]] = {
        "a study": ([f'StudyInstanceUID = "{uid}"' for uid in study], FILES),
        "in a study, by number": (
            [f'StudyInstanceUID = "{uid}" and InstanceNumber <= 3 and SliceThickness < 20' for uid in study],
            3,
        ),
        "none": ([f'PatientID = "nobody{n}"' for n in range(_TIMED)], 0),
    }
    worst = 0.0
    for what, (queries, expected) in kinds.items():
        times = []
        for query in queries:
            begun = time.perf_counter()
            found = await hospital.find(hospital.server.token, query)
            times.append(time.perf_counter() - begun)
            if len(found) != expected:
                raise WrongAnswer(f"{query}: {len(found)} found, not {expected}")
        _row(finding, what, times, None, None)
        worst = max(worst, statistics.quantiles(times, n=20)[-1] * 1000)
    return worst


async def _hidden(hospital: _Hospital) -> tuple[float, float]:
    """Milliseconds for a reader who must not know: of studies that are there, hidden, and of studies that are not."""
    made = await hospital.server.client.tokens.create("nobody", "x", path="/bench")
    assert made.secret is not None
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number, uid in enumerate(hospital.hidden[:_TIMED]):
        for there in (True, False):
            query = f'StudyInstanceUID = "{uid if there else f"2.25.9.{number}"}"'
            begun = time.perf_counter()
            found = await hospital.find(made.secret, query)
            taken[there].append(time.perf_counter() - begun)
            if found:
                raise WrongAnswer(f"a query found what is {'hidden' if there else 'not there'}")
    return statistics.median(taken[True]) * 1000, statistics.median(taken[False]) * 1000


async def _tasks(hospital: _Hospital, finding: Finding) -> float:
    """Tasks taken a second, by many at once."""
    client = hospital.server.client
    state = {"name": "state", "kind": "text"}
    await client.meta.create_schema("/bench", "job", [state])
    names = [f"/bench/task-{number:05}" for number in range(_TASKS)]
    for start in range(0, _TASKS, _AT_ONCE):
        await asyncio.gather(*(client.mkdir(name) for name in names[start : start + _AT_ONCE]))
    await client.meta.set(names, {"job.state": "todo"})
    asked = {"query": 'job.state = "todo"', "path": "/bench", "values": {"job.state": "running"}}
    headers = {"Authorization": f"Bearer {hospital.server.token}"}
    taken: list[str] = []

    async def one(_: int) -> bool:
        url = f"{hospital.server.url}/meta/v1/take"
        async with hospital.http.post(url, json=asked, headers=headers) as answer:
            told = orjson.loads(await answer.read())
        taken.extend(match["guid"] for match in told["taken"])
        return bool(told["taken"])

    before = hospital.server.meter.cpu()
    times, seconds = await _storm(one, None)
    used = hospital.server.meter.cpu() - before
    if len(taken) != _TASKS or len(set(taken)) != _TASKS:
        raise WrongAnswer(f"{len(taken)} tasks were taken, {len(set(taken))} different ones, of {_TASKS}")
    _row(finding, "the next task", times, _TASKS / seconds, used.server / _TASKS)
    return _TASKS / seconds


async def _storm(
    one: Callable[[int], Awaitable[bool | None]], seconds: float | None
) -> tuple[list[float], float]:
    """How long each took, of many at once for so many seconds, or until there is nothing more; and how long all did."""
    times: list[float] = []
    begun = time.perf_counter()

    async def worker(first: int) -> None:
        index = first
        while seconds is None or time.perf_counter() - begun < seconds:
            asked = time.perf_counter()
            if await one(index) is False:
                return
            times.append(time.perf_counter() - asked)
            index += _AT_ONCE

    async with asyncio.TaskGroup() as group:
        for first in range(_AT_ONCE):
            group.create_task(worker(first))
    return times, time.perf_counter() - begun


def _row(finding: Finding, what: str, times: list[float], rate: float | None, cpu: float | None) -> None:
    cuts = statistics.quantiles(times, n=100)
    finding.rows.append(
        {
            "query": what,
            "per s": rate,
            "p50": cuts[49] * 1000,
            "p95": cuts[94] * 1000,
            "p99": cuts[98] * 1000,
            "server CPU": cpu * 1000 if cpu is not None else None,
        }
    )
