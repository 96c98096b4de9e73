"""What nobody foresaw: the log has the kind and the place, and neither it nor the answer what was at hand."""

from typing import NoReturn

import pytest

from mdm_async.postgres.database import Database
from tests.conftest import Server
from tests.web.test_privacy import captured_log

_NAME = "Quirinzebra^Ada"


async def test_a_failures_words_are_neither_logged_nor_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Database) -> NoReturn:
        raise LookupError(f"no such patient: {_NAME}")

    monkeypatch.setattr(Database, "demand_writable", fail)
    with captured_log() as log:
        answer = await server.call("GET", "/health/ready")
    assert answer.status == 500
    assert answer.tree["type"] == "urn:mdm:error:failed"
    assert "LookupError" in log.getvalue()
    assert "test_unexpected.py" in log.getvalue()
    for told in (log.getvalue(), answer.body.decode(), str(answer.headers)):
        assert "Quirin" not in told
