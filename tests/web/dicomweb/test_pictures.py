"""Pictures over HTTP: of frames, instances, series and studies, by view; their parameters, their bounds."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from mdm_async.images.studies import pictures
from mdm_async.web.dicomweb import pictures_of_many
from mdm_async.web.dicomweb.picture_asked import QUALITY
from tests.conftest import Reply, Server
from tests.web.dicomweb.conftest import Viewer, image, uid
from tests.web.dicomweb.test_decoded_frames import written
from tests.web.dicomweb.test_retrieve import INSTANCE, SERIES, STUDY, address, instances, only, parts_of
from tests.web.test_profiles import BLANKING, add, applied, ultrasound

_FILES = Path(pydicom.data.__file__).parent / "test_files"


def pixels(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return np.asarray(Image.open(io.BytesIO(reply.body)))


def frames(count: int) -> bytes:
    """Frame N is bright in its row N, and dark elsewhere."""
    data = dcmread(io.BytesIO(image(count)))
    data.Rows, data.Columns, data.NumberOfFrames = 8, 6, count
    shown = np.zeros((count, 8, 6), "<u2")
    for number in range(count):
        shown[number, number] = 1000
    data.PixelData, data.RescaleIntercept = shown.tobytes(), 0
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.77.{count}"
    written = io.BytesIO()
    data.save_as(written)
    return written.getvalue()


async def test_a_frame_is_drawn_as_is_asked_for(server: Server) -> None:
    viewer, where = await only(server, frames(5))
    jpeg = await viewer.get(f"{where}/frames/2/rendered")
    assert (jpeg.headers["Content-Type"], jpeg.headers["Cache-Control"]) == ("image/jpeg", "no-store")
    assert jpeg.headers["Content-Length"] == str(len(jpeg.body))
    png = await viewer.get(f"{where}/frames/2/rendered", Accept="image/png")
    assert png.headers["Content-Type"] == "image/png"
    assert pixels(png).argmax() == 6
    for accept in ("image/webp, image/*;q=0.8", "image/jpeg", "text/html, */*;q=0.1"):
        assert (await viewer.get(f"{where}/rendered", Accept=accept)).headers["Content-Type"] == "image/jpeg"
    assert (await viewer.get(f"{where}/rendered?accept=image/png")).headers["Content-Type"] == "image/png"
    middle = pixels(await viewer.get(f"{where}/rendered?accept=image/png"))
    assert (middle[2] == 255).all()
    assert middle.sum() == 255 * 6
    ((kind, body),) = parts_of(
        await viewer.get(f"{where}/frames/2/rendered", Accept='multipart/related; type="image/png"')
    )
    assert (kind, body) == ("image/png", png.body)
    head = await server.call("HEAD", f"/dicom-web{where}/rendered", token=viewer.token)
    assert (head.status, head.headers["Content-Type"]) == (200, "image/jpeg")
    for path, status in (("frames/6", 404), ("frames/0", 404), ("frames/1,2", 400), ("frames/x", 400)):
        for what in ("rendered", "thumbnail"):
            assert (await viewer.get(f"{where}/{path}/{what}")).status == status
    refused = await viewer.get(f"{where}/rendered", Accept="image/gif")
    kinds = ("image/jpeg", "image/png")
    told = ", ".join(f'{kind}, multipart/related; type="{kind}"' for kind in kinds)
    assert (refused.status, refused.tree["remedy"]) == (406, f"ask for one of: {told}")


async def test_parameters_of_pictures(server: Server) -> None:
    viewer, where = await only(server, frames(4))
    png = f"{where}/frames/1/rendered?accept=image/png"
    assert pixels(await viewer.get(f"{png}&viewport=30,20")).shape == (20, 15)
    assert pixels(await viewer.get(f"{png}&viewport=,,1,0,4,-2")).tolist() == [[0] * 4, [255] * 4]
    assert pixels(await viewer.get(f"{png}&window=500.5,1")).max() == 255
    assert pixels(await viewer.get(f"{png}&window=5000,2,linear")).max() == 0
    half = pixels(await viewer.get(f"{png}&window=1000,10,sigmoid")).max()
    assert half in (127, 128)
    sizes = [
        len((await viewer.get(f"{where}/rendered?viewport=400,400&quality={one}")).body) for one in (1, 100)
    ]
    assert sizes[0] < sizes[1]
    told = await viewer.get(f"{png}&annotation=patient&iccprofile=srgb")
    assert "annotation, iccprofile" in told.headers["Warning"]
    assert "Warning" not in (await viewer.get(f"{png}&iccprofile=no&quality={QUALITY}")).headers
    for wrong in (
        "quality=0", "quality=101", "quality=x", "quality=1e1", "quality=٣", "viewport=1", "viewport=0,1",
        "viewport=1,2,3", "viewport=-1,5", "viewport=20000,1", "viewport=nan,1", "viewport=1,1,0,0,0,5",
        "viewport=1,1,6,0,,", "viewport=1,1,1e400,0,,", "viewport=1.5,1", "window=1", "window=1,0.5", "window=x,5",
        "window=1,0,sigmoid", "window=1,5,cubic", "window=inf,5", f"window={'1' * 200},5", "viewport=" + "1," * 100,
    ):  # fmt: skip
        assert (await viewer.get(f"{png}&{wrong}")).status == 400, wrong
    large = await viewer.get(f"{png}&viewport=16384,16384")
    assert (large.status, "viewport" in large.tree["remedy"]) == (413, True)


def _of_study(series: int, number: int) -> bytes:
    """Of series 0, a report."""
    own = {
        "StudyInstanceUID": "1.2.79.1",
        "SeriesInstanceUID": f"1.2.79.1.{series}",
        "InstanceNumber": number,
    }
    data = dcmread(io.BytesIO(image(790 + number, SOPInstanceUID=f"1.2.79.1.{series}.{number}", **own)))
    if not series:
        del data.PixelData
    else:
        data.Rows, data.Columns, data.RescaleIntercept = 8, 6, 0
        data.PixelData = (np.mgrid[0:8, 0:6][0] == number).astype("<i2").tobytes()
    written = io.BytesIO()
    data.save_as(written)
    return written.getvalue()


async def test_thumbnails_stand_for_studies_series_and_instances(server: Server) -> None:
    folder = await server.directory()
    for series, number in ((0, 1), (1, 3), (1, 1), (1, 2)):
        await server.put(f"{folder}/{series}-{number}.dcm", _of_study(series, number))
    viewer = Viewer(server, server.admin_token)
    found = await instances(viewer, f"path={folder}")
    assert len(found) == 4
    for one in found:
        study, series, instance = (uid(one, tag) for tag in (STUDY, SERIES, INSTANCE))
        of_series = await viewer.get(f"/studies/{study}/series/{series}/thumbnail?accept=image/png")
        by_itself = await viewer.get(f"{address(one)}/thumbnail?accept=image/png")
        if "00280010" in one and one["00280010"]["Value"] == [8]:
            assert pixels(of_series)[2].min() == 255, "the one in the middle"
            assert pixels(by_itself)[instance_number(one)].min() == 255
            ids = study, series, instance
        else:
            assert (of_series.status, by_itself.status) == (404, 404)
        assert pixels(await viewer.get(f"/studies/{study}/thumbnail?accept=image/png"))[2].min() == 255
    got = await viewer.ask(lambda client: client.retrieve_instance_rendered(*ids, media_types=("image/png",)))
    assert Image.open(io.BytesIO(got)).format == "PNG"
    got = await viewer.ask(lambda client: client.retrieve_instance_frames_rendered(*ids, [1]))
    assert Image.open(io.BytesIO(got)).format == "JPEG"


async def test_a_series_that_cannot_be_drawn_stands_for_no_study(server: Server) -> None:
    folder = await server.directory()
    for series in range(4):
        one = dcmread(io.BytesIO(_of_study(1, 1)))
        one.Rows *= 2 if series else 1  # of which there are no pixels
        one.StudyInstanceUID, one.SeriesInstanceUID, one.PatientID = "1.2.9.70", f"1.2.9.70.{series}", "P70"
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.70.{series}.1"
        await server.put(f"{folder}/{series}.dcm", written(one))
    viewer = Viewer(server, server.admin_token)
    statuses = [
        (await viewer.get(f"/studies/{uid(one, STUDY)}/series/{uid(one, SERIES)}/thumbnail")).status
        for one in await instances(viewer, f"path={folder}")
    ]
    assert sorted(statuses) == [200, 406, 406, 406]
    (study,) = (await viewer.get(f"/studies?path={folder}")).tree
    assert (await viewer.get(f"/studies/{uid(study, STUDY)}/thumbnail")).status == 200


async def test_studies_and_series_are_rendered_instance_by_instance(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await server.directory()
    for series, number in ((0, 4), (2, 6), (2, 5)):
        await server.put(f"{folder}/{series}-{number}.dcm", _of_study(series, number))
    viewer, within = Viewer(server, server.admin_token), f"path={folder}"
    found = {instance_number(one): one for one in await instances(viewer, within)}
    wanted = {
        number: (await viewer.get(f"{address(found[number])}/rendered?accept=image/png&window=1,2")).body
        for number in (5, 6)
    }
    study = f"/studies/{uid(found[5], STUDY)}"
    of_report, of_images = (f"{study}/series/{uid(found[number], SERIES)}" for number in (4, 5))
    for way in (study, of_images):
        for accept in ('multipart/related; type="image/png"', "image/png"):
            told = await viewer.get(f"{way}/rendered?{within}&window=1,2", Accept=accept)
            pictures_told = parts_of(told)
            assert [kind for kind, _ in pictures_told] == ["image/png"] * 2
            assert sorted(body for _, body in pictures_told) == sorted(wanted.values())
        assert {kind for kind, _ in parts_of(await viewer.get(f"{way}/rendered?{within}"))} == {"image/jpeg"}
        head = await server.call("HEAD", f"/dicom-web{way}/rendered?{within}", token=viewer.token)
        assert (head.status, head.headers["Content-Type"][:17]) == (200, "multipart/related")
        for wrong, status in (
            ("&quality=0", 400),
            ("&accept=image/gif", 406),
            ("&viewport=16384,16384", 413),
        ):
            assert (await viewer.get(f"{way}/rendered?{within}{wrong}")).status == status, wrong
    assert (await viewer.get(f"{of_report}/rendered?{within}")).status == 404
    assert (await viewer.get(f"/studies/1.2/rendered?{within}")).status == 404
    with monkeypatch.context() as patched:
        patched.setattr(pictures, "can_be_drawn", lambda: False)
        assert (await viewer.get(f"{of_images}/rendered?{within}")).status == 501
    monkeypatch.setattr(pictures_of_many, "_MOST", 2)
    assert (await viewer.get(f"{study}/rendered?{within}")).status == 413
    assert len(parts_of(await viewer.get(f"{of_images}/rendered?{within}"))) == 2
    assert server.house.budget.shares.used == 0


def instance_number(one: dict[str, Any]) -> int:
    return int(one["00200013"]["Value"][0])


async def test_compressed_colours_are_drawn(server: Server) -> None:
    data = dcmread(_FILES / "SC_rgb_jpeg_dcmtk.dcm")
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.Modality, data.BurnedInAnnotation, data.ConversionType = "CT", "NO", None
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3.78.1"
    written = io.BytesIO()
    data.save_as(written)
    viewer, where = await only(server, written.getvalue())
    shown = pixels(await viewer.get(f"{where}/rendered?accept=image/png"))
    assert np.abs(shown[[5, 25, 45], 50].astype(int) - np.eye(3) * 255).max() <= 5


async def test_what_a_view_blanks_is_blank_in_its_pictures(own_server: Server) -> None:
    await add(own_server, BLANKING)
    await applied(own_server, "sono", "/")
    viewer = Viewer(own_server, own_server.admin_token, "/dicom-web/@sono")
    basic = Viewer(own_server, own_server.admin_token, "/dicom-web/@basic")
    for name, compressed in (("/a.dcm", False), ("/b.dcm", True)):
        await own_server.put(name, ultrasound(compressed=compressed))
        (one,) = await instances(viewer, f"path={name}")
        where = address(one)
        study, series = where.split("/series/")[0], where.split("/instances/")[0]
        for way in (
            f"{where}/rendered", f"{where}/frames/3/rendered", f"{where}/thumbnail", f"{study}/thumbnail",
            f"{series}/thumbnail", f"{where}/frames/1/thumbnail",
        ):  # fmt: skip
            shown = pixels(await viewer.get(f"{way}?accept=image/png&path={name}"))
            # What was there was the brightest.
            assert (np.unique(shown[:4]).tolist(), np.unique(shown[4:]).tolist()) == ([0], [255])
            # The basic view is refused for what may be burned in.
            assert (await basic.get(f"{way}?path={name}")).status == 404
        for way in (study, series):
            ((_, body),) = parts_of(await viewer.get(f"{way}/rendered?accept=image/png&path={name}"))
            shown = np.asarray(Image.open(io.BytesIO(body)))
            assert (np.unique(shown[:4]).tolist(), np.unique(shown[4:]).tolist()) == ([0], [255])
            assert (await basic.get(f"{way}/rendered?path={name}")).status == 404


async def test_pictures_have_bounds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer, where = await only(server, frames(3))
    assert server.house.budget.shares.used == 0
    with monkeypatch.context() as patched:
        patched.setattr(pictures, "MOST_DECODED", 8 * 6 * 2 - 1)
        reply = await viewer.get(f"{where}/rendered")
        assert (reply.status, reply.tree["remedy"]) == (413, "retrieve the frame")
    with monkeypatch.context() as patched:
        patched.setattr(pictures, "can_be_drawn", lambda: False)
        assert (await viewer.get(f"{where}/rendered")).status == 501
    with monkeypatch.context() as patched:
        scrubber = server.house.workshop.scrubber
        patched.setattr(scrubber, "settings", scrubber.settings.model_copy(update={"queue": 0}))
        assert (await viewer.get(f"{where}/rendered")).status == 429
    with monkeypatch.context() as patched:
        patched.setattr(server.house.budget.shares, "most", 1000)
        assert (await viewer.get(f"{where}/rendered")).status in (413, 429)
    assert (await viewer.get(f"{where}/rendered")).status == 200
    assert server.house.budget.shares.used == 0
