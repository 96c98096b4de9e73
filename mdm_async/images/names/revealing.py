"""Whether a name tells who the patient of an image is: asked wherever one that is stored gets another name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.identifiers import identifying_values, names_reveal
from mdm_async.errors import BadRequest, Damaged, Forbidden, Malformed, MdmError, Refusal, TooLarge
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.names.texts_tried import TextsTried
from mdm_async.images.reading.heads import head
from mdm_async.images.reading.shelf import Shelf
from mdm_async.names import IDENTIFIED, Caller, Right
from mdm_async.postgres.database import Database

_AT_ONCE: Final = 64
"""Images whose heads are looked at before those of the next are."""

_T = TypeVar("_T")
Identifiers = Mapping[UUID, frozenset[str] | MdmError]
"""What no name of an image may hold, or why that cannot be told. Of those whose bytes are not here nothing is known."""


@dataclass(frozen=True, slots=True)
class NameGuard:
    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    max_head: int
    refused: Rates
    """How often names were, by caller: whoever may try as many as he likes finds the one that is."""
    texts_tried: TextsTried
    """One text may hold a hundred guesses, and only those that match are refused."""

    async def identifiers(self, images: Sequence[UUID]) -> Identifiers:
        """Of at most some hundred images. It waits for the key store: hold no connection meanwhile."""
        found: dict[UUID, frozenset[str] | MdmError] = {}
        for some in _pages(list(dict.fromkeys(images))):
            async with self.database.acquire() as db:
                closed = await self.shelf.find_whole(db, [(image, IDENTIFIED) for image in some])
            for image, original in zip(some, await self.shelf.load(closed), strict=True):
                if isinstance(original, MdmError):
                    continue
                try:
                    first = await head(self.blobs, self.cipher, original, self.max_head)
                    found[image] = (
                        await self.cipher.run(partial(identifying_values, first))
                        if first is not None
                        else _too_large()
                    )
                except (Malformed, Damaged):
                    continue  # nothing can be read that names anybody
                except MdmError as why:
                    found[image] = why
        return found

    async def demand_silent(self, caller: Caller, named: Sequence[tuple[UUID, str]]) -> None:
        """Return when none of these names tells who its image's patient is. Raises BadRequest, TooLarge."""
        for some in _pages(named):
            known = await self.identifiers([image for image, _ in some])
            for image, name in some:
                self.demand_one_silent(caller, known, image, name)

    def demand_one_silent(self, caller: Caller, known: Identifiers, image: UUID, name: str) -> None:
        """Return when the name holds nothing of what is known of the image's patient.

        Raises Forbidden when the caller has had too many names refused lately, whatever this one is.
        """
        self._demand_may_try(caller)
        identifiers = known.get(image, frozenset())
        if isinstance(identifiers, MdmError):
            raise identifiers
        if names_reveal(name, identifiers):
            self.refused.count(caller.payer.account)
            raise _revealing(caller)

    async def demand_texts_silent(
        self, caller: Caller, known: Identifiers, told: Mapping[UUID, Sequence[str]]
    ) -> None:
        """Return when none of the texts of these images tells who their patients are; each that does is counted.

        Raises as `demand_one_silent`, and Forbidden when too much text was compared with one of these patients lately.
        """
        self._demand_may_try(caller)
        guesses: dict[frozenset[str], set[str]] = {}
        for image, texts in told.items():
            identifiers = known.get(image, frozenset())
            if isinstance(identifiers, MdmError):
                raise identifiers
            if identifiers:
                guesses.setdefault(identifiers, set()).update(texts)
        account = caller.payer.account
        for identifiers, texts_ in guesses.items():
            if not self.texts_tried.let(account, identifiers, texts_):
                raise _refused(
                    caller,
                    Forbidden(
                        "too much text was compared lately with what tells who a file's patient is",
                        remedy="set less text on files of one patient, or try again in an hour",
                    ),
                )
        hits = await self.cipher.run(partial(_hits, guesses))
        # Of many that are compared side by side no more are told than of those one after the other.
        self._demand_may_try(caller)
        if hits:
            self.refused.count(account, hits)
            raise _revealing(caller)

    def _demand_may_try(self, caller: Caller) -> None:
        if self.refused.wait(caller.payer.account):
            raise _refused(
                caller,
                Forbidden(
                    "too many names that tell who a patient is were tried lately",
                    remedy="try again in an hour",
                ),
            )


def _hits(guesses: Mapping[frozenset[str], set[str]]) -> int:
    """How many texts, by the identifiers that they are compared with, hold one of them."""
    return sum(names_reveal(text, one) for one, texts in guesses.items() for text in texts)


def _revealing(caller: Caller) -> MdmError:
    return _refused(
        caller,
        BadRequest(
            "the name or text holds identifiers of the file's patient, which users without the right to them"
            " would see",
            remedy="choose a name without the patient's name, ID or accession number",
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
