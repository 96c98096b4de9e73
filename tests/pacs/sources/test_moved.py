"""Images that an archive moves here by C-MOVE go to who waits for them; nothing else is taken from there."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mdm_async.errors import MdmError, NotFound, PeerFailed, SourceAway
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.dimse.commands import Command
from mdm_async.pacs.dimse.peers import OtherEnd, Peer
from mdm_async.pacs.retrieval.archive import DimseSource
from mdm_async.settings import PacsSourceSettings
from tests.faults.conditions import stored, until
from tests.pacs.devices import CT, DEVICE, Device, Image, Pacs, calling, command, image, p_data, pacs_server
from tests.pacs.sources.fake_dimse import Asked, FakeDimse, fake_dimse
from tests.postgres.for_tests import PostgresForTests

ARCHIVE, BOTH = "ARCHIVE", "BOTH"


@dataclass
class Moving:
    """An archive that moves what `how` says, and a server that it moves it to."""

    fake: FakeDimse
    image: Image = field(default_factory=image)
    how: Callable[["Moving", Asked], Awaitable[None]] | None = None
    statuses: list[int] = field(default_factory=list)
    _pacs: Pacs | None = None

    @property
    def pacs(self) -> Pacs:
        assert self._pacs is not None
        return self._pacs

    async def serve(self, asked: Asked) -> None:
        asked_for = await asked.message()
        assert asked_for.MoveDestination == "MDM"
        assert self.how is not None
        await self.how(self, asked)

    def source(self, name: str = "hospital") -> DimseSource:
        found = self.pacs.server.house.archives.named(name).source
        assert isinstance(found, DimseSource)
        return found

    async def fetched(self, name: str = "hospital") -> bytes:
        one = PacsSource(name, "1.2.3", "1.2.3.4", self.image.instance)
        async with self.source(name).instance(one) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def begin(
        self,
        asked: Asked | None,
        *,
        ae: str = ARCHIVE,
        originator: str = "MDM",
        another: int = 0,
        instance: str | None = None,
    ) -> Device:
        """A C-STORE whose data set is to follow."""
        device = await (await self.pacs.connect()).associate(ae=ae)
        more = {}
        if asked is not None and originator:
            more["MoveOriginatorApplicationEntityTitle"] = originator
            more["MoveOriginatorMessageID"] = asked.request.MessageID + another
        said = command(
            AffectedSOPClassUID=CT,
            AffectedSOPInstanceUID=instance or self.image.instance,
            CommandField=1,
            MessageID=5,
            Priority=0,
            CommandDataSetType=1,
            **more,
        )
        await device.send(p_data(1, 3, said))
        return device

    async def store(self, asked: Asked | None, **how: object) -> int:
        device = await self.begin(asked, **how)  # type: ignore[arg-type]
        await device.send_data_set(self.image.data_set)
        self.statuses.append(await device.status())
        await device.release()
        return self.statuses[-1]


How = Callable[[Moving, Asked], Awaitable[None]]


@pytest.fixture(scope="session")
async def _moving(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Moving]:
    """One for all tests: each moves an image of its own."""
    async with fake_dimse(lambda _: never()) as fake:
        made = Moving(fake)
        fake.serve = made.serve
        own = {"host": "127.0.0.1", "port": fake.port, "retrieve": "C-MOVE"}
        sources = [{"name": "hospital", "ae": ARCHIVE} | own, {"name": "both", "ae": BOTH} | own]
        pacs = {"sources": sources, "calling": (calling(), calling(BOTH))}
        dsn = await postgres.fresh_database(migrated)
        async with pacs_server(tmp_path_factory.mktemp("moved") / "data", dsn, pacs=pacs) as made._pacs:
            for name in ("hospital", "both"):
                made.source(name).patience = 2.0
            yield made


@pytest.fixture
def moving(_moving: Moving) -> Iterator[Moving]:
    _moving.image, _moving.statuses = image(), []
    yield _moving
    _moving.pacs.close()


async def never() -> None:
    """Asked before there is a server."""


def well(ae: str) -> How:
    async def move(moving: Moving, asked: Asked) -> None:
        await moving.store(asked, ae=ae)
        await asked.answer(0xFF00)
        await asked.answer(0)

    return move


async def nothing(_: Moving, asked: Asked) -> None:
    await asked.answer(0)


async def unknown_destination(_: Moving, asked: Asked) -> None:
    await asked.answer(0xA801)


async def silence(_: Moving, asked: Asked) -> None:
    await asked.reader.read()


async def another_instance(moving: Moving, asked: Asked) -> None:
    await moving.store(asked, instance="1.2.3.4.5")
    await asked.answer(0xB000)


async def of_another_move(moving: Moving, asked: Asked) -> None:
    await moving.store(asked, another=1)
    await asked.answer(0)


async def by_somebody_else(moving: Moving, asked: Asked) -> None:
    await moving.store(asked, ae=DEVICE)
    await asked.answer(0)


async def without_originator(moving: Moving, asked: Asked) -> None:
    await moving.store(asked, originator="")
    await asked.answer(0)


async def half(moving: Moving, asked: Asked) -> None:
    device = await moving.begin(asked)
    await device.send_data_set(moving.image.data_set[:20_000], whole=False)
    await device.send(b"\7\0\0\0\0\4\0\0\0\0")
    await asked.reader.read()


async def half_and_no_more(moving: Moving, asked: Asked) -> None:
    device = await moving.begin(asked)
    await device.send_data_set(moving.image.data_set[:20_000], whole=False)
    device.close()
    await asked.answer(0)


async def all_but_the_end(moving: Moving, asked: Asked) -> None:
    await moving.store(asked)
    await asked.reader.read()


async def failing_in_the_end(moving: Moving, asked: Asked) -> None:
    await moving.store(asked)
    await asked.answer(0xA702)


async def test_an_archive_moves_images_from_its_own_address_alone() -> None:
    own: dict[str, Any] = {"name": "hospital", "ae": ARCHIVE, "host": "127.0.0.1", "retrieve": "C-MOVE"}
    peer, awaited = Peer.of_archive(PacsSourceSettings.model_validate(own)), Awaited("MDM")
    with awaited.expecting(peer, "1.2.3") as arrival:
        comes = Command(1, 5, CT, "1.2.3", True, originator="MDM", originator_id=arrival.id)
        assert awaited.find(ARCHIVE, OtherEnd("127.0.0.2"), comes) is None
        assert awaited.find(ARCHIVE, OtherEnd("127.0.0.1"), comes) is arrival


async def test_what_is_moved_goes_to_who_waits_and_into_no_directory(moving: Moving) -> None:
    before = await moving.pacs.names("/pacs")
    for name, ae in (("hospital", ARCHIVE), ("both", BOTH)):  # of which one pushes images, too
        moving.how = well(ae)
        file = await moving.fetched(name)
        assert file.endswith(moving.image.data_set)
        assert file[128:132] == b"DICM"
    assert moving.statuses == [0, 0]
    assert await moving.pacs.names("/pacs") == before
    # And what it sends unasked has its directory, where it has one.
    assert await moving.store(None, ae=BOTH) == 0
    assert len(await moving.pacs.names("/pacs")) == len(before) + 1


@pytest.mark.parametrize(
    ("how", "error", "statuses"),
    [
        (nothing, NotFound, []),
        (unknown_destination, SourceAway, []),
        (silence, SourceAway, []),
        (another_instance, PeerFailed, [0x0124]),
        (of_another_move, NotFound, [0x0124]),
        (by_somebody_else, NotFound, [0x0124]),
        (without_originator, NotFound, [0x0124]),
        (half, SourceAway, []),
        (half_and_no_more, SourceAway, []),
        (all_but_the_end, SourceAway, [0]),
        (failing_in_the_end, PeerFailed, [0]),
    ],
)
async def test_nothing_that_is_not_awaited_is_taken(
    moving: Moving,
    how: How,
    error: type[MdmError],
    statuses: list[int],
) -> None:
    moving.how = how
    before = await stored(moving.pacs.server)
    with pytest.raises(error):
        await moving.fetched()
    await until(lambda: moving.statuses == statuses)
    # Nor what comes unasked, or later than it was waited for.
    assert await moving.store(None) == 0x0124
    assert await stored(moving.pacs.server) == before
