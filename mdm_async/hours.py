"""Hours of each day in which something may be done, by the clock on a wall."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z", re.ASCII)
_LOOKED_AHEAD: Final = 60
"""Days; work that takes longer is not estimated any better."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` until `end`, which may be the next day's, by the clock of `zone`; None: the server's own."""

    begin: time
    end: time
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo | None = None) -> Self:
        """As "18:00-06:00". Raises ValueError."""
        found = _HOURS.match(text)
        if found is None or found.groups()[:2] == found.groups()[2:]:
            raise ValueError(f"{text!r} are no hours of a day: write 18:00-06:00")
        first, second, third, fourth = map(int, found.groups())
        return cls(time(first, second), time(third, fourth), zone)

    def __str__(self) -> str:
        where = f" ({self.zone})" if self.zone is not None else ""
        return f"{self.begin:%H:%M}-{self.end:%H:%M}{where}"

    def closed(self, now: float) -> float:
        """Seconds until they begin; 0 within them. Times as `time.time` has them."""
        at = self._wall(now).time()
        within = self.begin <= at < self.end if self.begin < self.end else at >= self.begin or at < self.end
        return 0.0 if within else self._next(self.begin, now) - now

    def done(self, now: float, seconds: float) -> float:
        """In how many seconds so many seconds of work are done that rests outside of these hours."""
        at = now
        for _ in range(_LOOKED_AHEAD):
            at += self.closed(at)
            left = self._next(self.end, at) - at
            if seconds <= left:
                break
            at, seconds = at + left, seconds - left
        return at + seconds - now

    def _wall(self, now: float) -> datetime:
        return datetime.fromtimestamp(now, self.zone)

    def _next(self, at: time, now: float) -> float:
        """When the clock shows this time next, after now."""
        today = self._wall(now).date()
        for day in (today, today + timedelta(1), today + timedelta(2)):
            # Without a zone it is a time of the server's own, whatever the clock is set to by then.
            when = datetime.combine(day, at, self.zone).timestamp()
            if when > now:
                return when
        raise AssertionError(at)
