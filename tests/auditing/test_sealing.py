"""Sealing: one node at a time, nothing twice, nothing lost, whatever happens between its steps."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_async.audit.rows import canonical
from mdm_async.audit.seals import Seal, line_hash
from mdm_async.auditing import sealing, telling
from mdm_async.auditing.gazette import Gazette
from mdm_async.auditing.sealing import Sealer
from mdm_async.auditing.telling import RowLine, SealLine
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail import ledger, unsealed
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.trail.ledger import Filter
from mdm_async.errors import UnsafeSettings
from tests.audit.made import found
from tests.auditing.database import USER, Sealed, sealed_trail
from tests.faults.database_proxy import proxied
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests


def published(sealed: Sealed, node: str = "a") -> list[int]:
    return [orjson.loads(line)["seal"] for line in sealed.file(node).read_text().splitlines()]


async def test_nothing_to_seal_is_no_seal(sealed: Sealed) -> None:
    sealer = await sealed.sealer()
    await sealer.tick()
    await sealed.act(2)
    await sealer.tick()
    await sealer.tick()
    assert published(sealed) == [1]
    assert sealed.file().stat().st_mode & 0o777 == 0o600


async def test_a_seal_names_its_rows_and_the_seal_before(sealed: Sealed) -> None:
    await sealed.seconds(2)
    one, two = sealed.file().read_text().splitlines()
    said = Seal.parse(two)
    assert (said.seal, said.count, said.previous) == (2, 3, line_hash(one))
    rows = await sealed.under(2)
    assert (said.first_id, said.last_id) == (rows[0], rows[-1])
    assert len(rows) == 3
    assert abs(said.at - said.last_at) < 60_000_000


async def test_sealing_writes_no_row_again(sealed: Sealed) -> None:
    await sealed.act(3)
    written = await sealed.sql("select id, ctid::text, xmin::text from audit order by id")
    await (await sealed.sealer()).tick()
    assert await sealed.under(1) == [row["id"] for row in written]
    assert await sealed.sql("select id, ctid::text, xmin::text from audit order by id") == written


async def test_a_trail_sealed_by_the_version_before_goes_on(sealed: Sealed) -> None:
    """Its rows bear the numbers of their seals; some wait, before and after the last of these."""
    await sealed.seconds(2)
    await sealed.sql(
        "update audit a set seal = s.number from audit_seals s where a.id between s.first_id and s.last_id"
    )
    await sealed.sql("update audit_seals set first_id = null, last_id = null")
    async with sealed.database.transaction() as db:
        await audit.record(db, [Act(USER, "put")])  # committed late, by that version
        await sealed.act(2)
        await sealed.sql(
            "with seen as (select max(id) as upto from audit) update audit_sealing set upto = seen.upto,"
            " waiting = jsonb_build_array(jsonb_build_array(0, seen.upto, 0, null)) from seen"
        )
        await sealed.seconds(1)
    await sealed.seconds(1)
    (late,) = await sealed.sql("select id from audit where act = 'put'")
    assert late["id"] in await sealed.under(4)
    verdict = await sealed.verdict()
    assert verdict.is_intact
    assert (verdict.rows, verdict.seals) == (6 + 2 + 3 + 4, 4)
    (changed,) = await sealed.sql("select min(id) as id from audit where seal = 2")
    await sealed.sql("update audit set view = 'x' where id = $1", changed["id"])
    assert found(await sealed.verdict()) == [("changed", 2, (changed["id"],))]


async def test_gaps_are_closed_once_nobody_can_fill_them(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsealed, "_UNNUMBERED", 0)

    async def gaps() -> list[list[int]]:
        (row,) = await sealed.sql("select waiting from audit_sealing")
        return [gap[:2] for gap in orjson.loads(row["waiting"])]

    async with sealed.database.acquire() as db:
        undone = db.transaction()
        await undone.start()
        await audit.record(db, [Act(USER, "put")])
        await sealed.seconds(3, rows=1)
        assert await gaps() == [[1, 1]]
        await undone.rollback()
    await sealed.seconds(2, rows=1)
    assert await gaps() == []


async def test_two_nodes_seal_one_database_each_row_once(sealed: Sealed) -> None:
    nodes = [await sealed.sealer("a"), await sealed.sealer("b")]

    async def acts() -> None:
        for _ in range(60):
            await sealed.act(5)

    async def ticks(sealer: Sealer) -> None:
        while not over.is_set():
            await sealer.tick()

    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for sealer in nodes:
            group.create_task(ticks(sealer))
        for writing in [group.create_task(acts()) for _ in range(3)]:
            await writing
        over.set()
    for sealer in nodes:
        await sealer.tick()
    await nodes[0].tick()
    assert sealed.file("a").read_text() == sealed.file("b").read_text()
    assert published(sealed) == list(range(1, len(published(sealed)) + 1))
    for node in ("a", "b"):
        verdict = await sealed.verdict(node=node)
        assert verdict.is_intact
        assert verdict.rows == 900


async def test_while_one_node_seals_the_other_does_not_wait(sealed: Sealed) -> None:
    await sealed.act(3)
    async with sealed.database.transaction() as db:
        assert await ledger.may_seal(db)
        assert await (await sealed.sealer()).seal() == 0
    assert await (await sealed.sealer()).seal() == 3


async def test_a_node_killed_between_commit_and_publishing_publishes_later(sealed: Sealed) -> None:
    await sealed.seconds(2)
    await sealed.act(4)
    assert await (await sealed.sealer()).seal() == 4
    assert published(sealed) == [1, 2]
    await (await sealed.sealer(fresh=True)).tick()
    assert published(sealed) == [1, 2, 3]
    assert (await sealed.verdict()).is_intact


@pytest.mark.parametrize("kept", [1, 100, -1])
async def test_a_line_torn_by_a_crash_is_written_again(sealed: Sealed, kept: int) -> None:
    await sealed.seconds(3)
    lines = sealed.file().read_text().splitlines(keepends=True)
    sealed.file().write_text("".join(lines[:2]) + lines[2][:kept])
    await (await sealed.sealer(fresh=True)).tick()
    verdict = await sealed.verdict()
    assert verdict.is_intact
    assert verdict.unpublished == 0


async def test_a_new_node_publishes_all_that_there_is(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "_PAGE", 2)
    await sealed.seconds(5)
    await (await sealed.sealer("b")).tick()
    assert sealed.file("a").read_text() == sealed.file("b").read_text()


async def test_a_file_that_cannot_be_written_does_not_end_sealing(sealed: Sealed) -> None:
    await sealed.seconds(1)
    sealer = await sealed.sealer()
    aside = sealed.file().rename(sealed.folder / "aside")
    sealed.file().mkdir()
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            await sealed.act(2)
            await sealer.tick()
    assert len([line for line in logged if line["log_level"] == "error"]) == 1
    sealed.file().rmdir()
    aside.rename(sealed.file())
    await sealer.tick()
    assert published(sealed) == [1, 2, 3, 4]
    assert (await sealed.verdict()).is_intact


async def test_a_restored_database_is_told_of_once_and_its_next_seal_hangs_on_the_published(
    sealed: Sealed,
) -> None:
    await sealed.seconds(2)
    await sealed.sql("create table older as select * from audit_seals")
    await sealed.seconds(3)
    await sealed.unseal(2)
    sealer = await sealed.sealer()
    with structlog.testing.capture_logs() as logged:
        await sealer.tick()
        await sealer.tick()
        await sealed.act(1)
        await sealer.tick()
        await sealed.act(1)
        await sealer.tick()
    assert [line["log_level"] for line in logged] == ["error"]
    assert published(sealed) == [1, 2, 3, 4, 5, 6, 7]
    verdict = await sealed.verdict()
    assert [(kind, seal) for kind, seal, _ in found(verdict)] == [("removed", 3)]
    assert "seals 3 to 5" in verdict.findings[0].what


async def test_rows_committed_late_are_sealed_late_and_are_no_finding(sealed: Sealed) -> None:
    await sealed.seconds(1)
    async with sealed.database.transaction() as db:
        await audit.record(db, [Act(USER, "put")])
        await sealed.seconds(2)
        assert (await sealed.verdict()).is_intact
    await sealed.seconds(1)
    verdict = await sealed.verdict()
    assert verdict.is_intact
    assert verdict.rows == 13 + 2  # the first verification is itself in the trail
    (row,) = await sealed.sql("select id from audit where act = 'put'")
    assert row["id"] in await sealed.under(4)


async def test_what_was_rolled_back_is_no_finding(sealed: Sealed) -> None:
    async with sealed.database.acquire() as db:
        undone = db.transaction()
        await undone.start()
        await audit.record(db, [Act(USER, "put")])
        await sealed.seconds(1)
        await undone.rollback()
    await sealed.seconds(1)
    assert (await sealed.verdict()).is_intact


async def test_more_rows_than_a_seal_takes_get_several(sealed: Sealed) -> None:
    await sealed.sql(
        "insert into audit (caller, act, outcome, guid, details) select 'user:' || i % 7, 'read', 'success',"
        " gen_random_uuid(), jsonb_build_object('n', i) from generate_series(1, 45000) as i"
    )
    await (await sealed.sealer()).tick()
    assert [Seal.parse(line).count for line in sealed.file().read_text().splitlines()] == [
        20_000,
        20_000,
        5_000,
    ]
    verdict = await sealed.verdict()
    assert verdict.is_intact
    assert verdict.rows == 45_000
    row = (await sealed.under(2))[777]
    await sealed.sql("update audit set view = 'x' where id = $1", row)
    assert found(await sealed.verdict()) == [("changed", 2, (row,))]


async def test_a_trail_is_told_in_order_however_pages_fall(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sealed.seconds(4, rows=5)
    await sealed.sql("delete from audit where id = any($1::bigint[])", await sealed.under(3))
    await sealed.act(5)
    whole = await sealed.told()
    for page in (1, 2, 3, 5, 7):
        monkeypatch.setattr(telling, "PAGE", page)
        again = await sealed.told()
        assert again[: len(whole)] == whole
        numbers = [line.number for line in whole if isinstance(line, SealLine)]
        assert numbers == [1, 2, 3, 4]
    monkeypatch.setattr(telling, "_INDEX_BYTES", 100)
    assert (await sealed.told())[: len(whole)] == whole
    later = await sealed.told(after=3)
    assert next(line.number for line in later if isinstance(line, SealLine)) == 4


async def test_a_filtered_trail_is_rows_only(sealed: Sealed) -> None:
    await sealed.seconds(2)
    await sealed.act(1, view="identified")
    lines = await sealed.told(Filter(caller="user:a"))
    assert all(isinstance(line, RowLine) for line in lines)
    assert len(lines) == 7
    assert await sealed.told(Filter(caller="user:nobody")) == []
    (row,) = await sealed.sql("select max(at) as at from audit where act = 'read'")
    later = await sealed.told(Filter(act="read", since=row["at"], until=row["at"] + timedelta(seconds=60)))
    assert [line.row["view"] for line in later if isinstance(line, RowLine)] == ["identified"]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), below, max_size=4)
    ),
    max_leaves=12,
)


async def test_any_details_are_the_same_bytes_in_database_page_and_file(sealed: Sealed) -> None:
    """Floats, large integers, Unicode, nesting: hashed as read from the database, whoever reads."""
    trees: list[object] = []

    @settings(max_examples=300)
    @given(_JSON)
    def collect(tree: object) -> None:
        trees.append(tree)

    collect()
    async with sealed.database.transaction() as db:
        await audit.record(db, [Act(USER, "put", details={"tree": tree}) for tree in trees])
    await (await sealed.sealer()).tick()
    assert (await sealed.verdict()).is_intact
    for line in await sealed.told():
        if isinstance(line, RowLine):
            assert canonical(orjson.loads(orjson.dumps(line.row))) == canonical(line.row)
    # As after a dump and restore.
    await sealed.sql("update audit set details = details::text::jsonb")
    assert (await sealed.verdict()).is_intact


async def test_a_lost_database_is_waited_for(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with (
        proxied(await postgres.fresh_database(migrated)) as proxy,
        sealed_trail(proxy.dsn, tmp_path) as sealed,
    ):
        await sealed.seconds(1)
        sealer = await sealed.sealer()
        await sealed.act(2)
        proxy.cut()
        with structlog.testing.capture_logs() as logged:
            await sealer.tick()
        # The pool has its own word to say.
        assert [each for each in logged if each.get("logger") != "asyncpg.pool"] == []
        proxy.restore()
        await sealer.tick()
        assert published(sealed) == [1, 2]


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(PATIENCE)
        yield listening


async def test_seals_go_to_a_syslog_whose_lines_verify(sealed: Sealed, collector: socket.socket) -> None:
    setting = f"syslog:127.0.0.1:{collector.getsockname()[1]}"
    sealer = await sealed.sealer()
    sealer._gazette = Gazette.of(setting, sealed.folder)
    await sealed.seconds(2)
    lines = [collector.recv(65536).decode() for _ in range(2)]
    assert all(line.startswith("<109>1 ") for line in lines)
    assert (await sealed.verdict(published=lines)).is_intact
    assert (sealed.folder / "audit" / "seals.jsonl").is_file()


@pytest.mark.parametrize("setting", ["syslog:", "syslog:host", "syslog:host:port", "syslog::514"])
def test_a_malformed_syslog_is_refused(setting: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings):
        Gazette.of(setting, tmp_path)


async def test_sealing_goes_on_after_any_exception(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    sealer = await sealed.sealer()

    may_seal = ledger.may_seal

    async def broken(db: Any) -> bool:
        # A shared server of this process seals, too.
        if await db.fetchval("select current_database()") not in sealed.dsn:
            return await may_seal(db)
        raise KeyError("a patient's name")

    await sealed.act(1)
    with monkeypatch.context() as patched, structlog.testing.capture_logs() as logged:
        patched.setattr(ledger, "may_seal", broken)
        await sealer.tick()
        await sealer.tick()
    assert len(logged) == 1
    assert "patient" not in str(logged)
    await sealer.tick()
    assert published(sealed) == [1]


async def test_a_lock_that_is_held_so_that_nothing_is_sealed_is_told_of(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "_LATE", 0.0)
    sealer = await sealed.sealer()
    await sealed.act(1)
    with structlog.testing.capture_logs() as logged:
        async with sealed.database.transaction() as db:
            assert await ledger.may_seal(db)
            await sealer.tick()
            assert logged == []
            await sealer.tick()
        assert [line["log_level"] for line in logged] == ["error"]
        await sealer.tick()
    assert len(logged) == 1
    assert published(sealed) == [1]


async def test_who_has_taken_an_id_and_no_number_yet_is_waited_for(sealed: Sealed) -> None:
    """Its transaction shows nowhere until it writes."""
    await sealed.seconds(1)
    (taken,) = await sealed.sql("select nextval(pg_get_serial_sequence('audit', 'id')) as id")
    await sealed.seconds(4)
    await sealed.sql(
        "insert into audit (id, caller, act, outcome) overriding system value values ($1, 'user:a', 'put', 'success')",
        taken["id"],
    )
    await sealed.seconds(1)
    assert taken["id"] in await sealed.under(6)
