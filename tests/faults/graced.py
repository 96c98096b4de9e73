"""A server that reaches its database through a proxy, and the grace for which its transfers go on without it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdm_async import app
from mdm_async.images.transfers.watch import TurlWatch
from tests.conftest import Server, running_server
from tests.faults.database_proxy import DatabaseProxy, proxied
from tests.patience import PATIENT


@dataclass
class Behind:
    server: Server
    proxy: DatabaseProxy
    _watch: TurlWatch

    def end_grace(self) -> None:
        """As if `transfers.revocation_grace`, which is long, were over."""
        self._watch.grace = 0.0

    def restore(self) -> None:
        self._watch.grace = PATIENT["transfers"]["revocation_grace"]
        self.proxy.restore()


@asynccontextmanager
async def behind_a_proxy(data: Path, dsn: str, **sections: dict[str, Any]) -> AsyncIterator[Behind]:
    watches: list[TurlWatch] = []

    def noted(*arguments: Any) -> TurlWatch:
        watches.append(TurlWatch(*arguments))
        return watches[0]

    async with proxied(dsn) as proxy:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, "TurlWatch", noted)
            async with running_server(data, proxy.dsn, **sections) as server:
                yield Behind(server, proxy, watches[0])
