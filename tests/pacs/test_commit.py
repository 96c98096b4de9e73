"""Storage commitment: a device is told what its directory holds for good, and nothing of others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from mdm_async.catalog.work import queue, reports_to_send
from mdm_async.images.studies import holding
from mdm_async.pacs.dimse import committing, reporting
from mdm_async.pacs.dimse.committing import COMMITMENT, INSTANCE
from mdm_async.pacs.dimse.conversation import Conversation
from tests.faults.conditions import until
from tests.faults.serving import free_port
from tests.pacs.devices import (
    CT,
    TITLE,
    Image,
    Pacs,
    calling,
    command,
    image,
    large,
    p_data,
    pacs_server,
)
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_privacy import captured_log

MR = "1.2.840.10008.5.1.4.1.1.4"


@dataclass
class Committed:
    """A server with devices: STORESCU without a port, CALLED with one, OTHER in another folder."""

    pacs: Pacs
    port: int

    async def push(self, ae: str = "STORESCU", **what: Any) -> Image:
        pushed = image(**what)
        device = await (await self.pacs.connect()).associate(ae=ae)
        assert await device.store(pushed) == 0
        await device.release()
        return pushed


@pytest.fixture(scope="module")
async def devices(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Committed]:
    dsn, data, port = (
        await postgres.fresh_database(migrated),
        tmp_path_factory.mktemp("commit") / "data",
        free_port(),
    )
    callers = (
        calling(directory="/pacs/one"),
        calling("CALLED", "/pacs/called", port=port),
        calling("OTHER", "/pacs/other"),
        calling("REVOKED", "/pacs/one", principal="user:nobody"),
    )
    async with pacs_server(data, dsn, pacs={"calling": callers, "head_seconds": 30}) as running:
        yield Committed(running, port)


@dataclass
class Asker:
    """pynetdicom's SCU of storage commitment."""

    devices: Committed
    ae: str = "STORESCU"
    reports: list[tuple[int, Dataset]] = field(default_factory=list)
    unanswered: int = 0
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def take(self, event: Any) -> tuple[int, None]:
        self.reports.append((event.event_type, event.event_information))
        self.unanswered += 1
        return 0, None

    def sent(self, event: Any) -> None:
        """An association that is released before the answer has left breaks in pynetdicom."""
        if self.unanswered and isinstance(event.pdu, P_DATA_TF):
            self.unanswered -= 1
            self.came.release()

    async def ask(self, *wanted: tuple[str, str], **how: Any) -> int:
        """The status of the N-ACTION; so many reports in the same association are waited for, if that was taken."""
        return await asyncio.to_thread(self._ask, wanted, **how)

    def _ask(
        self, wanted: Sequence[tuple[str, str]], action: int = 1, instance: str = INSTANCE, reports: int = 1
    ) -> int:
        ae = AE(self.ae)
        ae.add_requested_context(COMMITMENT)
        association = ae.associate(
            "127.0.0.1", self.devices.pacs.port, ae_title=TITLE,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.take), (evt.EVT_PDU_SENT, self.sent)],
        )  # fmt: skip
        asked = Dataset()
        asked.TransactionUID = generate_uid()
        asked.ReferencedSOPSequence = []
        for sop_class, uid in wanted:
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class, uid
            asked.ReferencedSOPSequence.append(one)
        try:
            status, _ = association.send_n_action(asked, action, COMMITMENT, instance)
            for _ in range(reports if not status.Status else 0):
                assert self.came.acquire(timeout=PATIENCE)
            return int(status.Status)
        finally:
            association.release()

    async def report(self, *wanted: tuple[str, str]) -> tuple[int, list[str], dict[str, int]]:
        """Event, what is committed, and what is not with its reason."""
        assert await self.ask(*wanted) == 0
        event, said = self.reports.pop()
        held = [str(one.ReferencedSOPInstanceUID) for one in said.get("ReferencedSOPSequence", [])]
        failed = {
            str(one.ReferencedSOPInstanceUID): one.FailureReason for one in said.get("FailedSOPSequence", [])
        }
        return event, held, failed


async def test_what_is_held_is_committed_and_what_is_not_is_named(devices: Committed) -> None:
    one, two = await devices.push(), await devices.push()
    asker, never = Asker(devices), generate_uid()
    assert await asker.report((CT, one.instance), (CT, two.instance)) == (1, [one.instance, two.instance], {})
    assert await asker.report((CT, one.instance), (CT, never), (MR, two.instance)) == (
        2, [one.instance], {never: 0x0112, two.instance: 0x0119},
    )  # fmt: skip


async def test_reports_go_on_behind_the_last_message_id(
    devices: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Conversation.__post_init__

    def late(self: Conversation) -> None:
        begun(self)
        self._last_id = 0xFFFF

    monkeypatch.setattr(Conversation, "__post_init__", late)
    one = await devices.push()
    assert await Asker(devices).report((CT, one.instance)) == (1, [one.instance], {})


async def test_what_others_hold_is_as_what_nobody_holds(devices: Committed) -> None:
    theirs = await devices.push("OTHER")
    for ae in ("STORESCU", "REVOKED"):
        own = await devices.push() if ae == "STORESCU" else theirs
        event, held, failed = await Asker(devices, ae).report((CT, theirs.instance), (MR, theirs.instance))
        assert (event, held, set(failed.values())) == (2, [], {0x0112}), own
    both = await devices.push()
    device = await (await devices.pacs.connect()).associate(ae="OTHER")
    assert await device.store(both) == 0
    for ae in ("STORESCU", "OTHER"):
        assert await Asker(devices, ae).report((CT, both.instance)) == (1, [both.instance], {})
    assert (await Asker(devices, "REVOKED").report((CT, both.instance)))[0] == 2


async def test_what_has_gone_or_was_never_here_is_not_committed(devices: Committed) -> None:
    before = await devices.pacs.names("/pacs/one")
    gone, lost = await devices.push(), await devices.push()
    names = set(await devices.pacs.names("/pacs/one")) - set(before)
    async with devices.pacs.server.house.database.acquire() as db:
        digest = "select image from blind_values where tag = $1 and blind = $2"
        house = devices.pacs.server.house
        blind = house.workshop.blind.digest(0x00080018, lost.instance)
        await db.execute(f"update images set locality = 'LOST' where id = ({digest})", 0x00080018, blind)
        blind = house.workshop.blind.digest(0x00080018, gone.instance)
        name = await db.fetchval(f"select name from entries where image = ({digest})", 0x00080018, blind)
    (lfn,) = [one for one in names if one.endswith(name)]
    await devices.pacs.server.srm("rm", surls=[lfn])
    event, held, failed = await Asker(devices).report((CT, gone.instance), (CT, lost.instance))
    assert (event, held, set(failed.values())) == (2, [], {0x0112})


async def test_what_is_gone_from_the_store_is_not_committed(devices: Committed) -> None:
    one, lost = await devices.push(**large()), await devices.push(**large())
    await devices.pacs.lose(lost.instance)
    wanted = (CT, one.instance), (CT, lost.instance)
    assert await Asker(devices).report(*wanted) == (2, [one.instance], {lost.instance: 0x0112})


async def test_any_number_of_others_files_under_its_uid_stops_no_commitment(
    devices: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed, server = [await devices.push() for _ in range(3)], devices.pacs.server
    wanted = [(CT, one.instance) for one in pushed]
    folder = await server.directory()
    for one in pushed[:2]:
        for n in range(3):
            other = image(SOPInstanceUID=one.instance, StudyDescription=f"{n}")
            await server.put(f"{folder}/{one.instance}.{n}.dcm", other.file)
    monkeypatch.setattr(holding, "_PAGE", 1)
    assert await Asker(devices).report(*wanted) == (1, [one.instance for one in pushed], {})


@pytest.mark.parametrize("roles", [{"scu_role": False, "scp_role": True}, {}])
async def test_a_device_with_a_port_is_called_back(
    devices: Committed, monkeypatch: pytest.MonkeyPatch, roles: dict[str, bool]
) -> None:
    """Also when it is not there at first."""
    monkeypatch.setattr(queue, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(reporting, "_AWAY", 0.1)
    monkeypatch.setattr(reporting, "_LOOK", 0.1)
    pushed, asker = await devices.push("CALLED"), Asker(devices, "CALLED")
    assert await asker.ask((CT, pushed.instance), reports=0) == 0
    ae = AE("CALLED")
    ae.add_supported_context(COMMITMENT, **roles)
    server = ae.start_server(
        ("127.0.0.1", devices.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, asker.take)]
    )
    try:
        await until(lambda: asker.reports)
    finally:
        await asyncio.to_thread(server.shutdown)
    event, said = asker.reports.pop()
    assert event == 1
    assert said.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == pushed.instance


async def _execute(devices: Committed, statement: str) -> Any:
    async with devices.pacs.server.house.database.acquire() as db:
        return await db.fetchval(statement)


async def test_a_report_that_nobody_takes_is_kept_for_so_many_hours_and_given_up(
    devices: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "_LOOK", 0.1)
    with captured_log() as log:
        assert await Asker(devices, "CALLED").ask((CT, "1.2.3"), reports=0) == 0
        await until(lambda: _execute(devices, "select id from reports_to_send where failure = 'PeerFailed'"))
        await _execute(devices, "update reports_to_send set since = now() - interval '71 hours'")
        await asyncio.sleep(0.3)
        assert "was given up" not in log.getvalue()
        await _execute(devices, "update reports_to_send set since = now() - interval '73 hours'")
        await until(lambda: "was given up" in log.getvalue())
    assert "1.2.3" not in log.getvalue()
    assert await _execute(devices, "select count(*) from reports_to_send") == 0


async def test_so_many_reports_of_a_device_wait_at_once(
    devices: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound, most in (("_EACH", 1), ("_EACH_BYTES", 150)):
        monkeypatch.setattr(reporting, bound, most)
        statuses = [await Asker(devices, "CALLED").ask((CT, "1.2.3"), reports=0) for _ in range(2)]
        assert statuses == [0, 0x0213]
        own = await devices.push()
        assert await Asker(devices).report((CT, own.instance)) == (1, [own.instance], {})
        await _execute(devices, "delete from reports_to_send")
        monkeypatch.undo()


async def test_what_a_device_without_a_port_did_not_take_comes_when_it_asks_again(
    devices: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest first, to nobody else, and once alone."""
    monkeypatch.setattr(reports_to_send, "_TAKEN", 0.001)
    pushed, contexts = await devices.push(), [(COMMITMENT, [ImplicitVRLittleEndian])]
    action = command(
        RequestedSOPClassUID=COMMITMENT, CommandField=0x0130, MessageID=1, CommandDataSetType=1,
        RequestedSOPInstanceUID=INSTANCE, ActionTypeID=1,
    )  # fmt: skip
    for _ in range(2):
        device = await (await devices.pacs.connect()).associate(contexts=contexts)
        await device.send(p_data(1, 3, action))
        await device.send_data_set(_asked(pushed.instance))
        assert await device.status() == 0
        device.close()
    kept = await _execute(devices, "select asked from reports_to_send order by id limit 1")
    assert pushed.instance.encode() not in kept
    assert (await Asker(devices, "OTHER").report((CT, pushed.instance)))[:2] == (2, [])
    asker = Asker(devices)
    assert await asker.ask((CT, "1.2.3"), reports=3) == 0
    told = [
        [one.ReferencedSOPInstanceUID for one in said.get("ReferencedSOPSequence", [])]
        for _, said in asker.reports
    ]
    assert told == [[], [pushed.instance], [pushed.instance]]
    await until(lambda: _none(devices))
    assert await Asker(devices).report((CT, pushed.instance)) == (1, [pushed.instance], {})


async def _none(devices: Committed) -> bool:
    return int(await _execute(devices, "select count(*) from reports_to_send")) == 0


def _asked(uid: str) -> bytes:
    """A request for commitment of one CT image, in Implicit VR."""
    one, asked = Dataset(), Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = CT, uid
    asked.TransactionUID, asked.ReferencedSOPSequence = generate_uid(), [one]
    return bytes(encode(asked, True, True) or b"")


async def test_requests_that_are_none(devices: Committed, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = Asker(devices)
    assert await asker.ask() == 0x0115
    assert await asker.ask((CT, "1.2.3"), action=2) == 0x0123
    assert await asker.ask((CT, "1.2.3"), instance="1.2.3") == 0x0112
    monkeypatch.setattr(committing, "MOST_INSTANCES", 2)
    assert await asker.ask((CT, "1.2.3"), (CT, "1.2.4")) == 0
    assert await asker.ask((CT, "1.2.3"), (CT, "1.2.4"), (CT, "1.2.5")) == 0x0115


@pytest.mark.parametrize("data", [b"garbage", b"\x08\0\x99\x11\xff\xff\xff\xff", bytes(5 << 20)])
async def test_garbage_is_refused_and_the_next_request_taken(devices: Committed, data: bytes) -> None:
    contexts = [(COMMITMENT, [ImplicitVRLittleEndian])]
    device = await (await devices.pacs.connect()).associate(contexts=contexts)
    action = command(
        RequestedSOPClassUID=COMMITMENT, CommandField=0x0130, MessageID=1, CommandDataSetType=1,
        RequestedSOPInstanceUID=INSTANCE, ActionTypeID=1,
    )  # fmt: skip
    for _ in range(2):
        await device.send(p_data(1, 3, action))
        await device.send_data_set(data)
        assert await device.status() in (0x0115, 0x0213)
    await device.release()
