"""What a manifest does not tell of: files that the caller may read in a view, and that have none to be retrieved."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from mdm_async.catalog.holdings import stored_views
from mdm_async.catalog.holdings.stored_views import Holding
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, visible
from mdm_async.images.metadata.rows import Desk, place_of
from mdm_async.images.studies.searching import MOST_RETRIEVED
from mdm_async.names import Caller, Right, View

Turn = Callable[[], AbstractAsyncContextManager[None]]
_PAGE: Final = 1_000


async def left_out(desk: Desk, caller: Caller, paths: Sequence[str], view: View, turn: Turn) -> Counter[str]:
    """How many of the first `MOST_RETRIEVED` at and below some names have no such view, by why: "refused",
    "quarantined", "notMade" as yet, "notBrought" from their archive or lost.

    Raises as `place_of`.
    """
    looked_at: set[int] = set()
    why: Counter[str] = Counter()
    for path in dict.fromkeys(paths):
        after: visible.Cursor | None = visible.START
        while after is not None and len(looked_at) < MOST_RETRIEVED:
            async with turn():
                page, after = await _page(desk, caller, path, view, after)
                fresh = {one.id: one for one in page if one.id not in looked_at}
                looked_at |= fresh.keys()
                why.update(await _lacking(desk, fresh.values(), view))
    return why


async def _page(
    desk: Desk, caller: Caller, path: str, view: View, after: visible.Cursor
) -> tuple[Sequence[Entry], visible.Cursor | None]:
    """Files, and after which to go on; None at the end."""
    async with desk.database.acquire() as db:
        place = await place_of(db, caller, path)
        if place.entry is None or not place.entry.is_directory:
            return _alone(caller, place, view), None
        verdict = await desk.verdicts.of(db, caller, place.newest_acl)
        seen = await visible.below(db, caller, verdict, place)
        found = await visible.files(db, seen, view, _PAGE, after)
    if len(found) < _PAGE:
        return found, None
    last = found[-1]
    assert last.parent is not None
    return found, (last.parent, last.name)


def _alone(caller: Caller, place: Place, view: View) -> list[Entry]:
    may = place.entry is not None and acl.allows(caller, place, Right.READ, view)
    return [place.entry] if may and place.entry is not None else []


async def _lacking(desk: Desk, files: Collection[Entry], view: View) -> Counter[str]:
    wanted = [(one.image, view) for one in files if one.image is not None]
    async with desk.database.acquire() as db:
        found = await stored_views.holdings(db, wanted, desk.views.versions)
    # Several files may be of one image.
    return Counter(why for one in wanted if (held := found.get(one)) is not None and (why := _why(held)))


def _why(held: Holding) -> str | None:
    if held.view is not None:
        return None if held.view.state == "ready" else held.view.state
    return "notMade" if held.locality.is_online else "notBrought"
