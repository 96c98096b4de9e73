"""How a mirror stands with the node that sends to it: why it is put off, for how long, and how far it is behind."""

from dataclasses import dataclass, field
from typing import Final

import structlog

from mdm_async.catalog.mirrors import changes, mirrors
from mdm_async.catalog.mirrors.changes import Lag
from mdm_async.catalog.mirrors.mirrors import Mirror
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.mirroring import metrics
from mdm_async.images.mirroring.following import caller_of
from mdm_async.postgres.database import Database

_LONGEST_PAUSE: Final = 10.0

_log = structlog.get_logger()


@dataclass(slots=True, repr=False)
class Standing:
    """Of all mirrors of a node."""

    database: Database
    _pauses: dict[str, float] = field(default_factory=dict)

    def take(self, mirror: Mirror) -> None:
        """What was said of it before, maybe by another node, is taken back when it goes on."""
        if mirror.failure is not None:
            self._pauses.setdefault(mirror.name, 0.5)

    async def put_off(self, mirror: Mirror, why: MdmError) -> float:
        """Say why, and for how many seconds: longer each time."""
        if mirror.name not in self._pauses:
            _log.warning("a mirror is put off", mirror=mirror.name, reason=why.detail)
        pause = self._pauses[mirror.name] = min(2 * self._pauses.get(mirror.name, 0.5), _LONGEST_PAUSE)
        async with self.database.acquire() as db:
            await mirrors.failed(db, mirror, why.detail)
            lag = await changes.lag(db, mirror.name)
        self.measure(mirror.name, lag)
        return pause

    async def goes_on(self, mirror: Mirror) -> None:
        """It takes what is sent."""
        if self._pauses.pop(mirror.name, None) is not None:
            async with self.database.acquire() as db:
                await mirrors.failed(db, mirror, None)

    def measure(self, name: str, lag: Lag) -> None:
        metrics.LAG_SECONDS.labels(name).set(lag.seconds)
        metrics.WAITING.labels(name).set(lag.waiting)
        metrics.FAILED.labels(name).set(lag.failed)

    async def fence(self, mirror: Mirror) -> None:
        """It was promoted."""
        async with self.database.transaction() as db:
            if await mirrors.fence(db, mirror):
                await acts.record(db, [Act(caller_of(mirror.name), "mirror fenced")])
        metrics.FENCED.labels(mirror.name).set(1)
        _log.error("a mirror was promoted: this site's directory takes no changes", mirror=mirror.name)
