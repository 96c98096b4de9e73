"""Transfers at once, both ways, through one gate."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import TooManyRequests
from mdm_async.images.reading.representation import Ending
from mdm_async.images.transfers.admission import Admission
from mdm_async.names import ANONYMOUS, Payer
from tests.conftest import running_server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.raw import connected

ALICE, BOB = Payer("user:alice", "one"), Payer("user:bob", "one")


def nothing() -> None:
    pass


def test_a_caller_with_all_that_he_may_have_is_refused_at_once_and_another_is_not() -> None:
    admission = Admission(4, 0.5)
    with admission.sending(ALICE, Ending(), nothing):
        with pytest.raises(TooManyRequests) as refused, admission.sending(ALICE, Ending(), nothing):
            pass
        assert refused.value.retry_after
        with admission.sending(BOB, Ending(), nothing):
            assert [near.used for near in admission.near()] == [2]
    assert [near.used for near in admission.near()] == [0]


async def test_an_upload_takes_a_slot_and_needs_one(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, transfers={"running": 1}) as server:
        await server.put("/a.dcm", made())
        url = (await server.prepare("/a.dcm"))["transferURL"]
        prepared = await server.srm("prepareToPut", files=[{"surl": "/b.dcm"}])
        path = prepared["files"][0]["transferURL"].removeprefix(server.url)
        expecting = f"PUT {path} HTTP/1.1\nHost: localhost\nContent-Length: 10\nExpect: 100-continue"
        with server.house.admission.sending(ANONYMOUS.payer, Ending(), nothing):
            async with connected(server) as line:
                await line.send(expecting)
                assert (await line.answer())[0] == 429
            refused = await server.call("PUT", path, data=made())
            assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
        async with connected(server) as line:
            await line.send(expecting)
            assert (await line.head())[0] == 100
            assert (await server.call("GET", url)).status == 429
        await until(lambda: not any(near.used for near in server.house.admission.near()))
        await server.get(url)


async def test_what_has_ended_is_waited_for_no_more_and_cut_no_more() -> None:
    """The same file may come twice at once."""
    admission, cut = Admission(64, 0.5), list[str]()
    grant = cast("Grant", SimpleNamespace(turl=b"t"))
    with admission.taking(ALICE, grant, lambda: cut.append("first")):
        with pytest.raises(LookupError), admission.taking(ALICE, grant, lambda: cut.append("second")):
            raise LookupError
        admission.receiving[b"t"].cut()
    assert cut == ["first"]
    assert admission.receiving == {}
    async with asyncio.timeout(PATIENCE):
        await admission.idle()
