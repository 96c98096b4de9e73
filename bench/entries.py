"""Look-ups and checks in a catalog of a thousand files and in a large one, side by side.

Each catalog is a hospital of patients, studies and files, made by SQL, and looked at twice: as it is right after it
was filled, before Postgres knows its statistics, and after.
"""

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from uuid import uuid4

from bench.report import Finding, Target
from bench.scale import Scale
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.entries import Listed
from mdm_async.catalog.rights import acl
from mdm_async.names import ANYONE, AUTHENTICATED, Caller, Lfn, Right
from mdm_async.postgres.database import Connection, Database, connect
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from mdm_async.postgres.migrate import migrate

HOSPITAL = "hospital"
FILES, STUDIES = 100, 10
"""In a study, of a patient."""
ROUNDS, PASSES = 5, 7
SMALL = 1_000
_AS_FAST = 1.5
EVERYTHING = Listed(inheriting=True)
CALLER = Caller("user:reader", frozenset({"user:reader", AUTHENTICATED, ANYONE}))

_GROW = """
with acl as (
    insert into acls (rules, digest)
    select jsonb_build_array(jsonb_build_object('principal', who, 'rights', 'xrlg')), sha256(who::bytea)
    from unnest(array['any:authenticated', 'user:reader']) who returning id
), hospital as (
    insert into entries (parent, name, is_directory, acl)
    select id, $1::text, true, (select min(id) from acl) from entries where parent is null returning id
), patients as (
    insert into entries (parent, name, is_directory, acl)
    select hospital.id, 'patient-' || lpad(n::text, 6, '0'), true,
        case when n % 50 = 0 then (select max(id) from acl) end
    from hospital, generate_series(1, greatest($2::int / $3::int / $4::int, 1)) n returning id
), studies as (
    insert into entries (parent, name, is_directory)
    select id, 'study-' || lpad(n::text, 2, '0'), true
    from patients, generate_series(1, least($4::int, $2::int / $3::int)) n returning id
), files as (
    select id as study, n, gen_random_uuid() as image from studies, generate_series(1, $3::int) n
), stored as (
    insert into images (id, registration) select image, gen_random_uuid() from files
)
insert into entries (parent, name, image, is_directory)
select study, 'image-' || lpad(n::text, 3, '0') || '.dcm', image, false from files
"""


async def grow(db: Connection, count: int) -> None:
    """A hospital with `count` files, in one statement: Postgres's statistics know nothing of it afterwards."""
    # Whoever may pass the root may look at the hospital.
    await db.execute(
        "with open as ("
        "  insert into acls (rules, digest) values"
        """    ('[{"principal": "any:authenticated", "rights": "x"}]', sha256('x')) returning id"""
        ") update entries set acl = (select id from open) where parent is null"
    )
    await db.execute(_GROW, HOSPITAL, count, FILES, STUDIES, timeout=600)


def some_file(count: int, noise: random.Random) -> Lfn:
    patient = noise.randint(1, max(count // FILES // STUDIES, 1))
    study = noise.randint(1, min(STUDIES, count // FILES))
    file = noise.randint(1, FILES)
    return Lfn(f"/{HOSPITAL}/patient-{patient:06}/study-{study:02}/image-{file:03}.dcm")


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds, medians."""

    single: float
    thousand: float
    by_id: float
    page: float
    insert: float


async def look(database: Database, count: int) -> Measured:
    noise = random.Random(count)
    async with database.acquire() as db:

        async def look_up(many: int) -> list[places.Place]:
            found = await places.resolve(db, [some_file(count, noise) for _ in range(many)])
            for place in found:
                acl.demand(CALLER, place, Right.READ)
                assert place.entry is not None
            return found

        async def look_up_one() -> None:
            await look_up(1)

        async def look_up_thousand() -> None:
            await look_up(1000)

        ids = [place.entry.id for place in await look_up(1000) if place.entry is not None]

        async def walk_up() -> None:
            assert len(await places.of_entries(db, ids)) == len(set(ids))

        study = await places.resolve_one(db, Lfn(some_file(count, noise).rpartition("/")[0]))
        assert study.entry is not None
        directory = study.entry.id

        async def list_page() -> None:
            assert len(await entries.page(db, directory, EVERYTHING, 1000)) >= FILES

        async def add() -> None:
            await entries.make_directory(db, directory, f"made-{uuid4()}")

        return Measured(
            await median(look_up_one, ROUNDS * 20),
            await median(look_up_thousand),
            await median(walk_up),
            await median(list_page, ROUNDS * 10),
            await median(add, ROUNDS * 10),
        )


async def median(work: Callable[[], Awaitable[None]], rounds: int = ROUNDS) -> float:
    taken = []
    await work()
    for _ in range(rounds):
        begun = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


async def measure(scale: Scale, folder: Path) -> Finding:
    """The same of a small and of a large catalog, in turns, for the machine has its moods."""
    counts = (SMALL, scale.entries)
    finding = Finding("entries", "look-ups with their checks, ms (medians), by files in the catalog")
    async with AsyncExitStack() as stack:
        settings = {"shared_buffers": "512MB", "fsync": "off"}
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder, settings=settings))
        databases = {}
        for count in counts:
            async with connect(postgres.dsn_of("postgres")) as db:
                await db.execute(f"create database entries_{count}")
            dsn = postgres.dsn_of(f"entries_{count}")
            databases[count] = dsn, await stack.enter_async_context(_filled(dsn, count))
        for statistics_of in ("no statistics yet", "analysed"):
            if statistics_of == "analysed":
                for dsn, _ in databases.values():
                    async with connect(dsn) as db:
                        await db.execute("vacuum analyze")
            taken: dict[int, list[Measured]] = {count: [] for count in counts}
            for _ in range(PASSES):
                for count, (_, database) in databases.items():
                    taken[count].append(await look(database, count))
            medians = {count: _medians(found) for count, found in taken.items()}
            finding.rows += [
                {"catalog": f"{count:,} files, {statistics_of}"} | asdict(found)
                for count, found in medians.items()
            ]
            small, large = (medians[count] for count in counts)
            for name in ("single", "thousand"):
                ratio = getattr(large, name) / getattr(small, name)
                finding.targets.append(
                    Target(
                        f"look-ups and checks ({name}) among {scale.entries:,}: {_AS_FAST} x those of {SMALL:,}"
                        f" ({statistics_of})",
                        f"ratio of the medians {ratio:.2f}",
                        ratio <= _AS_FAST,
                    )
                )
    finding.remarks.append(
        "single: one look-up; thousand: 1,000 in one query; by_id: 1,000 entries back to their places; page: 100 "
        "files; insert: a new entry"
    )
    return finding


def _medians(found: Sequence[Measured]) -> Measured:
    return Measured(*(statistics.median(values) for values in zip(*map(astuple, found), strict=True)))


@asynccontextmanager
async def _filled(dsn: str, count: int) -> AsyncIterator[Database]:
    async with connect(dsn) as db:
        await migrate(db, "mdm_async.catalog")
        await db.execute("alter table entries set (autovacuum_enabled = off)")
    async with Database.connect(dsn, pool_size=1) as database:
        async with database.acquire() as db:
            # Plans are made while there is nothing: the worst that can be known.
            await places.resolve(db, [Lfn("/none")])
            await places.of_entries(db, [1])
            await entries.page(db, 1, EVERYTHING, 10)
        async with connect(dsn) as db:
            await grow(db, count)
        yield database
