"""`mdm audit show|export|verify|keygen` against a running server."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import orjson
import pytest

from mdm_async.auditing.gazette import Gazette
from mdm_async.auditing.sealing import Sealer
from mdm_async.auditing.signing_key import signing_key
from mdm_async.catalog import installation
from mdm_async.catalog.trail.ledger import LAST
from mdm_async.errors import UnsafeSettings
from mdm_async.settings import load
from tests.auditing.database import UNGUARDED
from tests.cli.conftest import Run
from tests.conftest import Server

Seal = Callable[[], Awaitable[None]]


@pytest.fixture
def audited(run: Run, environment: pytest.MonkeyPatch, own_server: Server) -> Run:
    """`mdm` with a server of the test's own, as its administrator."""
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", own_server.admin_token)
    return run


@pytest.fixture
def seal(own_server: Server) -> Seal:
    """Seals now what the server's own sealer would within a second."""

    async def seal() -> None:
        settings, database = own_server.house.settings, own_server.house.database
        async with database.acquire() as db:
            own = await installation.identity(db)
        with ThreadPoolExecutor(1) as pool:
            gazette = Gazette.of(None, own_server.data)
            sealer = Sealer(database, own, signing_key(settings), gazette, pool)
            while await sql(own_server, "select 1 from audit, audit_sealing where id > upto limit 1"):
                await sealer.tick()
            await sealer.tick()  # what the server's has sealed is published too

    return seal


async def sql(server: Server, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(server.dsn)
    try:
        if not statement.startswith("select"):
            await connection.execute(UNGUARDED)
        return await connection.fetch(statement)
    finally:
        await connection.close()


def against(server: Server) -> list[object]:
    return ["--key", server.data / "audit" / "audit.pub", "--seals", server.data / "audit" / "seals.jsonl"]


async def test_a_trail_is_shown_exported_and_verified(
    audited: Run, own_server: Server, seal: Seal, ct: bytes, tmp_path: Path
) -> None:
    folder = await own_server.directory()
    await own_server.put(f"{folder}/a.dcm", ct)
    await own_server.read(f"{folder}/a.dcm")
    await seal()
    shown = await audited("audit", "show", "--act", "put")
    assert shown.code == 0, shown.err
    assert f"{folder}/a.dcm" in shown.text
    (row,) = (await audited("audit", "show", "--act", "put", "--json")).json
    assert (row["lfn"], row["outcome"]) == (f"{folder}/a.dcm", "success")
    assert (await audited("audit", "show", "--until", "2020-01-01", "--json")).json == []

    await seal()  # of what was shown, so that nothing is sealed while the trail is verified
    verified = await audited("audit", "verify", *against(own_server))
    assert verified.code == 0, verified.text + verified.err
    assert verified.text.startswith("INTACT")
    verdict = (await audited("audit", "verify", *against(own_server), "--json")).json
    assert verdict["intact"]
    assert verdict["rows"] >= 3

    out = tmp_path / "trail.jsonl"
    assert (await audited("audit", "export", "--out", out)).code == 0
    assert folder not in out.read_text()
    lines = [orjson.loads(line) for line in out.read_text().splitlines()]
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["trail", "end"]
    offline = await audited("audit", "verify", "--export", out, *against(own_server))
    assert offline.code == 0, offline.text + offline.err
    assert (await audited("audit", "export", "--out", out)).code == 1
    printed = await audited("audit", "export", "--act", "put")
    assert [orjson.loads(line)["kind"] for line in printed.out.splitlines()] == ["trail", "row", "end"]


async def test_who_read_a_file_is_asked_by_its_name(audited: Run, own_server: Server, ct: bytes) -> None:
    folder = await own_server.directory()
    for name in ("a", "b"):
        await own_server.put(f"{folder}/{name}.dcm", ct)
    rows = (await audited("audit", "show", f"{folder}/a.dcm", "--json")).json
    assert {row["lfn"] for row in rows} == {f"{folder}/a.dcm"}
    assert [row["act"] for row in rows if row["act"] == "put"] == ["put"]
    assert (await audited("audit", "show", f"{folder}/a.dcm", "--act", "no act")).text.startswith("no rows")
    assert (await audited("audit", "show", f"{folder}/none.dcm")).code == 3
    ended = await audited("audit", "show", "--guid", f"{folder}/a.dcm")
    assert (ended.code, "mdm audit show LFN" in ended.err) == (2, True)


async def test_tampering_is_code_65_with_the_second_and_the_row(
    audited: Run, own_server: Server, seal: Seal
) -> None:
    await own_server.directory()
    await seal()
    (row,) = await sql(own_server, "update audit set caller = 'user:b' where act = 'mkdir' returning id")
    ended = await audited("audit", "verify", *against(own_server))
    assert ended.code == 5
    assert "CHANGED (seal " in ended.text
    assert f": {row['id']}\n" in ended.text
    (finding,) = (await audited("audit", "verify", *against(own_server), "--json")).json["findings"]
    assert (finding["kind"], finding["rows"]) == ("changed", [row["id"]])


async def test_what_is_old_is_pruned_after_a_dry_run(audited: Run, own_server: Server, seal: Seal) -> None:
    await own_server.directory()
    await seal()
    await sql(own_server, "update audit_seals set at = '2020-01-01'")
    await own_server.directory()
    await seal()
    assert (await audited("audit", "prune", "--before", "2019-01-01")).text.startswith("nothing")
    told = await audited("audit", "prune", "--before", "2021-01-01")
    assert told.text.startswith("would prune")
    done = (await audited("audit", "prune", "--before", "2021-01-01", "--yes", "--json")).json
    assert done["done"]
    assert f"{done['pruned']['rows']} rows under seals 1 to {done['pruned']['lastSeal']}" in told.text
    await seal()
    ended = await audited("audit", "verify", *against(own_server))
    assert ended.code == 0, ended.text
    assert ended.text.startswith(f"pruned: seals 1 to {done['pruned']['lastSeal']} ")
    verdict = (await audited("audit", "verify", *against(own_server), "--json")).json
    assert verdict["prunedSeals"] == done["pruned"]["lastSeal"]
    assert verdict["prunedRows"] == done["pruned"]["rows"]
    refused = await audited("audit", "prune", "--before", "2999-01-01", "--yes")
    assert refused.code != 0
    assert "future" in refused.err


async def test_a_truncated_trail_is_found_with_the_published_seals_only(
    audited: Run, own_server: Server, seal: Seal, tmp_path: Path
) -> None:
    await own_server.directory()
    await seal()
    kept = tmp_path / "published.jsonl"
    kept.write_bytes((own_server.data / "audit" / "seals.jsonl").read_bytes())
    key = own_server.data / "audit" / "audit.pub"
    await sql(own_server, "truncate audit, audit_seals")
    without = await audited("audit", "verify", "--key", key)
    assert without.code == 0
    assert "without --seals" in without.err
    ended = await audited("audit", "verify", "--key", key, "--seals", kept)
    assert ended.code == 5
    assert "gone from the database" in ended.text


async def test_another_key_does_not_verify(
    audited: Run, own_server: Server, seal: Seal, tmp_path: Path
) -> None:
    await own_server.directory()
    await seal()
    made = await audited("audit", "keygen", tmp_path / "mine", "--json")
    assert made.code == 0
    assert (tmp_path / "mine.key").stat().st_mode & 0o777 == 0o600
    seals = ["--seals", own_server.data / "audit" / "seals.jsonl"]
    assert (await audited("audit", "verify", "--key", tmp_path / "mine.pub", *seals)).code == 5
    both = ["--key", tmp_path / "mine.pub", "--key", own_server.data / "audit" / "audit.pub"]
    assert (await audited("audit", "verify", *both, *seals)).code == 0
    assert (await audited("audit", "verify", "--key", tmp_path / "mine.key", *seals)).code == 2
    assert (await audited("audit", "keygen", tmp_path / "mine")).code == 1


async def test_an_export_that_is_not_whole_or_not_a_trail_is_refused(
    audited: Run, own_server: Server, seal: Seal, tmp_path: Path
) -> None:
    await own_server.directory()
    await seal()
    out, other = tmp_path / "trail.jsonl", tmp_path / "other.jsonl"
    assert (await audited("audit", "export", "--out", out)).code == 0
    lines = out.read_bytes().splitlines(keepends=True)
    key = ["--key", own_server.data / "audit" / "audit.pub"]
    for broken in (b"".join(lines[:-1]), b"", b"[]\n", b"{}\n", b"\xff\n", lines[0] + b'{"kind":"row"}\n'):
        other.write_bytes(broken)
        assert (await audited("audit", "verify", "--export", other, *key)).code == 5, broken
    filtered = tmp_path / "filtered.jsonl"
    assert (await audited("audit", "export", "--act", "mkdir", "--out", filtered)).code == 0
    assert "filtered" in (await audited("audit", "verify", "--export", filtered, *key)).err
    assert (await audited("audit", "export", "--act", "mkdir", "--after", 1)).code == 2
    assert (await audited("audit", "export", "--guid", "no-guid")).code == 2


async def test_verification_goes_on_where_the_last_one_ended(
    audited: Run, own_server: Server, seal: Seal
) -> None:
    await own_server.directory()
    await seal()
    last = (await audited("audit", "verify", *against(own_server), "--json")).json["lastSeal"]
    await own_server.directory()
    await seal()
    later = (await audited("audit", "verify", *against(own_server), "--after", last, "--json")).json
    assert later["intact"]
    assert later["lastSeal"] > last


async def test_only_administrators_read_the_trail(
    audited: Run, own_server: Server, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("BEARER_TOKEN", await own_server.token("drwlxgsi"))
    for command in (("show",), ("export",), ("verify", *against(own_server))):
        if command[0] == "verify":
            signing_key(own_server.house.settings)
            (own_server.data / "audit" / "seals.jsonl").touch()
        assert (await audited("audit", *command)).code == 13
    for cursor in ({"horizon": 9, "seal": 0, "row": 0}, {"horizon": 9, "seal": 0, "row": 0, "loose": True}):
        token = await own_server.token("rl")
        reply = await own_server.call("POST", "/admin/v1/audit/export", token=token, json={"cursor": cursor})
        assert reply.status == 403
    most = {"horizon": LAST, "seal": LAST, "row": LAST}
    for body in ({"cursor": most}, {"cursor": most | {"loose": True}}, {"cursor": most, "act": "put"}):
        reply = await own_server.call(
            "POST", "/admin/v1/audit/export", token=own_server.admin_token, json=body
        )
        assert reply.status == 200


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path, run: Run) -> None:
    await run("audit", "keygen", tmp_path / "mine")
    (tmp_path / "mine.key").chmod(0o644)
    settings = load(overrides={"data": tmp_path / "data", "audit": {"key_file": tmp_path / "mine.key"}})
    with pytest.raises(UnsafeSettings, match="open to others"):
        signing_key(settings)
    (tmp_path / "mine.key").chmod(0o600)
    first = signing_key(settings)
    own = signing_key(load(overrides={"data": tmp_path / "data"}))
    assert first.private_bytes_raw() != own.private_bytes_raw()
    assert (tmp_path / "data" / "audit" / "audit.pub").read_text().count("BEGIN PUBLIC KEY") == 2
    signing_key(settings)
    assert (tmp_path / "data" / "audit" / "audit.pub").read_text().count("BEGIN PUBLIC KEY") == 2
