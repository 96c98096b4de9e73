"""kill -9 between a request for storage commitment and its report: the device is told once the server is back."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import orjson
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.pdu import P_DATA_TF

from tests.faults.conditions import until
from tests.faults.serving import free_port, serving
from tests.pacs.devices import CT, TITLE, Image, calling, image
from tests.patience import PATIENCE
from tests.postgres.for_tests import postgres_folder

_COMMITMENT, _INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


class Modality:
    """pynetdicom's, that pushes one image, asks for its commitment, and waits for the report."""

    def __init__(self, title: str, port: int) -> None:
        self.title, self.port, self.reports = title, port, list[Dataset]()
        self.transaction = generate_uid()
        self.may_answer, self.answered = threading.Event(), threading.Event()

    def take(self, event: Any) -> tuple[int, None]:
        if not self.may_answer.is_set():  # it is never answered: the server is killed meanwhile
            event.assoc.abort()
            return 0x0110, None
        self.reports.append(event.event_information)
        return 0, None

    def sent(self, event: Any) -> None:
        """An association that is released before the answer has left breaks in pynetdicom."""
        if len(self.reports) == 2 and isinstance(event.pdu, P_DATA_TF):
            self.answered.set()

    def push(self, pushed: Image) -> None:
        ae = AE(self.title)
        ae.add_requested_context(CT)
        association = ae.associate("127.0.0.1", self.port, ae_title=TITLE)
        assert association.send_c_store(pushed.read).Status == 0
        association.release()

    def ask(self, uid: str, transaction: str) -> None:
        ae, asked, one = AE(self.title), Dataset(), Dataset()
        ae.add_requested_context(_COMMITMENT)
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = CT, uid
        asked.TransactionUID, asked.ReferencedSOPSequence = transaction, [one]
        handlers = [(evt.EVT_N_EVENT_REPORT, self.take), (evt.EVT_PDU_SENT, self.sent)]
        association = ae.associate("127.0.0.1", self.port, ae_title=TITLE, evt_handlers=handlers)
        assert association.send_n_action(asked, 1, _COMMITMENT, _INSTANCE)[0].Status == 0
        if self.may_answer.is_set():
            assert self.answered.wait(PATIENCE)
            association.release()

    @contextmanager
    def listening(self, port: int) -> Iterator[None]:
        ae = AE(self.title)
        ae.add_supported_context(_COMMITMENT, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.take)]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()

    def told(self) -> list[tuple[str, str]]:
        """Transactions, and the one instance of each that is committed."""
        return [
            (one.TransactionUID, one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
            for one in self.reports
        ]


async def test_what_was_owed_when_the_server_was_killed_is_reported() -> None:
    own, back = free_port(), free_port()
    callers = [calling("CALLED", port=back), calling("CALLS")]
    with postgres_folder() as folder:
        settings = {"pacs__port": str(own), "pacs__calling": orjson.dumps(callers).decode()}
        async with serving(folder / "data", **settings) as server:
            pushed = image()
            called, calls = Modality("CALLED", own), Modality("CALLS", own)
            await asyncio.to_thread(called.push, pushed)
            for one in (called, calls):
                await asyncio.to_thread(one.ask, pushed.instance, one.transaction)
            await server.kill()
            assert not called.reports
            assert not calls.reports
            called.may_answer.set()
            calls.may_answer.set()
            with called.listening(back):
                await server.start()
                await until(lambda: called.reports)
            assert called.told() == [(called.transaction, pushed.instance)]
            # That the other's was not answered is known some seconds after it was told.
            db = await asyncpg.connect(server.dsn)
            try:
                await until(
                    lambda: db.fetchval("select count(*) = 1 from reports_to_send where due <= now()")
                )
            finally:
                await db.close()
            await asyncio.to_thread(calls.ask, pushed.instance, later := generate_uid())
            assert calls.told() == [(later, pushed.instance), (calls.transaction, pushed.instance)]
