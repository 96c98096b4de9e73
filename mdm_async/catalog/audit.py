"""The audit trail: who did what to which entry, written in the act's own transaction.

Entries are named by GUID. An LFN, a SURL or anything out of a file never stands here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mdm_async.catalog.database import Connection


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the audit trail."""

    caller: str
    act: str
    outcome: str = "success"
    guid: UUID | None = None
    view: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


async def record(db: Connection, acts: Sequence[Act]) -> None:
    if acts:
        await db.execute(
            "insert into audit (caller, act, outcome, guid, view, details)"
            " select * from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::jsonb[])",
            [a.caller for a in acts],
            [a.act for a in acts],
            [a.outcome for a in acts],
            [a.guid for a in acts],
            [a.view for a in acts],
            [a.details for a in acts],
        )
