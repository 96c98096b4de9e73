"""Compressed instances, asked for in Explicit VR Little Endian: written anew around their decoded frames."""

import asyncio
import io
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.images.studies import decoding
from mdm_async.images.studies.frame_jobs import Decompress, Draw
from mdm_async.names import Payer
from mdm_async.postgres.turns import on_behalf
from tests.canary_in_pixels import DEFLATED, UNCOMPRESSED
from tests.conftest import Server
from tests.dicom.test_video_files import endoscopy
from tests.faults.conditions import until
from tests.web.dicomweb.conftest import Viewer, image, uid
from tests.web.dicomweb.test_decoded_frames import GREY, OF_COLOURS, ready, written
from tests.web.dicomweb.test_retrieve import ANY_DICOM, SERIES, STUDY, only, parts_of

DEFAULT = 'multipart/related; type="application/dicom"'
MORE = (
    "MR_small_jpeg_ls_lossless",
    "SC_rgb_jls_lossy_line",
    "SC_rgb_rle_16bit_2frame",
    "SC_rgb_small_odd_jpeg",
)
NAMES = (*OF_COLOURS, *GREY, *MORE)


def compressed(name: str, number: int, frames: int = 1, **values: Any) -> Dataset:
    data = ready(name, number, frames)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.81.{number}.{frames}"
    study = {"StudyInstanceUID": f"1.2.3.81.{number}", "SeriesInstanceUID": f"1.2.3.81.{number}.1"}
    for keyword, value in (study | values).items():
        setattr(data, keyword, value)
    return data


def dumped(file: bytes, folder: Path) -> str:
    """What dcmdump says of it."""
    program = shutil.which("dcmdump")
    if program is None:
        pytest.skip("PEERS MISSING: dcmdump (as root: tests/install-peers dcmtk)")
    (folder / "it.dcm").write_bytes(file)
    said = subprocess.run([program, "+L", "it.dcm"], cwd=folder, capture_output=True, text=True, check=True)
    assert not said.stderr
    return said.stdout


@pytest.mark.parametrize("name", NAMES)
async def test_the_instance_is_the_same_with_native_pixels(server: Server, tmp_path: Path, name: str) -> None:
    data = compressed(name, NAMES.index(name))
    viewer, where = await only(server, written(data))
    ((kind, body),) = parts_of(await viewer.get(where, Accept=DEFAULT))
    assert kind == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    got = dcmread(io.BytesIO(body))
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert len(body) % 2 == 0
    assert (got.pixel_array == data.pixel_array).all()
    assert "(7fe0,0010) OW" in dumped(body, tmp_path)
    stored = dcmread(io.BytesIO(parts_of(await viewer.get(where, Accept=ANY_DICOM))[0][1]))
    changed = {
        "PixelData",
        "PhotometricInterpretation",
        "LossyImageCompression",
    }
    assert {one.keyword for one in got if stored.get(one.tag) != one} <= changed
    assert {one.tag for one in stored} <= {one.tag for one in got}
    if stored.file_meta.TransferSyntaxUID.endswith((".50", ".51")):
        assert got.LossyImageCompression == "01"
    alone = await viewer.get(where, Accept="application/dicom", Range="bytes=0-9")
    assert (alone.status, alone.body, alone.headers["Content-Type"]) == (200, body, "application/dicom")
    assert "ETag" not in alone.headers
    assert server.house.budget.shares.used == 0


async def test_a_lossless_jpeg_of_dcmtk(server: Server, tmp_path: Path) -> None:
    program = shutil.which("dcmcjpeg")
    if program is None:
        pytest.skip("PEERS MISSING: dcmcjpeg (as root: tests/install-peers dcmtk)")
    native = dcmread(io.BytesIO(image(8101, pixels=32 * 32 * 2, SOPInstanceUID="1.2.3.81.99")))
    native.Rows = native.Columns = 32
    native.PixelData = np.arange(1024, dtype="<u2").tobytes()
    native.BitsAllocated, native.BitsStored, native.HighBit, native.PixelRepresentation = 16, 12, 11, 0
    native.save_as(tmp_path / "native.dcm")
    run = [program, "+un", "+e1", "native.dcm", "jpeg.dcm"]
    await asyncio.to_thread(subprocess.run, run, cwd=tmp_path, check=True)
    data = dcmread(tmp_path / "jpeg.dcm")
    viewer, where = await only(server, written(data))
    assert data.file_meta.TransferSyntaxUID.endswith(".70")
    ((_, body),) = parts_of(await viewer.get(where, Accept=DEFAULT))
    got = dcmread(io.BytesIO(body))
    assert (got.pixel_array == native.pixel_array).all()
    assert "LossyImageCompression" not in got
    dumped(body, tmp_path)


async def test_many_frames_are_decoded_some_at_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = compressed("SC_rgb_small_odd_jpeg", 50, frames=5)
    viewer, where = await only(server, written(data))
    monkeypatch.setattr(decoding, "_TOGETHER", 2 * 27)
    ((_, body),) = parts_of(await viewer.get(where, Accept=DEFAULT))
    got = dcmread(io.BytesIO(body))
    assert len(got.PixelData) == 5 * 27 + 1
    assert (got.pixel_array == data.pixel_array).all()


async def test_frames_that_are_not_of_the_size_described_do_not_leave(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, where = await only(server, written(compressed("MR_small_RLE", 54, frames=2)))

    async def run(job: Decompress, **_: Any) -> list[bytes]:
        return [bytes(64 * 64)] * len(job.frames)

    monkeypatch.setattr(server.house.workshop.scrubber, "run", run)
    reply = await viewer.get(where, Accept=DEFAULT)
    assert (reply.status, b"not of the size" in reply.body) == (406, True)


async def test_callers_take_turns_at_what_is_decoded_while_it_leaves(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    each, many = 12, 8
    viewer, where = await only(server, written(compressed("MR_small_RLE", 53, frames=each)))
    other = Viewer(server, await server.token("rlg", "/", views=["basic"]), viewer.base)
    order: list[str] = []

    async def run(job: Decompress, **_: Any) -> list[bytes]:
        order.append(on_behalf.get())
        await asyncio.sleep(0.01)
        return [bytes(64 * 64 * 2)] * len(job.frames)

    monkeypatch.setattr(decoding, "_TOGETHER", 1)
    monkeypatch.setattr(server.house.workshop.scrubber, "run", run)
    asked = [asyncio.create_task(viewer.get(where, Accept=DEFAULT)) for _ in range(many)]
    await until(lambda: len(order) > many)
    reply = await other.get(where, Accept=DEFAULT)
    assert reply.status == 200
    mine = [place for place, one in enumerate(order) if one != order[0]]
    assert len(mine) == each
    assert mine[-1] - mine[0] < 4 * each
    assert {one.status for one in await asyncio.gather(*asked)} == {200}


@pytest.mark.parametrize("deflated", [False, True])
async def test_frames_that_are_only_wrapped_are_as_they_were(server: Server, deflated: bool) -> None:
    data = compressed("SC_ybr_full_422_uncompressed", 51 + deflated)
    expected = data.PixelData
    packer = zlib.compressobj(wbits=-15)
    data.PixelData = encapsulate([packer.compress(expected) + packer.flush() if deflated else expected])
    data["PixelData"].is_undefined_length, data["PixelData"].VR = True, "OB"
    data.file_meta.TransferSyntaxUID = UNCOMPRESSED
    file = written(data)
    if deflated:  # which pydicom does not know
        file = file.replace(UNCOMPRESSED.encode(), DEFLATED.encode() + b"\0", 1)
    viewer, where = await only(server, file)
    ((_, body),) = parts_of(await viewer.get(where, Accept=DEFAULT))
    got = dcmread(io.BytesIO(body))
    assert (got.PixelData, got.PhotometricInterpretation) == (expected, "YBR_FULL_422")


async def series_of(server: Server, *files: bytes) -> tuple[Viewer, str]:
    folder = await server.directory()
    for number, file in enumerate(files):
        await server.put(f"{folder}/{number}.dcm", file)
    viewer = Viewer(server, server.admin_token)
    (one,) = (await viewer.get(f"/series?path={folder}")).tree
    return viewer, f"/studies/{uid(one, STUDY)}/series/{uid(one, SERIES)}"


async def test_a_series_of_several_transfer_syntaxes_leaves_in_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = {"StudyInstanceUID": "1.2.3.82", "SeriesInstanceUID": "1.2.3.82.1", "PatientID": "P82"}
    files = [
        image(8200, SOPInstanceUID="1.2.3.82.1.1", **of),
        written(compressed("MR_small_jp2klossless", 81, **of)),
        written(compressed("SC_rgb_rle", 82, **of)),
    ]
    viewer, where = await series_of(server, *files)
    study, series = where.split("/")[2::2]
    got = await viewer.ask(lambda client: client.retrieve_series(study, series))
    assert {one.file_meta.TransferSyntaxUID for one in got} == {ExplicitVRLittleEndian}
    expected = {dcmread(io.BytesIO(file)).pixel_array.tobytes() for file in files[1:]}
    assert {one.pixel_array.tobytes() for one in got if len(one.PixelData) > 1000} == expected
    # Only what has to be is decoded.
    syntax = dcmread(io.BytesIO(files[1])).file_meta.TransferSyntaxUID
    some = await viewer.get(where, Accept=f"{DEFAULT}; transfer-syntax={syntax}, {DEFAULT}")
    kinds = sorted(kind.rpartition("=")[2] for kind, _ in parts_of(some))
    assert kinds == sorted([ExplicitVRLittleEndian] * 2 + [syntax])
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "_PLUGINS", {})
        refused = await viewer.get(where, Accept=DEFAULT)
    assert refused.status == 406
    assert syntax in refused.tree["remedy"]


@pytest.mark.parametrize("path", ["", "/rendered"])
async def test_memory_that_others_have_is_waited_for_once_an_answer_has_begun(
    server: Server, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    of = {"StudyInstanceUID": f"1.2.3.87{len(path)}", "SeriesInstanceUID": f"1.2.3.87{len(path)}.1"}
    images = [written(compressed("MR_small_RLE", 90 + len(path) + number, **of)) for number in range(3)]
    viewer, where = await series_of(server, *images)
    house, jobs = server.house, 0
    scrubber, budget, other = house.workshop.scrubber, house.budget, Payer("user:other", "one")
    run, most = scrubber.run, budget.most // 8

    async def once_all_others_are_there(job: Any, **how: Any) -> Any:
        nonlocal jobs
        made = await run(job, **how)
        is_first = not jobs and isinstance(job, Decompress | Draw)
        jobs += is_first
        if is_first:
            assert budget.shares.take(other, most)
            monkeypatch.setattr(budget.shares, "most", most + 1)
            asyncio.get_running_loop().call_later(0.1, given_back)
        return made

    def given_back() -> None:
        monkeypatch.setattr(budget.shares, "most", budget.most)
        budget.give(other, most)

    monkeypatch.setattr(scrubber, "run", once_all_others_are_there)
    reply = await viewer.get(f"{where}{path}", Accept="multipart/related" if path else DEFAULT)
    assert len(parts_of(reply)) == 3
    await until(lambda: not budget.shares.used)


async def test_what_cannot_be_decoded_is_refused_or_breaks_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, where = await only(server, written(compressed("JPEG-lossy", 60)))
    odd = await viewer.get(where, Accept=DEFAULT)
    assert odd.status == 406
    assert "transfer-syntax=*" in odd.tree["remedy"]
    viewer, where = await only(server, written(compressed("MR_small_RLE", 61)))
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "MOST_DECODED", 1000)
        assert (await viewer.get(where, Accept=DEFAULT)).status == 406
    implicit = f"{DEFAULT}; transfer-syntax={ImplicitVRLittleEndian}"
    assert (await viewer.get(where, Accept=implicit)).status == 406
    viewer, where = await only(server, endoscopy("mpeg2.m2v"))
    assert (await viewer.get(where, Accept=DEFAULT)).status == 406
    of = {"StudyInstanceUID": "1.2.3.83", "SeriesInstanceUID": "1.2.3.83.1", "PatientID": "P83"}
    fine, broken = [compressed("MR_small_RLE", number, **of) for number in (62, 63)]
    large = compressed("JPEG-lossy", 64, **of)
    viewer, where = await series_of(server, *map(written, (fine, broken, large)))
    url, headers = f"{viewer.server.url}{viewer.base}{where}", {"Authorization": f"Bearer {viewer.token}"}
    answer = await server.http.get(url, headers=headers | {"Accept": DEFAULT})
    # The order is that of pseudonymous UIDs: the odd one may be the first.
    if answer.status != 406:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert server.house.budget.shares.used == 0


async def test_a_reader_that_vanishes_leaves_nothing_behind(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = compressed("MR_small_RLE", 70, frames=3000)
    viewer, where = await only(server, written(data))
    monkeypatch.setattr(decoding, "_TOGETHER", 100 * 64 * 64 * 2)
    house = server.house
    url, headers = f"{server.url}{viewer.base}{where}", {"Authorization": f"Bearer {viewer.token}"}
    answer = await server.http.get(url, headers=headers | {"Accept": DEFAULT})
    assert (answer.status, house.admission.running) == (200, 1)
    await answer.content.readexactly(200_000)
    # It reads no more: few frames are held, however many there are.
    assert 0 < house.budget.shares.used < 32 << 20
    answer.close()
    await until(lambda: not house.admission.running and not house.budget.shares.used)


async def test_no_name_beside_the_picture_is_in_what_is_decoded(server: Server) -> None:
    data = compressed("SC_rgb_jpeg_dcmtk", 85, PatientName="CNRYBCDF^X", PatientComments="CNRYGHJK")
    (frame,) = generate_frames(data.PixelData, number_of_frames=1)
    data.PixelData = encapsulate([frame[:2] + b"\xff\xfe\0\x0aCNRYLMNP" + frame[2:]])
    viewer, where = await only(server, written(data))
    for accept in (DEFAULT, "application/dicom"):
        reply = await viewer.get(where, Accept=accept)
        assert reply.status == 200
        assert b"CNRY" not in reply.body + str(dict(reply.headers)).encode()
