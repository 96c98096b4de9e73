"""Trails made by hand: rows, seals over them, and what verification says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit import seals
from mdm_async.audit.findings import Verdict
from mdm_async.audit.keys import key_id
from mdm_async.audit.published import read
from mdm_async.audit.rows import Row
from mdm_async.audit.verify import Verifier

SECOND = 1_000_000
START = 1_800_000_000 * SECOND
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
KEYS = {key_id(PRIVATE.public_key()): PRIVATE.public_key()}


def row(number: int, **fields: Any) -> Row:
    made = {
        "id": number,
        "at": START + number,
        "caller": "user:a",
        "act": "read",
        "outcome": "success",
        "guid": None,
        "view": "basic",
        "bytes": 5,
        "source": "192.0.2.1",
        "details": {"requests": number},
    }
    return made | fields


@dataclass
class Trail:
    """What a database holds, and what was published."""

    private: Ed25519PrivateKey = PRIVATE
    rows: list[tuple[int | None, Row]] = field(default_factory=list)
    seals: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)

    def seal(self, rows: Sequence[Row], **fields: Any) -> None:
        number = len(self.published) + 1
        said = {
            "installation": "here",
            "number": number,
            "at": START + number * SECOND,
            "previous": self.published[-1] if self.published else None,
            "private": self.private,
        }
        text, index = seals.make(rows, **(said | fields))
        self.seals[number] = text, index
        self.published.append(text)
        self.rows += [(number, each) for each in rows]

    def verdict(
        self, *, published: Sequence[str] | None = None, without: bool = False, **options: Any
    ) -> Verdict:
        lines = None if without else read(self.published if published is None else published)
        verifier = Verifier(KEYS, lines, **{"now": START + 100 * SECOND, **options})
        first = options.get("after") or -(1 << 63)
        numbers = {number for number, _ in self.rows if number is not None} | self.seals.keys()
        for number in sorted(n for n in numbers if n > first):
            if number in self.seals:
                verifier.seal(number, *self.seals[number])
            for seal, each in sorted(self.rows, key=lambda one: one[1]["id"]):
                if seal == number:
                    verifier.row(each, seal)
        for seal, each in self.rows:
            if seal is None:
                verifier.row(each, None)
        return verifier.end()


def trail(count: int = 5) -> Trail:
    """Seals of three rows each."""
    made = Trail()
    for number in range(count):
        made.seal([row(3 * number + i) for i in range(1, 4)])
    return made


def found(verdict: Verdict) -> list[tuple[str, int | None, tuple[int, ...]]]:
    return [(finding.kind, finding.seal, finding.rows) for finding in verdict.findings]
