"""Dates and times moved by whole days: intervals stay exactly, times of day stay (PS3.15 §E.3.6, PS3.5 §6.2)."""

import re
from datetime import date
from typing import Final

_DATE: Final = re.compile(rb"(\d{4})(\.?)(\d\d)\2(\d\d)")
_HOUR, _SIXTY, _SECOND = rb"(?:[01]\d|2[0-3])", rb"[0-5]\d", rb"(?:[0-5]\d|60)(?:\.\d{1,6})?"
_TIME: Final = re.compile(
    rb"%(hour)s(?:%(sixty)s(?:%(second)s)?)?|%(hour)s:%(sixty)s(?::%(second)s)?"
    % {b"hour": _HOUR, b"sixty": _SIXTY, b"second": _SECOND}
)
_DATETIME: Final = re.compile(
    rb"(\d{4})(?:(\d\d)(?:(\d\d)((?:%s(?:%s(?:%s)?)?)?))?)?((?:[+-][01]\d[0-5]\d)?)"
    % (_HOUR, _SIXTY, _SECOND)
)
_MIDYEAR, _MIDMONTH = 7, 15


def shifted(vr: bytes, value: bytes, days: int) -> bytes | None:
    """The values of a DA, DT or TM attribute, `days` earlier, unpadded; None unless every one of them is legal.

    Empty values among several stay empty. Times of day stay as they are; so do fractions of seconds and the offset
    from UTC of a DT. A DT of just a year, or year and month, is moved from its middle. Dates as ACR-NEMA wrote them,
    1997.04.24, keep that form.
    """
    move = {b"DA": _date, b"DT": _datetime, b"TM": _time}[vr]
    moved = []
    for one in bytes(value).split(b"\\"):
        bare = one.strip(b"\0 ")
        new = move(bare, days) if bare else b""
        if new is None:
            return None
        moved.append(new)
    return b"\\".join(moved)


def _date(value: bytes, days: int) -> bytes | None:
    if not (found := _DATE.fullmatch(value)):
        return None
    year, dot, month, day = found.groups()
    moved = _earlier(int(year), int(month), int(day), days)
    if moved is None:
        return None
    return b"%04d%b%02d%b%02d" % (moved.year, dot, moved.month, dot, moved.day)


def _datetime(value: bytes, days: int) -> bytes | None:
    if not (found := _DATETIME.fullmatch(value)):
        return None
    year, month, day, time, zone = found.groups()
    moved = _earlier(int(year), int(month or _MIDYEAR), int(day or _MIDMONTH), days)
    if moved is None:
        return None
    start = b"%04d" % moved.year
    if month:
        start += b"%02d" % moved.month
    if day:
        start += b"%02d" % moved.day
    return start + (time or b"") + zone


def _time(value: bytes, _: int) -> bytes | None:
    return value if _TIME.fullmatch(value) else None


def _earlier(year: int, month: int, day: int, days: int) -> date | None:
    try:
        return date.fromordinal(date(year, month, day).toordinal() - days)
    except ValueError:  # the 31st of February, or before the year 1
        return None
