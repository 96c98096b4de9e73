"""What verification says: each thing that is not as it was sealed, and what could not be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mdm_async.audit.pruned import Pruned

Kind = Literal[
    "changed", "removed", "inserted", "altered", "truncated", "missing", "forged", "reordered", "damaged"
]
"""`altered`: rows of a seal differ, but it cannot be told how. `truncated`: seals and rows at the end that the
database no longer has. `missing`: seals that neither it nor the published ones have."""

_MOST: Final = 1000
_IDS: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One discrepancy. `second`: when the seal was made (UTC); `rows`: ids, the first hundred."""

    kind: Kind
    seal: int | None
    second: str | None
    what: str
    rows: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "seal": self.seal,
            "second": self.second,
            "what": self.what,
            "rows": self.rows,
        }


@dataclass(slots=True)
class Verdict:
    """Of a whole trail."""

    rows: int = 0
    """Sealed rows that were looked at."""
    seals: int = 0
    last: int | None = None
    """The number of the last seal."""
    until: str | None = None
    """The time of the last seal."""
    unpublished: int = 0
    """Seals that the database has and the published ones lack."""
    later: int = 0
    """Seals that were published after the trail was told."""
    unsealed: int = 0
    overdue: int = 0
    """Unsealed rows that are older than sealing should take."""
    pruned: Pruned | None = None
    """What was pruned, by who signs seals."""
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Findings beyond the first thousand."""

    def find(
        self, kind: Kind, seal: int | None, second: str | None, what: str, rows: Sequence[int] = ()
    ) -> None:
        if len(self.findings) < _MOST:
            self.findings.append(Finding(kind, seal, second, what, tuple(rows[:_IDS])))
        else:
            self.more += 1

    @property
    def is_intact(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        return {
            "intact": self.is_intact,
            "rows": self.rows,
            "seals": self.seals,
            "lastSeal": self.last,
            "sealedUntil": self.until,
            "unpublishedSeals": self.unpublished,
            "laterSeals": self.later,
            "unsealedRows": self.unsealed,
            "overdueRows": self.overdue,
            "prunedSeals": self.pruned.seals if self.pruned is not None else 0,
            "prunedRows": self.pruned.count if self.pruned is not None else 0,
            "findings": [finding.as_json() for finding in self.findings],
            "moreFindings": self.more,
        }
