"""Devices that come by TLS, and those that must: by the certificate that stands in the settings, and no other."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from mdm_async.errors import SourceAway, UnsafeSettings
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.dimse.peers import OtherEnd, Peers
from mdm_async.pacs.retrieval.archive import DimseSource, dimse_source
from mdm_async.settings import load
from tests.faults.conditions import until
from tests.faults.serving import free_port
from tests.pacs.certificates import Certificates
from tests.pacs.devices import CT as CT_IMAGE
from tests.pacs.devices import DEVICE, TITLE, Device, Pacs, calling, image, pacs_server, rejected
from tests.pacs.test_move import Movable
from tests.pacs.tools import identifier, rule
from tests.postgres.for_tests import PostgresForTests


@dataclass
class Secured:
    pacs: Pacs
    certificates: Certificates

    async def connect(self, shown: str | None = None) -> Device:
        context = self.certificates.shown(shown)
        device = Device(*await asyncio.open_connection("127.0.0.1", self.pacs.port, ssl=context))
        self.pacs.devices.append(device)
        return device


@pytest.fixture
async def secured(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Secured]:
    made = Certificates(tmp_path)
    devices = (
        calling(),
        calling("TLS", "/tls", tls=True),
        calling("CT", "/ct", certificate=made.at("ct.pem")),
        calling("TOOL", "/ct", certificate=made.at("ct.pem"), principal="user:tool", view="identified"),
        calling("CALLED", "/ct", certificate=made.at("store.pem"), port=free_port()),
    )
    server = dict(made.server)
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"calling": devices}, server=server) as pacs:
        yield Secured(pacs, made)


async def test_dcmtk_pushes_by_tls(secured: Secured, tmp_path: Path) -> None:
    at = secured.certificates.at
    own = ("+tls", at("ct.key"), at("ct.pem"), "+cf", at("ca.pem"))
    code, said = await secured.pacs.dcmtk("storescu", image().at(tmp_path), ae="CT", before=own)
    assert code == 0, said
    assert len(await secured.pacs.names("/ct")) == 1
    code, said = await secured.pacs.dcmtk("echoscu", ae="TLS", before=("+tla", "+cf", at("ca.pem")))
    assert code == 0, said


@pytest.mark.parametrize(
    ("ae", "shown", "enters"),
    [("CT", "ct", True), ("CT", None, False), ("TLS", None, True), ("TLS", "ct", True), (DEVICE, None, True)],
)
async def test_by_tls(secured: Secured, ae: str, shown: str | None, enters: bool) -> None:
    device = await secured.connect(shown)
    kind, body = await device.ask(ae=ae)
    if enters:
        assert kind == 2
        assert await device.store(image()) == 0
        await device.release()
    else:
        assert (kind, rejected(body)) == (3, (1, 1, 3))


@pytest.mark.parametrize(("ae", "enters"), [("CT", False), ("TLS", False), (DEVICE, True)])
async def test_without_tls(secured: Secured, ae: str, enters: bool) -> None:
    kind, body = await (await secured.pacs.connect()).ask(ae=ae)
    assert kind == 2 if enters else (kind, rejected(body)) == (3, (1, 1, 3))


async def test_a_certificate_that_stands_nowhere_is_refused(secured: Secured) -> None:
    # In TLS 1.3 a client hears of that only after it took itself for connected.
    with suppress(ssl.SSLError, ConnectionError):
        device = await secured.connect("mr")
        kind, _ = await device.ask(ae="TLS")
        assert kind == 0
    async with secured.pacs.server.house.database.acquire() as db:
        await until(lambda: db.fetchval("select 1 from audit where details->>'reason' = 'TLS' limit 1"))
    assert (await (await secured.connect()).ask(ae="TLS"))[0] == 2


async def test_a_changed_certificate_is_taken_up(secured: Secured) -> None:
    made = secured.certificates
    issued = made.authority.issue_cert("127.0.0.1", common_name="another")
    issued.private_key_pem.write_to_path(made.at("server.key"))
    issued.cert_chain_pems[0].write_to_path(made.at("server.pem"))

    async def is_shown() -> bool:
        device = await secured.connect()
        shown = device.writer.get_extra_info("peercert")
        device.close()
        return ((("commonName", "another"),)) in shown["subject"]

    await until(is_shown)


def test_what_must_be_secured_is_asked_where_it_counts() -> None:
    far = calling("FAR", hosts=["192.0.2.0/24", "127.0.0.1"], plain=True)
    peers = Peers.of(load(overrides={"pacs": {"port": 0, "calling": [far]}}).pacs)
    assert peers.find("FAR", OtherEnd("192.0.2.9"))
    assert not peers.find("FAR", OtherEnd("192.0.3.9"))
    assert not peers.find("FAR", OtherEnd(""))


def test_tls_needs_a_certificate(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings, match="--tls-cert"):
        load(overrides={"pacs": {"port": 0, "calling": [calling(tls=True)]}})
    own = {"tls_cert": "a.pem", "tls_key": "a.key"}
    (tmp_path / "none.pem").write_text("no certificate")
    for name, why in (
        ("none", "no certificate that can be read"),
        ("missing", "missing.pem cannot be read: No such"),
    ):
        one = calling(certificate=str(tmp_path / f"{name}.pem"), hosts=["192.0.2.1"])
        with pytest.raises(UnsafeSettings, match=why):
            Peers.of(load(overrides={"server": own, "pacs": {"port": 0, "calling": [one]}}).pacs)


async def test_images_move_by_tls_to_who_shows_the_certificate(secured: Secured) -> None:
    """And originals are for who shows one: here both ends do."""
    at = secured.certificates.at
    server = secured.pacs.server
    for surl, rights in (("/", "x"), ("/ct", "xlrgi")):
        if surl != "/":
            await server.srm("mkdir", surl=surl)
        rules = [rule("user:tool", rights)]
        await server.srm("setPermission", surls=[surl], permissionType="ADD", rules=rules)
    await server.put("/ct/a.dcm", image(StudyInstanceUID="1.2.3.9").file)
    asked = identifier("STUDY", StudyInstanceUID="1.2.3.9")
    own = ssl.create_default_context(cafile=at("ca.pem"))
    own.load_cert_chain(at("ct.pem"), at("ct.key"))
    port = server.house.settings.pacs.calling[-1].port
    assert port is not None
    for shown, code in (("ct", 0xA702), ("store", 0)):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=at("ca.pem"))
        context.load_cert_chain(at(f"{shown}.pem"), at(f"{shown}.key"))
        context.verify_mode = ssl.CERT_REQUIRED  # This server shows its own, too.
        ae, taken = AE("CALLED"), list[Any]()
        ae.add_supported_context(CT_IMAGE, ExplicitVRLittleEndian)

        def store(event: Any, taken: list[Any] = taken) -> int:
            taken.append(event.dataset)
            return 0

        storing = ae.start_server(
            ("127.0.0.1", port), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, store)]
        )
        try:
            statuses, *_ = await Movable(secured.pacs, port, own).move(asked, "CALLED", "TOOL")
        finally:
            await asyncio.to_thread(storing.shutdown)
        assert statuses == [code]
        assert [one.StudyInstanceUID for one in taken] == ([] if code else ["1.2.3.9"])


def archive_of(secured: Secured, ae: str, certificate: str, server: dict[str, str]) -> DimseSource:
    """The server as somebody else has it among his archives, who calls it as `ae`."""
    section = {"name": "hospital", "ae": TITLE, "host": "127.0.0.1", "port": secured.pacs.port, "tls": True}
    section["certificate"] = secured.certificates.at(f"{certificate}.pem")
    settings = load(overrides={"server": server, "pacs": {"ae_title": ae, "sources": [section]}})
    return dimse_source(settings.pacs.sources[0], settings, Awaited(ae))


async def test_an_archive_by_tls_has_to_show_its_certificate_and_is_shown_ones_own(secured: Secured) -> None:
    at = secured.certificates.at
    own = {"tls_cert": at("ct.pem"), "tls_key": at("ct.key")}
    await archive_of(secured, "CT", "server", own).echo()
    await archive_of(secured, "TLS", "server", {}).echo()
    with pytest.raises(SourceAway, match="does not know the AE title"):
        await archive_of(secured, "CT", "server", {}).echo()
    for other in ("mr", "ca"):  # nor does it do that the certificate's issuer is named
        with pytest.raises(SourceAway, match="certificate"):
            await archive_of(secured, "TLS", other, {}).echo()
    with pytest.raises(UnsafeSettings, match="cannot be read: No such file"):
        archive_of(secured, "TLS", "nothing", {})
