"""What is told of entries beside what a listing knows: their locks, and the properties that clients keep with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from mdm_async.images.names.listing import Detail
from mdm_async.images.names.locking import Held
from mdm_async.images.names.properties import Name
from mdm_async.web.dav import lock_xml
from mdm_async.web.dav.asked import Asked
from mdm_async.web.dav.properties import DAV, OURS, Property
from mdm_async.web.dav.wanted import Wanted

_DISCOVERY: Final = Property(DAV, "lockdiscovery")
_SUPPORTED: Final = Property(DAV, "supportedlock")


@dataclass(frozen=True, slots=True)
class Beside:
    """Of some entries, by their ids. What was not asked for was not looked up."""

    locks: Mapping[int, Sequence[Held]]
    dead: Mapping[int, Mapping[Name, str]]

    @classmethod
    async def of(cls, asked: Asked, wanted: Wanted, told: Sequence[Detail]) -> Self:
        names, house = wanted.names, asked.house
        entries = [one.entry for one in told]
        locks: dict[int, Sequence[Held]] = {}
        dead: Mapping[int, Mapping[Name, str]] = {}
        if names is None or _DISCOVERY in names:
            places = [(one.parent or 0, one.name) for one in entries]
            found = await house.locking.discovered(asked.caller, places)
            locks = {entry.id: held for entry, held in zip(entries, found, strict=True)}
        if names is None or any(name.namespace not in OURS for name in names):
            dead = await house.dead_properties.of_entries([one.id for one in entries])
        return cls(locks, dead)

    @property
    def size(self) -> int:
        """Characters that clients keep with these entries."""
        return sum(len(value) for known in self.dead.values() for value in known.values())

    def properties(self, href: str, detail: Detail) -> dict[Property, str]:
        """`href`: where the entry is, for locks of its own."""
        own = detail.entry
        found = {Property(*name): value for name, value in self.dead.get(own.id, {}).items()}
        found[_SUPPORTED] = lock_xml.SUPPORTED
        if own.id in self.locks:
            here = (own.parent or 0, own.name)
            found[_DISCOVERY] = lock_xml.discovery(
                [
                    (one, href if (one.lock.parent, one.lock.name) == here else None)
                    for one in self.locks[own.id]
                ]
            )
        return found
