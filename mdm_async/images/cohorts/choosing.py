"""What goes into a cohort: entries with the view of each, as whoever makes it may read them."""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from mdm_async.catalog.rights import acl
from mdm_async.errors import MdmError
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.readable import viewed
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Database

PAGE = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file and the view of it."""

    entry: int
    guid: UUID
    image: UUID
    view: View


async def listed(
    database: Database, served: ServedViews, caller: Caller, surls: Sequence[str], view: View | None
) -> AsyncGenerator[Chosen, None]:
    """The files of a list, in the view that each names, or else `view`, or else its default one.

    Raises what is wrong with the first that may not be read, and says which of the list it is.
    """
    for start in range(0, len(surls), PAGE):
        some = surls[start : start + PAGE]
        async with database.acquire() as db:
            await served.refresh(db)
            found = await resolve(db, caller, some)
        for number, one in enumerate(found, start + 1):
            try:
                if isinstance(one, MdmError):
                    raise one
                surl, place = one
                acl.demand(caller, place, Right.GET_METADATA)
                entry, image, name = viewed(served, caller, surl, place, view)
            except MdmError as why:
                why.detail = f"number {number} of the list: {why.detail or why.title}"
                raise
            yield Chosen(entry.id, entry.guid, image, name)


async def in_pages(things: AsyncIterable[T]) -> AsyncGenerator[list[T], None]:
    page: list[T] = []
    async for one in things:
        page.append(one)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
