"""The de-identified views that this node makes and serves: each is a profile with its pseudonym key."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from mdm_async.catalog import profiles
from mdm_async.catalog.database import Connection
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.dicom.scrub import REVISION, SECURITY_FLOOR
from mdm_async.keys.store import KeyStore
from mdm_async.names import BASIC, IDENTIFIED, View

IDENTIFIED_VERSION = "original"
_FRESH = 0.5
"""Seconds for which what the catalog said is trusted; as long as a warm transfer URL is."""
_BASIC_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Served:
    """A profile in force. `versions` are those of its view that may be served, the newest first."""

    profile: Profile
    key: bytes = field(repr=False)

    @property
    def view(self) -> View:
        return View(self.profile.name)

    @property
    def versions(self) -> tuple[str, ...]:
        digest = self.profile.digest[:16]
        return tuple(f"{digest}.{revision}" for revision in range(REVISION, SECURITY_FLOOR - 1, -1))

    @property
    def version(self) -> str:
        """The version that is made now."""
        return self.versions[0]


class ServedViews:
    """All of them, as the catalog told them last."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._served: dict[View, Served] = {}
        self._known: dict[str, str] = {}
        self._asked = float("-inf")

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def get(self, view: str) -> Served | None:
        return self._served.get(View(view))

    def exists(self, view: str) -> bool:
        return view == IDENTIFIED or view in self._served

    def serves(self, view: str, version: str | None) -> bool:
        """Whether this version of a view may be given out."""
        if view == IDENTIFIED:
            return version == IDENTIFIED_VERSION
        served = self.get(view)
        return served is not None and version in served.versions

    @property
    def versions(self) -> list[str]:
        """Every version of every view that may be served, the newest of each first."""
        return [IDENTIFIED_VERSION, *(version for served in self for version in served.versions)]

    async def refresh(self, db: Connection, *, now: bool = False) -> None:
        """Learn what has changed, if the last look is not recent, or `now`."""
        moment = time.monotonic()
        if not now and moment - self._asked < _FRESH:
            return
        digests = await profiles.digests(db)
        if BASIC not in self._served:
            self._served[BASIC] = Served(basic(), await self._keys.project_key(db, _BASIC_PROJECT))
        if digests != self._known:
            await self._reload(db)
            self._known = digests
        self._asked = moment

    async def _reload(self, db: Connection) -> None:
        served = {BASIC: self._served[BASIC]}
        for stored in await profiles.listing(db):
            profile = parse_profile(stored.source)
            key = await self._keys.project_key(db, profile.project or profile.name)
            served[View(profile.name)] = Served(profile, key)
        self._served = served
