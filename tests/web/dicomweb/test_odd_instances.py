"""Instances that cannot be sent, or not as they are asked for: that is told before the first byte of any other; and a
copy that can be sent stands for one that cannot."""

from random import Random

import pytest

from mdm_async.images.studies import describing
from tests.conftest import Server
from tests.web.dicomweb.conftest import Viewer, image, uid
from tests.web.dicomweb.test_retrieve import ANY_DICOM, INSTANCE, STUDY, address, instances, parts_of

KINDS = {"": ANY_DICOM, "/metadata": "application/dicom+json"}
COUNT = 3


@pytest.fixture
async def folder(server: Server) -> str:
    """With a study, the last instance of which has the most bytes beside its pixels."""
    folder = await server.directory()
    for number in range(COUNT):
        await server.put(f"{folder}/{number}", one_of(folder, number))
    return folder


def one_of(folder: str, number: int) -> bytes:
    study = f"1.2.{int(folder[2:], 16)}"
    centers = [Random(number).randrange(10_000) for _ in range(400 * (number == COUNT - 1))]
    return image(
        number,
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        SOPInstanceUID=f"{study}.1.{number}",
        PatientID=study,
        WindowCenter=centers or None,
        WindowWidth=centers or None,
    )


async def put_away(server: Server, guid: str) -> None:
    async with server.house.database.acquire() as db:
        await db.execute(
            "update images set locality = 'LOST' where id = (select image from entries where guid = $1::uuid)",
            guid,
        )
    server.cool()


async def seal(server: Server, folder: str) -> None:
    body = {"surl": folder, "deidentified": "sealed"}
    reply = await server.call("PUT", "/admin/v1/delivery", token=server.admin_token, json=body)
    assert reply.status == 200


async def study_in(viewer: Viewer, folder: str) -> str:
    (study,) = (await viewer.get(f"/studies?path={folder}")).tree
    return f"/studies/{uid(study, STUDY)}"


@pytest.mark.parametrize("end", KINDS)
@pytest.mark.parametrize("number", range(COUNT))
async def test_one_that_leaves_sealed_only_is_told_before_the_others(
    server: Server, folder: str, end: str, number: int
) -> None:
    viewer = Viewer(server, server.admin_token)
    where = await study_in(viewer, folder)
    await server.srm("mkdir", surl=f"{folder}/sealed")
    await server.srm("mv", fromSURL=f"{folder}/{number}", toSURL=f"{folder}/sealed/{number}")
    await seal(server, f"{folder}/sealed")
    reply = await viewer.get(where + end, Accept=KINDS[end])
    assert reply.status == 403, reply.body
    assert b"sealed" in reply.body


@pytest.mark.parametrize("end", KINDS)
async def test_one_whose_bytes_are_not_here_is_told_before_the_others(
    server: Server, folder: str, end: str
) -> None:
    viewer = Viewer(server, server.admin_token)
    where = await study_in(viewer, folder)
    async with server.house.database.acquire() as db:
        guid = await db.fetchval("select guid from entries where name = $1 order by id desc limit 1", "2")
    await put_away(server, str(guid))
    reply = await viewer.get(where + end, Accept=KINDS[end])
    assert reply.status >= 400
    assert b"lost" in reply.body


async def test_a_clear_copy_stands_for_an_older_one_that_is_sealed(server: Server, folder: str) -> None:
    viewer = Viewer(server, server.admin_token)
    where = await study_in(viewer, folder)
    (first, *_) = await instances(viewer, f"path={folder}")
    await seal(server, folder)
    ends = ("", "/metadata", "/frames/1", "/bulkdata/7FE00010")
    for end in ends:
        assert (await viewer.get(address(first) + end)).status == 403
    copies = await server.directory()
    for number in range(COUNT):
        await server.put(f"{copies}/{number}", one_of(folder, number))
    for end in ends:
        assert (await viewer.get(address(first) + end)).status == 200
    assert len(parts_of(await viewer.get(where, Accept=ANY_DICOM))) == COUNT
    told = (await viewer.get(f"{where}/metadata")).tree
    assert len({uid(one, INSTANCE) for one in told}) == COUNT
    # Who may read the sealed ones alone gets none.
    outsider = Viewer(server, await server.token("rg", path=folder))
    assert (await outsider.get(f"{where}/metadata")).status == 403


async def test_one_that_is_too_large_to_be_described_is_told_before_the_others(
    server: Server, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Viewer(server, server.admin_token)
    where = await study_in(viewer, folder)
    assert len((await viewer.get(f"{where}/metadata")).tree) == COUNT
    monkeypatch.setattr(describing, "MOST_DESCRIBED", 2_700)
    each = await instances(viewer, f"path={folder}")
    assert sorted([(await viewer.get(f"{address(one)}/metadata")).status for one in each]) == [200, 200, 413]
    assert (await viewer.get(f"{where}/metadata")).status == 413
    assert len(parts_of(await viewer.get(where, Accept=ANY_DICOM))) == COUNT


async def test_what_never_has_room_in_memory_is_refused_for_good(
    server: Server, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Viewer(server, server.admin_token)
    where = await study_in(viewer, folder)
    monkeypatch.setattr(server.house.budget, "most", 1_000)
    assert (await viewer.get(f"{where}/metadata")).status == 413
