"""Commands beside their server: by the socket in its folder, with no URL and no token; and what an impostor gets."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.cli.conftest import Run
from tests.conftest import Server
from tests.web.made_images import made


@pytest.fixture
def here(run: Run, environment: pytest.MonkeyPatch, server: Server) -> Run:
    """`mdm` as the server's user, who names nothing but its folder."""
    environment.setenv("MDM_DATA", str(server.data))
    return run


class Impostor:
    """Listens where a server is expected; what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response({"status": "ready", "version": "1", "returnStatus": {}, "tokens": []})


@pytest.fixture
async def impostor(environment: pytest.MonkeyPatch) -> AsyncIterator[Impostor]:
    impostor = Impostor()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", impostor.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    impostor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    environment.setattr("mdm_async.client.discovery.DEFAULT_URL", impostor.url)
    yield impostor
    await runner.cleanup()


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a server that does not run."""
    (tmp_path / "mdm-data" / "secrets").mkdir(parents=True, mode=0o700)
    (tmp_path / "mdm-data" / "secrets" / "admin.token").write_text("the-admin-token")
    (tmp_path / "mdm-data").chmod(0o700)
    return tmp_path / "mdm-data"


async def test_images_go_in_and_out_by_nothing_but_the_socket(here: Run, folder: str, tmp_path: Path) -> None:
    (tmp_path / "in.dcm").write_bytes(made(pixels=300_000))
    assert (await here("put", tmp_path / "in.dcm", f"{folder}/clear.dcm")).code == 0
    assert (await here("put", "--sealed", tmp_path / "in.dcm", f"{folder}/sealed.dcm")).code == 0
    outs = []
    for number, words in enumerate((["clear.dcm"], ["clear.dcm", "--sealed"], ["sealed.dcm"])):
        ended = await here("get", f"{folder}/{words[0]}", tmp_path / f"{number}.dcm", *words[1:])
        assert ended.code == 0, ended.err
        outs.append((tmp_path / f"{number}.dcm").read_bytes())
    assert len(outs[0]) > 300_000
    assert outs[0] == outs[1]
    assert len(outs[2]) == len(outs[0])
    assert (await here("get", "-r", folder, tmp_path / "all")).code == 0
    assert (tmp_path / "all" / "clear.dcm").read_bytes() == outs[0]


async def test_a_manifest_names_no_address_of_the_socket(here: Run, folder: str, server: Server) -> None:
    await server.put(f"{folder}/a.dcm", made(pixels=200, seed=950))
    told = (await here("manifest", folder, "--view", "basic", "--format", "fhir")).json
    (endpoint,) = [one["resource"] for one in told["entry"] if one["resource"]["resourceType"] == "Endpoint"]
    assert endpoint["address"] == f"{server.url}/dicom-web/@basic"
    server.house.settings.server.__dict__["host"] = "0.0.0.0"
    try:
        refused = await here("manifest", folder, "--view", "basic", "--format", "fhir")
    finally:
        server.house.settings.server.__dict__["host"] = "127.0.0.1"
    assert "set server.public_url" in refused.err


async def test_the_folder_may_be_named_on_the_command_line_and_not_beside_a_url(
    run: Run, server: Server
) -> None:
    assert (await run("token", "list", "--data", server.data)).code == 0
    assert (await run("token", "list", "--data", server.data, "--url", server.url)).code == 2


async def test_mdm_data_here_is_found_when_nothing_is_named(
    run: Run, server: Server, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.delenv("MDM_DATA")
    (tmp_path / "mdm-data").symlink_to(server.data)
    environment.chdir(tmp_path)
    ended = await run("ping")
    assert ended.text.startswith("the server of mdm-data: mdm "), ended.err


async def test_a_token_counts_over_the_socket_too(
    here: Run, server: Server, folder: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("BEARER_TOKEN", await server.token("l", folder))
    assert (await here("ls", folder)).code == 0
    assert (await here("token", "list")).code == 13


async def test_a_url_that_is_named_is_asked_and_not_the_socket(
    here: Run, server: Server, impostor: Impostor, environment: pytest.MonkeyPatch
) -> None:
    assert (await here("ping", "--url", impostor.url)).code == 0
    environment.setenv("MDM_URL", impostor.url)
    assert (await here("ping")).code == 0
    assert len(impostor.requests) == 2


@pytest.mark.parametrize("words", [["ls", "/"], ["token", "list"], ["put", __file__, "/a.dcm"], ["ping"]])
async def test_an_impostor_on_the_port_of_a_server_that_does_not_run_is_sent_nothing(
    run: Run, left: Path, impostor: Impostor, environment: pytest.MonkeyPatch, words: list[str]
) -> None:
    environment.setenv("MDM_DATA", str(left))
    ended = await run(*words)
    assert ended.code == 69
    assert "start it: mdm serve --data" in ended.err
    assert impostor.requests == []


async def test_an_impostor_that_is_named_is_shown_no_admin_token(
    run: Run, left: Path, impostor: Impostor, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("MDM_DATA", str(left))
    for words in (["--url", impostor.url, "token", "list"], ["ls", "--url", impostor.url, "/"]):
        await run(*words)
    assert len(impostor.requests) == 2
    for request in impostor.requests:
        assert "Authorization" not in request.headers
        assert "the-admin-token" not in str(request.headers)


@pytest.mark.parametrize("words", [["ls", "/"], ["token", "list"], ["put", __file__, "/a.dcm"], ["ping"]])
async def test_a_server_that_nobody_named_is_shown_no_token_and_sent_no_image(
    run: Run, impostor: Impostor, environment: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    environment.delenv("MDM_DATA")
    environment.setenv("BEARER_TOKEN", "a-users-token")
    environment.chdir(tmp_path)
    ended = await run(*words)
    for request in impostor.requests:
        assert "Authorization" not in request.headers
        assert not request.path.endswith("prepareToPut")
    if words[0] == "put":
        assert impostor.requests == []
        assert ended.code == 13
        assert "name the server" in ended.err


@pytest.mark.parametrize("words", [["whoami"], ["status"]])
async def test_what_is_no_servers_answer_is_told_in_one_line(
    run: Run, impostor: Impostor, words: list[str]
) -> None:
    ended = await run(*words, "--url", impostor.url)
    assert ended.code == 5, ended.err
    assert ended.err == "mdm: " + ended.err[5:].replace("\n", "") + "\n"
    assert "not understood; is it the URL of an mdm server?" in ended.err


async def test_who_must_show_a_token_to_a_server_that_nobody_named_is_told_to_name_it(
    run: Run, impostor: Impostor, server: Server, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.delenv("MDM_DATA")
    environment.setenv("BEARER_TOKEN", await server.token("l", "/"))
    environment.setattr("mdm_async.client.discovery.DEFAULT_URL", server.url)
    environment.chdir(tmp_path)
    ended = await run("ls", "/")
    assert ended.code == 13
    assert "shown no token" in ended.err
    environment.setenv("MDM_URL", server.url)
    assert (await run("ls", "/")).code == 0


async def test_a_folder_that_others_may_write_to_proves_nothing(run: Run, left: Path) -> None:
    left.chmod(0o777)
    ended = await run("ls", "/", "--data", left)
    assert ended.code == 13
    assert "others than you" in ended.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_anothers_folder_in_roots_way_is_passed_over(
    run: Run, left: Path, impostor: Impostor, environment: pytest.MonkeyPatch
) -> None:
    os.chown(left, 12345, 12345)
    environment.delenv("MDM_DATA")
    environment.chdir(left.parent)
    assert (await run("ping")).text.startswith(impostor.url)
