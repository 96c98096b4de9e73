"""Whether a name or text tells who the patient of an image is: asked wherever one that is stored gets another."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import bringers
from mdm_async.dicom.said import Said
from mdm_async.errors import (
    Damaged,
    Malformed,
    MdmError,
    Unavailable,
)
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.names.comparing import held, read
from mdm_async.images.names.guesses import Guesses, Let
from mdm_async.images.names.own_identifiers import OwnIdentifiers, own_identifiers
from mdm_async.images.names.refusals import revealing, said_much, too_large, tried_often
from mdm_async.images.reading.heads import head
from mdm_async.images.reading.shelf import Shelf
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.postgres.database import Database

_AT_ONCE: Final = 64
"""Images whose heads are looked at before those of the next are."""
_READ_AT_ONCE: Final = 1 << 17
"""Characters of different texts that are: some 30 MiB of memory, if each is a word."""

_FREE: Final = Let(0.0)


@dataclass(frozen=True, slots=True)
class Named:
    """What an image is to be called, or texts it is to have. `guid`: the file's, for the audit; None: it has none yet.
    `kept`: the file's own name, if that stays, which was compared when it was given; those of directories may not have
    been."""

    image: UUID
    guid: UUID | None
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

    async def demand_silent(self, caller: Caller, named: Sequence[Named]) -> None:
        """Return when none of these names tells who its image's patient is.

        Raises as `demand_texts_silent`, and why that cannot be told; whichever of them it is, it is one answer, and
        counts once.
        """
        for some in _pages(named):
            await self._demand(caller, some, as_one=True)

    async def demand_texts_silent(self, caller: Caller, told: Sequence[Named]) -> list[MdmError | None]:
        """Return when none of these texts tells who their patients are: why of some that cannot be told.

        Each that does is counted. Raises BadRequest; Forbidden when the account has had too many refused lately,
        whatever these are, or would say more of one of the patients than it may. Then nothing of that patient is
        compared.
        """
        return [why for some in _pages(told) for why in await self._demand(caller, some, as_one=False)]

    async def compare(self, caller: Caller, named: Sequence[Named]) -> list[MdmError | None]:
        """Why each of these may not be, as `demand_silent` raises it; None: it tells nothing.

        No more is told than if they were compared one after the other.
        """
        counted: set[_Guess] = set()
        return [why for some in _pages(named) for why in await self._compare(caller, some, counted)]

    async def _compare(
        self, caller: Caller, named: Sequence[Named], counted: set["_Guess"]
    ) -> list[MdmError | None]:
        account = caller.payer.account
        if self.refused.wait(account):
            return [tried_often(caller, one.guid) for one in named]
        asked = await self._let(caller, named)
        verdicts: list[MdmError | None] = []
        for one, found in zip(asked, await self._found(asked), strict=True):
            if one.is_compared and self._is_shut(account, one):
                verdicts.append(tried_often(caller, one.named.guid))
                continue
            for guess in found - counted:
                self._count(account, one, guess)
            counted |= found
            verdicts.append(revealing(caller, one.named.guid) if found else one.unknown or one.why)
        return verdicts

    async def _demand(self, caller: Caller, named: Sequence[Named], *, as_one: bool) -> list[MdmError | None]:
        account = caller.payer.account
        if self.refused.wait(account):
            raise tried_often(caller, named[0].guid)
        asked = await self._let(caller, named)
        for one in asked:
            if (why := (one.unknown if as_one else None) or one.why) is not None:
                raise why
        found = await self._found(asked)
        # Of many that are compared side by side no more is told than of those one after the other.
        if (shut := next((one for one in asked if self._is_shut(account, one)), None)) is not None:
            raise tried_often(caller, shut.named.guid)
        hits = {guess: one for one, some in zip(asked, found, strict=True) for guess in some}
        if hits:
            for guess, one in list(hits.items())[: 1 if as_one else None]:
                self._count(account, one, guess)
            raise revealing(caller, next(iter(hits.values())).named.guid)
        return [one.unknown for one in asked]

    async def _identifiers(self, named: Sequence[Named]) -> Mapping[UUID, OwnIdentifiers | MdmError]:
        """What no name of an image may hold, or why that cannot be told. Of those whose bytes are not here nothing is
        known. It waits for the key store: hold no connection meanwhile."""
        found: dict[UUID, OwnIdentifiers | MdmError] = {}
        wanted: dict[UUID, list[str]] = {}
        for one in named:
            wanted.setdefault(one.image, []).append(one.kept)
        async with self.database.acquire() as db:
            closed = await self.shelf.find_whole(db, [(image, IDENTIFIED) for image in wanted])
            brought = await bringers.accounts(db, list(wanted))
        keys = list(dict.fromkeys(one.key for one in self.shelf.served))
        for (image, names), original in zip(wanted.items(), await self.shelf.load(closed), strict=True):
            if isinstance(original, Unavailable):
                found[image] = original
            if isinstance(original, MdmError):
                continue
            try:
                first = await head(self.blobs, self.cipher, original, self.max_head)
                found[image] = (
                    await self.cipher.run(partial(own_identifiers, first, brought.get(image), names, keys))
                    if first is not None
                    else too_large()
                )
            except (Malformed, Damaged):
                continue  # nothing can be read that names anybody
            except MdmError as why:
                found[image] = why
        return found

    async def _let(self, caller: Caller, named: Sequence[Named]) -> list["_Asked"]:
        """What of these may be compared, which is counted for each patient."""
        known = await self._identifiers(named)
        named = [_as_chosen(one, known.get(one.image)) for one in named]
        said = await read(self.cipher, {text for one in named for text in (*one.texts, one.kept)})
        by_patient: dict[str, list[Named]] = {}
        for one in named:
            if isinstance(of := known.get(one.image), OwnIdentifiers) and of.values:
                by_patient.setdefault(of.key, []).append(one)
        lets: dict[str, Let] = {}
        for key, some in by_patient.items():
            texts = {text for texts in {one.texts for one in some} for text in texts}
            kept = {one.kept for one in some if _was_compared(known.get(one.image))}
            lets[key] = self.guesses.let(
                caller.payer.account, key, _parts(said, texts), [said[name] for name in kept]
            )
            await asyncio.sleep(0)  # many patients are many pieces of work
        return [_asked(caller, one, known.get(one.image), said, lets) for one in named]

    async def _found(self, asked: Sequence["_Asked"]) -> list[set["_Guess"]]:
        """Which texts of each reveal its patient. What is alike is compared once."""
        pairs = {
            (one.named.texts, one.values): (one.said, one.values)
            for one in asked
            if one.is_compared and one.values
        }
        found = dict(zip(pairs, await held(self.cipher, list(pairs.values())), strict=True))
        return [
            {(one.patient, one.named.texts[at]) for at in found.get((one.named.texts, one.values), ())}
            if one.is_compared
            else set()
            for one in asked
        ]

    def _is_shut(self, account: str, one: "_Asked") -> bool:
        """Whether by hits the account may be told nothing more, or nothing more of what is new about this patient."""
        return bool(self.refused.wait(account) or (one.let.new and self.guesses.wait(account, one.patient)))

    def _count(self, account: str, hit: "_Asked", guess: "_Guess") -> None:
        patient, text = guess
        if self.guesses.hit(account, patient, text, hit.let.new):
            self.refused.count(account)


_Guess = tuple[str, str]
"""A patient, and a text that tells who that is."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is compared, unless it is not known with what (`unknown`), or there is a reason `why` not. `patient`: what
    guesses are counted by."""

    named: Named
    said: Sequence[Said] = ()
    values: str = ""
    patient: str = ""
    let: Let = _FREE
    why: MdmError | None = None
    unknown: MdmError | None = None

    @property
    def is_compared(self) -> bool:
        return self.why is None and self.unknown is None


def _asked(
    caller: Caller,
    named: Named,
    of: OwnIdentifiers | MdmError | None,
    said: Mapping[str, Said],
    lets: Mapping[str, Let],
) -> _Asked:
    if isinstance(of, MdmError):
        return _Asked(named, unknown=of)
    if of is None or not of.values:
        return _Asked(named)
    let = lets[of.key]
    why = said_much(caller, named.guid, let.wait) if let.wait else None
    return _Asked(named, [said[text] for text in named.texts], of.values, of.key, let, why)


def _as_chosen(named: Named, of: OwnIdentifiers | MdmError | None) -> Named:
    """Without what the server made of it."""
    if not named.kept or not isinstance(of, OwnIdentifiers):
        return named
    return replace(named, texts=tuple(of.chosen(text, named.kept) for text in named.texts))


def _was_compared(of: OwnIdentifiers | MdmError | None) -> bool:
    return isinstance(of, OwnIdentifiers) and of.named_with_bytes


def _parts(said: Mapping[str, Said], texts: Iterable[str]) -> list[Said]:
    """Those texts, and each directory of them once."""
    found = [said[text] for text in texts]
    return found + list({id(one.before): one.before for one in found if one.before is not None}.values())


def _pages(all_: Sequence[Named]) -> Iterator[Sequence[Named]]:
    """So few that what they say, and whose they are, is little, however much is asked at once."""
    start, texts, left = 0, set[str](), _READ_AT_ONCE
    for at, one in enumerate(all_):
        new = {one.kept, *one.texts} - texts
        size = sum(map(len, new))
        if at > start and (at - start == _AT_ONCE or size > left):
            yield all_[start:at]
            start, new, left = at, {one.kept, *one.texts}, _READ_AT_ONCE
            size, texts = sum(map(len, new)), set()
        texts |= new
        left -= size
    if all_:
        yield all_[start:]
