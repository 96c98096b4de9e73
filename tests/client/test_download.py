"""Pulling a view into a file: whole, resumed, and never wrong."""

import asyncio
import io
import json
import os

import pytest

from mdm_async import errors
from mdm_async.client.part_file import PartFile

SURL = "/vo/a.dcm"


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
def sealed(request):
    return request.param


async def test_a_view_arrives_whole_and_checked(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    got = await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert (tmp_path / "a.dcm").read_bytes() == image
    assert (got.size, got.sealed, got.resumed) == (len(image), sealed, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.dcm"]
    assert fake.calls["releaseFiles"] == 1


async def test_cuts_are_resumed_where_they_happened(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.cuts = [0, 10, 70_000, 1_500_000]
    await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert (tmp_path / "a.dcm").read_bytes() == image
    assert len(fake.gets) == 5
    assert fake.gets[-1] not in (None, "bytes=0-")
    assert "If-Range" in fake.transfer_headers[-1]


async def test_a_server_that_says_later_is_asked_until_it_gives_it(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.turned_away = 20
    await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert (tmp_path / "a.dcm").read_bytes() == image


async def test_a_server_that_cuts_for_ever_is_given_up_and_the_part_is_kept(
    fake, client, image, tmp_path, sealed
):
    fake.files[SURL] = image
    fake.faults.cuts = [2_000_000] + [0] * 100
    with pytest.raises(errors.Unavailable):
        await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.dcm.part", "a.dcm.part.json"]
    kept = (tmp_path / "a.dcm.part").stat().st_size
    assert kept > 1_000_000

    fake.faults.cuts = []
    fake.gets.clear()
    got = await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert got.resumed == kept
    assert (tmp_path / "a.dcm").read_bytes() == image
    assert all(header and not header.startswith("bytes=0-3") for header in fake.gets[-1:])
    assert [path.name for path in tmp_path.iterdir()] == ["a.dcm"]


async def test_what_an_earlier_pull_left_of_another_image_is_not_used(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.cuts = [2_000_000] + [0] * 100
    with pytest.raises(errors.Unavailable):
        await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    fake.faults.cuts = []
    fake.files[SURL] = image[::-1]
    got = await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert got.resumed == 0
    assert (tmp_path / "a.dcm").read_bytes() == image[::-1]


async def test_a_part_file_that_rotted_is_found_and_pulled_again(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.cuts = [2_000_000] + [0] * 100
    with pytest.raises(errors.Unavailable):
        await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    fake.faults.cuts = []
    with (tmp_path / "a.dcm.part").open("r+b") as part:
        part.write(b"rotten")
    got = await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert got.resumed == 0
    assert (tmp_path / "a.dcm").read_bytes() == image


async def test_a_dead_transfer_url_is_prepared_again_and_the_pull_goes_on(
    fake, client, image, tmp_path, sealed
):
    fake.files[SURL] = image
    fake.faults.cuts = [2_000_000]
    fake.faults.kill_after_next_get = True
    await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert (tmp_path / "a.dcm").read_bytes() == image
    assert fake.calls["prepareToGet"] == 2
    assert fake.calls["releaseFiles"] == 2
    assert fake.gets[-1] is not None


async def test_an_image_replaced_while_it_is_pulled_is_never_mixed(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.cuts = [2_000_000]
    fake.faults.kill_after_next_get = True
    told = []

    def on_bytes(count: int) -> None:
        told.append(count)
        fake.files[SURL] = image[::-1]

    await client.get(SURL, tmp_path / "a.dcm", sealed=sealed, on_bytes=on_bytes)
    assert (tmp_path / "a.dcm").read_bytes() == image[::-1]
    assert sum(told) == len(image)
    assert min(told) < 0


async def test_a_flipped_bit_is_found_and_nothing_is_left(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.corrupt_at = 2_000_000
    with pytest.raises(errors.WrongContent):
        await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert list(tmp_path.iterdir()) == []


async def test_a_server_without_etags_is_resumed_too(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    fake.faults.forget_etag = True
    fake.faults.cuts = [1_500_000]
    await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert (tmp_path / "a.dcm").read_bytes() == image


async def test_a_cancelled_pull_leaves_a_part_that_the_next_one_continues(
    fake, client, image, tmp_path, sealed
):
    fake.files[SURL] = image
    fake.faults.stall_at = 1_900_000
    here = asyncio.Event()
    seen = 0

    def on_bytes(count: int) -> None:
        nonlocal seen
        seen += count
        if seen > 1_500_000:
            here.set()

    task = asyncio.create_task(client.get(SURL, tmp_path / "a.dcm", sealed=sealed, on_bytes=on_bytes))
    await here.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    note = json.loads((tmp_path / "a.dcm.part.json").read_bytes())
    assert note["size"] == len(image)
    fake.faults.stall_at = None
    got = await client.get(SURL, tmp_path / "a.dcm", sealed=sealed)
    assert got.resumed > 1_000_000
    assert (tmp_path / "a.dcm").read_bytes() == image


async def test_two_pulls_to_one_file_do_not_mix(fake, client, image, tmp_path):
    fake.files[SURL] = image
    results = await asyncio.gather(
        *(client.get(SURL, tmp_path / "a.dcm", sealed=False) for _ in range(4)), return_exceptions=True
    )
    assert any(not isinstance(result, BaseException) for result in results)
    assert all(isinstance(result, errors.Busy) for result in results if isinstance(result, BaseException))
    assert (tmp_path / "a.dcm").read_bytes() == image


async def test_a_folder_that_is_not_there_is_told(fake, client, image, tmp_path):
    fake.files[SURL] = image
    with pytest.raises(errors.NotADirectory, match="nowhere does not exist"):
        await client.get(SURL, tmp_path / "nowhere" / "a.dcm")


async def test_more_bytes_than_were_asked_for_are_refused(fake, client, image):
    fake.files[SURL] = image
    fake.faults.excess = b"x"
    with pytest.raises(errors.WrongContent, match="more bytes came"):
        await client.read(SURL, 0, 10, sealed=False)
    with pytest.raises(errors.WrongContent, match="more bytes came"):
        await client.read(SURL, sealed=False)


async def test_a_link_in_the_place_of_the_part_is_not_followed(fake, client, image, tmp_path):
    fake.files[SURL] = image
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "a.dcm.part").symlink_to(victim)
    with pytest.raises(errors.MdmError, match="cannot be written"):
        await client.get(SURL, tmp_path / "a.dcm")
    assert victim.read_bytes() == b"precious"


async def test_a_file_is_on_disk_before_it_has_its_name_and_so_is_its_name(
    fake, client, image, tmp_path, monkeypatch
):
    fake.files[SURL] = image
    synced = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), (tmp_path / "a.dcm").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await client.get(SURL, tmp_path / "a.dcm")
    assert synced == [(str(tmp_path / "a.dcm.part"), False), (str(tmp_path), True)]


async def test_files_of_the_identified_view_are_for_their_owner_alone(fake, client, image, tmp_path):
    fake.files[SURL] = image
    (tmp_path / "id.dcm.part").touch(0o644)
    await client.get(SURL, tmp_path / "id.dcm", view="identified")
    assert (tmp_path / "id.dcm").stat().st_mode & 0o777 == 0o600
    await client.get(SURL, tmp_path / "range", 10, 20, view="identified")
    assert (tmp_path / "range").stat().st_mode & 0o777 == 0o600
    await client.get(SURL, tmp_path / "basic.dcm", view="basic")
    assert (tmp_path / "basic.dcm").stat().st_mode & 0o077


async def test_a_range_goes_into_a_file_of_its_own_or_an_open_one(fake, client, image, tmp_path, sealed):
    fake.files[SURL] = image
    got = await client.get(SURL, tmp_path / "r", -10, sealed=sealed)
    assert (got.size, (tmp_path / "r").read_bytes()) == (10, image[-10:])
    into = io.BytesIO(b"before")
    into.seek(6)
    got = await client.get(SURL, into, 5, 9, sealed=sealed)
    assert (got.target, into.getvalue()) == (None, b"before" + image[5:9])
    for start, stop in ((len(image), None), (len(image), len(image) + 2), (5, 5)):
        with pytest.raises(errors.BadRequest, match="no byte"):
            await client.get(SURL, tmp_path / "none", start, stop, sealed=sealed)


async def test_an_open_file_is_checked_when_all_has_come(fake, client, image):
    fake.files[SURL] = image
    fake.faults.corrupt_at = 2_000_000
    with pytest.raises(errors.WrongContent):
        await client.get(SURL, io.BytesIO(), sealed=False)


async def test_what_goes_into_a_folder_keeps_its_name(fake, client, image, tmp_path):
    fake.files[SURL] = image
    await client.get(SURL, tmp_path)
    assert (tmp_path / "a.dcm").read_bytes() == image
    with pytest.raises(NotADirectoryError):
        await client.get(SURL, f"{tmp_path}/mistyped/")
    assert not (tmp_path / "mistyped").exists()


async def test_a_device_is_not_replaced_by_a_file(fake, client, image, tmp_path):
    fake.files[SURL] = image
    device = tmp_path / "device"
    os.mkfifo(device)
    with pytest.raises(errors.BadRequest, match="no regular file"):
        await client.get(SURL, device)
    assert device.is_fifo()


def test_a_file_that_cannot_be_looked_at_is_one_of_our_errors(tmp_path):
    """Of a tree it is one failure then; the other files are pulled all the same."""
    with pytest.raises(errors.MdmError, match="cannot be written"):
        PartFile(tmp_path / ("x" * 300))
