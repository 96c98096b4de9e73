"""Each kind of caller tries each operation of each face on what it must not reach: nothing is told, nothing changes."""

from typing import Any

import pytest

from mdm_async.web.srm.operations import OPERATIONS
from tests.attack.arena import Arena
from tests.attack.faces import EVERY, FIRST, ROUTES, SRM, Attack
from tests.attack.principals import Principal
from tests.conftest import Reply
from tests.faults.conditions import until

MANY_WAYS = ("anonymous", "colleague", "narrow", "limited")
IN_SHORT = (
    "capability", "group", "mapped", "project", "certificate", "voms", "revoked", "expired", "forged",
)  # fmt: skip
AIMS = ("veiled", "inner", "other")


async def test_every_operation_of_srm_is_attacked() -> None:
    assert set(SRM) == set(OPERATIONS)


async def test_every_route_is_attacked(arena: Arena) -> None:
    from mdm_async.web.application import application

    app = application(arena.server.house)
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }
    assert found == set(ROUTES)


async def all_written(arena: Arena) -> None:
    await until(lambda: not arena.server.house.refusals._queue)


async def rows_since(arena: Arena, mark: int) -> list[dict[str, Any]]:
    """What the audit has got since, all of it written."""
    await all_written(arena)
    async with arena.server.house.database.acquire() as db:
        return [
            dict(row)
            for row in await db.fetch(
                "select id, caller, outcome, act, guid, details from audit where id > $1 order by id", mark
            )
        ]


async def last_row(arena: Arena) -> int:
    async with arena.server.house.database.acquire() as db:
        return int(await db.fetchval("select coalesce(max(id), 0) from audit"))


@pytest.mark.parametrize(
    ("kind", "attack"),
    [(kind, attack) for kind in MANY_WAYS for attack in EVERY]
    + [(kind, attack) for kind in IN_SHORT for attack in FIRST],
    ids=str,
)
async def test_nothing_is_told_and_nothing_changes(arena: Arena, kind: str, attack: Attack) -> None:
    principal = arena.principals[kind]
    await all_written(arena)
    before, mark = await arena.state(), await last_row(arena)
    # Who shows no good credential is told so, whatever they ask about.
    for name in AIMS if principal.name is not None else AIMS[:1]:
        hidden, free = arena.aims[name]
        answers = [await attack.by(principal, arena.server, aim) for aim in (hidden, free)]
        told = [aim.told(answer) for aim, answer in zip((hidden, free), answers, strict=True)]
        for answer, text in zip(answers, told, strict=True):
            _refused(principal, attack, answer)
            assert arena.leaks(text) == [], name
        if "metrics" not in attack.what:
            assert told[0] == told[1], f"{name}: the hidden differs from the missing"
    assert await arena.state() == before, "something has changed"
    if attack.judged and principal.name not in (None, "any:anonymous"):
        _in_the_audit(principal, await rows_since(arena, mark))


def _refused(principal: Principal, attack: Attack, answer: Reply) -> None:
    if attack.told and (principal.name is not None or attack.is_public):
        return
    if principal.kind == "colleague" and answer.status == 200:
        return
    if attack.soap is not None and answer.status == 200:
        assert b"SRM_SUCCESS" not in answer.body, answer.body
        return
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    if principal.name is None and not attack.is_public:
        assert answer.status == 401


def _in_the_audit(principal: Principal, rows: list[dict[str, Any]]) -> None:
    """At least what is hidden; a name that is not there may be missing to everyone."""
    refused = [row for row in rows if row["outcome"] == "refused" and row["act"] != "refusals"]
    assert len(refused) >= len(AIMS), rows
    for row in refused:
        assert row["caller"] == principal.name
        assert row["details"].get("principal", principal.name) == principal.name
        assert "right" in row["details"] or "detail" in row["details"]
