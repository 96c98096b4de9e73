"""Hours of a day: over midnight, by the clock of a place, and when it is put forward or back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mdm_async.hours import Hours

NIGHT = Hours.parse("18:00-06:00", ZoneInfo("UTC"))
BERLIN = Hours.parse("22:00-04:00", ZoneInfo("Europe/Berlin"))
HOUR = 3600


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "closed"),
    [
        (NIGHT, "2026-03-01 17:59:30", 30),
        (NIGHT, "2026-03-01 18:00", 0),
        (NIGHT, "2026-03-02 00:00", 0),
        (NIGHT, "2026-03-02 05:59:59", 0),
        (NIGHT, "2026-03-02 06:00", 12 * HOUR),
        (Hours.parse("09:30-17:00", ZoneInfo("UTC")), "2026-03-02 17:00", 16.5 * HOUR),
        (Hours.parse("09:30-17:00", ZoneInfo("UTC")), "2026-03-02 09:30", 0),
        (BERLIN, "2026-07-01 19:00", HOUR),
        (BERLIN, "2026-01-01 19:00", 2 * HOUR),
        # The clock is put forward at 01:00 UTC: 04:00 is an hour earlier.
        (BERLIN, "2026-03-29 01:59:59", 0),
        (BERLIN, "2026-03-29 02:00", 18 * HOUR),
    ],
)
def test_how_long_they_are_waited_for(hours: Hours, now: str, closed: float) -> None:
    assert hours.closed(at(now)) == closed


@pytest.mark.parametrize(
    ("now", "work", "done"),
    [
        ("2026-03-01 20:00", HOUR, HOUR),
        ("2026-03-01 12:00", HOUR, 7 * HOUR),
        ("2026-03-02 05:00", 2 * HOUR, 14 * HOUR),
        ("2026-03-01 18:00", 25 * HOUR, 49 * HOUR),
    ],
)
def test_work_rests_outside_of_them(now: str, work: float, done: float) -> None:
    assert NIGHT.done(at(now), work) == done


def test_the_servers_own_clock_is_meant_where_no_place_is_named() -> None:
    noon = datetime(2026, 3, 1, 12).timestamp()
    assert Hours.parse("12:30-13:00").closed(noon) == HOUR / 2


@pytest.mark.parametrize("text", ["", "18-06", "18:00-18:00", "24:00-06:00", "18:00-06:60", "18:00-06:00 "])
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="18:00-06:00"):
        Hours.parse(text)
