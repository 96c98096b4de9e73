"""The audit trail as a server tells it."""

from collections.abc import AsyncGenerator
from typing import Final

from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_EXPORT: Final = "admin/v1/audit/export"


class Audit:
    """`mdm.audit`. Filters: `since`, `until` (ISO, with a zone), `caller`, `guid`, `act`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def last(
        self,
        count: int,
        *,
        since: str | None = None,
        until: str | None = None,
        caller: str | None = None,
        guid: str | None = None,
        act: str | None = None,
    ) -> list[Json]:
        """The last rows, oldest first, with `time` and `lfn` for people."""
        asked = {"last": count, **_given(since=since, until=until, caller=caller, guid=guid, act=act)}
        return list((await self._wire.operate("POST", "admin/v1/audit/show", asked, repeat=True))["rows"])

    async def pages(
        self,
        *,
        after: int | None = None,
        since: str | None = None,
        until: str | None = None,
        caller: str | None = None,
        guid: str | None = None,
        act: str | None = None,
    ) -> AsyncGenerator[list[Json], None]:
        """The trail's lines in order, page by page, each page as it is asked for.

        The first line (`kind`: trail) is about the whole: `installation`, `horizon`, `now`, `filtered`. A `seal` comes
        before each `row` that bears its number, rows without one at last. `after`: of later seals only.
        """
        filters = _given(since=since, until=until, caller=caller, guid=guid, act=act)
        asked: Json = {**filters, "after": after}
        while True:
            answer = await self._wire.operate("POST", _EXPORT, asked, repeat=True)
            yield list(answer["lines"])
            if answer["cursor"] is None:
                return
            asked = {**filters, "cursor": answer["cursor"]}

    async def prune(self, before: str, *, really: bool = False) -> Json | None:
        """What was sealed before a time (ISO, with a zone): seals, rows, ids; None: nothing. It goes if `really`."""
        asked: Json = {"before": before, "really": really}
        found: Json | None = (await self._wire.operate("POST", "admin/v1/audit/prune", asked, repeat=True))[
            "pruned"
        ]
        return found


def _given(**filters: str | None) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value is not None}
