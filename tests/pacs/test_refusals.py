"""Who may not push, or not this, is told so by the numbers of the standard, and the next one is served."""

import io
import re
import socket
import struct
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.errors import UnsafeSettings
from mdm_async.pacs.dimse import messages
from mdm_async.pacs.dimse.peers import Peers
from mdm_async.premises import reasons_against
from mdm_async.settings import load
from tests.faults.conditions import until
from tests.faults.database_proxy import proxied
from tests.faults.test_full_disk import files_limited_to
from tests.pacs.devices import (
    CT,
    DEVICE,
    VERIFICATION,
    Image,
    Pacs,
    calling,
    command,
    image,
    p_data,
    pacs_server,
    rejected,
    request,
    store_command,
)
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


@pytest.mark.parametrize(
    ("who", "numbers"),
    [
        ({"ae": "STRANGER"}, (1, 1, 3)),
        ({"ae": "storescu"}, (1, 1, 3)),
        ({"ae": "FAR"}, (1, 1, 3)),  # known, but not from this address
        ({"called": "ANOTHER"}, (1, 1, 7)),
        ({"ae": "STRANGER", "called": "ANOTHER"}, (1, 1, 3)),
    ],
)
async def test_who_calls_whom(pacs: Pacs, who: dict[str, str], numbers: tuple[int, int, int]) -> None:
    kind, body = await (await pacs.connect()).ask(**who)
    assert (kind, rejected(body)) == (3, numbers)
    async with pacs.server.house.database.acquire() as db:
        rows = "select details from audit where act in ('associate', 'refusals')"
        await until(lambda: db.fetchval(rows + " limit 1"))


async def test_dcmtk_understands_the_refusals(pacs: Pacs) -> None:
    code, said = await pacs.dcmtk("echoscu", ae="STRANGER")
    assert code != 0
    assert "Calling AE Title Not Recognized" in said
    code, said = await pacs.dcmtk("echoscu", called="ANOTHER")
    assert code != 0
    assert "Called AE Title Not Recognized" in said


async def test_the_limit_of_a_device_is_its_own(pacs: Pacs) -> None:
    first = await (await pacs.connect()).associate(ae="ONE")
    kind, body = await (await pacs.connect()).ask(ae="ONE")
    assert (kind, rejected(body)) == (3, (2, 3, 2))
    assert (await (await pacs.connect()).ask(ae=DEVICE))[0] == 2
    await first.release()
    await until(lambda: associates(pacs, "ONE"))


async def associates(pacs: Pacs, ae: str) -> bool:
    device = await pacs.connect()
    kind, _ = await device.ask(ae=ae)
    device.close()
    return kind == 2


async def test_the_limit_of_all(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"associations": 2}) as pacs:
        held = [await (await pacs.connect()).associate() for _ in range(2)]
        kind, body = await (await pacs.connect()).ask(ae="OTHER")
        assert (kind, rejected(body)) == (3, (2, 3, 2))
        code, said = await pacs.dcmtk("echoscu")
        assert code != 0
        assert "Local Limit Exceeded" in said
        held[0].close()
        await until(lambda: associates(pacs, "OTHER"))


async def test_another_class_or_instance_than_the_command_says(pacs: Pacs) -> None:
    before = await pacs.names()
    device = await (await pacs.connect()).associate()
    wrong_class = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    assert await device.store(wrong_class) == 0xA900
    assert await device.store(image(), instance="1.2.3.4.5") == 0xA900
    nameless = pydicom.dcmread(io.BytesIO(image().file))
    del nameless.SOPInstanceUID
    written = io.BytesIO()
    nameless.save_as(written, enforce_file_format=True)
    assert await device.store(Image(written.getvalue()), instance="1.2.3.4.6") == 0xA900
    assert await pacs.names() == before
    assert await device.store(image()) == 0


@pytest.mark.parametrize(
    ("data", "instance"),
    [
        (b"this is no data set" * 500, "1.2.3.4"),
        (image().data_set[:-5000], "1.2.3.4"),
        (b"", "1.2.3.4"),
        (image().data_set, "1.2.x"),
        (image().data_set, ""),
    ],
    ids=["garbage", "cut", "empty", "no UID", "no instance"],
)
async def test_what_cannot_be_understood(pacs: Pacs, data: bytes, instance: str) -> None:
    before = await pacs.names()
    device = await (await pacs.connect()).associate()
    await device.send(p_data(1, 3, store_command(instance)))
    if data:
        await device.send_data_set(data)
    else:
        await device.send(p_data(1, 2, b""))
    assert await device.status() == (0xC000 if data else 0xA900)
    assert await pacs.names() == before
    assert await device.store(image()) == 0


async def test_a_refused_image_that_does_not_end_is_answered_and_aborted(
    pacs: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_MOST_SKIPPED", 100_000)
    device = await (await pacs.connect()).associate()
    await device.send(p_data(1, 3, store_command("1.2.x")))
    await device.send_data_set(bytes(100_000))
    assert await device.status() == 0xC000
    await device.send(p_data(1, 3, store_command("1.2.x")))
    await device.send_data_set(bytes(180_000), whole=False)
    assert await device.status() == 0xC000
    assert (await device.pdu())[0] == 7
    assert await device.reader.read() == b""


async def test_a_data_set_in_another_transfer_syntax_than_was_agreed(pacs: Pacs) -> None:
    device = await (await pacs.connect()).associate(contexts=[(CT, [ImplicitVRLittleEndian])])
    assert await device.store(image()) == 0xC000


async def test_the_class_of_a_command_is_that_of_its_context(pacs: Pacs) -> None:
    contexts = [(CT, [ExplicitVRLittleEndian]), (VERIFICATION, [ImplicitVRLittleEndian])]
    device = await (await pacs.connect()).associate(contexts=contexts)
    assert await device.store(image(), sop_class="1.2.840.10008.5.1.4.1.1.4") == 0x0122
    assert await device.store(image(), context=3, sop_class=VERIFICATION) == 0x0122
    assert await device.store(image()) == 0


async def test_a_command_that_is_not_known_here(pacs: Pacs) -> None:
    device = await (await pacs.connect()).associate()
    find = command(AffectedSOPClassUID=CT, CommandField=0x0140, MessageID=9, CommandDataSetType=1)
    await device.send(p_data(1, 3, find) + p_data(1, 2, b"\x10\0\x10\0\0\0\0\0"))
    assert await device.status() == 0x0211
    assert await device.store(image()) == 0


async def test_a_full_disk_is_out_of_resources_and_the_next_one_is_taken(pacs: Pacs) -> None:
    large = Image(made(pixels=6 << 20, seed=77))
    device = await (await pacs.connect()).associate()
    with files_limited_to(1 << 20):
        assert await device.store(large) == 0xA700
    assert await device.store(large) == 0
    await device.release()


async def test_without_the_database_nothing_is_taken_and_then_it_is(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with (
        proxied(await postgres.fresh_database(migrated)) as proxy,
        pacs_server(tmp_path / "data", proxy.dsn) as pacs,
    ):
        pushed = image()
        device = await (await pacs.connect()).associate()
        proxy.cut()
        assert await device.store(pushed) == 0xA700
        proxy.restore()
        await until(lambda: stored(device, pushed))
        assert len(await pacs.names()) == 1


async def stored(device: Any, pushed: Image) -> bool:
    status = await device.store(pushed)
    assert status in (0, 0xA700)
    return bool(status == 0)


async def test_a_file_where_the_directory_should_be(pacs: Pacs) -> None:
    await pacs.server.put("/one", made(seed=99))
    device = await (await pacs.connect()).associate(ae="ONE")
    assert await device.store(image()) == 0x0110
    await device.release()
    await pacs.server.srm("rm", surls=["/one"])


async def test_words_beside_a_status_are_short_and_tell_nothing_of_the_image(pacs: Pacs) -> None:
    device = await (await pacs.connect()).associate()
    pushed = image(PatientName="Planted^Name", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    await device.send(p_data(1, 3, store_command(pushed.instance)))
    await device.send_data_set(pushed.data_set)
    comment = await device.comment()
    assert 0 < len(comment) <= 64
    assert not re.search(r"Planted|\d\.\d", comment)


async def test_long_answers_keep_to_the_length_that_the_peer_takes(pacs: Pacs) -> None:
    whole = request()
    at = whole.index(b"\x51\0\0\4") + 4
    device = await pacs.connect()
    await device.send(whole[:at] + struct.pack(">I", 64) + whole[at + 4 :])
    assert (await device.pdu())[0] == 2
    await device.send(p_data(1, 3, store_command("1.2.3")) + p_data(1, 2, b""))
    told, lasts = b"", []
    while not lasts or not lasts[-1] & 2:
        kind, body = await device.pdu()
        assert (kind, len(body) <= 64) == (4, True)
        lasts.append(body[5])
        told += body[6:]
    assert len(lasts) > 1
    assert pydicom.dcmread(io.BytesIO(told), force=True)[0x00000900].value == 0xA900


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hosts": ["ct1.hospital.example"]}, "hosts"),
        ({"hosts": ["192.0.2.7"]}, "plain = true"),
        ({"hosts": []}, "hosts"),
        ({"hosts": ["192.0.2.7", "0.0.0.0/0"], "plain": True}, "name the addresses"),
        ({"hosts": ["::/0"], "plain": True}, "name the addresses"),
        ({"ae": "SEVENTEEN_LETTERS"}, "ae"),
        ({"ae": "A\\B"}, "AE title"),
        ({"directory": "pacs"}, "absolute"),
        ({"template": "{patient}.dcm"}, "{instance}"),
        ({"template": "{name}/{instance}.dcm"}, "fields are"),
        ({"principal": "ct"}, "principal"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsafeSettings) as told:
        Peers.of(load(overrides={"pacs": {"port": 0, "calling": [calling() | wrong]}}).pacs)
    assert said in str(told.value)


def test_a_device_stands_there_once() -> None:
    twice = [calling(), calling(directory="/b", hosts=["127.0.0.0/8"])]
    with pytest.raises(UnsafeSettings, match="twice"):
        load(overrides={"pacs": {"port": 0, "calling": twice}})
    moved = [calling(port=104), calling(port=104, hosts=["127.0.0.2"])]
    with pytest.raises(UnsafeSettings, match="to which of them"):
        load(overrides={"pacs": {"port": 0, "calling": moved}})
    load(overrides={"pacs": {"port": 0, "calling": [calling(), calling(hosts=["::1"])]}})


async def test_the_check_of_settings_finds_what_a_start_would(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        wrong = calling(template="{x}/{instance}.dcm")
        sections = {
            "data": tmp_path / "data",
            "server": {"port": 0},
            "pacs": {"port": port, "calling": [wrong]},
        }
        reasons = await reasons_against(load(overrides=sections))
    assert len(reasons) == 2
    assert "pacs.calling of STORESCU" in reasons[0]
    assert f"cannot listen on 127.0.0.1:{port}" in reasons[1]
