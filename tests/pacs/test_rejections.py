"""Rejection notes (IHE RAD TF, Imaging Object Change Management): what they name is hidden from those who ask."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from mdm_async.catalog.holdings import rejections
from mdm_async.postgres.database import Connection
from tests.conftest import Reply, Server
from tests.faults.conditions import until
from tests.faults.serving import free_port
from tests.pacs.devices import Image, Pacs, calling, image, pacs_server
from tests.pacs.notes import QUALITY, RETENTION, SAFETY, WORKLIST, note
from tests.pacs.test_again import again, own
from tests.pacs.test_move import Movable
from tests.pacs.tools import SECURED, TOOLS, Tool, identifier, rule
from tests.postgres.for_tests import PostgresForTests
from tests.web.cohorts.test_cohorts import ask
from tests.web.dicomweb.test_retrieve import address
from tests.web.dicomweb.test_store import stow
from tests.web.shredding.conftest import Shred
from tests.web.tape.test_staging import call as tape
from tests.web.test_hidden import OPERATIONS

CALLING = (*TOOLS, calling("ISSUER", "/pacs", issuer="NORTH"), calling("ELSE", "/else"))
OF_WHOM_MAY_STILL = (
    "setPermission",
    "mkdir",
    "rmdir",
    "rm",
    "mv",
    "prepareToPut",
    "getPermission",
    "releaseFiles",
)
"""Operations by which whoever may do so still removes what is hidden, is told that its name is taken, lets it go."""


@pytest.fixture(scope="module")
async def pacs(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pacs]:
    """One that TOOL sees the pushed images of."""
    dsn, data = await postgres.fresh_database(migrated), tmp_path_factory.mktemp("rejecting") / "data"
    own = {"calling": (*CALLING, calling("STORE", "/pacs", port=free_port()))}
    async with pacs_server(data, dsn, pacs=own, server=SECURED) as running:
        server = running.server
        everybody = [rule("user:tool", "x")]
        await server.srm("setPermission", surls=["/"], permissionType="ADD", rules=everybody)
        for folder in ("/pacs", "/dicomweb"):
            await server.srm("mkdir", surl=folder)
            seen = [rule("user:tool", "xlrg", views=["basic"])]
            await server.srm("setPermission", surls=[folder], permissionType="SET", rules=seen)
        yield running


@dataclass(frozen=True)
class Filed:
    """An image that is here, and where."""

    pacs: Pacs
    image: Image
    lfn: str

    @property
    def server(self) -> Server:
        return self.pacs.server

    async def listed(self) -> bool:
        (told,) = (await self.server.srm("ls", expect=None, surls=[self.lfn]))["files"]
        return bool(told["status"]["statusCode"] == "SRM_SUCCESS")


Sender = Callable[[Pacs, Image, Path], Awaitable[str]]
"""Brings a file: the directory that it lands below."""


async def by_storescu(pacs: Pacs, sent: Image, folder: Path, ae: str = "STORESCU") -> str:
    code, said = await pacs.dcmtk("storescu", sent.at(folder), ae=ae)
    assert code == 0, said
    return "/else" if ae == "ELSE" else "/pacs"


async def by_stow(pacs: Pacs, sent: Image, folder: Path) -> str:
    assert (await stow(pacs.server, sent.file)).status == 200
    return "/dicomweb"


async def by_put(pacs: Pacs, sent: Image, folder: Path) -> str:
    path = f"/dav/pacs/{sent.instance}.dcm"
    reply = await pacs.server.call("PUT", path, token=pacs.server.admin_token, data=sent.file)
    assert reply.status == 201, reply.body
    return "/pacs"


async def by_transfer_url(pacs: Pacs, sent: Image, folder: Path) -> str:
    await pacs.server.put(f"/pacs/{sent.instance}.dcm", sent.file)
    return "/pacs"


async def filed(pacs: Pacs, sent: Image, folder: Path, send: Sender = by_storescu) -> Filed:
    before = {one for under in ("/pacs", "/dicomweb", "/else") for one in await pacs.names(under)}
    under = await send(pacs, sent, folder)
    return Filed(pacs, sent, await pacs.new_name(sorted(before), under))


async def qido(server: Server, lfn: str) -> list[dict[str, Any]]:
    reply = await server.call("GET", f"/dicom-web/@basic/instances?path={lfn}", token=server.admin_token)
    return list(reply.tree) if reply.status == 200 else []


async def guid_of(one: Filed) -> str:
    (told,) = (await one.server.srm("ls", surls=[one.lfn], fullDetailedList=True))["files"]
    return str(told["guid"])


async def seen(one: Filed, there: dict[str, Any], guid: str, cohort: str) -> dict[str, bool]:
    """By face, whether it knows of an image, of which QIDO-RS told `there`; a cohort has it under its GUID."""
    server, token = one.server, one.server.admin_token
    where, tool = f"/dicom-web/@basic{address(there)}", Tool(one.pacs)
    study, series, instance = (there[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    directory = one.lfn.rpartition("/")[0]

    async def told(method: str, target: str, **more: Any) -> Reply:
        return await server.call(method, target, token=token, **more)

    async def status(target: str) -> int:
        return (await told("GET", target)).status

    through = await server.srm("prepareToGet", expect=None, files=[{"surl": f"guid:{guid}"}], cohort=cohort)
    found = await told("POST", "/meta/v1/find", json={"query": "Modality is known", "path": directory})
    reply = await told("GET", f"/dicom-web/@basic/studies/{study}/metadata")
    whole = reply.tree if reply.status == 200 else []  # The note may be there.
    shown = await told("PROPFIND", f"/dav{directory}", headers={"Depth": "1"})
    statuses, _, _ = await Movable(one.pacs, 0).move(identifier("IMAGE", **keys))
    return {
        "QIDO-RS": bool(await qido(server, one.lfn)),
        "QIDO-RS by UID": len(
            (await told("GET", f"/dicom-web/@basic/instances?SOPInstanceUID={instance}")).body
        )
        > 2,
        **{f"WADO-RS {part}": await status(where + part) != 404 for part in ("", "/metadata", "/frames/1")},
        "WADO-RS of the study": any(one["00080018"]["Value"] == [instance] for one in whole),
        "C-FIND": bool((await tool.find(identifier("IMAGE", **keys))).answers),
        "C-GET": bool((await tool.get(identifier("IMAGE", **keys))).images),
        "C-MOVE": statuses[-1] != 0,  # Nobody listens there: what is to be moved fails.
        "WebDAV": await status(f"/dav{one.lfn}") != 404,
        "PROPFIND": one.lfn in shown.body.decode(),
        "Tape": "locality" in (await tape(server, "POST", "archiveinfo", paths=[one.lfn])).tree[0],
        "metadata": one.lfn in found.body.decode(),
        "a cohort": "transferURL" in through["files"][0],
    }


async def answers(server: Server, lfn: str, token: str) -> list[tuple[str, int, bytes]]:
    """What all operations by name say of it."""
    told = []
    for operation, _, body in OPERATIONS:
        if operation.rpartition("/")[2] not in OF_WHOM_MAY_STILL:
            reply = await server.call("POST", f"/{operation}", token=token, json=body(lfn))
            said = {
                key: value for key, value in reply.tree.items() if key not in ("requestId", "requestToken")
            }
            told.append((operation, reply.status, orjson.dumps(said).replace(lfn.encode(), b"NAME")))
    return told


@pytest.mark.parametrize(
    ("code", "send"),
    [(QUALITY, by_storescu), (SAFETY, by_stow), (WORKLIST, by_put), (RETENTION, by_transfer_url)],
)
async def test_what_a_note_names_is_hidden_from_every_face(
    pacs: Pacs, tmp_path: Path, code: int, send: Sender
) -> None:
    server = pacs.server
    one = await filed(pacs, own(), tmp_path, send)
    other = await filed(pacs, own(PatientID=one.image.read.PatientID), tmp_path, send)
    (there,), guid = await qido(server, one.lfn), await guid_of(one)
    cohort = f"/pacs/{guid}"
    await ask(server, "create", expect=201, surl=cohort, files=[one.lfn])
    running = (await server.prepare(one.lfn))["transferURL"]
    before = await seen(one, there, guid, cohort)
    assert all(before.values()), before

    said = await filed(pacs, note([one.image], code), tmp_path, send)
    after = await seen(one, there, guid, cohort)
    assert not any(after.values()), after
    free = one.lfn.replace(".dcm", ".free")
    # Who would see it is told why, and others what they are told of a name that is free.
    as_free = [status for _, status, _ in await answers(server, free, server.admin_token)]
    told = await answers(server, one.lfn, server.admin_token)
    assert [status for _, status, _ in told] == as_free
    assert f"({code}, DCM)".encode() in told[0][2]
    stranger = await server.token("x")
    assert await answers(server, one.lfn, stranger) == await answers(server, free, stranger)

    async def is_over() -> bool:
        async with server.http.get(running) as answer:
            return answer.status == 410

    await until(is_over)
    assert await other.listed()
    assert await said.listed() is (code == QUALITY)
    async with server.house.database.acquire() as db:
        row = await db.fetchrow("select details from audit where act = 'hide' and guid = $1", guid)
    assert row["details"]["code"] == code
    reply = await server.call("POST", "/admin/v1/rejected", token=server.admin_token, json={})
    by = {file["path"]: [one["path"] for one in file["notes"]] for file in reply.tree["files"]}
    assert by.pop(one.lfn) == [said.lfn]
    assert by.get(said.lfn, [said.lfn]) == [said.lfn]

    # Whoever may remove the note takes it back, though somebody has a copy.
    if code == QUALITY:
        copied = {"Destination": f"{server.url}/dav{said.lfn}.copy"}
        assert (
            await server.call("COPY", f"/dav{said.lfn}", token=server.admin_token, headers=copied)
        ).status == 201
    await server.srm("rm", surls=[said.lfn])
    again_there = await seen(one, there, guid, cohort)
    assert all(again_there.values()), again_there


async def test_what_comes_after_its_note_is_hidden_and_what_comes_again_stays_so(
    pacs: Pacs, tmp_path: Path
) -> None:
    late = own()
    await by_storescu(pacs, note([late], SAFETY), tmp_path)
    one = await filed(pacs, late, tmp_path)
    assert not await one.listed()
    # With another head, other pixels, which are kept apart, and as another patient's.
    await by_storescu(pacs, again(late, PatientName="Corrected"), tmp_path)
    apart = await filed(pacs, again(late, "MR_small.dcm"), tmp_path)
    moved = await filed(pacs, again(late, PatientID="Q-another"), tmp_path)
    for there in (one, apart, moved):
        assert not await there.listed()
    # Removed, and sent once more.
    await pacs.server.srm("rm", surls=[apart.lfn, moved.lfn])
    assert not await (await filed(pacs, late, tmp_path)).listed()


async def test_a_note_that_comes_again_counts_once(pacs: Pacs, tmp_path: Path) -> None:
    one = await filed(pacs, own(), tmp_path)
    sent = note([one.image])
    said = await filed(pacs, sent, tmp_path)
    await by_storescu(pacs, sent, tmp_path)
    corrected = Image(sent.file).read
    corrected.PatientName = "Corrected"
    written = io.BytesIO()
    corrected.save_as(written, enforce_file_format=True)
    await by_storescu(pacs, Image(written.getvalue()), tmp_path)
    async with pacs.server.house.database.acquire() as db:
        told = await db.fetch("select details from audit where act = 'put' order by id desc limit 2")
    assert [row["details"]["outcome"] for row in told] == ["updated", "same"]
    assert not await one.listed()
    await pacs.server.srm("rm", surls=[said.lfn])
    assert await one.listed()


async def test_who_may_destroy_what_is_in_a_directory_rejects_what_comes_there(
    pacs: Pacs, tmp_path: Path
) -> None:
    late = own()
    destroyer, sent = await pacs.server.token("wdi", path="/pacs"), note([late], RETENTION)
    reply = await pacs.server.call("PUT", "/dav/pacs/early.dcm", token=destroyer, data=sent.file)
    assert reply.status == 201
    assert not await (await filed(pacs, late, tmp_path)).listed()
    assert await (await filed(pacs, late, tmp_path, by_stow)).listed()


@pytest.mark.parametrize("first", ["note", "removal"])
async def test_a_cohort_does_not_give_what_is_rejected_once_its_name_has_gone(
    pacs: Pacs, tmp_path: Path, first: str
) -> None:
    server, one = pacs.server, await filed(pacs, own(), tmp_path)
    cohort = f"/pacs/{first}"
    await ask(server, "create", expect=201, surl=cohort, files=[one.lfn])
    asked = {"files": [{"surl": f"guid:{await guid_of(one)}"}], "cohort": cohort}

    async def pulled() -> dict[str, Any]:
        (line,) = (await server.srm("prepareToGet", expect=None, **asked))["files"]
        return dict(line)

    running = None
    if first == "removal":
        await server.srm("rm", surls=[one.lfn])
        running = (await pulled())["transferURL"]
        assert await server.get(running)
    await by_storescu(pacs, note([one.image]), tmp_path)
    if first == "note":
        await server.srm("rm", surls=[one.lfn])
    assert "transferURL" not in await pulled()

    async def is_over() -> bool:
        assert running is not None
        async with server.http.get(running) as answer:
            return answer.status == 410

    if running is not None:
        await until(is_over)


async def somebody_waits(pacs: Pacs) -> bool:
    async with pacs.server.house.database.acquire() as db:
        waiting = "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
        return bool(await db.fetchval(waiting))


async def test_a_note_waits_for_what_is_being_stored(
    pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = own()
    # The directory of its study is there: for that they would wait anyhow.
    uids = {"PatientID": late.read.PatientID, "StudyInstanceUID": late.read.StudyInstanceUID}
    await by_storescu(pacs, own(**uids), tmp_path)
    before = await pacs.names()
    begun, go_on, lock = asyncio.Event(), asyncio.Event(), rejections.lock

    async def held(db: Connection, stored: UUID, replaced: UUID | None) -> bool:
        is_note = await lock(db, stored, replaced)
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return is_note

    monkeypatch.setattr(rejections, "lock", held)
    storing = asyncio.create_task(by_storescu(pacs, late, tmp_path))
    async with asyncio.timeout(60):
        await begun.wait()
    rejecting = asyncio.create_task(by_storescu(pacs, note([late], SAFETY), tmp_path))
    try:
        await until(partial(somebody_waits, pacs))
    finally:
        go_on.set()
        await asyncio.gather(storing, rejecting)
    there = [Filed(pacs, late, lfn) for lfn in set(await pacs.names()) - set(before)]
    assert [await one.listed() for one in there] == [False, False]


async def tree_goes(pacs: Pacs, lfns: list[str]) -> None:
    await pacs.server.srm("mkdir", surl="/pacs/away")
    for number, lfn in enumerate(lfns):
        await pacs.server.srm("mv", fromSURL=lfn, toSURL=f"/pacs/away/{number}")
    await pacs.server.srm("rmdir", surl="/pacs/away", recursive=True)


async def files_go(pacs: Pacs, lfns: list[str]) -> None:
    await pacs.server.srm("rm", surls=lfns)


async def file_takes_its_place(pacs: Pacs, lfns: list[str]) -> None:
    one, said = lfns
    headers = {"Destination": f"{pacs.server.url}/dav{said}", "Overwrite": "T"}
    reply = await pacs.server.call("MOVE", f"/dav{one}", token=pacs.server.admin_token, headers=headers)
    assert reply.status == 204, reply.body


async def copy_takes_its_place(pacs: Pacs, lfns: list[str]) -> None:
    one, said = lfns
    headers = {"Destination": f"{pacs.server.url}/dav{one}", "Overwrite": "T"}
    reply = await pacs.server.call("COPY", f"/dav{said}", token=pacs.server.admin_token, headers=headers)
    assert reply.status == 204, reply.body


async def files_are_shredded(pacs: Pacs, lfns: list[str]) -> None:
    shredder = await pacs.server.token("rwdlgxi", path="/pacs")
    await Shred(pacs.server).do(*lfns, token=shredder)


@pytest.mark.parametrize(
    "go", [files_go, tree_goes, file_takes_its_place, copy_takes_its_place, files_are_shredded]
)
async def test_a_note_and_an_instance_go_while_another_note_names_that(
    pacs: Pacs, tmp_path: Path, go: Callable[[Pacs, list[str]], Awaitable[None]]
) -> None:
    one = await filed(pacs, own(), tmp_path)
    said = await filed(pacs, note([own()]), tmp_path)
    async with pacs.server.house.database.acquire() as db:
        image_, other = [
            await db.fetchval("select image from entries where guid = $1", UUID(await guid_of(each)))
            for each in (one, await filed(pacs, note([own(), own()]), tmp_path))
        ]

    async with pacs.server.house.database.transaction() as db:
        await rejections.lock(db, other)
        going = asyncio.create_task(go(pacs, [one.lfn, said.lfn]))
        await until(partial(somebody_waits, pacs))
        # Whoever waits has nothing yet that the other will want.
        await db.execute("select from entries where image = $1 for no key update nowait", image_)
        await rejections.hide(db, other, [image_])
    await going


async def test_a_note_hides_nothing_that_its_sender_could_not_take_back(pacs: Pacs, tmp_path: Path) -> None:
    server = pacs.server
    one = await filed(pacs, own(PatientID="Q-kept"), tmp_path)
    (there,), folder = await qido(server, one.lfn), await server.directory()
    stranger = await server.token("rwdlgxpi", path=folder)
    neighbour = await server.token("rwdlgx", path="/pacs")

    async def put(name: str, sent: Image, token: str) -> None:
        reply = await server.call("PUT", f"/dav{name}", token=token, data=sent.file)
        assert reply.status == 201, reply.body

    # He has one of its UIDs himself, and a copy that somebody made.
    await put(f"{folder}/his.dcm", one.image, stranger)
    copied = {"Destination": f"{server.url}/dav{folder}/copy.dcm"}
    assert (
        await server.call("COPY", f"/dav{one.lfn}", token=server.admin_token, headers=copied)
    ).status == 201
    await put(f"{folder}/note.dcm", note([one.image]), stranger)
    assert not await Filed(pacs, one.image, f"{folder}/his.dcm").listed()
    assert await Filed(pacs, one.image, f"{folder}/copy.dcm").listed()
    # The rights `w` and `d`, without `i`.
    await put("/pacs/note.dcm", note([one.image]), neighbour)
    # Devices whose directory is another, or whose patients are another issuer's.
    await by_storescu(pacs, note([one.image]), tmp_path, "ELSE")
    await by_storescu(pacs, note([one.image]), tmp_path, "ISSUER")
    # Another patient, and no patient; the UIDs that a view shows; other titles.
    shown = image()
    shown.read.SOPInstanceUID = there["00080018"]["Value"][0]
    shown.read.PatientID = "Q-kept"
    pseudonymous = note([shown])
    for sent in (
        note([one.image], PatientID="Q-other"),
        note([one.image], PatientID=""),
        pseudonymous,
        note([one.image], 113030),
        note([one.image], scheme="99X"),
    ):
        await by_storescu(pacs, sent, tmp_path)
    assert await one.listed()
    # Whoever may destroy it may reject it, and a copy of it goes with it.
    await put("/pacs/last.dcm", note([one.image]), await server.token("rwdlgxi", path="/pacs"))
    assert not await one.listed()
    assert not await Filed(pacs, one.image, f"{folder}/copy.dcm").listed()
