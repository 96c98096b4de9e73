"""What an attacker finds who reads the disk, the database, the log, the metrics, or what is told to others."""

import base64
import hashlib
import io
import logging
import re
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pydicom.data
import pytest
import structlog
from pydicom import Dataset, dcmread

from mdm_async import logs
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.settings import LogSettings
from tests.conftest import Reply, Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.dav.test_dead_properties import update
from tests.web.dav.test_locks import lockinfo
from tests.web.made_images import made
from tests.web.soap.envelopes import HEADERS, PATH, call

RECIPIENT = base64.b64encode(public_key(new_private_key())).decode()

MARKERS = (
    "Quirinzebra", "Oktavianus", "PXMARKER7731", "19370211", "ACCMARK998877", "1.2.826.0.1.3680043.9.7777",
    "Hospital Wunderlich", "Physicianmark", "privatemarker", "commentmarker",
)  # fmt: skip
MACAROON = {"Content-Type": "application/macaroon-request"}

FORMED_BY_NAMES = {
    *(("entries", "name"), ("grants", "surl"), ("grants", "name"), ("locks", "name")),
    *(("tokens", "caveats"), ("callers", "bound")),
}
"""Columns that hold what users type: the namespace, and requests about it."""


def planted(*, refused: bool = False, pixels: bool = True) -> bytes:
    """An image full of marker identifiers; `refused`: of a kind that is not de-identified."""
    image = dcmread(Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm")
    image.PatientName, image.PatientID = "Quirinzebra^Oktavianus", "PXMARKER7731"
    image.PatientBirthDate, image.AccessionNumber = "19370211", "ACCMARK998877"
    image.InstitutionName, image.ReferringPhysicianName = "Hospital Wunderlich", "Physicianmark^Otto"
    image.PatientComments = image.ImageComments = image.StudyDescription = "a commentmarker here"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(image, keyword, f"1.2.826.0.1.3680043.9.7777.{len(keyword)}")
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = (
        f"1.2.826.0.1.3680043.9.7777.{int(refused)}.{int(pixels)}"
    )
    image.add_new(0x00091010, "LO", "privatemarker")
    item = Dataset()
    item.PatientID = "PXMARKER7731"
    image.OtherPatientIDsSequence = [item]
    if refused:
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        image.Modality = "OT"
    if not pixels:
        del image.PixelData
    elif not refused:
        image.Rows, image.Columns, image.PixelData = 512, 512, bytes(range(256)) * 2048
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


@contextmanager
def captured_log() -> Iterator[io.StringIO]:
    """All that the server writes about itself, at the most talkative level."""
    kept, stderr, before = list(logging.root.handlers), sys.stderr, structlog.get_config()
    sys.stderr = log = io.StringIO()
    logs.configure(LogSettings(level="debug", format="json"))
    try:
        yield log
    finally:
        sys.stderr = stderr
        # Not the defaults: a server that many tests share may log to another of these.
        structlog.configure(**before)
        logging.root.handlers[:] = kept


@dataclass
class Spy:
    """Drives a server, and keeps all that was told and every secret that was handed out."""

    server: Server
    log: io.StringIO
    told: list[tuple[str | None, Reply]] = field(default_factory=list)
    """Who asked, by the bearer token, and the answer."""
    secrets: set[str] = field(default_factory=set)

    async def call(self, method: str, target: str, **options: Any) -> Reply:
        reply = await self.server.call(method, target, **options)
        self.told.append((options.get("token"), reply))
        self.secrets |= set(re.findall(r"/t/([\w-]{20,})/", reply.body.decode("latin-1")))
        return reply

    async def srm(self, operation: str, token: str, **body: Any) -> Reply:
        return await self.call("POST", f"/srm/v2/{operation}", token=token, json=body)

    async def put(self, surl: str, data: bytes, token: str) -> Reply:
        """The upload's answer; putDone follows."""
        prepared = await self.srm("prepareToPut", token, files=[{"surl": surl}])
        url = prepared.tree["files"][0]["transferURL"]
        answer = await self.server.call("PUT", url, data=data)
        await self.srm("putDone", token, requestToken=prepared.tree["requestToken"], surls=[surl])
        return answer

    async def database(self) -> AsyncIterator[tuple[str, str, bytes]]:
        """Every value of every table that is text or bytes: table, column, value."""
        async with self.server.house.database.acquire() as db:
            tables = await db.fetch(
                "select c.oid::regclass::text as name, coalesce(p.relname, c.relname) as parent"
                " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent"
                " where c.relkind = 'r' and n.nspname in ('public', 'mdm_keys')"
            )
            assert len(tables) > 8
            for table in tables:
                for row in await db.fetch(f"select * from {table['name']}"):
                    for column, value in row.items():
                        if isinstance(value, str):
                            yield table["parent"], column, value.encode()
                        elif isinstance(value, bytes):
                            yield table["parent"], column, value
                        elif isinstance(value, dict | list):
                            yield table["parent"], column, orjson.dumps(value, default=str)


@pytest.fixture(scope="module")
async def spy(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Spy]:
    dsn = await postgres.fresh_database(migrated)
    with captured_log() as log:
        async with running_server(tmp_path_factory.mktemp("spied") / "data", dsn) as server:
            yield Spy(server, log)


def holds(data: bytes, *needles: str) -> list[str]:
    folded = data.lower()
    return [needle for needle in needles if needle.lower().encode() in folded]


def explanations(tree: Any) -> Iterator[str]:
    """Every text of an answer but the names that were asked about."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key not in ("surl", "path", "view"):
                yield from explanations(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from explanations(value)
    else:
        yield str(tree)


@dataclass
class Scene:
    """Images with markers under names without and with them; `mine` may do all but identify, `other` little."""

    spy: Spy
    mine: str
    other: str
    identity: str
    directory: str
    file: str
    named: str
    original: bytes


@pytest.fixture(scope="module")
async def scene(spy: Spy) -> Scene:
    """After everything has happened once."""
    server = spy.server
    directory = await server.directory()
    elsewhere = await server.directory()
    scene = Scene(
        spy,
        mine=await server.token("pdrwlxgs", views=["*"], name="mine"),
        other=await server.token("rwlxgs", path=elsewhere, name="other"),
        identity=await server.token("ri", views=["identified", "*"], name="identity"),
        directory=directory,
        file=f"{directory}/a.dcm",
        named=f"{directory}/Quirinzebra-Oktavianus",
        original=planted(),
    )
    spy.secrets |= {scene.mine, scene.other, scene.identity, server.admin_token}
    spy.secrets.add((server.data / "secrets" / "kek").read_text().strip())
    # By somebody else: whoever sent it knows its size and checksum, and is told them for a while.
    sender = await server.token("rwl")
    spy.secrets.add(sender)
    assert (await spy.put(scene.file, scene.original, sender)).status == 201
    assert (await spy.put(f"{directory}/refused.dcm", planted(refused=True), scene.mine)).status == 201
    assert (await spy.put(f"{directory}/report.dcm", planted(pixels=False), scene.mine)).status == 201
    await spy.srm("mkdir", scene.mine, surl=scene.named)
    assert (await spy.put(f"{scene.named}/phantom.dcm", made(), scene.mine)).status == 201
    await everything(scene)
    await on_the_grids_faces(scene)
    return scene


async def everything(scene: Scene) -> None:
    """Every operation, succeeding and failing, with names that tell and names that do not."""
    spy, mine, other = scene.spy, scene.mine, scene.other
    named, missing = f"{scene.named}/phantom.dcm", f"{scene.named}/PXMARKER7731.dcm"
    for surl in (scene.file, named, missing, f"/@identified{named}", f"/@quirinzebra{named}", f"x{named}"):
        files = [{"surl": surl}]
        for token in (mine, other, scene.identity):
            for more in ({}, {"recipient": RECIPIENT}, {"view": "identified"}, {"view": "quirinzebra"}):
                tree = (await spy.srm("prepareToGet", token, files=files, **more)).tree
                for line in tree.get("files", ()):
                    if "transferURL" in line:
                        for method in ("GET", "HEAD"):
                            await spy.call(method, line["transferURL"])
                        await spy.call(
                            "GET", line["transferURL"], headers={"Range": "bytes=Quirinzebra,1-2,9-"}
                        )
                        await spy.call("PUT", line["transferURL"], data=b"Quirinzebra")
                if request := tree.get("requestToken"):
                    for who in (mine, other):
                        for operation in ("statusOfGetRequest", "releaseFiles", "extendFileLifeTime"):
                            await spy.srm(operation, who, requestToken=request, surls=[surl])
            for operation in ("ls", "checkPermission", "releaseFiles"):
                await spy.srm(operation, token, surls=[surl])
            await spy.srm("bringOnline", token, files=files)
            await spy.srm("prepareToPut", token, files=files)
            await spy.srm("mkdir", token, surl=surl)
            await spy.srm("mv", token, fromSURL=surl, toSURL=f"{missing}/19370211")
            await spy.srm("rmdir", token, surl=surl)
    # Uploads whose names tell who the patient is, and uploads that are no DICOM.
    for name in ("Quirinzebra.dcm", "PXMARKER7731/x.dcm", "11021937.dcm"):
        await spy.srm("mkdir", mine, surl=f"{scene.directory}/{name.rpartition('/')[0]}")
        answer = await spy.put(f"{scene.directory}/{name}", scene.original, mine)
        assert answer.status == 400
        spy.told.append((None, answer))
    for data in (
        b"Quirinzebra" * 100,
        scene.original[:3000],
        scene.original[:-10],
        bytes(128) + b"DICM" + b"Oktavianus",
    ):
        answer = await spy.put(f"{scene.directory}/bad.dcm", data, mine)
        spy.told.append((None, answer))
    for body in (
        b"Quirinzebra",
        b'{"surls":"Quirinzebra"}',
        b'{"surls":[{"Quirinzebra":1}]}',
        b'{"offset":"19370211"}',
    ):
        await spy.call("POST", "/srm/v2/ls", token=mine, data=body)
    await spy.srm("Quirinzebra", mine)
    await spy.call("GET", "/Quirinzebra")
    await spy.call("GET", "/t/Quirinzebra/Oktavianus.dcm")
    await spy.call("POST", "/srm/v2/ls", token="Quirinzebra")
    await spy.call(
        "POST", "/admin/v1/tokens", token=mine, json={"name": "x", "rights": "r", "path": "Quirinzebra"}
    )
    await spy.call("POST", "/admin/v1/fsck", token=mine, json={"repair": True})
    await spy.call("GET", "/health/ready")
    await spy.srm("rm", mine, surls=[f"{scene.directory}/report.dcm", missing])


async def on_the_grids_faces(scene: Scene) -> None:
    """As `everything`, over WebDAV, SOAP, and those beside them."""
    spy, missing = scene.spy, f"{scene.named}/PXMARKER7731.dcm"
    told = update("Quirinzebra", "oktavianus"), update("x").replace(b"urn:x", b"urn:Quirinzebra")
    locked = lockinfo().replace(b"</D:lockinfo>", b"<D:owner>Quirinzebra</D:owner></D:lockinfo>")
    for surl in (scene.file, scene.named, f"{scene.named}/phantom.dcm", missing):
        for token in (scene.mine, scene.other):
            for form in (surl, f"/@identified{surl}"):
                path = f"/dav{form}"
                wanted = {"Want-Digest": "md5,sha-256", "Range": "bytes=Quirinzebra", "SciTag": "Quirinzebra"}
                for method in ("GET", "HEAD", "OPTIONS", "UNLOCK", "MKCOL", "QUIRINZEBRA"):
                    await spy.call(method, path, token=token, headers=wanted)
                for method in ("COPY", "MOVE") if surl == scene.file else ("COPY",):
                    for target in (f"/dav{missing}", "https://quirinzebra.example/x", "quirinzebra:"):
                        await spy.call(method, path, token=token, headers={"Destination": target})
                await spy.call("COPY", path, token=token, headers={"Source": "https://quirinzebra.example/x"})
                for data in told:
                    await spy.call("PROPPATCH", path, token=token, data=data)
                for data in (None, b"<Quirinzebra", told[0]):
                    options = {} if data is None else {"data": data}
                    await spy.call("PROPFIND", path, token=token, headers={"Depth": "1"}, **options)
                await spy.call("LOCK", path, token=token, data=locked, headers={"Timeout": "Second-3600"})
                await spy.call(
                    "PUT", path, token=token, data=b"Quirinzebra", headers={"Digest": "md5=Oktavianus"}
                )
                await spy.call("PUT", path, token=token, headers={"If": "(<urn:Quirinzebra>)"})
                await spy.call("POST", path, token=token, json={"caveats": ["Quirinzebra"]}, headers=MACAROON)
                # What is asked about later stays.
                removed = ("srmRm",) if surl in (scene.named, missing) else ()
                for operation in ("srmLs", *removed, "srmPrepareToGet", "srmQuirinzebra"):
                    fields = {"arrayOfSURLs": {"urlArray": [form]}}
                    if operation == "srmPrepareToGet":
                        fields = {"arrayOfFileRequests": {"requestArray": [{"sourceSURL": form}]}}
                    body = call(operation, **fields)
                    await spy.call("POST", PATH, token=token, data=body, headers=HEADERS)
                for face, asked in (
                    ("archiveinfo", {"paths": [path, "Quirinzebra"]}),
                    ("stage", {"files": [{"path": path}]}),
                    ("release/Quirinzebra", {"paths": [path]}),
                ):
                    await spy.call("POST", f"/tape/v1/{face}", token=token, json=asked)
    for token in (scene.mine, scene.other, scene.identity):
        for path in ("/.well-known/wlcg-storage-report", "/admin/v1/macaroons"):
            await spy.call("GET", path, token=token)


async def test_no_identifier_is_found_anywhere(scene: Scene) -> None:
    spy, server = scene.spy, scene.spy.server
    stored = [path for path in server.data.rglob("*") if path.is_file()]
    assert any("blobs" in path.parts for path in stored)
    for path in stored:
        assert not holds(path.read_bytes(), *MARKERS), path
        assert not holds(str(path).encode(), *MARKERS)
    count = 0
    async for table, column, value in spy.database():
        count += 1
        if (table, column) not in FORMED_BY_NAMES:
            assert not holds(value, *MARKERS), (table, column, value[:200])
    assert count > 500
    assert "request_id" in spy.log.getvalue() or "level" in spy.log.getvalue()
    assert not holds(spy.log.getvalue().encode(), *MARKERS)
    metrics = await spy.call("GET", "/metrics")
    assert not holds(metrics.body, *MARKERS)
    assert b"mdm_bytes_out_total" in metrics.body


async def test_no_answer_repeats_what_was_typed_or_stored(scene: Scene) -> None:
    for _, reply in scene.spy.told:
        for name, value in reply.headers.items():
            assert not holds(value.encode(), *MARKERS), name
        if reply.body and "json" in reply.headers.get("Content-Type", ""):
            for text in explanations(reply.tree):
                assert not holds(text.encode(), *MARKERS), text
        elif "dicom" in reply.headers.get("Content-Type", "") and reply.status == 200:
            assert not holds(reply.body, *MARKERS)


async def test_others_are_told_no_name(scene: Scene) -> None:
    """Who may not list a directory meets its names nowhere."""
    spy, other = scene.spy, scene.other
    get = await spy.srm("prepareToGet", scene.mine, files=[{"surl": f"{scene.named}/phantom.dcm"}])
    assert get.status == 200, get.body
    request = get.tree["requestToken"]
    before = len(spy.told)
    for operation in ("statusOfGetRequest", "releaseFiles", "abortRequest"):
        await spy.srm(operation, other, requestToken=request)
    await spy.srm("getRequestSummary", other, requestTokens=[request])
    await spy.srm("getRequestTokens", other)
    for surl in ("/", scene.directory, scene.file):
        for operation in ("ls", "rm", "checkPermission"):
            await spy.srm(operation, other, surls=[surl])
        await spy.srm("rmdir", other, surl=surl)
        await spy.srm("rmdir", other, surl=surl, recursive=True)
    for _, reply in spy.told[before:]:
        assert not holds(reply.body, *MARKERS, "phantom")


async def test_what_describes_the_identified_view_is_told_under_i_only(scene: Scene) -> None:
    """Size, checksums and tag of the original let one guess what was taken away."""
    spy = scene.spy
    asked = {"files": [{"surl": scene.file}], "view": "identified", "recipient": RECIPIENT}
    (line,) = (await spy.srm("prepareToGet", scene.identity, **asked)).tree["files"]
    head = await spy.server.call("HEAD", line["transferURL"])
    revealing = [
        str(len(scene.original)),
        f"{zlib.adler32(scene.original):08x}",
        hashlib.sha256(scene.original).hexdigest(),
        str(line["fileSize"]),
        line["checkSumValue"],
        head.headers["ETag"].strip('"'),
    ]
    pattern = re.compile(rf"(?<!\w)({'|'.join(revealing)})(?!\w)")
    assert pattern.search(orjson.dumps(line).decode())
    for surl in (scene.file, f"/@identified{scene.file}", scene.directory, f"/@identified{scene.directory}"):
        for who in (scene.mine, scene.other, spy.server.admin_token):
            await spy.srm("ls", who, surls=[surl], fullDetailedList=True)
    asked_without_i = [reply for token, reply in spy.told if token not in (None, scene.identity)]
    assert len(asked_without_i) > 200
    for reply in asked_without_i:
        for text in (*reply.headers.values(), reply.body.decode("latin-1")):
            assert not pattern.search(text), text[:300]


async def test_no_secret_is_kept_where_it_could_be_read(scene: Scene) -> None:
    spy = scene.spy
    assert len(spy.secrets) > 20
    async for table, column, value in spy.database():
        assert not holds(value, *spy.secrets), (table, column)
    assert not holds(spy.log.getvalue().encode(), *spy.secrets)
    assert not holds((await spy.call("GET", "/metrics")).body, *spy.secrets)
    kek = base64.b64decode((spy.server.data / "secrets" / "kek").read_text())
    async for table, column, value in spy.database():
        assert kek not in value, (table, column)
        assert kek.hex().encode() not in value.lower()
    for name in ("secrets", "secrets/kek", "secrets/admin.token", "blobs"):
        assert (spy.server.data / name).stat().st_mode & 0o077 == 0, name


async def test_a_transfer_url_names_nothing_but_its_token(scene: Scene) -> None:
    tree = (await scene.spy.srm("prepareToGet", scene.mine, files=[{"surl": scene.file}])).tree
    url = tree["files"][0]["transferURL"]
    assert re.fullmatch(rf"{re.escape(scene.spy.server.url)}/t/[\w-]{{43}}/image\.dcm", url)


async def test_answers_are_not_to_be_stored_by_anyone(scene: Scene) -> None:
    for _, reply in scene.spy.told:
        if reply.headers.get("Content-Type", "").startswith("text/plain"):
            continue
        if reply.body and b'"status":"ready"' not in reply.body.replace(b" ", b""):
            assert reply.headers["Cache-Control"] == "no-store"
