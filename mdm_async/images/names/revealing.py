"""Whether a name or text tells who the patient of an image is: asked wherever one that is stored gets another."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf
from typing import Final, TypeVar
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import images
from mdm_async.dicom.identifiers import Patient, patient_of
from mdm_async.dicom.said import Said
from mdm_async.errors import BadRequest, Damaged, Forbidden, Malformed, MdmError, Refusal, TooLarge
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.names.comparing import held, read
from mdm_async.images.names.guesses import Guesses, Let
from mdm_async.images.reading.heads import head
from mdm_async.images.reading.shelf import Shelf
from mdm_async.names import IDENTIFIED, Caller, Right
from mdm_async.postgres.database import Database

_AT_ONCE: Final = 64
"""Images whose heads are looked at before those of the next are."""

_FREE: Final = Let(0.0)

_T = TypeVar("_T")
Identifiers = Mapping[UUID, Patient | MdmError]
"""What no name of an image may hold, or why that cannot be told. Of those whose bytes are not here nothing is known."""


@dataclass(frozen=True, slots=True)
class Named:
    """What an image is to be called, or texts it is to have. `kept`: as much of its name as it had before."""

    image: UUID
    texts: tuple[str, ...]
    kept: str = ""


@dataclass(frozen=True, slots=True)
class NameGuard:
    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    max_head: int
    refused: Rates
    """How often names were, by account: whoever may try as many as he likes finds the one that is."""
    guesses: Guesses
    """One text may hold a hundred guesses, and those that miss tell something too."""

    async def identifiers(self, wanted: Sequence[UUID]) -> Identifiers:
        """Of at most some hundred images. It waits for the key store: hold no connection meanwhile."""
        found: dict[UUID, Patient | MdmError] = {}
        for some in _pages(list(dict.fromkeys(wanted))):
            async with self.database.acquire() as db:
                closed = await self.shelf.find_whole(db, [(image, IDENTIFIED) for image in some])
                brought = await images.bringers(db, some)
            for image, original in zip(some, await self.shelf.load(closed), strict=True):
                if isinstance(original, MdmError):
                    continue
                try:
                    first = await head(self.blobs, self.cipher, original, self.max_head)
                    if first is None:
                        found[image] = _too_large()
                        continue
                    patient = await self.cipher.run(partial(patient_of, first))
                    # Whoever stores files of a made-up patient learns by their count nothing of what others brought.
                    found[image] = replace(patient, key=patient.key | {f"\n{brought.get(image, '')}"})
                except (Malformed, Damaged):
                    continue  # nothing can be read that names anybody
                except MdmError as why:
                    found[image] = why
        return found

    async def demand_silent(self, caller: Caller, named: Sequence[Named]) -> None:
        """Return when none of these names tells who its image's patient is.

        Raises as `demand_texts_silent`; whichever of them it is, it is one answer, and counts once.
        """
        for some in _pages(named):
            known = await self.identifiers([one.image for one in some])
            await self._demand(caller, known, some, as_one=True)

    async def demand_texts_silent(self, caller: Caller, known: Identifiers, told: Sequence[Named]) -> None:
        """Return when none of these texts tells who their patients are; each that does is counted.

        Raises BadRequest, TooLarge; Forbidden when the account has had too many refused lately, whatever these are, or
        would say more of one of the patients than it may. Then nothing is compared.
        """
        await self._demand(caller, known, told, as_one=False)

    async def compare(
        self, caller: Caller, known: Identifiers, named: Sequence[Named]
    ) -> list[MdmError | None]:
        """Why each of these may not be, as `demand_texts_silent` raises it; None: it tells nothing.

        No more is told than if they were compared one after the other.
        """
        account = caller.payer.account
        if self.refused.wait(account):
            return [_tried_often(caller) for _ in named]
        asked = await self._let(caller, known, named)
        verdicts: list[MdmError | None] = []
        counted: set[_Guess] = set()
        for one, found in zip(asked, await self._found(asked), strict=True):
            if one.why is None and self._is_shut(account, one):
                verdicts.append(_tried_often(caller))
                continue
            for guess in found - counted:
                self._count(account, one, guess)
            counted |= found
            verdicts.append(_revealing(caller) if found else one.why)
        return verdicts

    async def _demand(
        self, caller: Caller, known: Identifiers, named: Sequence[Named], *, as_one: bool
    ) -> None:
        account = caller.payer.account
        if self.refused.wait(account):
            raise _tried_often(caller)
        asked = await self._let(caller, known, named)
        for one in asked:
            if one.why is not None:
                raise one.why
        found = await self._found(asked)
        # Of many that are compared side by side no more is told than of those one after the other.
        if any(self._is_shut(account, one) for one in asked):
            raise _tried_often(caller)
        hits = {guess: one for one, some in zip(asked, found, strict=True) for guess in some}
        if hits:
            for guess, one in list(hits.items())[: 1 if as_one else None]:
                self._count(account, one, guess)
            raise _revealing(caller)

    async def _let(self, caller: Caller, known: Identifiers, named: Sequence[Named]) -> list["_Asked"]:
        """What of these may be compared, which is counted for each patient."""
        said = await read(self.cipher, {text for one in named for text in (*one.texts, one.kept)})
        by_patient: dict[frozenset[str], list[Named]] = {}
        for one in named:
            if isinstance(patient := known.get(one.image), Patient) and patient.values:
                by_patient.setdefault(patient.key, []).append(one)
        lets: dict[frozenset[str], Let] = {}
        for key, some in by_patient.items():
            texts = {text for texts in {one.texts for one in some} for text in texts}
            kept = {one.kept for one in some}
            lets[key] = self.guesses.let(
                caller.payer.account, str(hash(key)), _parts(said, texts), _parts(said, kept)
            )
            await asyncio.sleep(0)  # many patients are many pieces of work
        return [_asked(caller, one, known.get(one.image), said, lets) for one in named]

    async def _found(self, asked: Sequence["_Asked"]) -> list[set["_Guess"]]:
        """Which texts of each reveal its patient. What is alike is compared once."""
        pairs = {
            (one.named.texts, one.values): (one.said, one.values)
            for one in asked
            if one.why is None and one.values
        }
        found = dict(zip(pairs, await held(self.cipher, list(pairs.values())), strict=True))
        return [
            {(one.patient, one.named.texts[at]) for at in found.get((one.named.texts, one.values), ())}
            if one.why is None
            else set()
            for one in asked
        ]

    def _is_shut(self, account: str, one: "_Asked") -> bool:
        """Whether by hits the account may be told nothing more, or nothing more of what is new about this patient."""
        return bool(self.refused.wait(account) or (one.let.new and self.guesses.wait(account, one.patient)))

    def _count(self, account: str, hit: "_Asked", guess: "_Guess") -> None:
        patient, _ = guess
        self.refused.count(account)
        self.guesses.hit(account, patient, hit.let.new)


_Guess = tuple[str, str]
"""A patient, and a text that tells who that is."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is compared, unless there is a reason `why` not. `patient`: what guesses are counted by."""

    named: Named
    said: Sequence[Said] = ()
    values: frozenset[str] = frozenset()
    patient: str = ""
    let: Let = _FREE
    why: MdmError | None = None


def _asked(
    caller: Caller,
    named: Named,
    patient: Patient | MdmError | None,
    said: Mapping[str, Said],
    lets: Mapping[frozenset[str], Let],
) -> _Asked:
    if isinstance(patient, MdmError):
        return _Asked(named, why=patient)
    if patient is None or not patient.values:
        return _Asked(named)
    let = lets[patient.key]
    why = _said_much(caller, let.wait) if let.wait else None
    return _Asked(
        named, [said[text] for text in named.texts], patient.values, str(hash(patient.key)), let, why
    )


def _parts(said: Mapping[str, Said], texts: Iterable[str]) -> list[Said]:
    """Those texts, and each directory of them once."""
    found = [said[text] for text in texts]
    return found + list({id(one.before): one.before for one in found if one.before is not None}.values())


def _revealing(caller: Caller) -> MdmError:
    return _refused(
        caller,
        BadRequest(
            "the name or text holds identifiers of the file's patient, which users without the right to them"
            " would see",
            remedy="choose a name without the patient's name, ID or accession number",
        ),
    )


def _tried_often(caller: Caller) -> MdmError:
    return _refused(
        caller,
        Forbidden(
            "too many names that tell who a patient is were tried lately", remedy="try again in an hour"
        ),
    )


def _said_much(caller: Caller, wait: float) -> MdmError:
    """Guesses that miss tell something as well, so it is in the audit."""
    detail = "too much that is new was said of one patient's files lately: names, texts, and digits that may be dates"
    if wait == inf:
        return _refused(caller, Forbidden(f"{detail}; this is more than a day's", remedy="say less at once"))
    hours = ceil(wait / 3600)
    return _refused(
        caller,
        Forbidden(
            detail,
            remedy=f"repeat what was said before, or try again in {hours} {'hour' if hours == 1 else 'hours'}",
            retry_after=ceil(wait),
        ),
    )


def _refused(caller: Caller, why: MdmError) -> MdmError:
    """Whoever tries names would learn whose image it is: each try is in the audit."""
    why.refusal = Refusal(caller.name, Right.IDENTITY)
    return why


def _too_large() -> TooLarge:
    return TooLarge(
        "the patient's identifiers lie behind more bytes than scrub.max_head, so the name cannot be checked",
        remedy="let the administrator raise scrub.max_head",
    )


def _pages(all_: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(all_), _AT_ONCE):
        yield all_[start : start + _AT_ONCE]
