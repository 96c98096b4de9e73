"""Third-party copies with servers that are not ours, asked for by curl and gfal2."""

import asyncio
import base64
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import running_server
from tests.identity.grid_pki import dn
from tests.interop.grid_tools import GridTools, Ran, demand
from tests.interop.rig import HOME, RIGHTS
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests

USER, PASSWORD = "ada", "of-the-other-server"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def _running(port: int, *command: str) -> AsyncIterator[None]:
    """A server of somebody else's, once it listens."""
    demand(command[0])
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None, f"{command[0]} has ended"
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        yield
    finally:
        process.terminate()
        await process.wait()


def _nginx(folder: Path, port: int, certificate: Path) -> Path:
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
  uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate};
    location / {{ root {folder}/files; dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
""")
    return folder / "nginx.conf"


@dataclass
class Others:
    """`second`: another server of ours, which may copy from and to the first one, rclone and nginx."""

    first: GridTools
    second: GridTools
    rclone: str
    nginx: str
    rclone_files: Path
    nginx_files: Path

    async def curl(self, path: str, *headers: str) -> Ran:
        """A COPY at the second server, by the user's proxy."""
        lines = [part for header in headers for part in ("-H", header)]
        trust = ["--capath", str(self.first.grid.authorities), "--cert", str(self.first.proxy)]
        url = self.second.https(f"/dav{path}")
        return await self.second.well("curl", "-sS", *trust, "-X", "COPY", *lines, url)


@pytest.fixture(scope="module")
async def others(
    grid_tools: GridTools, postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Others]:
    folder = tmp_path_factory.mktemp("copies")
    certificate = grid_tools.grid.host.write(folder / "host.pem")
    rclone_port, nginx_port = _free_port(), _free_port()
    for name in ("rclone", "files", "temp"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            _running(
                rclone_port,
                *("rclone", "serve", "webdav", "--addr", f"127.0.0.1:{rclone_port}"),
                *("--cert", str(certificate), "--key", str(certificate)),
                *("--user", USER, "--pass", PASSWORD, str(folder / "rclone")),
            )
        )
        await stack.enter_async_context(
            _running(
                nginx_port, "nginx", "-p", str(folder), "-c", str(_nginx(folder, nginx_port, certificate))
            )
        )
        server = await stack.enter_async_context(
            running_server(
                folder / "data",
                await postgres.fresh_database(migrated),
                identity={
                    "ca_directory": grid_tools.grid.authorities,
                    "voms_directory": grid_tools.grid.vos,
                },
                server={"tls_cert": certificate, "tls_key": certificate},
                copy={
                    "hosts": [
                        grid_tools.host,
                        *(f"localhost:{port}" for port in (rclone_port, nginx_port)),
                    ],
                    "networks": ["127.0.0.0/8"],
                },
            )
        )
        await server.srm("mkdir", surl=HOME)
        for path, rights in ((HOME, RIGHTS), ("/", "x")):
            rule = {"principal": f"dn:{dn('Ada User')}", "rights": rights}
            await server.srm("setPermission", surls=[path], permissionType="ADD", rules=[rule])
        second = GridTools(server, grid_tools.grid, grid_tools.home, grid_tools.proxy)
        urls = [f"https://localhost:{port}" for port in (rclone_port, nginx_port)]
        yield Others(grid_tools, second, *urls, folder / "rclone", folder / "files")


def succeeded(ran: Ran) -> bool:
    return re.search(r"^success: Created$", ran.out, re.MULTILINE) is not None


async def test_curl_has_a_file_pulled_from_rclone_and_pushed_to_it(others: Others, ct: bytes) -> None:
    (others.rclone_files / "in.dcm").write_bytes(ct)
    auth = f"TransferHeaderAuthorization: {BASIC}"
    ran = await others.curl(f"{HOME}/rclone.dcm", f"Source: {others.rclone}/in.dcm", auth)
    assert succeeded(ran), str(ran)
    served = await others.second.server.read(f"{HOME}/rclone.dcm")
    ran = await others.curl(f"{HOME}/rclone.dcm", f"Destination: {others.rclone}/out.dcm", auth)
    assert succeeded(ran), str(ran)
    assert (others.rclone_files / "out.dcm").read_bytes() == served
    # By the wrong password nothing comes, and nothing of it is told.
    ran = await others.curl(
        f"{HOME}/none.dcm", f"Source: {others.rclone}/in.dcm", "TransferHeaderAuthorization: Basic x"
    )
    assert "failure: the source answered 401" in ran.out, str(ran)


async def test_curl_has_a_file_pulled_from_nginx_and_pushed_to_it(others: Others, ct: bytes) -> None:
    (others.nginx_files).mkdir(exist_ok=True)
    (others.nginx_files / "in.dcm").write_bytes(ct)
    ran = await others.curl(f"{HOME}/nginx.dcm", f"Source: {others.nginx}/in.dcm")
    assert succeeded(ran), str(ran)
    served = await others.second.server.read(f"{HOME}/nginx.dcm")
    ran = await others.curl(f"{HOME}/nginx.dcm", f"Destination: {others.nginx}/new/out.dcm", "Overwrite: F")
    assert succeeded(ran), str(ran)
    assert (others.nginx_files / "new/out.dcm").read_bytes() == served
    ran = await others.curl(f"{HOME}/nginx.dcm", f"Destination: {others.nginx}/new/out.dcm", "Overwrite: F")
    assert "failure: the other server has a file of that name" in ran.out, str(ran)
    ran = await others.curl(
        f"{HOME}/none.dcm", f"Source: {others.nginx}/in.dcm", "RequireChecksumVerification: true"
    )
    assert "failure: the source tells no digest" in ran.out, str(ran)


async def test_curl_has_a_file_copied_from_one_server_of_ours_to_another(others: Others, ct: bytes) -> None:
    first, second = others.first.server, others.second.server
    await first.put(f"{HOME}/there.dcm", ct)
    token = await first.token("pdrwlxgs", HOME)
    auth = f"TransferHeaderAuthorization: Bearer {token}"
    ran = await others.curl(
        f"{HOME}/pulled.dcm",
        f"Source: {others.first.https(f'/dav{HOME}/there.dcm')}",
        auth,
        "RequireChecksumVerification: true",
    )
    assert succeeded(ran), str(ran)
    assert await second.read(f"{HOME}/pulled.dcm")


async def test_gfal_copies_between_servers_by_srm_through_itself(others: Others, ct: bytes) -> None:
    """It asks for transfer URLs to be copied first, cleans up, and then gets and puts by those very URLs."""
    await others.first.server.put(f"{HOME}/srm.dcm", ct)
    target = others.second.srm(f"{HOME}/srm.dcm")
    ran = await others.first.run("gfal-copy", "-v", others.first.srm(f"{HOME}/srm.dcm"), target)
    assert (ran.code, "TRANSFER:TYPE\tstreamed" in ran.said) == (0, True), str(ran)
    assert await others.second.server.read(f"{HOME}/srm.dcm")


@pytest.mark.parametrize("mode", ["pull", "push"])
async def test_gfal_has_servers_copy_by_macaroons_that_it_gets_of_both(
    others: Others, ct: bytes, mode: str
) -> None:
    source, target = (others.first, others.second) if mode == "pull" else (others.second, others.first)
    await source.server.put(f"{HOME}/{mode}.dcm", ct)
    ran = await others.first.run(
        *("gfal-copy", "-v", "-p", "-K", "ADLER32", "--copy-mode", mode),
        *(source.davs(f"{HOME}/{mode}.dcm"), target.davs(f"{HOME}/by/{mode}.dcm")),
    )
    assert (ran.code, f"TRANSFER:TYPE\t3rd {mode}" in ran.said) == (0, True), str(ran)
    assert await target.server.read(f"{HOME}/by/{mode}.dcm")


async def test_what_was_pushed_to_a_server_of_ours_is_verified_by_size_and_digest(
    others: Others, ct: bytes
) -> None:
    first, second = others.first.server, others.second.server
    await second.put(f"{HOME}/verified.dcm", ct)
    token = await first.token("pdrwlxgs", HOME)
    ran = await others.curl(
        f"{HOME}/verified.dcm",
        f"Destination: {others.first.https(f'/dav{HOME}/verified.dcm')}",
        f"TransferHeaderAuthorization: Bearer {token}",
        "RequireChecksumVerification: true",
    )
    assert succeeded(ran), str(ran)
    assert await first.read(f"{HOME}/verified.dcm")
