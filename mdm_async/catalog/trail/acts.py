"""The audit trail: who did what to which entry, written in the act's own transaction.

Entries are named by GUID. An LFN, a SURL or anything out of a file never stands here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mdm_async.names import Caller
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the audit trail: who did what, to which entry in which view, and what came of it."""

    caller: Caller
    act: str
    outcome: str = "success"
    guid: UUID | None = None
    view: str | None = None
    bytes: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


def insertion(first: int = 1) -> str:
    """The statement that writes acts; its parameters begin at `$first`, and `arguments` gives them."""
    types = ("text", "text", "text", "text", "uuid", "text", "bigint", "jsonb")
    told = ", ".join(f"${first + i}::{kind}[]" for i, kind in enumerate(types))
    return (
        "insert into audit (caller, source, act, outcome, guid, view, bytes, details)"
        f" select * from unnest({told})"
    )


def arguments(acts: Sequence[Act]) -> list[list[Any]]:
    return [
        [a.caller.name for a in acts],
        [a.caller.source or None for a in acts],
        [a.act for a in acts],
        [a.outcome for a in acts],
        [a.guid for a in acts],
        [a.view for a in acts],
        [a.bytes for a in acts],
        [_details(a) for a in acts],
    ]


def _details(act: Act) -> dict[str, Any]:
    """With the macaroon that it was done by, if any: its bearer may be another than its maker, whose name is told."""
    shown = act.caller.macaroon
    return act.details if shown is None else {"by macaroon": str(shown)} | act.details


async def record(db: Connection, acts: Sequence[Act]) -> None:
    """Write acts in the transaction that does them."""
    if acts:
        await db.execute(_RECORD, *arguments(acts))


_RECORD = insertion()
