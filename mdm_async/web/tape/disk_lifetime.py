"""How long a staged file is to stay on disk: an ISO 8601 duration."""

import re

from mdm_async.errors import BadRequest

_DURATION = re.compile(
    r"P(?=[0-9T])(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=[0-9])(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,10})S)?)?\Z"
)
_SECONDS = (7 * 86400, 86400, 3600, 60, 1)


def seconds(text: str) -> int:
    """`PT3600S`, `P1D`, `P1DT12H` in seconds. Raises BadRequest; months and years have no length."""
    found = _DURATION.match(text)
    if found is None:
        raise BadRequest(
            "a diskLifetime is no duration of weeks, days, hours, minutes and seconds",
            remedy="write it as ISO 8601 does: P1D, PT12H, PT3600S",
        )
    return sum(int(count) * unit for count, unit in zip(found.groups(), _SECONDS, strict=True) if count)
