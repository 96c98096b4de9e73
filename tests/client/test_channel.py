"""The channel rule: nothing confidential leaves for a place that could be listened to."""

import socket

import pytest
from yarl import URL

from mdm_async import errors
from mdm_async.client import Client
from mdm_async.client.channel import demand_transfer_channel, is_confidential, parse_url
from mdm_async.client.wire import _next_hop

SURL = "/vo/a.dcm"


@pytest.mark.parametrize(
    "url",
    [
        "https://mdm.example.org",
        "http://127.0.0.1:8085",
        "http://127.9.9.9",
        "http://[::1]:8085",
        "http://localhost:8085",
    ],
)
def test_tls_and_the_loopback_are_confidential(url):
    assert is_confidential(parse_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://mdm.example.org",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://[::2]",
        "http://2130706433",
        "http://127.1",
    ],
)
def test_anything_else_is_not(url):
    assert not is_confidential(parse_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1@mdm.example.org",
        "https://user:password@mdm.example.org",
        "ftp://mdm.example.org",
        "mdm.example.org",
        "/t/x",
        "http://",
        "",
    ],
)
def test_urls_that_could_be_misread_are_refused(url):
    with pytest.raises(errors.BadRequest):
        parse_url(url)


def test_only_sealed_bytes_may_use_plain_http():
    elsewhere = URL("http://mdm.example.org/t/x")
    demand_transfer_channel(elsewhere, sealed=True)
    with pytest.raises(errors.InsecureChannel):
        demand_transfer_channel(elsewhere, sealed=False)


def test_a_client_of_a_plain_http_server_elsewhere_is_refused_before_it_connects():
    with pytest.raises(errors.InsecureChannel) as refused:
        Client("http://mdm.example.org", "secret")
    assert "secret" not in str(refused.value)


@pytest.fixture
def no_connections_elsewhere(monkeypatch):
    """Fails the test when anything but a numeric loopback address is looked up or connected to."""
    real = socket.getaddrinfo

    def only_loopback(host, *arguments, **options):
        assert host in ("127.0.0.1", b"127.0.0.1"), host
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_loopback)


@pytest.mark.usefixtures("no_connections_elsewhere")
async def test_a_clear_transfer_url_on_plain_http_elsewhere_is_refused(fake, client, image):
    fake.files[SURL] = image
    fake.faults.transfer_base = "http://mdm.example.org"
    with pytest.raises(errors.InsecureChannel):
        await client.read(SURL, sealed=False)
    with pytest.raises(errors.InsecureChannel):
        await client.put(image, "/vo/b.dcm", sealed=False)
    assert fake.calls["abortRequest"] == 1
    assert not fake.transfer_headers


async def test_where_clear_bytes_may_not_travel_they_are_asked_for_sealed(fake, client, image):
    fake.files[SURL] = image
    fake.faults.transfer_base = "http://mdm.example.org"
    prepared = await client.prepare([SURL])
    assert prepared.only().sealed is not None


async def test_a_server_that_redirects_does_not_get_the_token_sent_elsewhere(fake, client):
    fake.faults.redirect = "http://127.0.0.1:9/srm/v2/ls"
    with pytest.raises(errors.NotSupported):
        await client.stat("/")


async def test_a_clear_transfer_is_not_followed_to_a_weaker_channel(fake, client, image):
    fake.files[SURL] = image
    fake.faults.redirects = ["http://mdm.example.org/t/x"]
    with pytest.raises(errors.InsecureChannel):
        await client.read(SURL, sealed=False)
    with pytest.raises(errors.InsecureChannel):
        _next_hop(URL("https://mdm.example.org/t/x"), "http://127.0.0.1/t/x")


async def test_a_transfer_is_followed_where_its_bytes_may_go(fake, client, image):
    fake.files[SURL] = image
    async with await client.open(SURL) as file:
        fake.faults.redirects = [str(file.pull.ticket.url)]
        assert await file.pull.read() == image


async def test_redirects_without_end_are_given_up(fake, client, image):
    fake.files[SURL] = image
    async with await client.open(SURL) as file:
        fake.faults.redirects = [str(file.pull.ticket.url)] * 10
        with pytest.raises(errors.WrongContent):
            await file.pull.read()


def test_a_token_that_could_break_a_header_is_refused():
    for token in ("a\nX: y", "a b", "ä", ""):
        with pytest.raises(errors.Unauthenticated):
            Client("http://127.0.0.1:1", token)


async def test_transfers_never_carry_the_credential(fake, client, image):
    fake.files[SURL] = image
    await client.read(SURL)
    await client.put(image, "/vo/b.dcm")
    assert len(fake.transfer_headers) == 2
    assert not any("Authorization" in headers for headers in fake.transfer_headers)


async def test_a_proxy_from_the_environment_is_not_used(fake, client, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await client.stat("/")).is_directory
