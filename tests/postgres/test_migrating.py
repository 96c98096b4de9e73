"""A database as the version before left it, with all that was in it, is taken over."""

import hashlib
from pathlib import Path

import pytest

from mdm_async.audit import row_index
from mdm_async.postgres import migrate as migrating
from mdm_async.postgres.database import Connection, connect
from mdm_async.postgres.migrate import migrate
from tests.conftest import running_server
from tests.postgres.for_tests import PostgresForTests

TOKEN, READ, WRITE = "reader's token", "a transfer URL", "an upload's"

FILLED = """
insert into acls (rules, digest) values ('[{"principal": "user:reader", "rights": "rlx"}]', '\\x01');
insert into entries (parent, name, is_directory, acl) select id, 'ward', true, 2 from entries;
insert into images (id, registration) values ('00000000-0000-0000-0000-000000000001', gen_random_uuid());
insert into entries (parent, name, image, is_directory)
    select id, 'one.dcm', '00000000-0000-0000-0000-000000000001', false from entries where name = 'ward';
insert into audit (caller, act, outcome) select 'user:admin', 'mkdir', 'success' from generate_series(1, 50);
"""


async def fill(db: Connection) -> None:
    await db.execute(FILLED)
    await db.execute(
        "insert into tokens (hash, name, rights, path) values ($1, 'reader', 'wl', '/ward')", _hash(TOKEN)
    )
    await db.execute(
        "create table grants_all partition of grants for values from ('-infinity') to ('infinity')"
    )
    for turl, operation, state in ((READ, "get", "pinned"), (WRITE, "put", "open")):
        await db.execute(
            "insert into grants (day, turl, request, item, operation, state, caller, surl, entry, image, view,"
            " version, parent, name, expires) select current_date, $1, gen_random_uuid(), 0, $2, $3, 'user:reader',"
            " '/ward/one.dcm', id, image, 'identified', 'original', parent, name, now() + interval '1 hour'"
            " from entries where image is not null",
            _hash(turl),
            operation,
            state,
        )
    await db.execute("alter table grants detach partition grants_all")
    day = await db.fetchval("select to_char(current_date, '\"grants_\"YYYYMMDD')")
    await db.execute(
        f"alter table grants_all rename to {day};"
        f" do $$ begin execute format('alter table grants attach partition {day} for values from (%L) to (%L)',"
        " current_date, current_date + 1); end $$"
    )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@pytest.fixture
async def before(postgres: PostgresForTests, monkeypatch: pytest.MonkeyPatch) -> str:
    """A filled database of the version that had no ACLs."""
    dsn = await postgres.fresh_database()
    all_of = migrating.migrations_of
    async with connect(dsn) as db:
        with monkeypatch.context() as patched:
            patched.setattr(migrating, "migrations_of", lambda package: all_of(package)[:2])
            await migrate(db, "mdm_async.catalog")
        await fill(db)
    return dsn


async def test_rights_stay_and_transfer_urls_are_prepared_again(before: str, tmp_path: Path) -> None:
    async with running_server(tmp_path / "data", before) as server:
        listed = await server.srm("ls", token=TOKEN, surls=["/ward"])
        assert [child["path"] for child in listed["files"][0]["subPaths"]] == ["/ward/one.dcm"]
        told = await server.srm("getPermission", surls=["/ward/one.dcm"])
        assert told["files"][0]["rules"] == [{"principal": "user:reader", "rights": "rlx"}]
        # Nothing is known of who asked, so nothing can be taken away from them later.
        assert (await server.call("GET", f"/t/{READ}/image.dcm")).status == 410
        assert (await server.call("PUT", f"/t/{WRITE}/image.dcm", data=b"x")).status == 410


async def test_older_rows_of_the_audit_are_sealed_with_the_first(before: str, tmp_path: Path) -> None:
    async with running_server(tmp_path / "data", before) as server:
        pass
    lines = (server.data / "audit" / "seals.jsonl").read_text().splitlines()
    async with connect(before) as db:
        index = await db.fetchval("select rows from audit_seals where number = 1")
        assert len(row_index.ids(index)) >= 50
        assert await db.fetchval("select max(id) = (select upto from audit_sealing) from audit")
        assert await db.fetchval("select count(*) from audit_seals") == len(lines)
