"""WADO-RS: instances, metadata, frames and bulk data, asked for by dicomweb-client and by hand."""

import hashlib
import io
import random
import re
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pydicom.data
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from mdm_async.images.studies import frames
from mdm_async.web.dicomweb import pixels
from tests.conftest import Reply, Server
from tests.dicom.made_videos import cleaned, stream, syntax
from tests.dicom.test_video_files import endoscopy
from tests.web.dicomweb.conftest import Archive, Viewer, image, uid

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ANY_BYTES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
_FILES = Path(pydicom.data.__file__).parent / "test_files"


def parts_of(reply: Reply) -> list[tuple[str, bytes]]:
    """The parts of an answer: Content-Type and body of each."""
    assert reply.status == 200, reply.body
    kind = reply.headers["Content-Type"]
    found = re.fullmatch(r'multipart/related; type="[^"]+"; boundary=(\w+)', kind)
    assert found is not None, kind
    first, *parts, end = reply.body.split(f"\r\n--{found[1]}".encode())
    assert (first, end) == (b"", b"--\r\n")
    told = []
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        message = BytesParser().parsebytes(head.lstrip() + b"\r\n\r\n")
        assert message.keys() == ["Content-Type"]
        told.append((str(message["Content-Type"]), body))
    return told


async def instances(viewer: Viewer, query: str) -> list[dict[str, Any]]:
    return list((await viewer.get(f"/instances?{query}&includefield=all")).tree)


def address(found: dict[str, Any]) -> str:
    return f"/studies/{uid(found, STUDY)}/series/{uid(found, SERIES)}/instances/{uid(found, INSTANCE)}"


async def only(server: Server, data: bytes, base: str = "/dicom-web") -> tuple[Viewer, str]:
    """A viewer, and where the one file is that has just been put."""
    folder = await server.directory()
    await server.put(f"{folder}/it.dcm", data)
    viewer = Viewer(server, server.admin_token, base)
    (found,) = await instances(viewer, f"path={folder}")
    return viewer, address(found)


async def test_dicomweb_client_retrieves_all_there_is(archive: Archive) -> None:
    viewer = archive.viewer()
    (first, *_) = await instances(viewer, f"path={archive.folder}")
    study, series, instance = uid(first, STUDY), uid(first, SERIES), uid(first, INSTANCE)
    one = await viewer.ask(lambda client: client.retrieve_instance(study, series, instance))
    assert one.SOPInstanceUID == instance == one.file_meta.MediaStorageSOPInstanceUID
    of_series = await viewer.ask(lambda client: client.retrieve_series(study, series))
    assert instance in {each.SOPInstanceUID for each in of_series}
    streamed = await viewer.ask(lambda client: list(client.iter_series(study, series)))
    assert [each.SOPInstanceUID for each in streamed] == [each.SOPInstanceUID for each in of_series]
    of_study = await viewer.ask(lambda client: client.retrieve_study(study))
    assert {each.StudyInstanceUID for each in of_study} == {study}
    said = await viewer.ask(lambda client: client.retrieve_instance_metadata(study, series, instance))
    told = pydicom.Dataset.from_json({tag: e for tag, e in said.items() if "BulkDataURI" not in e})
    assert (told.Rows, told.Columns, told.PatientID) == (one.Rows, one.Columns, one.PatientID)
    assert len(await viewer.ask(lambda client: client.retrieve_series_metadata(study, series))) == len(
        of_series
    )
    assert len(await viewer.ask(lambda client: client.retrieve_study_metadata(study))) == len(of_study)
    (frame,) = await viewer.ask(lambda client: client.retrieve_instance_frames(study, series, instance, [1]))
    assert frame == one.PixelData
    bulk = said["7FE00010"]["BulkDataURI"]
    (pixels,) = await viewer.ask(lambda client: client.retrieve_bulkdata(bulk))
    assert pixels == one.PixelData


async def test_an_instance_by_itself_has_ranges(archive: Archive) -> None:
    viewer = archive.viewer()
    (first, *_) = await instances(viewer, f"path={archive.folder}")
    whole = await viewer.get(address(first), Accept="application/dicom")
    assert (whole.status, whole.headers["Content-Type"]) == (200, "application/dicom")
    part = await viewer.get(address(first), Accept="application/dicom", Range="bytes=100-131")
    assert (part.status, part.body) == (206, whole.body[100:132])
    ((kind, body),) = parts_of(await viewer.get(address(first), Accept=ANY_DICOM))
    assert kind == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert body == whole.body
    again = await viewer.get(address(first), **{"If-None-Match": whole.headers["ETag"]})
    assert again.status == 304
    head = await viewer.server.call("HEAD", viewer.base + address(first), token=viewer.token)
    assert head.headers["Content-Length"] == str(len(whole.body))


async def put_together(server: Server, files: dict[str, bytes]) -> None:
    """In one request, for that costs a third."""
    surls = list(files)
    prepared = await server.srm("prepareToPut", files=[{"surl": surl} for surl in surls])
    for line in prepared["files"]:
        answer = await server.call("PUT", line["transferURL"], data=files[line["surl"]])
        assert answer.status == 201
    done = await server.srm("putDone", requestToken=prepared["requestToken"], surls=surls)
    assert done["returnStatus"]["statusCode"] == "SRM_SUCCESS"


async def test_500_parts_are_each_the_instance(server: Server) -> None:
    folder = await server.directory()
    boundary = b"\r\n--" + b"0" * 32 + b"\r\n"
    said = {"SeriesInstanceUID": "1.2.5", "StudyInstanceUID": "1.2"}
    files = {}
    for number in range(500):
        pixels = boundary + random.Random(number).randbytes(2000 - len(boundary))
        data = image(number, pixels=2000, InstanceNumber=number, PixelData=pixels, **said)
        files[f"{folder}/{number}"] = data
    await put_together(server, files)
    viewer = Viewer(server, server.admin_token)
    (series,) = (await viewer.get(f"/series?path={folder}")).tree
    where = f"/studies/{uid(series, STUDY)}/series/{uid(series, SERIES)}"
    found = parts_of(await viewer.get(where, Accept=ANY_DICOM))
    assert len(found) == 500
    read = await server.srm("prepareToGet", files=[{"surl": surl} for surl in files])
    expected = {hashlib.sha256(await server.get(line["transferURL"])).digest() for line in read["files"]}
    assert len(expected) == 500
    assert {hashlib.sha256(body).digest() for _, body in found} == expected
    assert len(parts_of(await viewer.get(f"{where}?path={folder}", Accept=ANY_DICOM))) == 500
    assert len((await viewer.get(f"{where}/metadata")).tree) == 500


async def test_native_frames_are_ranges_of_the_pixels(server: Server) -> None:
    data = dcmread(io.BytesIO(image(1)))
    rows, columns, count = 6, 5, 7
    data.Rows, data.Columns, data.NumberOfFrames = rows, columns, count
    data.PixelData = bytes(number % 251 for number in range(rows * columns * 2 * count))
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    written = io.BytesIO()
    data.save_as(written)
    viewer, where = await only(server, written.getvalue())
    size = rows * columns * 2
    found = parts_of(await viewer.get(f"{where}/frames/7,1,3"))
    assert [body for _, body in found] == [
        data.PixelData[(number - 1) * size : number * size] for number in (7, 1, 3)
    ]
    assert {kind for kind, _ in found} == {"application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"}
    alone = await viewer.get(f"{where}/frames/2", Accept="application/octet-stream")
    assert (alone.status, alone.body) == (200, data.PixelData[size : 2 * size])
    for wrong, status in (("8", 404), ("0", 404), ("1,x", 400), ("-1", 400), ("1" * 12, 400), ("", 404)):
        assert (await viewer.get(f"{where}/frames/{wrong}")).status == status, wrong


def encapsulated(count: int, table: str) -> tuple[bytes, list[bytes]]:
    """Frames of JPEG that differ in their length, with an offset table of that kind; of "split" each is in two
    fragments, of "wrong" the table points beside them."""
    data = dcmread(_FILES / "SC_rgb_jpeg_dcmtk.dcm")
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.Modality, data.NumberOfFrames, data.BurnedInAnnotation = "CT", count, "NO"
    data.SOPInstanceUID = f"1.2.3.{count}.{int.from_bytes(table.encode())}"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.ConversionType = None
    jpeg = next(generate_frames(data.PixelData, number_of_frames=1)).rstrip(b"\0")
    found = [jpeg + b"\0" * (len(jpeg) % 2) for _ in range(count)]
    if table == "extended":
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(
            found
        )
    else:
        fragments = 2 if table == "split" else 1
        data.PixelData = encapsulate(found, has_bot=table != "none", fragments_per_frame=fragments)
    data["PixelData"].is_undefined_length = True
    written = io.BytesIO()
    data.save_as(written)
    return written.getvalue(), found


@pytest.mark.parametrize("table", ["basic", "extended", "none", "split"])
async def test_encapsulated_frames_are_found(server: Server, table: str) -> None:
    data, found = encapsulated(5, table)
    viewer, where = await only(server, data)
    told = parts_of(await viewer.get(f"{where}/frames/5,2", Accept=ANY_BYTES))
    assert [body.rstrip(b"\0") for _, body in told] == [found[4].rstrip(b"\0"), found[1].rstrip(b"\0")]
    assert {kind for kind, _ in told} == {f"application/octet-stream; transfer-syntax={JPEGBaseline8Bit}"}
    told = parts_of(await viewer.get(f"{where}/frames/1", Accept='multipart/related; type="image/jpeg"'))
    assert told[0][0] == f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"
    assert len(parts_of(await viewer.get(f"{where}/bulkdata/7FE00010", Accept="*/*"))) == 5
    alone = await viewer.get(f"{where}/frames/3", Accept="image/jpeg")
    assert alone.body[:2] == b"\xff\xd8"
    refused = await viewer.get(f"{where}/frames/3", Accept='multipart/related; type="image/jp2"')
    assert refused.status == 406
    assert str(JPEGBaseline8Bit) in refused.tree["remedy"]
    of_implicit = f'multipart/related; type="application/dicom"; transfer-syntax={ImplicitVRLittleEndian}'
    assert (await viewer.get(where, Accept=of_implicit)).status == 406
    assert len(parts_of(await viewer.get(where, Accept=ANY_DICOM))) == 1


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
async def test_frames_are_read_however_many_they_are(
    server: Server, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    count, reads = 40, 10
    data, found = encapsulated(count, table)
    viewer, where = await only(server, data)
    monkeypatch.setattr(frames, "MOST_READS", reads)
    monkeypatch.setattr(frames, "_WINDOW", 16)
    reply = await viewer.get(f"{where}/bulkdata/7FE00010", Accept="*/*")
    assert [body for _, body in parts_of(reply)] == found


async def test_a_series_of_two_transfer_syntaxes_leaves_when_both_are_asked_for(server: Server) -> None:
    folder = await server.directory()
    native = dcmread(io.BytesIO(image(7401)))
    native.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    compressed = dcmread(io.BytesIO(encapsulated(3, "basic")[0]))
    compressed.SOPInstanceUID = compressed.file_meta.MediaStorageSOPInstanceUID = "1.2.7.4.3"
    for number, one in enumerate((native, compressed)):
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.7.4", "1.2.7.4.1"
        written = io.BytesIO()
        one.save_as(written, implicit_vr=one is native, little_endian=True)
        await server.put(f"{folder}/{number}.dcm", written.getvalue())
    viewer = Viewer(server, server.admin_token)
    (series,) = (await viewer.get(f"/series?path={folder}")).tree
    where = f"/studies/{uid(series, STUDY)}/series/{uid(series, SERIES)}"
    of_one = 'multipart/related; type="application/dicom"; transfer-syntax='
    both = await viewer.get(where, Accept=f"{of_one}{JPEGBaseline8Bit}, {of_one}{ExplicitVRLittleEndian}")
    told = [(kind, dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID) for kind, body in parts_of(both)]
    assert sorted(told) == [
        (f"application/dicom; transfer-syntax={syntax}", syntax)
        for syntax in (ExplicitVRLittleEndian, JPEGBaseline8Bit)
    ]
    assert (await viewer.get(where, Accept=f"{of_one}{JPEGBaseline8Bit}")).status == 406


async def test_a_head_is_gone_through_once_however_many_of_its_frames_are_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_through = []

    async def counted(*arguments: Any, **how: Any) -> Any:
        gone_through.append(1)
        return await frames.pixels_of(*arguments, **how)

    monkeypatch.setattr(pixels, "pixels_of", counted)
    first, where = await only(server, encapsulated(6, "basic")[0])
    second, there = await only(server, encapsulated(7, "extended")[0])
    for number in (1, 2, 6, 7):
        assert (await first.get(f"{where}/frames/{number}")).status == (404 if number == 7 else 200)
        assert (await second.get(f"{there}/frames/{number}")).status == 200
    assert len(gone_through) == 2


async def test_a_video_is_one_value_whatever_fragments_it_is_in(server: Server) -> None:
    name = "mpeg2.m2v"
    data = dcmread(io.BytesIO(endoscopy(name)))
    assert data.NumberOfFrames > 2
    video = stream(name)
    middle = len(video) // 4 * 2
    data.PixelData = encapsulate([video[:middle], video[middle:]], has_bot=False)
    data["PixelData"].is_undefined_length = True
    written = io.BytesIO()
    data.save_as(written)
    viewer, where = await only(server, written.getvalue())
    expected = cleaned(video, syntax(name))
    alone = await viewer.get(f"{where}/bulkdata/7FE00010", Accept="video/mpeg2")
    assert (alone.status, alone.body[: len(video)]) == (200, expected[: len(video)])
    ((kind, body),) = parts_of(await viewer.get(f"{where}/bulkdata/7FE00010", Accept=ANY_BYTES))
    assert (kind, body) == (f"application/octet-stream; transfer-syntax={syntax(name)}", alone.body)
    for path, accept in (("/frames/1", "video/mpeg2"), ("/rendered", "video/mpeg2"), ("/rendered", "*/*")):
        again = await viewer.get(f"{where}{path}", Accept=accept)
        assert (again.status, again.body) == (200, alone.body)
        assert again.headers["Content-Type"].startswith("video/mpeg2")
    ((_, body),) = parts_of(await viewer.get(f"{where}/frames/1", Accept=ANY_BYTES))
    assert body == alone.body
    for path, accept in (
        ("/frames/2", "video/mpeg2"),
        ("/frames/1", "video/mp4"),
        ("/frames/1", 'multipart/related; type="application/octet-stream"'),
        ("/rendered", "video/mp4"),
        ("/rendered", "image/jpeg"),
        ("/rendered?viewport=9,9", "video/mpeg2"),
        ("/frames/1/rendered", "video/mpeg2"),
    ):
        assert (await viewer.get(f"{where}{path}", Accept=accept)).status == 406, (path, accept)


@pytest.mark.parametrize("has_pixels", [True, False])
async def test_implicit_vr_is_rewritten_where_explicit_is_meant(server: Server, has_pixels: bool) -> None:
    data = dcmread(io.BytesIO(image(3, pixels=300_000, SeriesInstanceUID="1.2.77.1")))
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning, inner.CodingSchemeDesignator = "113100", "Basic", "DCM"
    data.PixelPaddingValue, data.SmallestImagePixelValue = -2000, -5
    data.AnatomicRegionSequence = [inner]
    if not has_pixels:
        del data.PixelData
    written = io.BytesIO()
    data.save_as(written, implicit_vr=True, little_endian=True)
    viewer, where = await only(server, written.getvalue())
    study, series, instance = where.split("/")[2::2]
    stored = await viewer.get(where, Accept="application/dicom; transfer-syntax=*")
    kept = dcmread(io.BytesIO(stored.body))
    assert kept.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert await viewer.ask(lambda client: client.retrieve_instance(study, series, instance)) == kept
    # Of a series dicomweb-client names no transfer syntax.
    of_series = await viewer.ask(lambda client: client.retrieve_series(study, series))
    (one,) = [each for each in of_series if each.SOPInstanceUID == instance]
    alone = await viewer.get(where, Accept="application/dicom")
    assert alone.headers["Content-Type"] == "application/dicom"
    read = dcmread(io.BytesIO(alone.body))
    for told in (one, read):
        assert told.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert (
            told.file_meta.FileMetaInformationGroupLength == kept.file_meta.FileMetaInformationGroupLength + 2
        )
        assert told == kept
    if has_pixels:
        assert read["PixelData"].VR == "OW"
        ((kind, frame),) = parts_of(await viewer.get(f"{where}/frames/1"))
        assert kind.endswith("transfer-syntax=1.2.840.10008.1.2.1")
        assert frame == kept.PixelData
    again = io.BytesIO()
    read.save_as(again)
    assert len(again.getvalue()) == len(alone.body)


async def test_urls_that_are_told_lead_to_the_folder_that_was_asked(server: Server) -> None:
    folder = f"{await server.directory()}/of mine & yours?"
    await server.srm("mkdir", surl=folder)
    await server.put(f"{folder}/it.dcm", image(31, StudyInstanceUID="1.2.31"))
    viewer = Viewer(server, server.admin_token)
    end = f"?path={quote(folder)}"
    for level in ("studies", "series", "instances"):
        (one,) = (await viewer.get(f"/{level}{end}")).tree
        retrieved = uid(one, "00081190")
        assert retrieved.endswith(end)
        assert "00080056" not in one
        answer = await viewer.get(retrieved.partition("/dicom-web")[2], Accept=ANY_DICOM)
        assert answer.status == 200
    where = retrieved.partition("/dicom-web")[2].partition("?")[0]
    (told,) = (await viewer.get(f"{where}/metadata{end}")).tree
    pixels = told["7FE00010"]["BulkDataURI"]
    assert pixels.endswith(f"/bulkdata/7FE00010{end}")
    assert (await viewer.get(pixels.partition("/dicom-web")[2])).status == 200
    for path in ("/studies", where + "/metadata"):
        assert "path=" not in str((await viewer.get(path)).tree)
