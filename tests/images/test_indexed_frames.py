"""A frame of very many is found by as few reads of the store as one of few, wherever it is."""

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mdm_async.blobs.local import _LocalReader
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT
from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.pixels.frame_places import FramePlaces
from mdm_async.errors import WrongContent
from mdm_async.images.metadata.indexing import index_stored
from mdm_async.images.reading import stream
from mdm_async.images.reading.representation import Span
from mdm_async.images.studies.frames import frames_of, pixels_of
from mdm_async.images.upkeep.queues import begin_work
from mdm_async.names import View
from tests.canary_pixels import JPEG_REST, JPEG_START, described, fragments_alone
from tests.conftest import Server
from tests.dicom.conftest import Write
from tests.faults.conditions import until
from tests.images.one_step import caller, store
from tests.images.test_repaired import JPEG
from tests.web.dicomweb.test_decoded_frames import ready, written
from tests.web.dicomweb.test_retrieve import only, parts_of

WRITE = Write(EXPLICIT_LITTLE)
MANY = 100_000
"""So many have their index in the store, a few in the catalog."""
FEW = 3_000
SOME = 40_000
"""As few as have their index in the store."""
ONE = (JPEG_START + JPEG_REST).ljust(160, b"\0")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each read of the store."""
    counted: list[int] = []
    apply = _LocalReader.apply

    async def counting(self: _LocalReader, offset: int, size: int, job: Callable[[memoryview], Any]) -> Any:
        counted.append(size)
        return await apply(self, offset, size, job)

    monkeypatch.setattr(_LocalReader, "apply", counting)
    return counted


def compressed(frames: int) -> bytes:
    about = described(frames=b"%d" % frames, rows=8, columns=8)
    return WRITE.file(about, JPEG) + fragments_alone(b"", *[ONE] * frames)


def native(frames: int) -> bytes:
    about = described(frames=b"%d" % frames, rows=2, columns=4)
    return WRITE.file(about) + WRITE.element(0x7FE00010, "OB", struct.pack(f"<{frames}Q", *range(frames)))


def deflated(frames: int) -> bytes:
    found = pydicom.dcmread(io.BytesIO(native(frames)))
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    written = io.BytesIO()
    found.save_as(written)
    return written.getvalue()


async def frame(server: Server, surl: str, number: int) -> tuple[Span, bytes]:
    """Where it is in the view, whose head is not read for it, and its bytes."""
    house = server.house
    view = (await house.opened.open(await caller(server), surl, view=View("basic"))).plain
    pixels = await pixels_of(house.blobs, house.workshop.scrubber, view, 0)
    (((start, stop),),) = await frames_of(house.blobs, view, pixels, [number])
    return (start, stop), b"".join([bytes(one) async for one in stream.clear(house.blobs, view, start, stop)])


async def test_a_compressed_frame_takes_two_reads_wherever_it_is_and_after_other_keys_too(
    server: Server, reads: list[int]
) -> None:
    for count in (MANY, FEW):
        surl = f"{await server.directory()}/a.dcm"
        await store(server, surl, compressed(count))
        (first, _), _ = await frame(server, surl, 1)
        for number in (1, 2, count // 2, count):
            reads.clear()
            (start, _), found = await frame(server, surl, number)
            assert (start - first, found) == ((number - 1) * (len(ONE) + 8), ONE)
            assert len(reads) == (2 if count == MANY else 1)
            assert sum(reads) <= 4 * CIPHER_SEGMENT
        ((_, done),) = await server.house.rekeying.rekey(await caller(server), [surl])
        assert not isinstance(done, Exception)
        assert (await frame(server, surl, count))[1] == ONE


@pytest.mark.parametrize("made", [native, deflated])
async def test_a_native_frame_takes_one_read(
    server: Server, reads: list[int], made: Callable[[int], bytes]
) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await store(server, surl, made(MANY))
    for number in (1, MANY // 2, MANY):
        reads.clear()
        assert (await frame(server, surl, number))[1] == struct.pack("<Q", number - 1)
        assert len(reads) == 1
        assert sum(reads) <= 2 * CIPHER_SEGMENT


@contextmanager
def unnoticed() -> Iterator[None]:
    """Nobody looks for frames in what is stored: as before they were noted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FramePlaces, "of", classmethod(lambda *_: None))
        yield


async def looked_through(server: Server) -> None:
    """Here, or by the server at the same time."""
    house = server.house
    await index_stored(house.workshop, house.shelf, house.node)

    async def none_is_left() -> bool:
        async with house.database.acquire() as db:
            return bool(
                await db.fetchval(
                    "select not exists (select from images_to_index) and indexed_after is null from installation"
                )
            )

    await until(none_is_left)


async def indexes(server: Server) -> int:
    async with server.house.database.acquire() as db:
        return int(await db.fetchval("select count(*) from parts where kind = 'frames'"))


async def test_what_was_stored_before_frames_were_noted_gets_its_index_in_the_background(
    server: Server, reads: list[int]
) -> None:
    house, folder = server.house, await server.directory()
    files = {f"{folder}/{count}.dcm": compressed(count) for count in (SOME, FEW)}
    native_one = f"{folder}/native.dcm"
    with unnoticed():
        for surl, file in (files | {native_one: native(FEW)}).items():
            await store(server, surl, file)
    whole, before = {surl: await server.read(surl) for surl in files}, await indexes(server)
    async with house.database.acquire() as db:
        await db.execute("update installation set index_revision = 1")
    await begin_work(house.lanes.bulk, house.views, house.node)
    await looked_through(server)
    assert await indexes(server) == before + 2
    for surl, count in zip(files, (SOME, FEW), strict=True):
        for number in (1, count // 2, count):
            reads.clear()
            assert (await frame(server, surl, number))[1] == ONE
            assert len(reads) <= 2
            assert sum(reads) <= 4 * CIPHER_SEGMENT
        assert await server.read(surl) == whole[surl]
        ((_, done),) = await house.rekeying.rekey(await caller(server), [surl])
        assert not isinstance(done, Exception)
        assert (await frame(server, surl, count))[1] == ONE
    reads.clear()
    assert (await frame(server, native_one, FEW))[1] == struct.pack("<Q", FEW - 1)
    assert len(reads) <= 1


async def test_whose_frames_are_asked_for_without_an_index_gets_one(server: Server) -> None:
    viewer, where = await only(server, written(ready("MR_small_RLE", 90, frames=5)))
    async with server.house.database.acquire() as db:
        assert await db.execute("delete from parts where kind = 'frames'") != "DELETE 0"
    as_stored = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    first = await viewer.get(f"{where}/frames/5", **as_stored)
    assert first.status == 200
    await looked_through(server)
    assert await indexes(server) == 1
    assert parts_of(await viewer.get(f"{where}/frames/5", **as_stored)) == parts_of(first)


async def test_nothing_of_an_image_that_was_not_stored_is_left(server: Server) -> None:
    async def kept() -> list[Any]:
        async with server.house.database.acquire() as db:
            rows = await db.fetch("select id from parts where kind = 'frames'")
        return [len(rows), {blob async for blob, _ in server.house.blobs.listing()}]

    before = await kept()
    with pytest.raises(WrongContent):
        await store(server, f"{await server.directory()}/a.dcm", compressed(MANY), sha256="0" * 64)
    assert await kept() == before
