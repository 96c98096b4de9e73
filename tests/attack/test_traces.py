"""What all these attacks have left where others look: the log, the metrics, the audit, the disk. It runs last."""

import re

from tests.attack.arena import NAMES, RECIPIENT, Arena
from tests.web.test_privacy import FORMED_BY_NAMES, MARKERS, Spy

TYPED = (*NAMES, "plain.dcm", "own.dcm", "uploaded.dcm", "stolen", "absentlfn", "vacatlfnx")


def tokens(arena: Arena) -> set[str]:
    """Bearer tokens and transfer URLs; a secret may be told to its owner, but is kept nowhere."""
    found = {secret.removesuffix("/image.dcm") for secret in arena.secrets}
    return {
        one
        for one in found
        if re.fullmatch(r"[\w.-]{40,}", one) and not re.fullmatch(r"[0-9a-f]{64}|[0-9.]+", one)
    }


async def afresh(arena: Arena) -> None:
    """So that there is something to find when these run alone."""
    for who in arena.principals.values():
        await who.srm(arena.server, "ls", surls=["/otherlfnx", "/seen/veiledlfn.dcm"])
        await who.srm(arena.server, "prepareToGet", files=[{"surl": "/seen/plain.dcm"}], recipient=RECIPIENT)


async def test_the_log_holds_no_name_no_token_and_nobodys_data(arena: Arena) -> None:
    await afresh(arena)
    log = arena.log.getvalue()
    assert log
    assert [text for text in (*TYPED, *MARKERS) if text.lower() in log.lower()] == []
    assert [text for text in tokens(arena) if text in log] == []


async def test_the_metrics_hold_no_name_no_token_and_nobodys_data(arena: Arena) -> None:
    await afresh(arena)
    text = (await arena.server.call("GET", "/metrics")).body.decode()
    assert [one for one in (*TYPED, *MARKERS, *tokens(arena), "user:", "dn:", "sub:") if one in text] == []


async def test_the_audit_holds_no_name_no_token_and_nobodys_data(arena: Arena) -> None:
    await afresh(arena)
    async with arena.server.house.database.acquire() as db:
        rows = await db.fetch("select row_to_json(a)::text as told from audit a")
    told = "\n".join(row["told"] for row in rows)
    assert len(rows) > 20
    assert [text for text in (*TYPED, *MARKERS) if text in told] == []
    assert [text for text in tokens(arena) if text in told] == []


async def test_the_database_holds_no_token_and_nobodys_data(arena: Arena) -> None:
    await afresh(arena)
    kept = tokens(arena)
    assert len(kept) > 10
    async for table, column, value in Spy(arena.server, arena.log).database():
        text = value.decode("latin-1")
        assert not [one for one in kept if one in text], (table, column)
        if (table, column) not in FORMED_BY_NAMES:
            assert not [marker for marker in MARKERS if marker in text], (table, column)


async def test_the_disk_holds_no_name_no_token_and_nobodys_data(arena: Arena) -> None:
    kept = [*tokens(arena), *TYPED, *MARKERS]
    for path in arena.server.data.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            data = path.read_bytes().decode("latin-1")
            assert not [one for one in kept if one in data or one in str(path)], path
