"""Real files in, de-identified and original bytes out."""

import io
import zlib

import pydicom
import pytest

from tests.conftest import Server, dicom_files


async def test_a_file_comes_back_de_identified(server: Server, ct: bytes) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, ct)
    line = await server.prepare(surl)
    served = await server.get(line["transferURL"])
    assert line["fileSize"] == len(served)
    assert int(line["checkSumValue"], 16) == zlib.adler32(served)
    original, scrubbed = pydicom.dcmread(io.BytesIO(ct)), pydicom.dcmread(io.BytesIO(served))
    assert scrubbed.PixelData == original.PixelData
    assert scrubbed.PatientIdentityRemoved == "YES"
    assert scrubbed.PatientID != original.PatientID


@pytest.mark.parametrize("path", dicom_files(), ids=lambda p: p.name)
async def test_every_file_is_served_or_refused_with_a_reason(
    server: Server, path, own_directory: str
) -> None:  # type: ignore[no-untyped-def]
    data = path.read_bytes()
    surl = f"{own_directory}/{path.name}-{zlib.crc32(str(path).encode()):08x}"
    prepared = await server.srm("prepareToPut", files=[{"surl": surl, "expectedFileSize": len(data)}])
    async with server.http.put(prepared["files"][0]["transferURL"], data=data) as answer:
        if answer.status != 201:
            problem = await answer.json()
            assert answer.status == 422, problem
            assert problem["detail"]
            return
    await server.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
    tree = await server.srm("prepareToGet", expect=None, files=[{"surl": surl}])
    line = tree["files"][0]
    if line["status"]["statusCode"] != "SRM_FILE_PINNED":
        assert line["status"]["statusCode"] == "SRM_FILE_UNAVAILABLE"
        assert "refused" in line["status"]["explanation"]
        return
    served = await server.get(line["transferURL"])
    assert len(served) == line["fileSize"]
    assert zlib.adler32(served) == int(line["checkSumValue"], 16)
    pydicom.dcmread(io.BytesIO(served))


@pytest.fixture(scope="module")
async def own_directory(server: Server) -> str:
    return await server.directory()
