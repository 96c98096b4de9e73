"""What the server found when it compared its stored ciphertext with its catalog."""

from dataclasses import dataclass
from typing import Self

from mdm_async.client.told_errors import Json


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: str
    blob: str
    image: str | None
    repaired: bool


@dataclass(frozen=True, slots=True)
class FsckReport:
    """`bytes` of ciphertext in so many `blobs`, and what is wrong with them."""

    findings: tuple[Finding, ...]
    blobs: int
    bytes: int
    more: int = 0
    """Findings that are not listed: the server lists the first."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        findings = (
            Finding(one["kind"], one["blob"], one.get("image"), bool(one.get("repaired")))
            for one in told["findings"]
        )
        return cls(tuple(findings), told["blobs"], told["bytes"], told.get("more", 0))
