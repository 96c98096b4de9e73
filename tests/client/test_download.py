"""Pulling a view into a file: whole, resumed, and never wrong."""

import asyncio
import json

import pytest

from mdm_async import errors

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
    with pytest.raises(errors.NotADirectory):
        await client.get(SURL, tmp_path / "nowhere" / "a.dcm")
