"""Opens views: their records, and all that is needed to read them, of many images at a time.

What the catalog knows is found first. Opening it takes the key store's answer, for which no connection to the catalog
need be held.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import made_views, stored_views
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.dicom.pixels.plan import ORIGINAL
from mdm_async.errors import (
    Damaged,
    Gone,
    Lost,
    LostHere,
    MdmError,
    NotOnline,
    Unavailable,
    ViewPending,
    ViewRefused,
)
from mdm_async.images.parts import record
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.suspects import suspect
from mdm_async.images.reading.view import ReadyView, of_part, ready_part
from mdm_async.keys.store import IDENTITY, Fetched, KeyStore, Secrets, untold
from mdm_async.names import IDENTIFIED, OPAQUE, View
from mdm_async.postgres.database import Connection, Database

_Key = tuple[UUID, str]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalog has of the views wanted, still closed; `parts` only if they are to be loaded."""

    wanted: Sequence[tuple[UUID, View]]
    holdings: dict[_Key, stored_views.Holding]
    parts: dict[UUID, Part]
    pinned: bool = False
    """These very versions are wanted, in force or not."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The stored views, as far as this node serves them and has keys for them."""

    keys: KeyStore
    served: ServedViews
    writer_window: float = 0
    """Seconds for which a file's writer is told of what was sent in place of its default view."""

    async def find(self, db: Connection, wanted: Sequence[tuple[UUID, View]]) -> Found:
        """Many images' views, to open their records; one query."""
        await self.served.refresh(db)
        return Found(wanted, await stored_views.holdings(db, wanted, self.served.versions), {})

    async def find_whole(self, db: Connection, wanted: Sequence[tuple[UUID, View]]) -> Found:
        """Many images' views, to load them; two queries."""
        return await self.with_parts(db, await self.find(db, wanted))

    async def find_pinned(self, db: Connection, wanted: Sequence[tuple[UUID, View, str]]) -> Found:
        """As `find`, of versions that a cohort pins, no two of one image's view; each may be served still."""
        holdings = await stored_views.pinned(db, wanted)
        return Found([(image, view) for image, view, _ in wanted], holdings, {}, pinned=True)

    async def with_parts(self, db: Connection, found: Found) -> Found:
        """What was found, to be loaded."""
        parts, registrations = await stored_views.parts_needed(db, found.holdings.values())
        changed = [
            (image, view, held.view.version)
            for (image, view), held in found.holdings.items()
            if held.view is not None
            and (
                registrations.get(image, held.registration) != held.registration
                or (
                    held.locality is Locality.ONLINE_AND_NEARLINE and not parts.keys() >= set(held.view.parts)
                )
            )
        ]
        if not changed:
            return replace(found, parts=parts)
        # Between the two queries the image was given other keys: its records are others, too. Or it was evicted.
        again = found.holdings | await stored_views.pinned(db, changed)
        if again == found.holdings:  # the part is lost
            return replace(found, parts=parts)
        return await self.with_parts(db, replace(found, holdings=again))

    async def open_records(
        self, found: Found
    ) -> list[ViewRecord | NotOnline | ViewPending | ViewRefused | Gone | Damaged | Unavailable]:
        """The records of what was found, as it was wanted; what is not ready as the error that explains it.

        One damaged image spoils no other's answer.
        """
        return self.records(found, await self.secrets(found))

    async def load(self, found: Found) -> list[ReadyView | MdmError]:
        """The views that were found whole, with all that is needed to read them.

        What is not ready comes as the error that explains it: Gone, NotOnline, ViewPending, ViewRefused,
        Damaged or Unavailable.
        """
        secrets = await self.secrets(found)
        return [
            _told(image, _ready(found, image, view, opened, secrets[image]))
            if isinstance(opened, ViewRecord)
            else opened
            for (image, view), opened in zip(found.wanted, self.records(found, secrets), strict=True)
        ]

    async def load_one(self, database: Database, image: UUID, view: View) -> ReadyView:
        """One view, found and loaded; raises what is in the way."""
        async with database.acquire() as db:
            found = await self.find_whole(db, [(image, view)])
        (loaded,) = await self.load(found)
        if isinstance(loaded, MdmError):
            raise loaded
        return loaded

    async def original(self, database: Database, image: UUID) -> ViewRecord | None:
        """What is known of the file that arrived, its size and SHA-256 among it, be its bytes lost; None when that does
        not open."""
        async with database.acquire() as db:
            found = await self.find(db, [(image, IDENTIFIED), (image, OPAQUE)])
        opened = await self.open_records(_as_if_not_lost(found))
        return next((one for one in opened if isinstance(one, ViewRecord)), None)

    async def record_of(self, database: Database, view: ReadyView) -> ViewRecord | None:
        """What the catalog knows now of a view that was loaded; None when it has gone or was made anew."""
        async with database.acquire() as db:
            found = await self.find(db, [(view.image, View(view.view))])
        (opened,) = await self.open_records(found)
        return opened if isinstance(opened, ViewRecord) and opened.version == view.version else None

    async def keep_digests(self, database: Database, view: ReadyView, computed: Mapping[str, bytes]) -> None:
        """Put digests of its bytes into the view's record."""
        async with database.acquire() as db:
            found = await self.find(db, [(view.image, View(view.view))])
        secrets = await self.secrets(found)
        (opened,) = self.records(found, secrets)
        if not isinstance(opened, ViewRecord) or opened.version != view.version:
            return
        holding = found.holdings[view.image, view.view]
        assert holding.view is not None
        secret = secrets[view.image].of(holding.view.secret)
        sealed = record.seal(opened.with_digests(computed), secret, view.image, view.view, view.version)
        async with database.acquire() as db:
            await made_views.renew_record(
                db, view.image, holding.registration, view.view, view.version, sealed
            )

    async def secrets(self, found: Found) -> Fetched:
        """What opens the views that were found, by image."""
        secrets = Fetched()
        # The identity secret is fetched for those images only whose identified view is asked for.
        for identity in (False, True):
            registrations = {
                holding.registration
                for (_, view), holding in found.holdings.items()
                if (view == IDENTIFIED) is identity
            }
            if registrations:
                fetched = await self.keys.fetch(registrations, identity=identity)
                secrets = Fetched(secrets | fetched, secrets.untold | fetched.untold)
        return secrets

    def records(
        self, found: Found, secrets: Fetched
    ) -> list[ViewRecord | NotOnline | ViewPending | ViewRefused | Gone | Damaged | Unavailable]:
        """As `open_records`, by secrets that were fetched."""
        return [_told(image, self._open(found, secrets, image, view)) for image, view in found.wanted]

    def _open(
        self, found: Found, secrets: Fetched, image: UUID, view: View
    ) -> ViewRecord | NotOnline | ViewPending | ViewRefused | Gone | Damaged | Unavailable:
        if not (found.pinned or self.served.exists(view)):
            return ViewPending("there is no such view here", remedy="`mdm profile list` names those that are")
        holding = found.holdings.get((image, view))
        if holding is None and found.pinned:
            return Gone("the image has been shredded since the cohort was made")
        if holding is None:
            return Gone("the image has just been deleted")
        if not holding.locality.is_online:
            return not_online(holding.locality, elsewhere=holding.elsewhere)
        stored = holding.view
        if stored is None and found.pinned:
            return Damaged(f"the pinned version of the view '{view}' is lost", remedy="make the cohort again")
        if stored is None and view == OPAQUE:
            return ViewRefused(
                "the file is DICOM, and has no view 'opaque'",
                remedy="name no view, or one of those that `mdm profile list` names",
            )
        if stored is None:
            return ViewPending(
                f"the view '{view}' has not been made under the profile in force",
                remedy=(
                    "wait while it is made; if its directory lacks it, an administrator adds it: mdm profile apply"
                ),
                retry_after=60,
            )
        if stored.record is None:
            return _refusal(stored)
        known = secrets.get(image)
        if known is None or (stored.secret == IDENTITY and known.identity is None):
            if holding.registration in secrets.untold:
                return untold()
            return Damaged("the image's stored secrets do not open")
        return _unseal(stored, stored.record, known)


def _told(image: UUID, opened: _T) -> _T:
    if isinstance(opened, Damaged):
        suspect(image)
    return opened


def _ready(
    found: Found, image: UUID, view: View, opened: ViewRecord, secrets: Secrets
) -> ReadyView | Damaged:
    rows, elsewhere = found.parts, found.holdings[image, view].elsewhere
    try:
        parts = tuple(ready_part(rows.get(part.id), part, secrets) for part in opened.parts)
    except Damaged as why:
        return why
    ids = b"".join(part.row.id.bytes for part in parts)
    etag = f'"{hashlib.sha256(ids).hexdigest()[:32]}"'
    total = (opened.size, opened.adler32)
    index = _index(image, opened, rows, secrets)
    elsewhere = elsewhere or all(part.row.variant != ORIGINAL for part in parts if part.row.blob is not None)
    return ReadyView(image, secrets.registration, view, parts, opened, *total, etag, index, elsewhere)


def _index(image: UUID, opened: ViewRecord, rows: dict[UUID, Part], secrets: Secrets) -> ReadyView | None:
    """None also of one that is lost: then frames are looked for."""
    part = opened.seen.index if opened.seen is not None else None
    row = rows.get(part.id) if part is not None else None
    if part is None or row is None:
        return None
    with suppress(Damaged):
        return of_part(image, row, part, secrets)
    return None


def _as_if_not_lost(found: Found) -> Found:
    holdings = {
        key: replace(held, locality=Locality.ONLINE) if held.locality is Locality.LOST else held
        for key, held in found.holdings.items()
    }
    return replace(found, holdings=holdings)


def evictable_of(found: Found | None) -> set[UUID]:
    """The images that archives have too, and that are here for as long as there is room."""
    if found is None:
        return set()
    return {
        image for (image, _), held in found.holdings.items() if held.locality is Locality.ONLINE_AND_NEARLINE
    }


def part_of(found: ReadyView | ViewRecord) -> UUID:
    """A part by which it is known whether it is there still."""
    return found.parts[0].row.id if isinstance(found, ReadyView) else found.parts[0].id


def not_online(locality: Locality, *, elsewhere: bool = False) -> NotOnline | Lost | LostHere:
    """`elsewhere`: of what was lost here, a replica is known."""
    if locality is Locality.LOST:
        return Lost(
            "the file is lost: its bytes are neither here nor at its source",
            remedy="put it again, or remove its name: mdm rm",
        )
    if elsewhere and locality is Locality.UNAVAILABLE:
        return LostHere(remedy="get it from one of its replicas (mdm replica list), and put it again")
    why = "its bytes are at its source only"
    if locality is Locality.UNAVAILABLE:
        why = "its bytes are at its source, which cannot be reached"
    return NotOnline(
        f"the file is {locality}: {why}",
        remedy="prepare it, or bring it online (mdm pacs stage): its archive must be one of pacs.sources",
    )


def _refusal(stored: StoredView) -> ViewRefused:
    if stored.quarantined:
        return ViewRefused(
            f"the view '{stored.name}' is in quarantine: {stored.reason}",
            remedy="somebody with the right 'i' looks at the identified view, and lifts it: mdm profile release",
        )
    return ViewRefused(
        f"the view '{stored.name}' is refused: {stored.reason}",
        remedy="an administrator can lift this for images like it where a rule of a profile settles it: mdm profile"
        " add; what is broken or dropped stays refused, and the right 'i' reads its identified view",
    )


def _unseal(stored: StoredView, sealed: bytes, secrets: Secrets) -> ViewRecord | Damaged:
    try:
        return record.unseal(sealed, secrets.of(stored.secret), stored.image, stored.name, stored.version)
    except InvalidTag:
        return Damaged("the view's stored record does not open")
