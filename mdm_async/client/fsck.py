"""What the server found when it compared its stored ciphertext with its catalog, and when it opened all of it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Self

from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire


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


@dataclass(frozen=True, slots=True)
class Damage:
    """What of an image does not open, or is not what it was: of `kind` keys, record or part, `what` in words.

    `view`: whose it is, None where all of the image's are meant; `part` and its `blob`, of bytes; `found`: since when
    it is known, where it was known before.
    """

    kind: str
    what: str
    view: str | None
    part: str | None
    blob: str | None
    found: str | None


@dataclass(frozen=True, slots=True)
class Damaged:
    """An image, by its GUID, some of the names that lead to it, and whether all of it was mended, or soon will be."""

    image: str
    names: tuple[str, ...]
    damage: tuple[Damage, ...]
    repaired: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """So many `images` were looked into, `bytes` of ciphertext; `next`: after which to go on, None: that was all."""

    found: tuple[Damaged, ...]
    images: int
    bytes: int
    next: str | None

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(tuple(map(_damaged, told["found"])), told["images"], told["bytes"], told["next"])


@dataclass(frozen=True, slots=True)
class Known:
    """What deep checks have found and nobody has mended; of the one that goes on by itself, since when it does, when it
    was through (None: it is not), and which `share` (0 to 1) of all images it has looked at."""

    found: tuple[Damaged, ...]
    begun: str
    ended: str | None
    share: float


def _damaged(told: Json) -> Damaged:
    damage = (
        Damage(one["kind"], one["what"], one["view"], one["part"], one["blob"], one["found"])
        for one in told["damage"]
    )
    return Damaged(told["image"], tuple(told["names"]), tuple(damage), bool(told["repaired"]))


async def look_into(
    wire: Wire, after: str | None, *, repair: bool, pause: float
) -> AsyncGenerator[Looked, None]:
    """As `Client.look_into`."""
    while True:
        asked = {"repair": repair} | ({"after": after} if after is not None else {})
        looked = Looked.parse(await wire.operate("POST", "admin/v1/fsck/deep", asked, repeat=True))
        yield looked
        if (after := looked.next) is None:
            return
        await asyncio.sleep(pause)


async def known(wire: Wire) -> Known:
    """As `Client.known_damage`."""
    found: list[Damaged] = []
    after: str | None = None
    while True:
        asked = {"after": after} if after is not None else {}
        told = await wire.operate("POST", "admin/v1/fsck/known", asked, repeat=True)
        found += map(_damaged, told["found"])
        if (after := told["next"]) is None:
            check = told["check"]
            return Known(tuple(found), check["begun"], check["ended"], check["share"])
