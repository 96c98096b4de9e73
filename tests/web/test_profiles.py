"""Profiles over HTTP: put into force, applied, changed; what they do to views, pixels included."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless, generate_uid

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.stream import Unsealer
from tests.backfilled import backfill
from tests.conftest import Server, running_server
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

FILES = Path(pydicom.data.__file__).parent / "test_files"


def ultrasound(*, compressed: bool = False, frames: int = 3) -> bytes:
    """An ultrasound image with a name, as it were, in the first four of its 16 rows."""
    image = dcmread(FILES / "CT_small.dcm")
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    image.Modality, image.Manufacturer, image.NumberOfFrames = "US", "ACME Sono", frames
    image.Rows, image.Columns, image.BitsAllocated, image.BitsStored, image.HighBit = 16, 20, 8, 8, 7
    image.PixelRepresentation = 0
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["us"])
    frame = b"\xaa" * (4 * 20) + b"\x55" * (12 * 20)
    image.PixelData = frame * frames
    if compressed:
        image.compress(RLELossless)
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


BLANKING = """
name = "sono"
options = ["retain_device_identity"]
[[pixels]]
when = { Manufacturer = "ACME*" }
blank = [[0, 0, 20, 4]]
"""


def opened(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


async def add(server: Server, toml: str, expect: int = 201) -> dict[str, Any]:
    reply = await server.call("POST", "/admin/v1/profiles", token=server.admin_token, json={"toml": toml})
    assert reply.status == expect, reply.tree
    tree: dict[str, Any] = reply.tree
    return tree


async def ask(server: Server, name: str, what: str, expect: int = 200, **body: Any) -> dict[str, Any]:
    url = f"/admin/v1/profiles/{name}/{what}"
    reply = await server.call("POST", url, token=server.admin_token, json=body)
    assert reply.status == expect, reply.tree
    tree: dict[str, Any] = reply.tree
    return tree


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - what the server does in the background shows nowhere else
            await asyncio.sleep(0.02)


async def applied(server: Server, name: str, surl: str) -> dict[str, int]:
    await ask(server, name, "apply", 202, surl=surl)

    async def nothing_pending() -> bool:
        return not (await ask(server, name, "progress", surl=surl))["pending"]

    await until(nothing_pending)
    return await ask(server, name, "progress", surl=surl)


async def explained(server: Server, surl: str, view: str) -> dict[str, str]:
    tree = await server.srm("prepareToGet", expect=None, files=[{"surl": surl}], view=view)
    status: dict[str, str] = tree["files"][0]["status"]
    return status


async def test_a_new_profile_is_applied_to_what_is_there_and_to_what_comes(
    own_server: Server, ct: bytes
) -> None:
    server = own_server
    await server.srm("mkdir", surl="/a")
    await server.put("/a/one.dcm", ct)
    await add(server, 'name = "lenient"\noptions = ["retain_patient_characteristics"]\n')
    assert (await ask(server, "lenient", "plan", surl="/a")) == {
        "images": 1,
        "heads": 1,
        "pixels": 0,
        "pixelBytes": 0,
    }
    assert "has not been made" in (await explained(server, "/a/one.dcm", "lenient"))["explanation"]

    assert await applied(server, "lenient", "/a") == {
        "ready": 1,
        "refused": 0,
        "quarantined": 0,
        "pending": 0,
    }
    kept = opened(await server.read("/a/one.dcm", view="lenient"))
    assert kept.PatientAge == opened(ct).PatientAge
    assert kept.PixelData == opened(ct).PixelData
    assert "PatientAge" not in opened(await server.read("/a/one.dcm"))
    assert kept.PatientID != opened(await server.read("/a/one.dcm")).PatientID  # other projects, other keys

    await server.put("/a/two.dcm", made(seed=3))
    assert opened(await server.read("/@lenient/a/two.dcm")).PatientAge
    await server.put("/elsewhere.dcm", made(seed=4))
    assert "has not been made" in (await explained(server, "/elsewhere.dcm", "lenient"))["explanation"]


async def test_a_changed_profile_is_another_version_and_the_old_one_is_never_served_as_it(
    own_server: Server, ct: bytes
) -> None:
    server = own_server
    await add(server, 'name = "p"\noptions = ["retain_patient_characteristics"]\n')
    await applied(server, "p", "/")
    await server.put("/one.dcm", ct)
    before = await server.prepare("/one.dcm", view="p")
    assert opened(await server.get(before["transferURL"])).PatientAge

    answer = await add(server, 'name = "p"\n')
    assert answer["replaced"]
    assert answer["replaced"] != answer["digest"]
    async with server.http.get(before["transferURL"]) as gone:
        assert gone.status == 410
    await until(lambda: _is_ready(server, "/one.dcm", "p"))
    assert "PatientAge" not in opened(await server.read("/one.dcm", view="p"))


async def _is_ready(server: Server, surl: str, view: str) -> bool:
    return (await explained(server, surl, view))["statusCode"] == "SRM_FILE_PINNED"


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("sealed", [False, True])
async def test_regions_are_blanked_in_a_variant_of_its_own_and_the_original_is_kept_apart(
    own_server: Server, late: bool, sealed: bool
) -> None:
    server, original = own_server, ultrasound()
    await add(server, BLANKING)
    if not late:
        await applied(server, "sono", "/")
    await server.put("/us.dcm", original)
    if late:
        plan = await ask(server, "sono", "plan", surl="/")
        assert (plan["heads"], plan["pixels"]) == (1, 1)
        await applied(server, "sono", "/")
    blanked = opened(await server.read("/us.dcm", view="sono")).PixelData
    if sealed:
        token = await server.token("r", views=["sono"])
        blanked = opened(await unsealed(server, "/us.dcm", token, "sono")).PixelData
    assert blanked == (bytes(80) + b"\x55" * 240) * 3
    assert "pixel rule" in (await explained(server, "/us.dcm", "basic"))["explanation"]

    async with server.house.database.acquire() as db:
        rows = await db.fetch("select variant, secret from parts where kind = 'pixels'")
    assert {row["secret"] for row in rows if row["variant"] == "original"} == {"identity"}
    assert [row["secret"] for row in rows if row["variant"] != "original"] == ["image"]
    assert (await ask(server, "sono", "plan", surl="/"))["heads"] == 0
    fsck = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={})
    assert fsck.tree["findings"] == []


async def test_compressed_pixels_are_decoded_where_a_plug_in_can(own_server: Server) -> None:
    server = own_server
    await add(server, BLANKING)
    await applied(server, "sono", "/")
    await server.put("/us.dcm", ultrasound(compressed=True))
    view = opened(await server.read("/us.dcm", view="sono"))
    assert view.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert view.PixelData == (bytes(80) + b"\x55" * 240) * 3


async def test_two_profiles_with_the_same_pixel_rules_share_the_cleaned_pixels(own_server: Server) -> None:
    server = own_server
    await add(server, BLANKING)
    await add(server, BLANKING.replace('"sono"', '"other"'))
    await applied(server, "sono", "/")
    await server.put("/us.dcm", ultrasound())
    assert (await ask(server, "other", "plan", surl="/")) == {
        "images": 1,
        "heads": 1,
        "pixels": 0,
        "pixelBytes": 0,
    }
    await applied(server, "other", "/")
    assert (await server.read("/us.dcm", view="other")).endswith((bytes(80) + b"\x55" * 240) * 3)
    async with server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from parts where variant <> 'original'") == 1


async def test_a_trusted_device_gets_its_pixels_from_an_original_that_lay_apart(own_server: Server) -> None:
    server = own_server
    await server.put("/us.dcm", ultrasound())
    await add(server, 'name = "sono"\n[[pixels]]\nwhen = { Modality = "US" }\ntrust = true\n')
    await applied(server, "sono", "/")
    assert opened(await server.read("/us.dcm", view="sono")).PixelData == opened(ultrasound()).PixelData


@pytest.mark.parametrize("size", [2_000, 400_000])
@pytest.mark.parametrize("tail", [False, True])
async def test_a_comment_in_a_codestream_is_wiped_in_a_variant(
    own_server: Server, size: int, tail: bool
) -> None:
    server = own_server
    image = dcmread(FILES / "JPEG2000.dcm")
    frame = next(generate_frames(image.PixelData, number_of_frames=1))
    comment = (
        b"\xff\x64"
        + (4 + 11 + size % 60_000).to_bytes(2, "big")
        + b"\0\1"
        + b"Doe^Jane-77"
        + bytes(size % 60_000)
    )
    start = frame.index(b"\xff\x52")  # COD: comments may stand anywhere in the main header
    many = comment * -(-size // 60_000)
    image.PixelData = encapsulate([frame[:start] + many + frame[start:]])
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    image.BurnedInAnnotation = "NO"
    if tail:
        image.add_new(0x7FE10010, "LO", "TAIL")
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    await server.put("/j.dcm", written.getvalue())
    view = await server.read("/j.dcm")
    assert b"Doe^Jane-77" not in view
    assert len(opened(view).PixelData) == len(image.PixelData)
    scope = await server.token("rlxgi", views=["identified", "basic"])
    assert await unsealed(server, "/j.dcm", scope, "identified") == written.getvalue()
    assert await unsealed(server, "/j.dcm", scope, "basic") == view
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select variant, secret from parts where kind = 'pixels' order by secret")
        blobs = await db.fetchval("select count(*) from blobs where state <> 'stored'")
    assert [row["secret"] for row in rows] == ["identity", "image"]
    assert blobs == 0


async def unsealed(server: Server, surl: str, token: str, view: str) -> bytes:
    private = new_private_key()
    recipient = base64.b64encode(public_key(private)).decode()
    tree = await server.srm(
        "prepareToGet", token=token, files=[{"surl": surl}], view=view, recipient=recipient
    )
    stream = await server.get(tree["files"][0]["transferURL"])
    unsealer = Unsealer(private)
    return b"".join([bytes(piece) for piece in unsealer.feed(stream)] + [bytes(p) for p in unsealer.close()])


async def test_quarantine_holds_back_until_somebody_with_the_right_i_has_looked(own_server: Server) -> None:
    server = own_server
    await add(server, 'name = "careful"\nburned_in = "quarantine"\n')
    await applied(server, "careful", "/")
    await server.put("/us.dcm", ultrasound())
    status = await explained(server, "/us.dcm", "careful")
    assert "quarantine" in status["explanation"]
    assert "mdm profile release" in status["remedy"]
    reader = await server.token("rlx", views=["careful"])
    url = "/admin/v1/profiles/careful/release"
    denied = await server.call("POST", url, token=reader, json={"surls": ["/us.dcm"]})
    assert denied.tree["files"][0]["status"]["statusCode"] == "SRM_AUTHORIZATION_FAILURE"
    looker = await server.token("rlxi")
    released = await server.call("POST", url, token=looker, json={"surls": ["/us.dcm"]})
    assert released.tree["files"][0]["status"]["statusCode"] == "SRM_SUCCESS"
    assert opened(await server.read("/us.dcm", view="careful")).PixelData == opened(ultrasound()).PixelData
    again = await server.call("POST", url, token=looker, json={"surls": ["/us.dcm"]})
    assert again.tree["files"][0]["status"]["statusCode"] == "SRM_INVALID_REQUEST"
    async with server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from audit where act = 'quarantine release'") == 1


@pytest.fixture
async def sharing(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A node whose blobs another may share."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, blobs={"shared": True}) as running:
        yield running


async def test_bulk_work_goes_on_after_the_server_was_stopped(sharing: Server, tmp_path: Path) -> None:
    server = sharing
    for number in range(12):
        await server.put(f"/{number}.dcm", made(seed=number))
    await add(server, 'name = "p"\n')
    await ask(server, "p", "apply", 202, surl="/")
    await backfill(server)
    async with server.house.database.acquire() as db:
        await db.execute(
            "with unmade as (delete from views where name = 'p'"
            "  and image in (select image from views where name = 'p' limit 5) returning image)"
            " insert into views_to_make (image, view) select image, 'p' from unmade"
        )
    data = tmp_path / "data2"
    data.mkdir(mode=0o700)
    (data / "blobs").symlink_to(server.data / "blobs")
    kek = (server.data / "secrets/kek").read_text().strip()
    async with running_server(data, server.dsn, keys={"kek": kek}, blobs={"shared": True}) as other:

        async def complete() -> bool:
            async with other.house.database.acquire() as db:
                return bool(await db.fetchval("select count(*) = 12 from views where name = 'p'"))

        await until(complete)


async def test_only_administrators_touch_profiles(server: Server) -> None:
    token = await server.token("rwlxgsi")
    for method, url, body in (
        ("GET", "/admin/v1/profiles", None),
        ("POST", "/admin/v1/profiles", {"toml": 'name = "x"'}),
        ("POST", "/admin/v1/profiles", {"toml": "Quirinzebra = 7"}),
        ("POST", "/admin/v1/profiles/basic/apply", {}),
        ("POST", "/admin/v1/profiles/basic/plan", {}),
        ("POST", "/admin/v1/profiles/basic/progress", {}),
    ):
        reply = await server.call(method, url, token=token, json=body)
        assert reply.status == 403, url


async def test_a_bad_profile_is_refused_with_the_reason(server: Server) -> None:
    for toml in ('name = "basic"', "name = [", 'name = "x"\noptions = ["retain_everything"]'):
        reply = await server.call("POST", "/admin/v1/profiles", token=server.admin_token, json={"toml": toml})
        assert reply.status == 400
        assert reply.tree["detail"]


async def test_a_document_waits_in_quarantine_too(own_server: Server) -> None:
    server = own_server
    document = dcmread(FILES / "CT_small.dcm")
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    del document.PixelData
    document.EncapsulatedDocument = b"%PDF-1.7 and so on"
    written = io.BytesIO()
    document.save_as(written, enforce_file_format=True)
    await add(server, 'name = "papers"\ndocuments = "quarantine"\n')
    await applied(server, "papers", "/")
    await server.put("/a.dcm", written.getvalue())
    assert "quarantine" in (await explained(server, "/a.dcm", "papers"))["explanation"]
    looker = await server.token("rlxi")
    await server.call("POST", "/admin/v1/profiles/papers/release", token=looker, json={"surls": ["/a.dcm"]})
    served = opened(await server.read("/a.dcm", view="papers"))
    assert served.EncapsulatedDocument.startswith(b"%PDF-1.7")
    assert served.PatientName != document.PatientName
