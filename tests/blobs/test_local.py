"""What the blob store in a local directory does besides what any does."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from mdm_async.blobs.local import LocalBlobs
from mdm_async.blobs.store import FileRange, StoreId


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalBlobs]:
    with ThreadPoolExecutor(4) as disk:
        blobs = LocalBlobs(tmp_path / "blobs", disk, 0)
        await blobs.mark(StoreId(uuid4(), uuid4()))
        yield blobs


async def _write(store: LocalBlobs, data: bytes) -> object:
    blob = uuid4()
    writer = store.create(blob, store.promise(""))
    await writer.write(data[: len(data) // 2])
    await writer.write(memoryview(data)[len(data) // 2 :])
    await writer.commit()
    return blob


async def test_what_is_sent_may_be_a_range_of_a_file(store: LocalBlobs) -> None:
    data = os.urandom(100_000)
    blob = await _write(store, data)
    reader = await store.open(blob, len(data))  # type: ignore[arg-type]
    (range_,) = [piece async for piece in reader.pieces(5, 10, files=True)]
    assert isinstance(range_, FileRange)
    assert os.pread(range_.descriptor, range_.size, range_.offset) == data[5:15]
    reader.close()


async def test_names_are_random_and_files_for_their_owner_only(store: LocalBlobs, tmp_path: Path) -> None:
    blob = await _write(store, b"x")
    (path,) = (p for p in (tmp_path / "blobs").glob("??/*") if p.is_file())
    assert path.name == blob.hex  # type: ignore[attr-defined]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700


async def test_a_reader_closed_while_it_reads_leaks_no_descriptor(store: LocalBlobs) -> None:
    blob = await _write(store, os.urandom(1 << 20))
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for _ in range(50):
        reader = await store.open(blob, 1 << 20)  # type: ignore[arg-type]
        reading = asyncio.ensure_future(reader.apply(0, 1 << 20, len))
        await asyncio.sleep(0)
        reader.close()
        await asyncio.gather(reading, return_exceptions=True)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


async def test_the_reserve_counts_as_taken(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as disk:
        assert await LocalBlobs(tmp_path / "a", disk, 0).free() > 0
        assert await LocalBlobs(tmp_path / "b", disk, 1 << 60).free() == 0
