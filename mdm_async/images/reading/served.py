"""The de-identified views that this node makes and serves: each is a profile with its pseudonym key."""

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import structlog
from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import mappings, profiles
from mdm_async.catalog.holdings.mappings import StoredMapping
from mdm_async.dicom.mapping import Mapping as PatientMapping
from mdm_async.dicom.mapping import digest_of
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.dicom.scrub import REVISION, SECURITY_FLOOR
from mdm_async.errors import BadRequest, Unavailable
from mdm_async.keys.derive import EntryBindings, MappingCipher
from mdm_async.keys.store import KeyStore
from mdm_async.names import BASIC, IDENTIFIED, OPAQUE, View
from mdm_async.postgres.database import Connection, Database

_log = structlog.get_logger()

IDENTIFIED_VERSION = "original"
OPAQUE_VERSION = "opaque"
_AS_STORED = {IDENTIFIED: IDENTIFIED_VERSION, OPAQUE: OPAQUE_VERSION}
"""Views that are what arrived: no profile makes them."""
_FRESH = 0.5
"""Seconds for which what the catalog said is trusted; as long as a warm transfer URL is."""
_PAUSE = 1.0
"""Seconds until what could not be loaded is tried again."""
BASIC_PROJECT = "/basic"
"""Keys the pseudonyms of `basic`. No profile's project has a name like that."""


@dataclass(frozen=True)
class Served:
    """A profile in force. `versions` are those of its view that may be served, the newest first."""

    profile: Profile
    key: bytes = field(repr=False)
    mapping: PatientMapping | None = field(default=None, repr=False, hash=False)
    """Of the profile's project, if the profile uses it and it is set."""

    @property
    def view(self) -> View:
        return View(self.profile.name)

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(f"{self._digest}.{revision}" for revision in range(REVISION, SECURITY_FLOOR - 1, -1))

    @cached_property
    def _digest(self) -> str:
        digest = self.profile.digest
        if self.mapping is not None:
            # Two mappings never meet in one version: their shifts would be mixed.
            digest = hashlib.sha256(f"{digest} {digest_of(self.mapping, self.key)}".encode()).hexdigest()
        return digest[:16]

    @property
    def version(self) -> str:
        """The version that is made now."""
        return self.versions[0]


class ServedViews:
    """All of them, as the catalog told them last."""

    def __init__(self, keys: KeyStore, bindings: EntryBindings) -> None:
        self._keys = keys
        self.bindings = bindings
        """Of the entries through which they are served."""
        self._served: dict[View, Served] = {}
        self._known: dict[str, str] = {}
        self._project_keys: dict[str, bytes | None] = {}
        """None: the key store was asked, and has none."""
        self._opened: dict[StoredMapping, PatientMapping | None] = {}
        """A large one takes a second to read. None: it does not open."""
        self._lacking: set[str] = set()
        self._wanting = asyncio.Event()
        self._asked = float("-inf")
        self.generation = 0
        """It grows with every change taken up."""

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def get(self, view: str) -> Served | None:
        return self._served.get(View(view))

    def exists(self, view: str) -> bool:
        return view in _AS_STORED or view in self._served

    def serves(self, view: str, version: str | None) -> bool:
        """Whether this version of a view may be given out."""
        if view in _AS_STORED:
            return version == _AS_STORED[View(view)]
        served = self.get(view)
        return served is not None and version in served.versions

    @property
    def floor(self) -> int:
        """The revision before which nothing is given out any more."""
        return SECURITY_FLOOR

    def serves_pinned(self, view: str, version: str) -> bool:
        """Whether a version that a cohort pins may be given out: until a revision for security's sake comes."""
        if view in _AS_STORED:
            return version == _AS_STORED[View(view)]
        return int(version.rpartition(".")[2]) >= self.floor

    @property
    def versions(self) -> list[str]:
        """Every version of every view that may be served, the newest of each first."""
        return [*_AS_STORED.values(), *(version for served in self for version in served.versions)]

    @property
    def newest(self) -> list[tuple[str, str]]:
        """The name of each de-identified view and the version in which it is made now."""
        return [(served.view, served.version) for served in self]

    @property
    def basic(self) -> str:
        """The version in which the built-in view is made now; it tells a newer node from an older."""
        return self._served[BASIC].version

    async def refresh(self, db: Connection, *, now: bool = False) -> None:
        """Learn what has changed, if the last look is not recent, or `now`.

        It waits for nothing but the catalog: views whose project's key or mapping is not known yet are served once
        `watch` has loaded it. Until then whoever must know all of them, `now`, is told to come back: Unavailable.
        """
        moment = time.monotonic()
        if not now and moment - self._asked < _FRESH:
            return
        await self._learn(db, await profiles.digests(db), moment, now=now)

    async def learn(self, db: Connection, digests: dict[str, str]) -> bool:
        """As `refresh`, `now`, by what the catalog has just told; whether anything has changed."""
        return await self._learn(db, digests, time.monotonic(), now=True)

    async def _learn(self, db: Connection, digests: dict[str, str], moment: float, *, now: bool) -> bool:
        if has_changed := digests != self._known:
            stored = await _stored(db)
            self._forget_keys(stored)
            self._take(stored)
        self._asked = moment
        if self._lacking:
            self._wanting.set()
            if now:
                raise Unavailable(
                    "the profiles have just been changed, and are being loaded",
                    remedy="try again",
                    retry_after=1,
                )
        return has_changed

    def in_force(self, served: Served) -> bool:
        """Whether this is still what its view is made by."""
        now = self.get(served.view)
        return now is not None and now.version == served.version

    def among(self, views: Sequence[str]) -> list[Served]:
        """Those of these views whose profiles are in force."""
        return [served for view in views if (served := self.get(view)) is not None]

    async def load(self, database: Database) -> None:
        """All anew, with the keys and mappings that are not known yet. Nothing is held of the catalog meanwhile."""
        async with database.acquire() as db:
            stored = await _stored(db)
        # Only read here: a key is made when a profile is added, and kept before it is used.
        found = await self._keys.project_keys(stored.projects)
        self._forget_keys(stored)
        self._project_keys = {project: found.get(project) for project in stored.projects}
        for each in stored.mappings:
            if each.project in found and each not in self._opened:
                try:
                    self._opened[each] = opened_mapping(each, found[each.project])
                except Unavailable as why:
                    self._opened[each] = None
                    _log.error("a stored mapping cannot be used", project=each.project, reason=why.detail)
        self._take(stored)
        # Something may have changed since it was read.
        self._asked = float("-inf")

    async def watch(self, database: Database) -> None:
        """Load what requests found to be missing, for ever."""
        while True:
            await self._wanting.wait()
            self._wanting.clear()
            try:
                await self.load(database)
            except Unavailable as why:
                _log.warning("changed profiles cannot be loaded yet", reason=why.detail)
                self._wanting.set()
                await asyncio.sleep(_PAUSE)

    def _forget_keys(self, stored: "_Stored") -> None:
        """Of projects whose keys came from another installation since."""
        for name, digest in stored.digests.items():
            if name.startswith("//") and self._known.get(name) != digest:
                project = name.removeprefix("//")
                self._project_keys.pop(project, None)
                self._opened = {
                    each: found for each, found in self._opened.items() if each.project != project
                }

    def _take(self, stored: "_Stored") -> None:
        """What can be served of it by the keys and mappings that are known; `_lacking` are the projects of the rest."""
        keys = {project: key for project, key in self._project_keys.items() if key is not None}
        self._opened = {each: found for each, found in self._opened.items() if each in stored.mappings}
        opened = {each.project: found for each, found in self._opened.items() if found is not None}
        # The views that need one that does not open are not served, and all others are.
        closed = {each.project for each in stored.mappings} - opened.keys()
        self._served = {
            View(p.name): Served(p, keys[project_of(p)], opened.get(project_of(p)) if p.unmapped else None)
            for p in stored.used
            if project_of(p) in keys and not (p.unmapped and project_of(p) in closed)
        }
        if (key := keys.get(BASIC_PROJECT)) is not None:
            self._served = {BASIC: Served(basic(), key)} | self._served
        unopened = {each.project for each in stored.mappings if each.project in keys} - {
            each.project for each in self._opened
        }
        self._lacking = (stored.projects - self._project_keys.keys()) | unopened
        self._known = stored.digests
        self.generation += 1


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the catalog holds of profiles and mappings."""

    used: Sequence[Profile]
    mappings: Sequence[StoredMapping]
    digests: dict[str, str]

    @property
    def projects(self) -> set[str]:
        return {project_of(profile) for profile in self.used} | {BASIC_PROJECT}


async def profiles_in_use(db: Connection) -> list[Profile]:
    """Those in the catalog now, whether or not their views can be served."""
    return _parsed(await profiles.listing(db))


def _parsed(listed: Sequence[profiles.StoredProfile]) -> list[Profile]:
    used = []
    for stored in listed:
        try:
            used.append(parse_profile(stored.source))
        except BadRequest as why:  # written for another version of this code; all others go on
            _log.error("a stored profile cannot be used", profile=stored.name, reason=why.detail)
    return used


async def _stored(db: Connection) -> _Stored:
    listed, kept = await profiles.listing(db), await mappings.listing(db)
    return _Stored(_parsed(listed), kept, await profiles.digests(db))


def opened_mapping(stored: StoredMapping, key: bytes) -> PatientMapping:
    """Raises Unavailable."""
    try:
        return PatientMapping.parse(MappingCipher(key, stored.project).open(stored.sealed).decode())
    except (InvalidTag, BadRequest):
        raise Unavailable(
            f"the mapping of the project {stored.project!r} does not open", remedy="set it again"
        ) from None


def project_of(profile: Profile) -> str:
    return profile.project or profile.name
