"""A research project's own names for images of others: made, and whose pseudonym stands in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mdm_async.client.one_or_many import Outcome
from mdm_async.client.side_by_side import Meter
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.names import Lfn, parse_lfn

BATCH: Final = 1000
"""Files named in one request."""


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry of the project."""

    source: str
    lfn: Lfn
    guid: str


async def link(
    wire: Wire, sources: Sequence[str], target: str, *, view: str, template: str | None, meter: Meter | None
) -> list[Outcome[Linked]]:
    """See `Client.link`; the meter counts files, not bytes."""
    outcomes: list[Outcome[Linked]] = []
    gauge = meter.begin(target, len(sources)) if meter else None
    for start in range(0, len(sources), BATCH):
        asked: Json = {"surls": list(sources[start : start + BATCH]), "target": target, "view": view}
        if template is not None:
            asked["template"] = template
        answer = Reply(await wire.operate("POST", "admin/v1/link", asked, repeat=True))
        outcomes += [
            Outcome(
                file["surl"],
                None if error else Linked(file["surl"], parse_lfn(file["lfn"]), file["guid"]),
                error,
            )
            for file, error in answer.files()
        ]
        if gauge:
            gauge(len(outcomes) - start)
    if gauge:
        gauge.end(None)
    return outcomes


async def look_up(wire: Wire, pseudonym: str) -> list[Json]:
    """Whose pseudonym it is: `attribute`, `original` and `view` of each match. NotFound, also if one may not know."""
    found = await wire.operate("POST", "admin/v1/pseudonyms/lookup", {"pseudonym": pseudonym}, repeat=True)
    return list(found["matches"])
