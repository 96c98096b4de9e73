"""STOW-RS: what comes is stored part by part, under pseudonymous names, and what became of each is told."""

import asyncio
import dataclasses
import io
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pydicom
import pytest
from dicomweb_client.web import _load_xml_dataset
from pydicom.uid import generate_uid

from mdm_async.web.dicomweb import coming_parts, store
from tests.conftest import Reply, Server, running_server
from tests.faults.conditions import until
from tests.pacs.devices import Pacs
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import Viewer, image
from tests.web.test_privacy import captured_log

KIND = 'multipart/related; type="application/dicom"; boundary={}'
FAILED, STORED, OTHER = "00081198", "00081199", "0008119A"


def own(**values: Any) -> bytes:
    """An image of its own study."""
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    return image(int.from_bytes(secrets.token_bytes(3)), **(uids | values))


def said(data: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(data))


def body(parts: Iterable[bytes], boundary: str, head: str = "Content-Type: application/dicom") -> bytes:
    told = b"".join(f"\r\n--{boundary}\r\n{head}\r\n\r\n".encode() + one for one in parts)
    return told + f"\r\n--{boundary}--\r\n".encode()


async def stow(
    server: Server, *parts: bytes, path: str = "/dicom-web/studies", boundary: str = "b0undary", **more: Any
) -> Reply:
    more = {"token": server.admin_token, "headers": {"Content-Type": KIND.format(boundary)}} | more
    return await server.call("POST", path, data=body(parts, boundary), **more)


def instances(reply: Reply, tag: str) -> list[str]:
    return [one["00081155"]["Value"][0] for one in reply.tree.get(tag, {}).get("Value", [])]


def reasons(reply: Reply, tag: str = FAILED) -> list[int]:
    return [one["00081197"]["Value"][0] for one in reply.tree.get(tag, {}).get("Value", [])]


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """One that gives originals in the clear, so that what was stored is seen."""
    dsn, data = await postgres.fresh_database(migrated), tmp_path_factory.mktemp("stow") / "data"
    async with running_server(data, dsn, delivery={"identified": "clear"}) as running:
        yield running


async def names(server: Server) -> list[str]:
    """LFNs of all files below."""
    return await Pacs(server).names("/dicomweb")


async def test_dicomweb_client_stores_instances_unmodified(server: Server) -> None:
    study = generate_uid()
    files = [own(StudyInstanceUID=study) for _ in range(3)]
    viewer = Viewer(server, server.admin_token)
    told = await viewer.ask(lambda client: client.store_instances(list(map(said, files))))
    assert {str(one.ReferencedSOPInstanceUID) for one in told.ReferencedSOPSequence} == {
        str(said(one).SOPInstanceUID) for one in files
    }
    assert "FailedSOPSequence" not in told
    reader = await server.token("rlxgi", "/", views=["identified"])
    for one in told.ReferencedSOPSequence:
        answer = await server.call(
            "GET", one.RetrieveURL, token=reader, headers={"Accept": "application/dicom"}
        )
        assert answer.status == 200
    assert str(told.RetrieveURL).endswith(f"/@identified/studies/{study}")
    # And under the study's own URL.
    again = await viewer.ask(
        lambda client: client.store_instances([said(own(StudyInstanceUID=study))], study_instance_uid=study)
    )
    assert len(again.ReferencedSOPSequence) == 1


async def test_the_bytes_of_a_file_are_unchanged_and_its_name_tells_nobody(server: Server) -> None:
    file = own(PatientID="QX-9911")
    reply = await stow(server, file)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/dicom+json")
    (url,) = [one["00081190"]["Value"][0] for one in reply.tree[STORED]["Value"]]
    reader = await server.token("rlxgi", "/", views=["identified"])
    answer = await server.call(
        "GET", url, token=reader, headers={"Accept": "application/dicom; transfer-syntax=*"}
    )
    assert answer.body == file
    assert all(re.fullmatch(r"/dicomweb(/MDM[A-Z2-7]{13}){4}\.dcm", lfn) for lfn in await names(server))


async def test_a_part_that_fails_does_not_harm_the_others(server: Server) -> None:
    good, other, cut = own(), own(), own()
    wrong = said(own())
    wrong.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    mismatched = io.BytesIO()
    wrong.save_as(mismatched, enforce_file_format=False)
    strange = said(own())
    strange.SOPClassUID = strange.file_meta.MediaStorageSOPClassUID = "1.2.3.4"
    unknown = io.BytesIO()
    strange.save_as(unknown, enforce_file_format=True)
    parts = [good, b"no DICOM at all", cut[:-50], mismatched.getvalue(), unknown.getvalue(), other]
    reply = await stow(server, *parts)
    assert reply.status == 202
    assert instances(reply, STORED) == [str(said(one).SOPInstanceUID) for one in (good, other)]
    assert reasons(reply) == [0xC000, 0xA900, 0x0122]
    assert reasons(reply, OTHER) == [0xC000]


async def test_it_is_told_in_xml_where_that_is_asked_for(server: Server) -> None:
    """As dicomweb-client reads it; the same as in JSON."""
    good = own()
    kinds = {"Content-Type": KIND.format("b0undary"), "Accept": "application/dicom+xml, */*;q=0.5"}
    for parts, status in (([good, b"no DICOM at all", good[:-50]], 202), ([good], 200)):
        plain, reply = await stow(server, *parts), await stow(server, *parts, headers=kinds)
        assert (reply.status, reply.headers["Content-Type"]) == (status, "application/dicom+xml")
        tree = ElementTree.fromstring(reply.body)
        assert tree.tag == "{http://dicom.nema.org/PS3.19/models/NativeDICOM}NativeDicomModel"
        assert _load_xml_dataset(tree) == pydicom.Dataset.from_json(plain.tree)
        keywords = {one.get("keyword") for one in tree}
        assert {"RetrieveURL", "ReferencedSOPSequence"} <= keywords


async def test_a_study_takes_its_own_instances_alone(server: Server) -> None:
    mine, others = own(StudyInstanceUID="1.2.3.900"), own()
    path = "/dicom-web/studies/1.2.3.900"
    reply = await stow(server, mine, others, path=path)
    assert (reply.status, reasons(reply)) == (202, [0xA900])
    alone = await stow(server, others, path=path)
    assert (alone.status, reasons(alone), instances(alone, STORED)) == (409, [0xA900], [])


async def test_boundaries_in_pixels_split_no_part(server: Server) -> None:
    boundary = "xx"
    image = said(own(pixels=4000))
    like = b"".join(b"\r\n--xx" + end for end in (b"y", b"-", b" \t-", b"\r", b"\n\r\n", b"x--\r\n"))
    image.PixelData = (like * 200)[: len(image.PixelData)]
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    reply = await stow(server, written.getvalue(), own(), boundary=boundary)
    assert (reply.status, len(instances(reply, STORED))) == (200, 2)
    known = own()
    lengths = f"Content-Type: application/dicom\r\nContent-Length: {len(known)}"
    data = body([known], "q", lengths)
    reply = await server.call(
        "POST",
        "/dicom-web/studies",
        token=server.admin_token,
        data=data,
        headers={"Content-Type": KIND.format("q")},
    )
    assert reply.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/dicom"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=b'}, 415),
        ({"Content-Type": 'multipart/form-data; boundary="b"'}, 415),
        ({}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content-Type": "Multipart/Related;boundary=b;type=application/dicom"}, 200),
        ({"Content-Type": KIND.format("b"), "Accept": "text/html"}, 406),
        ({"Content-Type": KIND.format("b"), "Accept": "application/dicom+xml, application/json;q=0.5"}, 200),
        ({"Content-Type": KIND.format("b") + "; charset=utf-8", "Accept": "*/*"}, 200),
        ({"Content-Type": KIND.format("other")}, 400),
        ({"Content-Type": KIND.format("b"), "Content-Encoding": "gzip"}, 415),
    ],
)
async def test_what_is_taken_and_told(server: Server, headers: dict[str, str], status: int) -> None:
    reply = await server.call(
        "POST", "/dicom-web/studies", token=server.admin_token, data=body([own()], "b"), headers=headers
    )
    assert reply.status == status, reply.body


async def test_nothing_at_all_is_a_bad_request(server: Server) -> None:
    assert (await stow(server)).status == 400


async def test_a_view_is_not_stored(server: Server) -> None:
    for base in ("/dicom-web/@identified/studies", "/dicom-web/@basic/studies/1.2.3"):
        reply = await stow(server, own(), path=base)
        assert (reply.status, "view" in reply.tree["detail"]) == (405, True)


async def test_who_may_not_write_is_refused_before_the_body(server: Server) -> None:
    reader = await server.token("rlx", "/")
    asked: list[int] = []

    async def never() -> AsyncIterator[bytes]:
        asked.append(1)
        yield b"x"

    headers = {"Content-Type": KIND.format("b"), "Expect": "100-continue"}
    for shown, status in ((reader, 403), (None, 401)):
        told = headers | ({"Authorization": f"Bearer {shown}"} if shown else {})
        async with server.http.post(f"{server.url}/dicom-web/studies", data=never(), headers=told) as answer:
            assert answer.status == status
    assert asked == []


async def test_who_may_not_store_is_told_which_right_that_takes(server: Server) -> None:
    """In the same words, whether or not the directory is there, or is shown."""
    told = []
    for rights, path in (("rlx", "/"), ("rlxg", "/elsewhere")):
        reply = await stow(server, own(), token=await server.token(rights, path))
        assert reply.status in {403, 404}
        assert "may store nothing by STOW-RS" in reply.tree["detail"]
        told.append(reply.tree["remedy"])
    assert "right 'w'" in told[0]
    assert "dicomweb.directory" in told[0]
    assert told[0] == told[1]


async def test_who_may_write_alone_may_store_and_learns_nothing(server: Server) -> None:
    await stow(server, own())
    writer = await server.token("w", "/dicomweb")
    file = own()
    changed = said(file)
    changed.StudyDescription = "another"
    written = io.BytesIO()
    changed.save_as(written, enforce_file_format=True)
    answers = [await stow(server, one, token=writer) for one in (file, file, written.getvalue())]
    answers.append(await stow(server, file, token=await server.token("w", "/dicomweb")))
    assert {one.status for one in answers} == {200}
    assert len({one.body for one in answers}) == 1


async def test_a_client_that_vanishes_leaves_whole_parts_and_nothing_of_a_part(server: Server) -> None:
    first, second = own(), own(pixels=400_000)
    await stow(server, own())
    before = len(await names(server))
    data = body([first, second], "b")
    _, writer = await asyncio.open_connection("127.0.0.1", server.house.port)
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1:{server.house.port}\r\n"
        f"Authorization: Bearer {server.admin_token}\r\nContent-Length: {len(data)}\r\n"
        f"Content-Type: {KIND.format('b')}\r\n\r\n"
    )
    writer.write(head.encode() + data[: len(data) // 2])
    await writer.drain()

    async def one_more() -> bool:
        return len(await names(server)) == before + 1

    await until(one_more)
    writer.transport.abort()
    await until(lambda: not server.house.admission.receiving)
    assert await one_more()
    async with server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from blobs where state = 'writing'") == 0


async def test_what_comes_after_the_credential_was_withdrawn_is_not_stored(server: Server) -> None:
    first, second, third = own(), own(pixels=400_000), own()
    before = len(await names(server))
    data, withdrawn = body([first, second, third], "b"), asyncio.Event()
    token = await server.token("wx", name="withdrawn")

    async def sent() -> AsyncIterator[bytes]:
        half = data.index(second) + len(second) // 2
        yield data[:half]
        await withdrawn.wait()
        yield data[half:]

    async def one_more() -> bool:
        return len(await names(server)) == before + 1

    headers = {"Content-Type": KIND.format("b"), "Authorization": f"Bearer {token}"}

    async def stored() -> int | None:
        try:
            async with server.http.post(
                f"{server.url}/dicom-web/studies", data=sent(), headers=headers
            ) as answer:
                failed = (await answer.json(content_type=None))["00081198"]["Value"]
                assert [one["00081197"]["Value"] for one in failed] == [[0x0124]] * 2
                return answer.status
        except aiohttp.ClientError:
            return None  # It was cut in the middle of the second.

    async with asyncio.TaskGroup() as group:
        storing = group.create_task(stored())
        await until(one_more)
        gone = await server.call("DELETE", "/admin/v1/tokens/withdrawn", token=server.admin_token)
        assert gone.status == 204
        withdrawn.set()
    assert storing.result() in (202, None)
    await until(lambda: not server.house.admission.receiving)
    assert await one_more()


async def test_what_is_told_and_logged_holds_nobodys_name(server: Server) -> None:
    writer = await server.token("w", "/dicomweb")
    file = own(PatientName="Planted^Canary", PatientID="Q-canary")
    corrected = said(file)
    corrected.PatientName = "Planted^Other"
    written = io.BytesIO()
    corrected.save_as(written, enforce_file_format=True)
    with captured_log() as log:
        answers = [
            await stow(server, file, written.getvalue(), file[:-9], b"Planted^Canary", token=writer),
            await stow(server, file, token=writer, path="/dicom-web/studies/1.2.3"),
        ]
    metrics = await server.call("GET", "/metrics", token=server.admin_token)
    async with server.house.database.acquire() as db:
        trail = str([dict(row) for row in await db.fetch("select * from audit order by id desc limit 20")])
    uid = str(corrected.SOPInstanceUID)
    for text in (log.getvalue(), metrics.body.decode(), trail):
        assert not any(one in text for one in ("Planted", "canary", uid))
    assert [one.status for one in answers] == [202, 409]
    assert b"Planted" not in b"".join(one.body for one in answers)


async def test_an_instance_that_is_elsewhere_is_told_as_one_that_is_nowhere(server: Server) -> None:
    file, hidden = own(), await server.directory()
    await server.put(f"{hidden}/a.dcm", file)
    writer = await server.token("w", "/dicomweb")
    before = await names(server)
    first = await stow(server, file, token=writer)
    assert first.status == 200
    (new,) = set(await names(server)) - set(before)
    assert re.fullmatch(r"(/MDM[A-Z2-7]{13}){4}\.dcm", new.removeprefix("/dicomweb"))
    assert (await stow(server, file, token=writer)).body == first.body


async def test_more_instances_than_a_request_may_have_are_told_and_the_others_stay(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MOST", 2)
    before = await names(server)
    assert (await stow(server, own(), own(), own())).status == 413
    assert len(await names(server)) == len(before) + 2


async def test_where_nothing_has_room_any_more_it_is_told_before_the_body(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stow(server, own())

    async def full(*_: object) -> int:
        return 0

    monkeypatch.setattr(type(server.house.blobs), "free", full)
    assert (await stow(server, own())).status == 507


async def test_one_that_is_larger_than_a_file_may_be_is_passed_over(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(server.house.intake, largest=100_000)
    monkeypatch.setattr(server.house, "intake", small)
    reply = await stow(server, own(pixels=300_000), own())
    assert (reply.status, reasons(reply)) == (202, [0xA700])
    assert len(instances(reply, STORED)) == 1


async def test_so_much_is_passed_over_in_one_request_and_no_more(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.house, "intake", dataclasses.replace(server.house.intake, largest=100_000))
    monkeypatch.setattr(coming_parts, "_MOST_PASSED", 500_000)
    before = await names(server)
    assert (await stow(server, own(), own(pixels=2_000_000), own())).status == 413
    assert len(await names(server)) == len(before) + 1
