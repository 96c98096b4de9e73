"""Which rows of the audit trail: options that its commands share."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from mdm_async.errors import BadRequest

_FORMS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]

Since = Annotated[datetime | None, typer.Option(formats=_FORMS, help="From then on (UTC).")]
Until = Annotated[datetime | None, typer.Option(formats=_FORMS, help="Before then (UTC).")]
By = Annotated[
    str | None, typer.Option("--by", metavar="PRINCIPAL", help="Of this caller, as user:worker-7.")
]
Guid = Annotated[
    str | None, typer.Option(help="Of this entry, also after it was removed; `mdm stat` tells it.")
]
Act = Annotated[str | None, typer.Option(help="Of this act, as read, put, rm.")]


def filters(
    since: datetime | None, until: datetime | None, by: str | None, guid: str | None, act: str | None
) -> dict[str, str]:
    """What was given, as the server takes it."""
    if guid is not None and not _is_guid(guid):
        raise BadRequest(f"--guid {guid} is no GUID", remedy="`mdm audit show LFN` takes a file's name")
    given = {"since": _utc(since), "until": _utc(until), "caller": by, "guid": guid, "act": act}
    return {name: value for name, value in given.items() if value is not None}


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _utc(time: datetime | None) -> str | None:
    return time.replace(tzinfo=UTC).isoformat() if time is not None else None
