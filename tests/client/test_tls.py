"""TLS: the system's authorities and one more, and never an unknown one."""

import ssl

import pytest
import trustme
from aiohttp import web

from mdm_async import errors
from mdm_async.client import Client


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
async def secure_url(authority):
    """A server that answers every call with success, over TLS."""

    async def answer(request):
        return web.json_response(
            {
                "returnStatus": {"statusCode": "SRM_SUCCESS"},
                "files": [
                    {"surl": "/", "path": "/", "type": "DIRECTORY", "status": {"statusCode": "SRM_SUCCESS"}}
                ],
            }
        )

    app = web.Application()
    app.router.add_post("/srm/v2/{operation}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://localhost:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_unknown_authority_is_refused_and_said_to_be(secure_url):
    async with Client(secure_url, "t") as client:
        with pytest.raises(errors.Unavailable, match="not trusted"):
            await client.stat("/")


async def test_an_authority_that_was_named_is_trusted(secure_url, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with Client(secure_url, "t", ca=tmp_path / "ca.pem") as client:
        assert (await client.stat("/")).is_directory


async def test_ssl_cert_file_names_the_systems_authorities(secure_url, authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with Client(secure_url, "t") as client:
        assert (await client.stat("/")).is_directory


async def test_a_certificate_file_that_is_none_is_told(secure_url, tmp_path):
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(errors.BadRequest):
        async with Client(secure_url, "t", ca=tmp_path / "ca.pem"):
            pass


async def test_a_port_that_speaks_no_tls_and_a_name_without_address_are_told_apart(fake):
    for url, why in (
        (fake.url.replace("http:", "https:"), "as TLS"),
        ("https://no.invalid", r"no connection to \S+ \([A-Z]"),
    ):
        async with Client(url, "t") as client:
            with pytest.raises(errors.Unreachable, match=why) as told:
                await client.stat("/")
        assert "Unknown error" not in str(told.value)
