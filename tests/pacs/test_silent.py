"""Whatever becomes of a pushed image, nothing of its patient is in log lines, audit, paths, metrics or answers."""

import asyncio
import io

from pydicom.uid import generate_uid

from tests.faults.conditions import until
from tests.pacs.devices import CT, DEVICE, Image, Pacs, image, p_data, store_command
from tests.web.test_privacy import captured_log

_MR = "1.2.840.10008.5.1.4.1.1.4"


def planted() -> tuple[Image, list[str]]:
    """An image, and what identifies its patient in it."""
    attributes = {
        "PatientName": "Plantwell^Zacharias",
        "PatientID": "PID-7734XQZ-PLANTED",
        "PatientBirthDate": "19071226",
        "AccessionNumber": "ACC-PLANTED-55",
        "StudyID": "STU-PLANTED-1",
        "StudyDescription": "planted description",
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
    }
    made = image(**attributes)
    words = ["plantwell", "zacharias", "7734xqz", "planted", "19071226"]
    return made, [*words, str(made.read.StudyInstanceUID), str(made.read.SeriesInstanceUID), made.instance]


async def test_nothing_of_the_patient_is_told(pacs: Pacs) -> None:
    with captured_log() as log:
        await _told_nothing(pacs, log)


async def _told_nothing(pacs: Pacs, log: io.StringIO) -> None:
    pushed, tokens = planted()
    same = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientName")
    apart = image(StudyDescription="planted again", **{one: pushed.read[one].value for one in same})
    wrong, _ = planted()
    comments = []
    device = await (await pacs.connect()).associate()
    assert [await device.store(pushed), await device.store(pushed)] == [0, 0]
    assert await device.store(apart) == 0
    assert await device.store(wrong, sop_class=_MR) == 0x0122
    for instance, data in ((wrong.instance, pushed.data_set), (wrong.instance, wrong.data_set[:-3000])):
        await device.send(p_data(1, 3, store_command(instance)))
        await device.send_data_set(data)
        comments.append(await device.comment())
    await device.send(p_data(1, 3, store_command(wrong.instance)))
    await device.send_data_set(wrong.data_set[:8000], whole=False)
    await device.send(b"\xff" * 12)
    assert (await device.pdu())[0] == 7
    broken = await (await pacs.connect()).associate(ae="OTHER")
    await broken.send(p_data(1, 3, store_command(wrong.instance)))
    await broken.send_data_set(wrong.data_set[:8000], whole=False)
    broken.close()
    await until(lambda: not pacs.server.house.admission.receiving)
    await (await pacs.connect()).ask(ae="NOBODY")
    async with pacs.server.house.database.acquire() as db:
        await until(lambda: db.fetchval("select 1 from audit where act = 'associate' limit 1"))
        kept = ""
        for table in ("audit", "entries", "callers", "grants", "blobs", "acls"):
            kept += "\n".join(row[0] for row in await db.fetch(f"select t::text from {table} t"))
    await asyncio.sleep(0)
    said = log.getvalue()
    metrics = await pacs.server.call("GET", "/metrics", token=pacs.server.admin_token)
    everything = "\n".join((said, kept, metrics.body.decode(), *comments)).lower()
    assert "a pushed image was refused" in said
    assert "whose SOP Instance UID is known" in said
    assert f"ae:{DEVICE}".lower() in kept.lower()
    assert [token for token in tokens if token in everything] == []
    assert CT not in kept
