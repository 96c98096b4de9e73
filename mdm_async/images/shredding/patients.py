"""All images of a patient, found by a pseudonym of theirs or by their Patient ID.

Each is looked into: what an index says is a hint, and the wrong patient's images must not go. To whom no image of the
patient may be identified, there are none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings import stored_views
from mdm_async.catalog.metadata import blind
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.dicom.equality import comparable
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.indexed import by_keyword
from mdm_async.dicom.issuers import issued, issuer_of, written
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrubbing.steps import IDENTIFIERS, PATIENT_ID
from mdm_async.dicom.whose import Whose
from mdm_async.errors import (
    BadRequest,
    Damaged,
    Gone,
    MdmError,
    NotDicom,
    NotFound,
    NotOnline,
    Unavailable,
    ViewPending,
    ViewRefused,
)
from mdm_async.images.reading import stream
from mdm_async.images.reading.served import Served
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.shredding.plan import MOST
from mdm_async.images.views.originals import head_and_issuer
from mdm_async.images.views.pseudonyms import identified_by
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Caller, View

_LOOKED_AT: Final = 500
_OPENED: Final = 10
"""Images that are looked into to know what a pseudonym stands for."""


@dataclass(frozen=True, slots=True, repr=False)
class Theirs:
    """Images, and of how many different people they tell; `unreadable` may be theirs, but do not open."""

    images: Collection[UUID]
    people: int | None = None
    unreadable: int = 0


async def images_of(
    workshop: Workshop,
    shelf: Shelf,
    caller: Caller,
    patient: str,
    issuer: str | None = None,
    *,
    granted: bool,
) -> Theirs:
    """`issuer`: only those whose Patient ID it has issued, "" nobody; None: whoever has. `granted`: whoever may be
    identified. Audited. Raises NotFound, BadRequest for what is a pseudonym of something else than a patient."""
    patient = patient.strip()
    search = _Search(workshop, shelf, caller, issuer, granted)
    try:
        found = await search.images(patient)
    except NotFound:
        async with workshop.depot.database.transaction() as db:
            await acts.record(db, [Act(caller, "shred search", "failure")])
        raise
    async with workshop.depot.database.transaction() as db:
        await acts.record(db, [Act(caller, "shred search", details={"images": len(found.images)})])
    return found


@dataclass(frozen=True, slots=True)
class _Search:
    workshop: Workshop
    shelf: Shelf
    caller: Caller
    issuer: str | None
    granted: bool

    async def images(self, patient: str) -> Theirs:
        database = self.workshop.depot.database
        async with database.acquire() as db:
            await self.shelf.served.refresh(db)
        ids, issuers = await self._originals(patient)
        candidates = await self._candidates(ids, issuers)
        # Before any is looked into, which takes time that would tell that there are some.
        if not await self._identifies(candidates):
            raise _nobody()
        _demand_few(candidates)
        whose, unreadable = await self._looked_into(candidates, ids)
        # Equal IDs of other issuers have other pseudonyms, and may not be indexed.
        if others := {one.issuer.decode(errors="replace") for one in whose.values()} - issuers:
            more = await self._candidates(ids, others) - candidates
            _demand_few(more)
            theirs, unread = await self._looked_into(more, ids)
            whose, unreadable = whose | theirs, unreadable + unread
        if self.issuer is not None:
            wanted = written(self.issuer)
            whose = {image: one for image, one in whose.items() if _issuer(one) == wanted}
        if not whose or not await self._identifies(whose):
            raise _nobody()
        return Theirs(sorted(whose), len(set(whose.values())), unreadable)

    async def _looked_into(
        self, candidates: Collection[UUID], ids: Mapping[bytes, str]
    ) -> tuple[dict[UUID, Whose], int]:
        """Those that are of somebody with one of these IDs; how many do not open."""
        whose: dict[UUID, Whose] = {}
        unreadable = 0
        for image in candidates:
            try:
                found = await self._whose(image)
            except (Gone, NotDicom):
                continue
            except Unavailable:
                # Whether it is theirs is known when its keys can be read.
                raise
            except MdmError:
                unreadable += 1
                continue
            if found.id in ids:
                whose[image] = found
        return whose, unreadable

    async def _originals(self, patient: str) -> tuple[dict[bytes, str], set[str]]:
        """The Patient IDs that are meant, as files have them and for people: what was given may be one itself. And who
        has issued them, as far as that is known here."""
        ids, issuers = {patient.encode(): patient}, {"", self.issuer or ""}
        other = set()
        for image, name in await self._holding(self.workshop.finder.digest(patient)):
            for attribute, whose in (await self._matches(image, name, patient)).items():
                if attribute == "PatientID":
                    ids[whose.id] = whose.id_text
                    issuers.add(whose.issuer.decode(errors="replace"))
                else:
                    other.add(attribute)
        if other and len(ids) == 1:
            raise BadRequest(
                f"this stands for a {min(other)}, not for a patient",
                remedy="give the pseudonym that views have as Patient ID",
            )
        # Files have it in various character sets.
        for image in (await self._having(patient, mine=True))[:_OPENED]:
            try:
                whose = await self._whose(image)
            except Unavailable:
                raise
            except MdmError:
                continue
            if whose.id_text.strip() == patient:
                ids[whose.id] = patient
                issuers.add(whose.issuer.decode(errors="replace"))
        return ids, issuers

    async def _having(self, patient_id: str, *, mine: bool = False) -> list[UUID]:
        """Images whose originals have this Patient ID, as far as they are indexed; `mine`: some that the caller may
        identify."""
        digest = self.workshop.blind.digest(PATIENT_ID, comparable(by_keyword()["PatientID"], patient_id))
        found: list[UUID] = []
        looked_at, after = 0, UUID(int=0)
        # Of so many nobody is shredded at once: those behind them need not be looked for.
        while looked_at <= MOST:
            async with self.workshop.depot.database.acquire() as db:
                page = await blind.with_value(db, PATIENT_ID, digest, after, _LOOKED_AT)
                if not page:
                    break
                looked_at, after = looked_at + len(page), page[-1]
                if mine and not self.granted:
                    page = list(await identified_by(db, self.caller, set(page)))
            found += page
            if mine and len(found) >= _OPENED:
                break
        return found

    async def _holding(self, digest: bytes) -> list[tuple[UUID, str]]:
        """Some images that the caller may identify, and their views that hold a pseudonym."""
        held: list[tuple[UUID, str]] = []
        after = UUID(int=0)
        async with self.workshop.depot.database.acquire() as db:
            while len(held) < _OPENED:
                page = await stored_views.with_pseudonym(
                    db, digest, self.shelf.served.versions, after, _LOOKED_AT
                )
                if not page:
                    break
                after = page[-1][0]
                wanted = {image for image, _, _ in page}
                mine = wanted if self.granted else (await identified_by(db, self.caller, wanted)).keys()
                held += [(image, name) for image, name, _ in page if image in mine]
        return held[:_OPENED]

    async def _matches(self, image: UUID, name: str, pseudonym: str) -> dict[str, Whose]:
        """Which attributes of the view have it, and whose the original is."""
        try:
            whose = await self._whose(image)
            ready = await self.shelf.load_one(self.workshop.depot.database, image, View(name))
            made = await stream.first_part(self.workshop.depot.blobs, ready)
            given = await self.workshop.cipher.run(partial(linking_values, made))
        except (ViewPending, ViewRefused, NotOnline, Gone, Damaged, NotDicom):
            return {}  # another image of theirs may tell
        return {attribute: whose for attribute, value in given.items() if value == pseudonym}

    async def _candidates(self, ids: Mapping[bytes, str], issuers: Collection[str]) -> set[UUID]:
        """Images that may be of whoever has one of these Patient IDs: by the index of originals, and by the pseudonyms
        that these get from each issuer, which find also what is not indexed yet. No more than show that they are too
        many to be shredded at once: whoever may identify none of them is not told that."""
        found: set[UUID] = set()
        for text in set(ids.values()):
            found |= set(await self._having(text))
        for pseudonym in {
            _pseudonym(served, one, issuer)
            for served in self.shelf.served
            for one in ids
            for issuer in issuers
        }:
            digest = self.workshop.finder.digest(pseudonym)
            after = UUID(int=0)
            async with self.workshop.depot.database.acquire() as db:
                while page := await stored_views.with_pseudonym(
                    db, digest, self.shelf.served.versions, after, _LOOKED_AT
                ):
                    found |= {image for image, _, _ in page}
                    after = page[-1][0]
                    if len(found) > MOST:
                        return found
        return found

    async def _whose(self, image: UUID) -> Whose:
        """Whose an image is, by its original."""
        head, issued_by = await head_and_issuer(self.workshop, self.shelf, image)
        if head is None:
            raise Damaged("the original's head is too large to be looked into")
        return await self.workshop.cipher.run(partial(_whose, head, issued_by))

    async def _identifies(self, found: Collection[UUID]) -> bool:
        """Whether the caller may know that these are here."""
        if self.granted:
            return True
        async with self.workshop.depot.database.acquire() as db:
            return bool(await identified_by(db, self.caller, set(found)))


def _whose(head: bytes, issued_by: str | None) -> Whose:
    found = Whose.of(head)
    return found if issued_by is None else replace(found, issuer=issuer_of(head, issued_by).encode())


def _issuer(whose: Whose) -> str:
    return written(whose.issuer.decode(errors="replace"))


def _pseudonym(served: Served, patient_id: bytes, issuer: str) -> str:
    """What the view of a profile has as Patient ID of this issuer's patient."""
    subject = served.mapping.of(patient_id, issuer) if served.mapping is not None else None
    if subject is not None:
        return subject.name
    whole = issued(patient_id, issuer)
    return Pseudonyms(served.key).identifier(IDENTIFIERS[PATIENT_ID], whole).decode("ascii", "replace")


def _demand_few(found: Collection[UUID]) -> None:
    if len(found) > MOST:
        raise BadRequest(
            f"the patient has more than {MOST} images", remedy="shred some of them by their names first"
        )


def _nobody() -> NotFound:
    return NotFound(
        "there is no image of this patient that you may identify",
        remedy="it takes the right 'i'; an administrator may have it by --as-administrator",
    )
