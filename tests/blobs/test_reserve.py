"""Space on a disk that uploads have promised to fill, and that is not theirs."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from mdm_async.blobs import reserve
from mdm_async.blobs.reserve import DiskPromise, Reserve
from mdm_async.errors import NoSpace


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the disk has left, to be changed."""
    bytes_ = [1000]

    def statvfs(_: Path) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=bytes_[0], f_frsize=1)

    monkeypatch.setattr(reserve.os, "statvfs", statvfs)
    return bytes_


@pytest.fixture
def disk() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_what_one_was_promised_no_other_is(free: list[int], disk: ThreadPoolExecutor) -> None:
    store = Reserve(Path(), 100)
    first, second = DiskPromise(store, disk, "a"), DiskPromise(store, disk, "a")
    await first.set_aside(600)
    assert store.left() == 300
    with pytest.raises(NoSpace):
        await second.set_aside(301)
    await second.set_aside(300)
    assert store.left() == 0
    first.end()
    assert store.left() == 600
    second.end()
    second.end()
    assert store.left() == 900


async def test_an_upload_of_unknown_length_takes_only_what_is_left(
    free: list[int], disk: ThreadPoolExecutor
) -> None:
    store = Reserve(Path(), 100)
    known, unknown = DiskPromise(store, disk, "a"), DiskPromise(store, disk, "a")
    await known.set_aside(600)
    await unknown.set_aside(0)
    with unknown.writing(200):
        assert store.left() == 100
        with pytest.raises(NoSpace), unknown.writing(101):
            pass
        with known.writing(600):
            assert store.left() == 100
        free[0] -= 600  # that is on the disk now
        assert store.left() == 100
        with pytest.raises(NoSpace), known.writing(101):
            pass
    assert store.left() == 300


async def test_others_promises_count_for_half_of_the_room_at_the_most(
    free: list[int], disk: ThreadPoolExecutor
) -> None:
    store = Reserve(Path(), 100)
    greedy = [DiskPromise(store, disk, payer) for payer in ("a", "b")]
    await greedy[0].set_aside(900)
    assert (store.left("a"), store.left("b")) == (0, 450)
    await greedy[1].set_aside(450)
    assert store.left("c") == 450
    known, unknown = DiskPromise(store, disk, "c"), DiskPromise(store, disk, "d")
    with pytest.raises(NoSpace):
        await known.set_aside(451)
    await known.set_aside(450)
    assert (store.left("c"), store.left("d")) == (0, 450)
    await unknown.set_aside(0)
    with pytest.raises(NoSpace), unknown.writing(451):
        pass
    with known.writing(450):
        free[0] = 550
    with known.writing(10), unknown.writing(100):
        pass  # the one sealed is longer than it was announced, the other was not announced at all
    assert store.left("d") == 225
    for promise in (*greedy, known, unknown):
        promise.end()
    assert store.left() == store.left("d") == 450


async def test_what_is_written_keeps_the_reserve_whatever_was_promised(
    free: list[int], disk: ThreadPoolExecutor
) -> None:
    store = Reserve(Path(), 100)
    first, second = DiskPromise(store, disk, "a"), DiskPromise(store, disk, "b")
    await first.set_aside(900)
    await second.set_aside(450)
    with second.writing(450), first.writing(450):
        assert store.left("c") == 0
        with pytest.raises(NoSpace), first.writing(1):
            pass


async def test_the_disk_is_looked_at_again_at_each_write(free: list[int], disk: ThreadPoolExecutor) -> None:
    store = Reserve(Path(), 100)
    promise = DiskPromise(store, disk, "a")
    await promise.set_aside(800)
    free[0] = 300  # others have filled it
    with promise.writing(200):
        pass
    free[0] = 100
    with pytest.raises(NoSpace), promise.writing(1):
        pass
    with pytest.raises(NoSpace):
        await DiskPromise(store, disk, "a").set_aside(0)


async def test_a_real_disk_is_asked(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    known = os.statvfs(tmp_path)
    left = Reserve(tmp_path, 0).left()
    assert left == pytest.approx(known.f_bavail * known.f_frsize, abs=1 << 30)
