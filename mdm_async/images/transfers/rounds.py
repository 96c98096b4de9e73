"""Requests for few files that come at the same time share their statements: what is small costs as little as in bulk.

Shared is what the catalog says. What anybody may is asked for each of them, at the decision point. What was opened
lately is not opened again if the catalog tells the same of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.requests import Release, Released
from mdm_async.catalog.holdings.stored_views import Holding
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.reading.shelf import Found, evictable_of
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.names import Lfn, View
from mdm_async.postgres.database import Database
from mdm_async.postgres.together import Together

_Key = tuple[UUID, str]
_Wanted = tuple[UUID, View]
FEW: Final = 8
"""Files of a request that are looked up with others'; for more, statements of their own are cheap, and long."""


@dataclass(frozen=True, slots=True, repr=False)
class _Told:
    """What the catalog says of a view, with others: `found`; `kept`: the view, if it is open still."""

    found: Found
    kept: ReadyView | None


class Rounds:
    """Of one node."""

    def __init__(self, database: Database, warm: WarmTurls) -> None:
        self.database, self._shelf, self._warm = database, warm.shelf, warm
        self.places = Together(self._places)
        self._views = Together(self._find_views)
        self.grants = Together(self._grants)
        self.releases = Together(self._releases)

    async def _places(self, lfns: Sequence[Lfn]) -> Sequence[Place]:
        distinct = list(dict.fromkeys(lfns))
        async with self.database.acquire() as db:
            await self._shelf.served.refresh(db)
            found = dict(zip(distinct, await places.resolve(db, distinct), strict=True))
        return [found[lfn] for lfn in lfns]

    async def views(
        self, wanted: Sequence[_Wanted], *, few: bool
    ) -> tuple[list[ReadyView | MdmError], set[UUID]]:
        """Many images' views, with all that is needed to read them, or why there are none; and those images among them
        that archives have too. Whoever waits for the key store keeps nobody waiting. `few`: with whoever else asks."""
        if not wanted:
            return [], set()
        kept, judged = self._warm.kept, self._warm.feed.now
        told = await (self._views.ask(wanted) if few else self._find_views(wanted))
        found = told[0].found
        views: dict[_Key, ReadyView | MdmError] = {}
        for one, known in zip(wanted, told, strict=True):
            if known.kept is not None:
                views[one] = known.kept
        closed = [one for one in wanted if one not in views]
        if closed:
            mine: dict[_Key, Holding] = {one: found.holdings[one] for one in closed if one in found.holdings}
            loaded = await self._shelf.load(Found(closed, mine, found.parts))
            for key, view in zip(closed, loaded, strict=True):
                views[key] = view
                # Else what is not to be kept any more might be.
                if isinstance(view, ReadyView) and judged == self._warm.feed.now:
                    kept.keep(key, found.holdings[key], view)
        images = {image for image, _ in wanted}
        return [views[one] for one in wanted], evictable_of(found) & images

    async def _find_views(self, wanted: Sequence[_Wanted]) -> Sequence[_Told]:
        async with self.database.acquire() as db:
            found = await self._shelf.find(db, list(dict.fromkeys(wanted)))
            kept = {key: self._warm.kept.get(key, held) for key, held in found.holdings.items()}
            closed = {key: held for key, held in found.holdings.items() if kept[key] is None}
            if closed:
                whole = await self._shelf.with_parts(db, replace(found, holdings=closed))
                found = replace(whole, holdings=found.holdings | whole.holdings)
        return [_Told(found, kept.get(one)) for one in wanted]

    async def _grants(self, made: Sequence[tuple[Grant, Act]]) -> Sequence[None]:
        """That they are kept, and in the audit."""
        async with self.database.acquire() as db:
            await grants.insert_audited(
                db, [grant for grant, _ in made], [act for _, act in made], sync=False
            )
        return [None] * len(made)

    async def _releases(self, asked: Sequence[Release]) -> Sequence[list[Released]]:
        async with self.database.acquire() as db:
            return await requests.release(db, asked)
