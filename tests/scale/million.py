"""A catalog of a million images, three million grants and a million rows of audit, made by generate_series.

Images have random ids, as in life; what a test needs to name is found by its number: `image(7)`, `guid(7)`, `turl(7)`.
File number n lies in the directory number n / FILES (and in `/wide`, which holds the first WIDE of them).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from mdm_async.catalog.grants import partitions
from mdm_async.postgres.database import Connection, Database, connect
from mdm_async.postgres.migrate import migrate

IMAGES = 1_000_000
GRANTS = 3_000_000
ROWS_OF_AUDIT = 1_000_000
COHORTS = 2_000
"""Of a hundred members each."""
SECRETS = 200_000
WIDE, FILES = 100_000, 500
PATIENTS = 1000
"""Each of a study with ten series of a hundred images."""
_SETS = 1_000_000_000
"""Above the numbers that new sets get."""
ITEMS = 100
"""Grants of a request."""
DAYS = 3
OWNERS = 1_000


def image(number: int) -> UUID:
    return _uuid("image", number)


def registration(number: int) -> UUID:
    return _uuid("registration", number)


def guid(number: int) -> UUID:
    return _uuid("guid", number)


def blob(number: int) -> UUID:
    return _uuid("blob", number)


def part(number: int) -> UUID:
    return _uuid("part", number)


def request(number: int) -> UUID:
    return UUID(int=number % (1 << 128))


def turl(number: int) -> bytes:
    return (number % (1 << 128)).to_bytes(16, "big")


def _uuid(kind: str, number: int) -> UUID:
    return UUID(hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True)
class _Table:
    name: str
    fill: str
    settle: str = ""


_FILLED = (
    _Table(
        "images",
        "insert into images (id, registration, brought_by)"
        " select md5('image' || n)::uuid, md5('registration' || n)::uuid, 'user:a'"
        f" from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "blobs",
        "insert into blobs (id, state) select md5('blob' || n)::uuid, 'stored'"
        f" from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "parts",
        "insert into parts (id, image, kind, secret, format, salt, cipher_size, cipher_adler, blob)"
        " select md5('part' || n)::uuid, md5('image' || n)::uuid, 'original', 'identity', 1,"
        f"  decode(repeat('00', 32), 'hex'), 1000, 1, md5('blob' || n)::uuid from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "views",
        "insert into views (image, name, version, state, secret, record, parts)"
        " select md5('image' || n)::uuid, 'basic', 'a.1', 'ready', 'image', 'r', array[md5('part' || n)::uuid]"
        f" from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "meta_sets",
        "insert into meta_sets (id, level, parent, digest, attributes) overriding system value"
        " select id, level, parent, sha256(id::text::bytea), '{}'::jsonb from ("
        f"  select {_SETS} + n, 1, null::bigint from generate_series(1, {PATIENTS}) n"
        f"  union all select {_SETS + PATIENTS} + n, 2, {_SETS} + n from generate_series(1, {PATIENTS}) n"
        f"  union all select {_SETS + 2 * PATIENTS} + n, 3, {_SETS + PATIENTS + 1} + n % {PATIENTS}"
        f"   from generate_series(1, {10 * PATIENTS}) n) s (id, level, parent)",
    ),
    _Table(
        "meta_values",
        "insert into meta_values (set, tag, text, number)"
        f" select {_SETS + 2 * PATIENTS} + n, tag, case when tag < 5 then (n % 100 + tag)::text end,"
        "  case when tag >= 5 then n % 100 + tag end"
        f" from generate_series(1, {10 * PATIENTS}) n, generate_series(1, 10) tag",
    ),
    _Table(
        "view_attributes",
        "insert into view_attributes (image, view, version, series, sop_uid, attributes)"
        f" select md5('image' || n)::uuid, 'basic', 'a.1', {_SETS + 2 * PATIENTS + 1} + n % {10 * PATIENTS}, 'u' || n,"
        f"  '{{}}' from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "blind_values",
        "insert into blind_values (image, tag, blind)"
        " select md5('image' || n)::uuid, 1, decode(lpad(to_hex(n / 100), 8, '0'), 'hex')"
        f" from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "entries",
        "with root as (select id from entries where parent is null),"
        " top as (insert into entries (parent, name, is_directory) select id, name, true"
        "   from root, unnest(array['wide', 'deep']) name returning id, name),"
        " dirs as (insert into entries (parent, name, is_directory)"
        f"  select id, 'd' || n, true from top, generate_series(0, {IMAGES // FILES}) n where top.name = 'deep'"
        "   returning id, name)"
        " insert into entries (guid, parent, name, image, is_directory, acl)"
        "  select md5('guid' || n)::uuid, coalesce(d.id, t.id), 'f' || lpad(n::text, 7, '0'), md5('image' || n)::uuid,"
        "   false, case when n % 1000 = 0 then (select min(id) from acls) end"
        f"  from generate_series(1, {IMAGES}) n join top t on t.name = 'wide'"
        f"   left join dirs d on n > {WIDE} and d.name = 'd' || n / {FILES}",
    ),
    _Table(
        "grants",
        "insert into grants (day, turl, request, item, operation, state, caller, owner, surl, entry, guid, image, view,"
        "  version, created, expires)"
        f" select current_date - (n / {GRANTS // DAYS})::int % {DAYS}, decode(lpad(to_hex(n), 32, '0'), 'hex'),"
        f"  lpad(to_hex(n / {ITEMS}), 32, '0')::uuid, n % {ITEMS}, case when n % 30 = 0 then 'put' else 'get' end,"
        "  case when n % 30 = 0 then 'done' when n % 10 = 1 then 'pinned' else 'released' end,"
        f"  'user:' || n / {ITEMS} % {OWNERS}, 'user:' || n / {ITEMS} % {OWNERS}, '/wide/f' || n, n,"
        "  md5('guid' || n)::uuid,"
        f"  md5('image' || n % {IMAGES})::uuid, 'basic', 'a.1', now() - interval '1 hour',"
        "  now() + (case when n % 10 = 1 then 1 else -1 end) * interval '30 minutes'"
        f" from generate_series(1, {GRANTS}) n",
    ),
    _Table(
        "staged_images",
        "insert into staged_images (image, bytes, used)"
        f" select md5('image' || n)::uuid, 1000, now() - n * interval '1 second' from generate_series(1, {IMAGES}) n",
    ),
    _Table(
        "cohorts",
        "insert into cohorts (directory, name, members, sealed, created_by)"
        f" select e.id, 'c' || lpad(n::text, 7, '0'), 100, 's', 'user:a' from generate_series(1, {COHORTS}) n"
        "  join entries e on e.parent is null and e.name = ''",
    ),
    _Table(
        "cohort_members",
        "insert into cohort_members (cohort, number, entry, guid, image, view, version, digest, sealed)"
        " select c, n, n, md5('guid' || n)::uuid, md5('image' || c * 100 + n)::uuid, 'basic', 'a.1', 'd', 's'"
        f" from generate_series(1, {COHORTS}) c, generate_series(0, 99) n",
    ),
    _Table(
        "audit",
        "insert into audit (at, caller, act, outcome, guid, view)"
        f" select now() - ({ROWS_OF_AUDIT} - n) * interval '1 s', 'user:' || n % {OWNERS}, 'read', 'success',"
        f"  md5('guid' || n)::uuid, 'basic' from generate_series(1, {ROWS_OF_AUDIT}) n",
    ),
    _Table(
        "mdm_keys.image_secrets",
        "insert into mdm_keys.image_secrets (registration, kind, image, epoch, wrapped)"
        " select md5('registration' || n)::uuid, kind, md5('image' || n)::uuid, 1, 'w'"
        f" from generate_series(1, {SECRETS}) n, unnest(array['image', 'identity']) kind",
    ),
)  # fmt: skip


async def fill(dsn: str) -> None:
    """Make it all in an empty database: rows first, two tables at a time, then their indexes and constraints."""
    async with connect(dsn) as db:
        await migrate(db, "mdm_async.catalog")
        await migrate(db, "mdm_async.keys")
    await _make_days(dsn)
    async with connect(dsn) as db:
        names = [table.name for table in _FILLED]
        rebuilt = await _bared(db, names)
    waiting = list(reversed(_FILLED))
    waiting.sort(key=lambda table: table.name != "grants")
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(_work(dsn, waiting, rebuilt))
    async with connect(dsn) as db:
        for statement in rebuilt["foreign"]:
            await db.execute(statement, timeout=None)
        await db.execute("vacuum analyze", timeout=None)


async def _make_days(dsn: str) -> None:
    async with Database.connect(dsn, pool_size=1) as database:
        async with database.acquire() as db:
            today, _ = await partitions.days(db)
        for days in range(-DAYS, partitions.AHEAD + 1):
            assert await partitions.make(database, today + timedelta(days))


async def _work(dsn: str, waiting: list[_Table], rebuilt: dict[str, list[str]]) -> None:
    async with connect(dsn) as db:
        await db.execute(
            "set maintenance_work_mem = '512MB'; set max_parallel_maintenance_workers = 0; set jit = off;"
            "set work_mem = '256MB'; set session_replication_role = replica"
        )
        while waiting:
            table = waiting.pop(0)
            await db.execute(table.fill, timeout=None)
            for statement in rebuilt[table.name]:
                await db.execute(statement, timeout=None)


async def _bared(db: Connection, names: Sequence[str]) -> dict[str, list[str]]:
    """Take every index and constraint off these tables; by table the statements that bring them back, foreign keys
    (which are checked from then on) under `foreign`."""
    found = await db.fetch(
        "select conrelid::regclass::text as table, conname as name, contype, pg_get_constraintdef(oid) as said"
        " from pg_constraint where conrelid = any($1::text[]::regclass[]) and contype = any('{f,p,u}')",
        list(names),
    )
    back: dict[str, list[str]] = {name: [] for name in (*names, "foreign")}
    for one in sorted(found, key=lambda one: one["contype"] != b"f"):
        await db.execute(f'alter table {one["table"]} drop constraint "{one["name"]}" cascade')
        again = f'alter table {one["table"]} add constraint "{one["name"]}" {one["said"]}'
        if one["contype"] == b"f":
            back["foreign"].append(f"{again} not valid")
        else:
            back[one["table"]].append(again)
    indexes = await db.fetch(
        "select indrelid::regclass::text as table, indexrelid::regclass::text as name,"
        " pg_get_indexdef(indexrelid) as said from pg_index where indrelid = any($1::text[]::regclass[])",
        list(names),
    )
    for one in indexes:
        await db.execute(f"drop index {one['name']}")
        back[one["table"]].append(one["said"].replace(" ON ONLY ", " ON "))
    return back
