"""The de-identified views that this node makes and serves: each is a profile with its pseudonym key."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
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
from mdm_async.keys.derive import MappingCipher
from mdm_async.keys.store import KeyStore
from mdm_async.names import BASIC, IDENTIFIED, View
from mdm_async.postgres.database import Connection

_log = structlog.get_logger()

IDENTIFIED_VERSION = "original"
_FRESH = 0.5
"""Seconds for which what the catalog said is trusted; as long as a warm transfer URL is."""
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

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._served: dict[View, Served] = {}
        self._known: dict[str, str] = {}
        self._opened: dict[tuple[str, str], PatientMapping] = {}
        """Mappings by project and digest as stored: a large one takes a second to read."""
        self._asked = float("-inf")
        self.generation = 0
        """It grows with every change taken up."""

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

    @property
    def newest(self) -> list[tuple[str, str]]:
        """The name of each de-identified view and the version in which it is made now."""
        return [(served.view, served.version) for served in self]

    @property
    def basic(self) -> str:
        """The version in which the built-in view is made now; it tells a newer node from an older."""
        return self._served[BASIC].version

    async def refresh(self, db: Connection, *, now: bool = False) -> None:
        """Learn what has changed, if the last look is not recent, or `now`."""
        moment = time.monotonic()
        if not now and moment - self._asked < _FRESH:
            return
        if await profiles.digests(db) != self._known or not self._served:
            await self._reload(db)
        self._asked = moment

    def in_force(self, served: Served) -> bool:
        """Whether this is still what its view is made by."""
        now = self.get(served.view)
        return now is not None and now.version == served.version

    async def enabled_at(self, db: Connection, directory: int) -> list[Served]:
        """The views that files in this directory get, as far as their profiles are in force."""
        await self.refresh(db)
        enabled = await profiles.enabled_at(db, directory)
        return [served for view in enabled if (served := self.get(view)) is not None]

    async def _reload(self, db: Connection) -> None:
        listed = await profiles.listing(db)
        used: list[Profile] = []
        for stored in listed:
            try:
                used.append(parse_profile(stored.source))
            except BadRequest as why:  # written for another version of this code; all others go on
                _log.error("a stored profile cannot be used", profile=stored.name, reason=why.detail)
        projects = {project_of(profile) for profile in used}
        # Only read here: a key is made when a profile is added, and kept before it is used.
        keys = await self._keys.project_keys(projects | {BASIC_PROJECT})
        stored_mappings = await mappings.listing(db)
        opened = self._mappings([each for each in stored_mappings if each.project in keys], keys)
        lost = {each.project for each in stored_mappings} - opened.keys()
        served = {
            View(p.name): Served(p, keys[project_of(p)], opened.get(project_of(p)) if p.unmapped else None)
            for p in used
            if project_of(p) in keys and not (p.unmapped and project_of(p) in lost)
        }
        if (key := keys.get(BASIC_PROJECT)) is not None:
            served = {BASIC: Served(basic(), key)} | served
        self._served = served
        self._known = {stored.name: stored.digest for stored in listed}
        self.generation += 1
        self._known |= {f"/{each.project}": each.digest for each in stored_mappings}

    def _mappings(
        self, stored: Sequence[StoredMapping], keys: Mapping[str, bytes]
    ) -> dict[str, PatientMapping]:
        """Those that open; the views that need another are not served, and all others are."""
        opened = {}
        for each in stored:
            try:
                found = self._opened.get((each.project, each.digest))
                opened[each] = found or opened_mapping(each, keys[each.project])
            except Unavailable as why:
                _log.error("a stored mapping cannot be used", project=each.project, reason=why.detail)
        self._opened = {(each.project, each.digest): found for each, found in opened.items()}
        return {each.project: found for each, found in opened.items()}


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
