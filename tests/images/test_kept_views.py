"""Views that are kept open: given for what they were opened from, and no longer than they are used."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.holdings.stored_views import Holding, StoredView
from mdm_async.images.reading.kept_views import KeptViews
from mdm_async.images.reading.view import ReadyView
from mdm_async.names import View
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made

BASIC = View("basic")


def holding(image: UUID) -> Holding:
    return Holding(uuid4(), Locality.ONLINE, StoredView(image, BASIC, "a.1", "image", b"record", None))


def view(image: UUID, weight: int = 1) -> ReadyView:
    class Weighed(ReadyView):
        @property
        def weight(self) -> int:
            return weight

    return Weighed.__new__(Weighed)


def filled(kept: KeptViews, count: int) -> list[tuple[UUID, Holding]]:
    found = [(image, holding(image)) for image in (uuid4() for _ in range(count))]
    for image, held in found:
        kept.keep((image, BASIC), held, view(image))
    return found


def clock(times: list[float]) -> Callable[[], float]:
    return lambda: times[0]


def test_only_what_it_was_opened_from_gives_it() -> None:
    kept = KeptViews(10)
    ((image, held),) = filled(kept, 1)
    assert kept.get((image, BASIC), held) is not None
    assert held.view is not None
    for other in (
        replace(held, registration=uuid4()),
        replace(held, locality=Locality.ONLINE_AND_NEARLINE),
        replace(held, view=None),
        replace(held, view=replace(held.view, version="a.2")),
        replace(held, view=replace(held.view, record=b"another")),
        replace(held, view=replace(held.view, record=None, reason="refused")),
    ):
        assert kept.get((image, BASIC), other) is None


def test_the_least_recently_used_goes_first() -> None:
    kept = KeptViews(2)
    (first, held), (second, held_too) = filled(kept, 2)
    kept.get((first, BASIC), held)
    filled(kept, 1)
    assert kept.get((second, BASIC), held_too) is None
    assert kept.get((first, BASIC), held) is not None


def test_they_take_no_more_memory_than_they_may() -> None:
    kept = KeptViews(10)
    for image in (uuid4() for _ in range(5)):
        kept.keep((image, BASIC), holding(image), view(image, 20 << 20))
    assert len(kept) == 3


def test_those_that_nobody_uses_and_those_of_an_image_are_forgotten() -> None:
    times = [1.0]
    kept = KeptViews(10, clock(times))
    (first, held), (second, held_too) = filled(kept, 2)
    times[0] = 2.0
    kept.get((first, BASIC), held)
    kept.let_go(1.5)
    assert kept.get((second, BASIC), held_too) is None
    kept.forget({second})
    assert len(kept) == 1
    kept.forget({first})
    assert len(kept) == 0


async def test_what_is_removed_is_kept_by_nobody(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    kept = own_server.house.warm.kept
    while not len(kept):  # If a change comes to be known meanwhile, it is not kept.
        await own_server.prepare("/a.dcm")
    await own_server.srm("rm", surls=["/a.dcm"])
    await until(lambda: len(kept) == 0)
