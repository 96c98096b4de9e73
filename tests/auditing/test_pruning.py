"""Pruning: the oldest seals go with their rows; what is left verifies, and says what went."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import structlog.testing

from mdm_async.audit.pruned import ACT, DETAIL, Pruned
from mdm_async.audit.seals import line_hash
from mdm_async.auditing import pruning
from mdm_async.auditing.pruning import Pruner
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Forbidden, WrongContent
from tests.audit.made import KEYS, OTHER, PRIVATE, found
from tests.auditing.database import ADMIN, USER, Sealed
from tests.faults.conditions import until


def pruner(sealed: Sealed, keep_days: int | None = None) -> Pruner:
    return Pruner(sealed.database, PRIVATE, keep_days)


async def moment_of(sealed: Sealed, seal: int) -> datetime:
    (row,) = await sealed.sql("select at from audit_seals where number = $1", seal)
    at: datetime = row["at"]
    return at


async def pruned(sealed: Sealed, to: int) -> Pruned:
    """All before seal `to`, pruned."""
    gone = await pruner(sealed).prune(ADMIN, await moment_of(sealed, to), really=True)
    assert gone is not None
    return gone


async def counts(sealed: Sealed) -> tuple[int, int]:
    (row,) = await sealed.sql(
        "select (select count(*) from audit where act = 'read') as rows, (select count(*) from audit_seals) as seals"
    )
    return row["rows"], row["seals"]


async def test_a_dry_run_tells_and_changes_nothing(sealed: Sealed) -> None:
    await sealed.seconds(5)
    told = await pruner(sealed).prune(ADMIN, await moment_of(sealed, 4), really=False)
    assert told is not None
    assert (told.first_seal, told.seals, told.rows, told.count) == (1, 3, 9, 9)
    assert (told.first_id, told.last_id) == ((await sealed.under(1))[0], (await sealed.under(3))[-1])
    assert await counts(sealed) == (15, 5)


@pytest.mark.parametrize("without", [False, True], ids=["published seals", "the database's own"])
async def test_what_is_left_verifies_and_says_what_went(sealed: Sealed, without: bool) -> None:
    await sealed.seconds(5)
    gone = await pruned(sealed, 4)
    assert await counts(sealed) == (6, 2)
    for left in (2, 3):  # before the act is sealed, and after
        verdict = await sealed.verdict(without=without)
        assert found(verdict) == []
        assert verdict.pruned == gone
        assert verdict.seals == left
        await sealed.seconds(1)
    (act,) = await sealed.sql("select caller, details from audit where act = $1", ACT)
    assert act["caller"] == ADMIN.name
    assert Pruned.verified(orjson.loads(act["details"])[DETAIL], KEYS) == gone


async def test_pruned_again_all_that_went_is_told_of(sealed: Sealed) -> None:
    await sealed.seconds(6)
    await pruned(sealed, 3)
    await sealed.seconds(1)
    later = await pruned(sealed, 5)
    assert (later.first_seal, later.seals, later.rows, later.count) == (3, 4, 6, 12)
    for without in (False, True):
        verdict = await sealed.verdict(without=without)
        assert found(verdict) == []
        assert verdict.pruned == later


async def test_the_last_seal_stays(sealed: Sealed) -> None:
    await sealed.seconds(2)
    everything = datetime.now(UTC)
    assert await pruner(sealed).prune(ADMIN, everything, really=True) is not None
    assert await pruner(sealed).prune(ADMIN, everything, really=True) is None
    assert (await counts(sealed))[1] == 1
    await sealed.seconds(1)
    assert found(await sealed.verdict()) == []


async def test_seals_that_are_gone_without_a_pruning_are_found(sealed: Sealed) -> None:
    await sealed.seconds(6)
    await pruned(sealed, 3)
    for seal in (3, 4):
        await sealed.sql("delete from audit where id = any($1::bigint[])", await sealed.under(seal))
    await sealed.sql("delete from audit_seals where number in (3, 4)")
    assert [(kind, seal) for kind, seal, _ in found(await sealed.verdict())] == [("removed", 1)]
    assert [(kind, seal) for kind, seal, _ in found(await sealed.verdict(without=True))] == [("missing", 5)]


async def test_the_end_is_never_pruned(sealed: Sealed) -> None:
    await sealed.seconds(5)
    await pruned(sealed, 3)
    await sealed.seconds(1)
    await sealed.unseal(5)
    assert ("truncated", 6, ()) in found(await sealed.verdict())


@pytest.mark.parametrize("changed", [{"count": 4}, {"last": line_hash("{}")}, {"seals": 1}, None])
async def test_a_pruning_that_is_not_what_was_pruned_is_found(
    sealed: Sealed, changed: dict[str, Any] | None
) -> None:
    """None: it is right, but for who signed it."""
    await sealed.seconds(5)
    gone = await pruned(sealed, 3)
    text = replace(gone, **changed).signed(PRIVATE) if changed is not None else gone.signed(OTHER)
    await sealed.sql(
        "update audit set details = jsonb_build_object($1::text, $2::text) where act = $3", DETAIL, text, ACT
    )
    assert found(await sealed.verdict()) != []


@pytest.mark.parametrize("by_the_server", [False, True])
async def test_one_that_broke_off_is_ended_by_the_next_or_by_the_server(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, by_the_server: bool
) -> None:
    monkeypatch.setattr(pruning, "_BYTES", 1)
    await sealed.seconds(5)
    remove, pages = Pruner._remove_some, 0

    async def breaking(self: Pruner) -> bool:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise asyncio.CancelledError
        return await remove(self)

    monkeypatch.setattr(Pruner, "_remove_some", breaking)
    with pytest.raises(asyncio.CancelledError):
        await pruned(sealed, 4)
    assert (await counts(sealed))[1] == 4
    for without in (False, True):
        assert found(await sealed.verdict(without=without)) == []
    if by_the_server:
        work = asyncio.create_task(pruner(sealed).forever())

        async def ended() -> bool:
            return (await counts(sealed))[1] == 2

        await until(ended)
        work.cancel()
    else:
        assert await pruner(sealed).prune(ADMIN, await moment_of(sealed, 4), really=True) is None
    assert (await counts(sealed))[1] == 2
    assert found(await sealed.verdict()) == []


async def test_an_index_that_was_not_sealed_prunes_nothing(sealed: Sealed) -> None:
    """It could name rows of any seal."""
    await sealed.seconds(4)
    await sealed.sql(
        "update audit_seals set rows = (select rows from audit_seals where number = 4) where number = 1"
    )
    with pytest.raises(WrongContent):
        await pruned(sealed, 3)
    assert await counts(sealed) == (12, 4)


async def test_only_administrators_prune_and_only_what_is_old(sealed: Sealed) -> None:
    await sealed.seconds(3)
    with pytest.raises(Forbidden):
        await pruner(sealed).prune(USER, datetime.now(UTC), really=True)
    with pytest.raises(BadRequest):
        await pruner(sealed).prune(ADMIN, datetime.now(UTC) + timedelta(days=1), really=True)
    with pytest.raises(BadRequest):
        await pruner(sealed, 30).prune(ADMIN, datetime.now(UTC) - timedelta(days=29), really=True)
    assert await counts(sealed) == (9, 3)


async def test_what_is_older_than_the_setting_goes_by_itself(sealed: Sealed) -> None:
    await sealed.seconds(4)
    await sealed.sql("update audit_seals set at = at - interval '31 days' where number <= 2")

    async def gone() -> bool:
        return await counts(sealed) == (6, 2)

    work = asyncio.create_task(pruner(sealed, 30).forever())
    await until(gone)
    work.cancel()
    await sealed.seconds(1)
    assert found(await sealed.verdict()) == []


async def test_a_node_that_had_not_published_what_was_pruned_sees_no_contradiction(sealed: Sealed) -> None:
    await sealed.seconds(1)
    await (await sealed.sealer("b")).tick()
    await sealed.seconds(4)
    await pruned(sealed, 4)
    with structlog.testing.capture_logs() as logged:
        await (await sealed.sealer("b")).tick()
    assert logged == []


async def test_a_seal_that_cannot_be_read_ends_no_node(sealed: Sealed) -> None:
    """What is run beside the server and dies stops it: whoever owns the database could so stop all nodes."""
    await sealed.seconds(4)
    await sealed.sql("update audit_seals set text = '{}', at = at - interval '31 days' where number <= 2")
    work = asyncio.create_task(pruner(sealed, 30).forever())
    with structlog.testing.capture_logs() as logs:
        await until(lambda: logs or work.done())
    assert not work.done()
    assert [one["log_level"] for one in logs] == ["error"]
    work.cancel()


async def test_what_commits_late_among_pruned_rows_stays_and_is_sealed(sealed: Sealed) -> None:
    """Its id lies among theirs; the seals that went did not name it."""
    async with sealed.database.acquire() as db:
        late = db.transaction()
        await late.start()
        await acts.record(db, [Act(USER, "put")])
        await sealed.seconds(4)
        await pruned(sealed, 3)
        await late.commit()
    (row,) = await sealed.sql("select id from audit where act = 'put'")
    await sealed.seconds(1)
    assert row["id"] in await sealed.under(5)
    for without in (False, True):
        assert found(await sealed.verdict(without=without)) == []
    await sealed.seconds(1)
    await pruned(sealed, 6)
    assert not await sealed.sql("select id from audit where act = 'put'")
    assert found(await sealed.verdict()) == []
