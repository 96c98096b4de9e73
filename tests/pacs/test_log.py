"""What anybody can make happen as often as they like fills no log."""

import pytest

from mdm_async.pacs.dimse import association, conversation
from mdm_async.seldom import Seldom
from tests.faults.conditions import until
from tests.pacs.devices import Pacs, p_data, store_command
from tests.pacs.test_bad_input import open_now
from tests.web.test_privacy import captured_log


@pytest.fixture(autouse=True)
def _told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (association, conversation):
        monkeypatch.setattr(one, "_TOLD", Seldom(2))


async def test_who_never_associates_is_told_of_seldom_or_not_at_all(pacs: Pacs) -> None:
    with captured_log() as log:
        await _come_and_go(pacs)
    said = log.getvalue()
    assert said.count("an association was refused") == 2
    assert said.count("breaks the DICOM protocol") == 2
    assert "association ended" not in said


async def _come_and_go(pacs: Pacs) -> None:
    for _ in range(10):
        (await pacs.connect()).close()
        half = await pacs.connect()
        await half.send(b"\1\0")
        half.close()
        garbled = await pacs.connect()
        await garbled.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await garbled.pdu())[0] == 7
        garbled.close()
        stranger = await pacs.connect()
        assert (await stranger.ask(ae="STRANGER"))[0] == 3
        stranger.close()


async def test_images_that_break_off_are_told_of_seldom(pacs: Pacs) -> None:
    await until(lambda: not open_now(pacs))
    with captured_log() as log:
        for _ in range(5):
            device = await (await pacs.connect()).associate()
            await device.send(p_data(1, 3, store_command("1.2.3")) + p_data(1, 0, bytes(1000)))
            device.close()
        await until(lambda: not open_now(pacs))
    assert log.getvalue().count("a request of a device broke off") == 2


async def test_what_a_device_offers_in_vain_is_told(pacs: Pacs) -> None:
    printing = "1.2.840.10008.5.1.1.9"
    with captured_log() as log:
        device = await (await pacs.connect()).associate(contexts=[(printing, ["1.2.840.10008.1.2"])])
        device.close()
        await until(lambda: not open_now(pacs))
    assert "a device offers nothing that is taken" in log.getvalue()
    assert printing in log.getvalue()


async def test_why_an_association_is_refused_is_in_the_log(pacs: Pacs) -> None:
    with captured_log() as log:
        for asked in ({"ae": "STRANGER"}, {"called": "NOBODY"}):
            stranger = await pacs.connect()
            assert (await stranger.ask(**asked))[0] == 3
            stranger.close()
    assert "no [[pacs.calling]] has this ae" in log.getvalue()
    assert "NOBODY" in log.getvalue()
