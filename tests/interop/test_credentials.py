"""Who is calling and what they may, as real clients show it: macaroons of gfal-token, proxies, VOMS, revocation."""

import asyncio
import random
import ssl
from pathlib import Path

import aiohttp
from cryptography import x509

from tests.identity.grid_pki import VO, Identity, dn, name
from tests.interop.grid_tools import GridTools
from tests.patience import PATIENCE
from tests.web.made_images import made

NO_CERTIFICATE = {"X509_USER_PROXY": ""}


async def _with_a_file(tools: GridTools, place: str) -> str:
    await tools.server.put(f"{place}/a.dcm", made())
    return f"{place}/a.dcm"


async def test_a_macaroon_of_gfal_token_serves_gfal_curl_and_davix_without_a_certificate(
    grid_tools: GridTools, place: str
) -> None:
    file = await _with_a_file(grid_tools, place)
    issuer = ("--issuer", grid_tools.https(""))
    for more in ((), issuer):
        ran = await grid_tools.well(
            "gfal-token", *more, "--validity", "10", grid_tools.davs(place), "LIST", "DOWNLOAD"
        )
        token = ran.out.strip()
        shown = NO_CERTIFICATE | {"BEARER_TOKEN": token}
        assert "a.dcm" in (await grid_tools.well("gfal-ls", grid_tools.davs(place), **shown)).out
        copy = grid_tools.home / f"copy-{len(more)}"
        await grid_tools.well("gfal-copy", grid_tools.davs(file), f"file://{copy}", **shown)
        assert copy.read_bytes()[128:132] == b"DICM"
        refused = await grid_tools.run("gfal-rm", grid_tools.davs(file), **shown)
        assert refused.code != 0, str(refused)
        assert "403" in refused.said
        elsewhere = await grid_tools.run("gfal-ls", grid_tools.davs("/grid"), **shown)
        assert elsewhere.code == 2, str(elsewhere)


async def test_a_macaroon_to_write_makes_directories_puts_overwrites_and_removes(
    grid_tools: GridTools, place: str
) -> None:
    ran = await grid_tools.well("gfal-token", "--write", grid_tools.davs(f"{place}/new"))
    shown = NO_CERTIFICATE | {"BEARER_TOKEN": ran.out.strip()}
    source = grid_tools.home / "source.dcm"
    source.write_bytes(made())
    target = grid_tools.davs(f"{place}/new/deep/a.dcm")
    await grid_tools.well("gfal-mkdir", "-p", grid_tools.davs(f"{place}/new/deep"), **shown)
    await grid_tools.well("gfal-copy", f"file://{source}", target, **shown)
    await grid_tools.well("gfal-copy", "-f", f"file://{source}", target, **shown)
    await grid_tools.well("gfal-rm", target, **shown)
    outside = await grid_tools.run("gfal-mkdir", grid_tools.davs(f"{place}/other"), **shown)
    assert outside.code != 0, str(outside)


async def test_proxies_of_voms_proxy_init_are_their_owner_and_limited_ones_see_no_identities(
    grid_tools: GridTools, place: str
) -> None:
    file = await _with_a_file(grid_tools, place)
    rule = {"principal": f"dn:{dn('Ada User')}", "rights": "rlxgi", "views": ["*", "identified"]}
    await grid_tools.server.srm("setPermission", surls=[file], permissionType="ADD", rules=[rule])
    token = grid_tools.server.admin_token
    policy = {"surl": place, "identified": "clear"}
    answer = await grid_tools.server.call("PUT", "/admin/v1/delivery", token=token, json=policy)
    assert answer.status in (200, 204), answer.body
    for options, status in (((), "200"), (("-limited",), "403")):
        made_by_the_tool = grid_tools.grid.proxy_of_the_tools(*options)
        proxy = str(made_by_the_tool.write(grid_tools.home / f"tool{''.join(options)}.pem"))
        for protocol in (grid_tools.davs, grid_tools.srm):
            listed = await grid_tools.well("gfal-ls", protocol(place), X509_USER_PROXY=proxy)
            assert "a.dcm" in listed.out
        assert await _status(grid_tools, proxy, f"/dav{file}") == "200"
        assert await _status(grid_tools, proxy, f"/dav/@identified{file}") == status
        # gfal2 asks for a macaroon first, and no macaroon shows identities.
        target = f"file://{grid_tools.home}/identified{status}"
        ran = await grid_tools.run(
            "gfal-copy", grid_tools.davs(f"/@identified{file}"), target, X509_USER_PROXY=proxy
        )
        assert (ran.code == 0) == (status == "200"), str(ran)


async def test_a_group_of_a_vo_opens_a_directory_until_the_certificate_is_revoked(
    grid_tools: GridTools, place: str
) -> None:
    file = await _with_a_file(grid_tools, place)
    server, grid = grid_tools.server, grid_tools.grid
    group = f"fqan:/{VO}/heart"
    rules = [{"principal": group, "rights": "rlxg"}]
    await server.srm("setPermission", surls=[place], permissionType="ADD", rules=rules)
    through = [{"principal": group, "rights": "x"}]
    await server.srm("setPermission", surls=["/", "/grid"], permissionType="ADD", rules=through)
    bob = grid.authority.issue(name("Bob User"), 1)
    inside = _written(grid_tools, "in", grid.voms_proxy(user=bob, fqans=[f"/{VO}/heart"]))
    outside = _written(grid_tools, "out", grid.voms_proxy(user=bob, fqans=[f"/{VO}"]))
    for protocol in (grid_tools.davs, grid_tools.srm):
        listed = await grid_tools.well("gfal-ls", protocol(place), X509_USER_PROXY=inside)
        assert "a.dcm" in listed.out
        assert (await grid_tools.run("gfal-ls", protocol(place), X509_USER_PROXY=outside)).code != 0
    macaroon = (
        await grid_tools.well("gfal-token", grid_tools.davs(place), X509_USER_PROXY=inside)
    ).out.strip()
    assert (await server.call("GET", f"/dav{file}", token=macaroon)).status == 200
    revoked = grid.authority.revoke([bob])
    try:
        async with asyncio.timeout(PATIENCE):
            while await _status(grid_tools, inside, f"/dav{file}") == "200":  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert (await server.call("GET", f"/dav{file}", token=macaroon)).status == 401
        await grid_tools.well("gfal-ls", grid_tools.davs(place))
    finally:
        revoked.unlink()


async def test_a_new_host_certificate_is_shown_without_a_restart(grid_tools: GridTools, place: str) -> None:
    file = grid_tools.server.house.settings.server.tls_cert
    assert file is not None
    fresh = grid_tools.grid.authority.issue(name("localhost"), 2, host="localhost")
    fresh.write(file)
    async with asyncio.timeout(PATIENCE):
        while await asyncio.to_thread(_serial, grid_tools) != fresh.certificate.serial_number:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    for protocol in (grid_tools.davs, grid_tools.srm):
        await grid_tools.well("gfal-ls", protocol(place))


def _serial(tools: GridTools) -> int:
    port = tools.server.house.tls_port
    assert port is not None
    pem = ssl.get_server_certificate(("localhost", port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def _written(tools: GridTools, called: str, proxy: Identity) -> str:
    path: Path = tools.home / f"{called}.pem"
    return str(proxy.write(path))


async def _status(tools: GridTools, proxy: str, path: str) -> str:
    authorities = str(tools.grid.authorities)
    ran = await tools.run(
        "curl", "-sS", "--capath", authorities, "--cert", proxy, "-o", "/dev/null", "-w", "%{http_code}",
        tools.https(path),
    )  # fmt: skip
    return ran.out


async def test_a_connection_with_a_certificate_is_no_ones_who_shows_a_token_on_it(
    grid_tools: GridTools, place: str
) -> None:
    server, file = grid_tools.server, await _with_a_file(grid_tools, place)
    kind = {"Content-Type": "application/macaroon-request"}
    asked = {"caveats": ["activity:LIST"]}
    answer = await server.call("POST", f"/dav{place}", token=server.admin_token, json=asked, headers=kind)
    nobody = await server.token("")
    cases = [
        (None, 200),
        (server.admin_token, 200),
        (nobody, 404),
        (answer.tree["macaroon"], 403),
        ("no-such-token", 401),
    ]
    order = random.Random(31).choices(cases, k=200)
    context = ssl.create_default_context(capath=str(grid_tools.grid.authorities))
    context.load_cert_chain(grid_tools.proxy)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, ssl=context)) as one:
        for token, status in order:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with one.head(grid_tools.https(f"/dav{file}"), headers=headers) as told:
                assert told.status == status, token and token[:8]
