"""Every documented exit code, provoked by what it stands for; that of Ctrl-C is in test_interrupt."""

import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from mdm_async import errors
from mdm_async.cli.exit_codes import MEANINGS, exit_code
from tests.cli.conftest import Run
from tests.cli.test_profile_try import png_like_capture
from tests.client.fake_server import TOKEN, fake_server
from tests.conftest import Server
from tests.web.made_images import made

README = Path(__file__).parents[2] / "README.md"


async def test_0_what_was_asked_is_done(mdm: Run, folder: str) -> None:
    assert (await mdm("ls", folder)).code == 0


async def test_1_another_failure(mdm: Run, folder: str) -> None:
    assert (await mdm("mkdir", folder)).code == 1
    assert (await mdm("put", folder, "/no/such/file")).code != 0


async def test_2_a_malformed_option_name_or_request(mdm: Run) -> None:
    for words in (["ls", "--nonsense"], ["nonsense"], ["get"], ["ls", "not/absolute"], ["--url", "x", "ls"]):
        assert (await mdm(*words)).code == 2, words


async def test_3_not_found(mdm: Run, folder: str) -> None:
    assert (await mdm("stat", f"{folder}/none")).code == 3


async def test_4_the_view_is_refused(mdm: Run, server: Server, folder: str, tmp_path: Path) -> None:
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    assert (await mdm("get", f"{folder}/sc.dcm", tmp_path)).code == 4
    await mdm("delivery", "set", folder, "--deidentified", "sealed")
    assert (await mdm("get", f"{folder}/sc.dcm", tmp_path)).code == 4


async def test_5_what_comes_is_damaged(run: Run, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with fake_server() as fake:
        environment.setenv("MDM_URL", fake.url)
        environment.setenv("BEARER_TOKEN", TOKEN)
        fake.files["/a.dcm"] = bytes(100_000)
        fake.faults.corrupt_at = 70_000
        assert (await run("get", "/a.dcm", tmp_path)).code == 5


async def test_6_what_is_there_is_lost(mdm: Run, server: Server, folder: str, tmp_path: Path) -> None:
    await server.put(f"{folder}/a.dcm", made())
    async with server.house.database.acquire() as db:
        await db.execute(
            "update images i set locality = 'LOST' from entries e join entries d on d.id = e.parent"
            " where i.id = e.image and d.name = $1",
            folder.removeprefix("/"),
        )
    assert (await mdm("get", f"{folder}/a.dcm", tmp_path)).code == 6


async def test_11_busy(mdm: Run, server: Server) -> None:
    server.house.draining = True
    try:
        ended = await mdm("ping")
    finally:
        server.house.draining = False
    assert ended.code == 11
    assert "shutting down" in ended.err


async def test_13_no_right_and_no_credential(
    mdm: Run, server: Server, folder: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("BEARER_TOKEN", await server.token("l", folder))
    assert (await mdm("mkdir", f"{folder}/below")).code == 13
    environment.setenv("BEARER_TOKEN", "nobodys")
    assert (await mdm("ls", folder)).code == 13


async def test_69_nobody_is_there(run: Run, unused_tcp_port: int) -> None:
    for command in ("ping", "ls"):
        ended = await run(command, "--url", f"http://127.0.0.1:{unused_tcp_port}", "--json")
        assert ended.code == ended.json["error"]["exit"] == 69
        assert "no connection" in ended.json["error"]["detail"]


async def test_76_the_certificate_is_an_unknown_authoritys_or_another_hosts(run: Run, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port = runner.addresses[0][1]
        for more in (["localhost"], ["127.0.0.1", "--ca", tmp_path / "ca.pem"]):
            ended = await run("ping", "--url", f"https://{more[0]}:{port}", *more[1:])
            assert ended.code == 76
            assert "not trusted" in ended.err
    finally:
        await runner.cleanup()


async def test_78_the_settings_are_unsafe(run: Run) -> None:
    assert (await run("serve", "--host", "0.0.0.0")).code == 78


async def test_of_several_names_the_first_that_failed_decides(mdm: Run, folder: str) -> None:
    several = [f"{folder}/none", "not/absolute"]
    assert (await mdm("acl", "get", folder, *several)).code == 3
    assert (await mdm("acl", "get", folder, *reversed(several))).code == 2


def every_error() -> list[type[errors.MdmError]]:
    found = [errors.MdmError]
    for kind in found:
        found += [below for below in kind.__subclasses__() if below.__module__ == errors.__name__]
    return found


@pytest.mark.parametrize("kind", every_error())
def test_every_error_has_a_documented_code(kind: type[errors.MdmError]) -> None:
    assert exit_code(kind()) in MEANINGS


async def test_they_are_in_the_help_and_in_the_readme(run: Run) -> None:
    shown = " ".join((await run("--help")).text.split())
    for code, meaning in MEANINGS.items():
        assert f"{code} {meaning}" in shown
        assert f"| {code} | {meaning} |" in README.read_text()
