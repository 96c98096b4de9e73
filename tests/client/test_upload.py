"""Sending an image: what arrives is what was sent, or nothing does."""

import asyncio
import io
import os
from pathlib import PurePosixPath

import pytest

from mdm_async import errors

SURL = "/vo/b.dcm"


async def pieces(content, size=100_001):
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
def sealed(request):
    return request.param


async def test_a_file_arrives(fake, client, image, tmp_path, sealed):
    (tmp_path / "b.dcm").write_bytes(image)
    told = []
    stored = await client.put(tmp_path / "b.dcm", SURL, sealed=sealed, on_bytes=told.append)
    assert fake.files[SURL] == image
    assert (stored.size, stored.guid, stored.sealed) == (len(image), "g", sealed)
    assert sum(told) == len(image)
    headers = fake.transfer_headers[0]
    assert headers["Expect"] == "100-continue"
    assert "Content-Length" in headers
    assert dict(fake.requests)["prepareToPut"]["files"] == [{"surl": SURL, "expectedFileSize": len(image)}]
    assert not fake.calls["abortRequest"]


async def test_bytes_and_streams_of_unknown_size_arrive(fake, client, image, sealed):
    await client.put(image, SURL, sealed=sealed)
    assert fake.files.pop(SURL) == image
    await client.put(pieces(image), SURL, sealed=sealed)
    assert fake.files[SURL] == image
    assert fake.transfer_headers[1]["Transfer-Encoding"] == "chunked"


async def test_an_open_file_is_sent_from_where_it_stands_also_the_second_time(fake, client, image, sealed):
    file = io.BytesIO(b"before" + image)
    file.seek(6)
    fake.faults.put_status = 503
    await client.put(file, SURL, sealed=sealed)
    assert fake.files[SURL] == image
    assert not file.closed


async def test_a_file_is_named_by_text_too(fake, client, image, tmp_path):
    (tmp_path / "b.dcm").write_bytes(image)
    await client.put(str(tmp_path / "b.dcm"), PurePosixPath(SURL))
    assert fake.files[SURL] == image
    with pytest.raises(TypeError):
        await client.put(image.hex, SURL)


async def test_a_sealed_upload_crosses_the_wire_as_ciphertext(fake, client, image):
    await client.put(image, SURL, sealed=True)
    done = dict(fake.requests)["putDone"]
    assert done["files"][0]["size"] == len(image)
    assert int(fake.transfer_headers[0]["Content-Length"]) > len(image)


async def test_a_refused_upload_is_aborted_and_its_reason_told(fake, client, image, sealed):
    fake.faults.put_status = 422
    with pytest.raises(errors.WrongContent, match="not taken"):
        await client.put(image, SURL, sealed=sealed)
    assert fake.calls["abortRequest"] == 1
    assert not fake.uploads
    assert SURL not in fake.files


async def test_an_upload_that_another_time_may_succeed_is_tried_again(fake, client, image, sealed):
    fake.faults.put_status = 503
    told = []
    await client.put(image, SURL, sealed=sealed, on_bytes=told.append)
    assert fake.files[SURL] == image
    assert fake.calls["abortRequest"] == 1
    assert sum(told) == len(image)


async def test_an_upload_waits_while_the_server_says_later(fake, client, image, sealed):
    fake.faults.turned_away = 12
    await client.put(image, SURL, sealed=sealed)
    assert fake.files[SURL] == image


async def test_a_stream_cannot_be_sent_twice_so_its_failure_is_told(fake, client, image):
    fake.faults.put_status = 503
    with pytest.raises(errors.Unavailable):
        await client.put(pieces(image), SURL)


async def test_a_server_that_received_something_else_is_not_believed(fake, client, image, sealed):
    fake.faults.lie_about_adler = True
    with pytest.raises(errors.WrongContent):
        await client.put(image, SURL, sealed=sealed)
    assert SURL not in fake.files
    assert fake.calls["putDone"] == 0
    assert fake.calls["abortRequest"] == 1


async def test_a_source_that_fails_aborts_the_upload(fake, client, image, sealed):
    async def breaks():
        yield image[:300_000]
        raise OSError(5, "Input/output error")

    with pytest.raises(errors.MdmError, match="Input/output error"):
        await client.put(breaks(), SURL, sealed=sealed)
    assert fake.calls["abortRequest"] == 1
    assert SURL not in fake.files


async def test_a_file_that_grows_while_it_is_sent_is_not_stored(fake, client, image, tmp_path, sealed):
    path = tmp_path / "b.dcm"
    path.write_bytes(image)

    def grow(count):
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(errors.WrongContent, match="grew"):
        await client.put(path, SURL, sealed=sealed, on_bytes=grow)
    assert SURL not in fake.files


async def test_a_cancelled_upload_is_aborted(fake, client, image, sealed):
    sending = asyncio.Event()

    async def stalls():
        yield image[:300_000]
        sending.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(client.put(stalls(), SURL, sealed=sealed))
    await sending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fake.calls["abortRequest"] == 1
    assert not fake.uploads


async def test_a_pipe_is_sent_as_a_stream(fake, client, image, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writing = asyncio.create_task(asyncio.to_thread((tmp_path / "pipe").write_bytes, image))
    await client.put(tmp_path / "pipe", SURL)
    await writing
    assert fake.files[SURL] == image


async def test_a_missing_file_is_told_before_anything_is_asked(fake, client, tmp_path):
    with pytest.raises(errors.NotFound):
        await client.put(tmp_path / "nothing", SURL)
    assert not fake.calls


async def test_a_server_that_tells_no_checksum_is_not_believed(fake, client, image, sealed):
    fake.faults.forget_adler = True
    with pytest.raises(errors.WrongContent, match="did not tell the checksum"):
        await client.put(image, SURL, sealed=sealed)
    assert SURL not in fake.files
    assert fake.calls["abortRequest"] == 1
