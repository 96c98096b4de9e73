"""The metrics as text, made once for all who ask meanwhile: no flood of scrapes holds up the event loop."""

import time

from prometheus_client import generate_latest

from mdm_async.postgres.looks import Looks


class Exposition:
    def __init__(self) -> None:
        self._looks = Looks(self._make)
        self._text = b""

    async def latest(self) -> bytes:
        """As the metrics stand when this is called, or later."""
        await self._looks.since(time.monotonic())
        return self._text

    async def _make(self) -> None:
        self._text = generate_latest()
