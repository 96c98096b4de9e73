"""C-MOVE: images go to the AEs that the settings name, and nowhere else."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, evt

from mdm_async.errors import UnsafeSettings
from mdm_async.pacs.dimse.peers import Peers
from mdm_async.settings import load
from tests.faults.conditions import until
from tests.faults.serving import free_port
from tests.pacs.certificates import of_tests
from tests.pacs.devices import CT, TITLE, Pacs, calling, data_set, pacs_server
from tests.pacs.test_get import largest, stored
from tests.pacs.tools import DOCTOR, SECURED, TOOLS, Tool, fill, identifier
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import image
from tests.web.dicomweb.test_decoded_frames import written as as_file
from tests.web.dicomweb.test_decoded_instances import compressed
from tests.web.test_privacy import captured_log

STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"


@dataclass
class Movable:
    pacs: Pacs
    port: int
    """Of the destination STORE, where something may listen or not."""
    tls: ssl.SSLContext | None = None

    async def move(
        self, asked: Dataset, to: str = "STORE", ae: str = "TOOL"
    ) -> tuple[list[int], Dataset, list[Dataset]]:
        """Statuses, the last of them with what is beside it, and identifiers of answers."""
        return await asyncio.to_thread(self._move, asked, to, ae)

    def _move(self, asked: Dataset, to: str, title: str) -> tuple[list[int], Dataset, list[Dataset]]:
        ae = AE(title)
        ae.add_requested_context(STUDY_MOVE)
        shown = of_tests().shown("ct") if title == DOCTOR["ae"] else self.tls
        tls = (shown, "127.0.0.1") if shown is not None else None
        association = ae.associate("127.0.0.1", self.pacs.port, ae_title=TITLE, tls_args=tls)
        try:
            told = list(association.send_c_move(asked, to, STUDY_MOVE, msg_id=7))
        finally:
            association.release()
        answers = [answer for _, answer in told if answer is not None]
        return [status.get("Status", -1) for status, _ in told], told[-1][0], answers

    async def study(self) -> Dataset:
        return identifier("STUDY", StudyInstanceUID=(await largest(self.pacs)).StudyInstanceUID)


@pytest.fixture(scope="module")
async def movable(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Movable]:
    dsn, data, port = (
        await postgres.fresh_database(migrated),
        tmp_path_factory.mktemp("movable") / "data",
        free_port(),
    )
    own = {"calling": (*TOOLS, calling("STORE", "/pacs", port=port)), "head_seconds": 8}
    async with pacs_server(data, dsn, pacs=own, server=SECURED) as running:
        await fill(running)
        yield Movable(running, port)


class Store:
    """pynetdicom's Storage SCP, which takes these transfer syntaxes."""

    def __init__(self, port: int, *syntaxes: str, answer: Callable[[int], int] = lambda _: 0) -> None:
        self.taken: list[Any] = []

        def store(event: Any) -> int:
            self.taken.append(event)
            return answer(len(self.taken))

        ae = AE("STORE")
        ae.add_supported_context(CT, list(syntaxes))
        self.server = ae.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
        )

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


async def test_dcmtk_moves_a_study_to_dcmtk(movable: Movable, tmp_path: Path) -> None:
    program = shutil.which("storescp")
    assert program is not None
    storing = await asyncio.create_subprocess_exec(
        program, "+B", "-aet", "STORE", "-od", str(tmp_path), str(movable.port)
    )
    try:
        await until(lambda: listens(movable.port))
        study = await largest(movable.pacs)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.StudyInstanceUID}")
        before = ["-S", "-aem", "STORE"]
        code, said = await movable.pacs.dcmtk("movescu", *keys, ae="TOOL", before=before)
    finally:
        storing.kill()
        await storing.wait()
    assert code == 0, said
    files = {data_set(one.read_bytes()) for one in tmp_path.iterdir()}
    assert files == await stored(movable.pacs, "1.dcm", "2.dcm", "3.dcm")


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_what_says_no_class_fails_as_an_image_that_cannot_be_sent(movable: Movable) -> None:
    asked, server = identifier("STUDY", StudyInstanceUID=""), movable.pacs.server
    before = {one.StudyInstanceUID for one in (await Tool(movable.pacs).find(asked)).answers}
    await server.put("/seen/no-class.dcm", image(88, StudyInstanceUID="1.2.3.88", SOPClassUID=None))
    (study,) = {one.StudyInstanceUID for one in (await Tool(movable.pacs).find(asked)).answers} - before
    try:
        with Store(movable.port, ExplicitVRLittleEndian):
            statuses, last, _ = await movable.move(identifier("STUDY", StudyInstanceUID=study))
    finally:
        await server.srm("rm", surls=["/seen/no-class.dcm"])
    assert (statuses, last.NumberOfFailedSuboperations) == ([0xA702], 1)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_the_destination_is_told_who_moves(movable: Movable, syntax: str) -> None:
    asked = await movable.study()
    with Store(movable.port, syntax) as store:
        statuses, last, _ = await movable.move(asked)
    assert statuses == [0xFF00, 0xFF00, 0]
    assert last.NumberOfCompletedSuboperations == 3
    request = store.taken[0].request
    assert (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID) == ("TOOL", 7)
    assert store.taken[0].assoc.requestor.ae_title == TITLE
    assert {one.context.transfer_syntax for one in store.taken} == {syntax}
    instances = {str(one.dataset.SOPInstanceUID) for one in store.taken}
    assert instances == {one.request.AffectedSOPInstanceUID for one in store.taken}
    async with movable.pacs.server.house.database.acquire() as db:
        read = await db.fetchval("select count(*) from audit where act = 'read' and caller = 'user:tool'")
    assert read >= 3


@pytest.mark.parametrize(
    ("to", "ae"), [("NOWHERE", "TOOL"), ("TOOL", "TOOL"), ("", "TOOL"), ("STORE", "DOCTOR")]
)
async def test_only_configured_destinations(movable: Movable, to: str, ae: str) -> None:
    statuses, last, _ = await movable.move(await movable.study(), to or "X", ae)
    assert statuses == [0xA801]
    assert last.ErrorComment


async def test_a_destination_that_is_not_there(movable: Movable) -> None:
    with captured_log() as log:
        statuses, last, (failed, *_) = await movable.move(await movable.study())
    assert statuses == [0xA702]
    assert last.NumberOfFailedSuboperations == 3
    assert len(failed.FailedSOPInstanceUIDList) == 3
    assert "the destination cannot be reached: its host refuses the connection" in log.getvalue()
    assert '"destination": "STORE"' in log.getvalue() or '"destination":"STORE"' in log.getvalue()


async def test_a_destination_that_takes_some(movable: Movable) -> None:
    asked = await movable.study()
    with Store(movable.port, ExplicitVRLittleEndian, answer=lambda number: 0xA700 if number == 2 else 0):
        statuses, last, (failed, *_) = await movable.move(asked)
    assert statuses == [0xFF00, 0xFF00, 0xB000]
    assert (last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (2, 1)
    assert failed.FailedSOPInstanceUIDList
    with Store(movable.port, JPEG2000Lossless):
        statuses, last, _ = await movable.move(asked)
    assert statuses[-1] == 0xA702


async def test_a_destination_that_dies_in_the_middle(movable: Movable) -> None:
    asked = await movable.study()
    held: list[Store] = []

    def die(number: int) -> int:
        if number == 2:
            for one in held[0].server.active_associations:
                one.abort()
        return 0

    with Store(movable.port, ExplicitVRLittleEndian, answer=die) as store:
        held.append(store)
        statuses, last, _ = await movable.move(asked)
    assert statuses[-1] == 0xB000
    assert (last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (1, 2)
    await until(lambda: not movable.pacs.server.house.admission.running)


async def test_a_destination_that_takes_nothing_is_given_up(movable: Movable) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()

    async with await asyncio.start_server(deaf, "127.0.0.1", movable.port):
        statuses, _, _ = await movable.move(await movable.study())
    assert statuses == [0xA702]


async def test_hidden_images_move_nowhere(movable: Movable) -> None:
    statuses, last, _ = await movable.move(await movable.study(), ae="NOBODY")
    assert statuses == [0]
    assert last.NumberOfFailedSuboperations == 0


@pytest.mark.parametrize(
    ("more", "needle"),
    [({"port": 104, "hosts": ["127.0.0.0/24"]}, "more than one address"), ({"port": 0}, "port")],
)
def test_a_destination_is_at_one_address(more: dict[str, Any], needle: str) -> None:
    with pytest.raises(UnsafeSettings, match=needle):
        Peers.of(load(overrides={"pacs": {"port": 0, "calling": [calling(**more)]}}).pacs)


async def test_compressed_images_are_decoded_for_a_destination_that_takes_no_others(movable: Movable) -> None:
    image = compressed("MR_small_jp2klossless", 90)
    await movable.pacs.server.put("/seen/compressed.dcm", as_file(image))
    asked = identifier("STUDY", StudyInstanceUID="", PatientID="")
    try:
        found = (await Tool(movable.pacs).find(asked)).answers
        for one in found:
            taken = await Tool(movable.pacs).get(
                identifier("STUDY", StudyInstanceUID=one.StudyInstanceUID), syntaxes=[JPEG2000Lossless]
            )
            if taken.images:
                break
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless):
            with Store(movable.port, syntax) as store:
                statuses, _, _ = await movable.move(
                    identifier("STUDY", StudyInstanceUID=one.StudyInstanceUID)
                )
            (event,) = store.taken
            assert (statuses[-1], event.context.transfer_syntax) == (0, syntax)
            got = event.dataset
            got.file_meta = event.file_meta
            assert (got.pixel_array == image.pixel_array).all()
    finally:
        await movable.pacs.server.srm("rm", surls=["/seen/compressed.dcm"])
