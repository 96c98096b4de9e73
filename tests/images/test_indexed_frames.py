"""A frame of very many is found by as few reads of the store as one of few, wherever it is."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mdm_async.blobs.local import _LocalReader
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT
from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.errors import WrongContent
from mdm_async.images.reading import stream
from mdm_async.images.reading.representation import Span
from mdm_async.images.studies.frames import frames_of, pixels_of
from mdm_async.names import View
from tests.canary_pixels import JPEG_REST, JPEG_START, described, fragments_alone
from tests.conftest import Server
from tests.dicom.conftest import Write
from tests.images.one_step import caller, store
from tests.images.test_repaired import JPEG

WRITE = Write(EXPLICIT_LITTLE)
MANY = 100_000
"""So many have their index in the store, a few in the catalog."""
FEW = 3_000
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


async def test_nothing_of_an_image_that_was_not_stored_is_left(server: Server) -> None:
    async def kept() -> list[Any]:
        async with server.house.database.acquire() as db:
            rows = await db.fetch("select id from parts where kind = 'frames'")
        return [len(rows), {blob async for blob, _ in server.house.blobs.listing()}]

    before = await kept()
    with pytest.raises(WrongContent):
        await store(server, f"{await server.directory()}/a.dcm", compressed(MANY), sha256="0" * 64)
    assert await kept() == before
