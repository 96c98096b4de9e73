"""What any store of blobs must do: a directory, and a bucket of a real Ceph."""

import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from mdm_async.blobs.local import LocalBlobs
from mdm_async.blobs.s3.store import S3Blobs
from mdm_async.blobs.store import BlobStore, FileRange, StoreId
from mdm_async.errors import Damaged, Lost, Unavailable, UnsafeSettings
from mdm_async.settings import S3Settings
from tests.blobs.buckets import bucket_of
from tests.ceph import Ceph

LARGE = os.urandom((19 << 20) + 77)


@pytest.fixture(scope="module", params=["directory", "bucket", "bucket that keeps versions"])
def engine(request: pytest.FixtureRequest) -> tuple[Ceph | None, bool]:
    """None for a directory; and whether versions are kept."""
    is_bucket = "bucket" in request.param
    return request.getfixturevalue("ceph") if is_bucket else None, "versions" in request.param


@pytest.fixture(scope="module")
async def store(
    engine: tuple[Ceph | None, bool], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BlobStore]:
    ceph, versioned = engine
    with ThreadPoolExecutor(4) as pool:
        if ceph is None:
            store: BlobStore = LocalBlobs(tmp_path_factory.mktemp("blobs") / "blobs", pool, 0)
            await store.mark(StoreId(uuid4(), uuid4()))
            yield store
            return
        async with bucket_of(ceph) as bucket:
            if versioned:
                await bucket.make_versioned()
            async with S3Blobs.connect(bucket.url, S3Settings(**ceph.settings), pool) as store:
                await store.mark(StoreId(uuid4(), uuid4()))
                yield store
                assert await bucket.objects() == [blob.hex async for blob, _ in store.listing()]


async def written(store: BlobStore, data: bytes, step: int = 1 << 20) -> UUID:
    blob = uuid4()
    writer = store.create(blob, store.promise(""))
    for place in range(0, len(data), step):
        await writer.write(memoryview(bytearray(data[place : place + step])))
    await writer.commit()
    return blob


async def listed(store: BlobStore) -> dict[UUID, int]:
    return {blob: size async for blob, size in store.listing()}


def bytes_of(piece: object) -> bytes:
    if isinstance(piece, FileRange):
        return os.pread(piece.descriptor, piece.size, piece.offset)
    return bytes(piece)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("size", [0, 1, 100_000, 1 << 20, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, len(LARGE)])
async def test_what_is_written_is_read_back(store: BlobStore, size: int) -> None:
    data = LARGE[:size]
    blob = await written(store, data)
    assert (await listed(store))[blob] == await store.size(blob) == size
    reader = await store.open(blob, size)
    for files in (True, False):
        pieces = [bytes_of(piece) async for piece in reader.pieces(0, size, files=files)]
        assert b"".join(pieces) == data
        assert all(len(piece) <= 1 << 20 for piece in pieces)
    reader.close()
    await store.delete(blob)


async def test_any_range_of_a_large_blob_is_read(store: BlobStore) -> None:
    blob = await written(store, LARGE)
    reader = await store.open(blob, len(LARGE))
    for offset, size in ((0, 100), (77, 1000), (5 << 20, 2_000_000), (7, 3), (len(LARGE) - 5, 5)):
        assert await reader.apply(offset, size, bytes) == LARGE[offset : offset + size]
        pieces = [bytes_of(piece) async for piece in reader.pieces(offset, size, files=False)]
        assert b"".join(pieces) == LARGE[offset : offset + size]
    run = 1_049_024
    in_order = [
        await reader.apply(place, min(run, len(LARGE) - place), bytes) for place in range(0, len(LARGE), run)
    ]
    assert b"".join(in_order) == LARGE
    reader.close()
    with pytest.raises(Unavailable, match="ended"):
        await reader.apply(0, 700_000, bytes)
    await store.delete(blob)


async def test_what_is_committed_last_is_the_end(store: BlobStore) -> None:
    blob = uuid4()
    writer = store.create(blob, store.promise(""))
    await writer.write(b"begin ")
    await writer.commit(b"end")
    reader = await store.open(blob, 9)
    assert await reader.apply(0, 9, bytes) == b"begin end"
    reader.close()


@pytest.mark.parametrize("size", [4, len(LARGE)])
async def test_an_abandoned_blob_leaves_nothing(store: BlobStore, size: int) -> None:
    before, blob = await listed(store), uuid4()
    writer = store.create(blob, store.promise(""))
    await writer.write(LARGE[:size])
    await writer.abandon()
    assert await listed(store) == before
    with pytest.raises(Unavailable):
        await writer.write(b"more")


async def test_what_was_committed_can_be_abandoned(store: BlobStore) -> None:
    blob = uuid4()
    writer = store.create(blob, store.promise(""))
    await writer.commit(b"all")
    await writer.abandon()
    assert await store.size(blob) is None


async def test_what_a_dead_server_left_half_written_goes_with_its_row(store: BlobStore) -> None:
    blob = uuid4()
    writer = store.create(blob, store.promise(""))
    await writer.write(LARGE)
    await writer.detach()
    await store.delete(blob)
    assert blob not in await listed(store)


async def test_a_blob_that_is_gone_or_of_another_size_is_an_error_not_wrong_bytes(store: BlobStore) -> None:
    for data in (b"short", LARGE):
        blob = await written(store, data)
        with pytest.raises(Lost, match="shorter"):
            await store.open(blob, len(data) + 1)
        with pytest.raises(Damaged, match="longer"):
            await store.open(blob, len(data) - 1)
        reader = await store.open(blob, len(data))
        await store.delete(blob)
        await store.delete(blob)
        reader.close()
        with pytest.raises(Lost, match="missing"):
            await store.open(blob, len(data))
        assert await store.size(blob) is None


async def test_blobs_are_listed_in_the_order_of_their_ids(store: BlobStore) -> None:
    blobs = {await written(store, b"x" * size): size for size in range(5)}
    found = [one async for one in store.listing()]
    assert found == sorted(found)
    assert blobs.items() <= dict(found).items()


async def test_its_id_is_made_once(store: BlobStore) -> None:
    mine = await store.identity()
    assert mine is not None
    await store.mark(mine)
    assert await store.identity() == mine
    if isinstance(store, S3Blobs):
        with pytest.raises(UnsafeSettings, match="another server"):
            await store.mark(StoreId(uuid4(), uuid4()))
