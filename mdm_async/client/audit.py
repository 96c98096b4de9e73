"""The audit trail as a server tells it."""

from collections.abc import AsyncIterator
from typing import Final

from mdm_async.client.answers import Json
from mdm_async.client.wire import Wire

_EXPORT: Final = "admin/v1/audit/export"


class Audit:
    """The operations on the trail. Filters: `since`, `until` (ISO, with a zone), `caller`, `guid`, `act`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def last(self, count: int, **filters: str) -> list[Json]:
        """The last rows, oldest first, with `time` and `lfn` for people."""
        answer = await self._wire.operate(
            "POST", "admin/v1/audit/show", {"last": count, **filters}, repeat=True
        )
        return list(answer["rows"])

    async def pages(self, *, after: int | None = None, **filters: str) -> AsyncIterator[list[Json]]:
        """The trail's lines in order, page by page, each page as it is asked for.

        The first line (`kind`: trail) is about the whole: `installation`, `horizon`, `now`, `filtered`. A `seal` comes
        before each `row` that bears its number, rows without one at last. `after`: of later seals only.
        """
        asked: Json = {**filters, "after": after}
        while True:
            answer = await self._wire.operate("POST", _EXPORT, asked, repeat=True)
            yield list(answer["lines"])
            if answer["cursor"] is None:
                return
            asked = {**filters, "cursor": answer["cursor"]}
