"""Linking many files: a thousand are asked for at once, and each file's outcome is its own."""

from typing import Any

import pytest

from mdm_async.client import Client, linking
from mdm_async.errors import NotFound
from tests.conftest import Server


async def test_a_thousand_are_asked_for_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    target = await server.directory()
    sources = [f"{target}/none-such-{number}" for number in range(2500)]
    asked: list[int] = []
    async with Client(server.url, token=server.admin_token) as mdm:
        operate = mdm.wire.operate

        async def noted(method: str, path: str, body: dict[str, Any], **options: Any) -> Any:
            asked.append(len(body["surls"]))
            return await operate(method, path, body, **options)

        monkeypatch.setattr(mdm.wire, "operate", noted)
        outcomes = await linking.link(mdm.wire, sources, target, view="basic", template=None, meter=None)
    assert asked == [1000, 1000, 500]
    assert [outcome.name for outcome in outcomes] == sources
    assert all(isinstance(outcome.error, NotFound) for outcome in outcomes)
