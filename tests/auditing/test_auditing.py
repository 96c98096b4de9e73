"""What is noted before the end of a node is written, sealed and published by its end."""

from pathlib import Path

import orjson
import pytest
import structlog.testing

from mdm_async.audit.keys import parse_public
from mdm_async.audit.seals import is_signed
from mdm_async.auditing.background import auditing
from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.auditing.telling import RowLine
from mdm_async.errors import BadPath, UnsafeSettings
from mdm_async.images.reading.representation import Ending
from mdm_async.settings import load
from mdm_async.watches import Watches
from tests.auditing.database import USER, Sealed
from tests.auditing.test_reads import read


async def test_nothing_noted_is_lost_by_an_orderly_end(sealed: Sealed, tmp_path: Path) -> None:
    settings = load(overrides={"data": tmp_path / "data"})
    refusals, reads = Refusals(sealed.database), Reads(sealed.database)
    async with auditing(settings, sealed.database, sealed.pool, refusals, reads, Watches()):
        async with reads.reading(read(), Ending(), "192.0.2.7") as reading:
            reading.bytes += 5
        refusals.note(BadPath(), USER, "192.0.2.7", "ls")
        refusals.note(BadPath(), None, "192.0.2.7", "ls")
        refusals.note(BadPath(), None, "192.0.2.7", "ls")
    rows = await sealed.sql("select act, outcome from audit order by id")
    assert sorted((row["act"], row["outcome"]) for row in rows) == [
        ("ls", "refused"), ("ls", "refused"), ("read", "begun"), ("read", "success"), ("refusals", "refused"),
    ]  # fmt: skip
    assert [line.seal is not None for line in await sealed.told() if isinstance(line, RowLine)][:5] == [
        True
    ] * 5
    keys = parse_public([(settings.data / "audit" / "audit.pub").read_text()])
    lines = (settings.data / "audit" / "seals.jsonl").read_text().splitlines()
    assert all(is_signed(line, keys) for line in lines)
    assert sum(orjson.loads(line)["count"] for line in lines) == 5


async def test_without_a_usable_key_nothing_begins(sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "a.key").write_text("no key")
    (tmp_path / "a.key").chmod(0o600)
    settings = load(overrides={"data": tmp_path / "data", "audit": {"key_file": tmp_path / "a.key"}})
    refusals, reads = Refusals(sealed.database), Reads(sealed.database)
    with structlog.testing.capture_logs(), pytest.raises(UnsafeSettings, match="not an Ed25519"):
        async with auditing(settings, sealed.database, sealed.pool, refusals, reads, Watches()):
            pass
