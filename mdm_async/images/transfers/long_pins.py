"""How long pins of the cache live: longer than usual only within their caller's share of the quota.

So the rest of it is free of pins after the usual time, for whoever waits for room. It is decided when a pin is made or
extended, and told; none is cut later.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.grants import long_pins
from mdm_async.images.transfers.cache import Cache
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Lives:
    """Seconds that pins live: `asked`, unless it is more than `usual` and the cache has the image; then so for `kept`
    ones only, of so many bytes.
    """

    asked: float
    usual: float
    cached: Mapping[UUID, int]
    kept: Mapping[UUID, int]

    def of(self, image: UUID | None) -> float:
        return self.usual if image in self.cached and image not in self.kept else self.asked

    def keeps(self, image: UUID | None) -> int | None:
        return self.kept.get(image) if image is not None else None


async def lives(
    db: Connection, cache: Cache | None, keeper: str, images: Iterable[UUID], asked: float
) -> Lives:
    """Of pins of these images, once for each; in the transaction that makes them, after the images are held."""
    everyone = Lives(asked, asked, {}, {})
    if cache is None or cache.settings.quota is None or asked <= cache.usual_pin:
        return everyone
    pins = Counter(images)
    cached = await long_pins.sizes(db, pins)
    if not cached:
        return everyone
    held = await long_pins.kept(db, keeper)
    left = int((cache.settings.quota - held.others) * cache.share) - held.mine
    kept: dict[UUID, int] = {}
    for image, size in cached.items():
        if pins[image] * size <= left:
            left -= pins[image] * size
            kept[image] = size
    return Lives(asked, cache.usual_pin, cached, kept)
