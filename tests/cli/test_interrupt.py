"""Ctrl-C: exit code 130, and what was pulled is not lost."""

import asyncio
import os
import signal

import orjson
import pytest

from tests.cli.conftest import command
from tests.client.fake_server import TOKEN, fake_server
from tests.patience import PATIENCE


@pytest.mark.usefixtures("environment")
async def test_an_interrupted_get_ends_with_130_and_is_resumed_by_the_next(tmp_path):
    image = os.urandom(3_000_000)
    async with fake_server() as fake:
        fake.files["/a.dcm"] = image
        fake.faults.stall_at = 2_000_000
        environment = os.environ | {"MDM_URL": fake.url, "BEARER_TOKEN": TOKEN}
        arguments = command("get", "/a.dcm", tmp_path / "a.dcm", "--json")
        process = await asyncio.create_subprocess_exec(
            *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        part = tmp_path / "a.dcm.part"
        async with asyncio.timeout(PATIENCE):
            while not part.exists() or part.stat().st_size < 1_500_000:  # noqa: ASYNC110 — a file has no event
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
        assert process.returncode == 130
        assert err.startswith(
            b"mdm: interrupted; 0 of 1 files begun are done, and of others what came is kept; "
        )
        assert err.endswith(b"; the same command goes on from there\n")
        assert orjson.loads(out)["error"]["exit"] == 130

        fake.faults.stall_at = None
        process = await asyncio.create_subprocess_exec(
            *arguments, env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert b'"resumed":0' not in out
        assert (tmp_path / "a.dcm").read_bytes() == image


@pytest.mark.usefixtures("environment")
async def test_any_command_says_that_it_was_interrupted():
    asked = asyncio.Event()

    async def never(reader, writer):
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *command("ls", "/", "--url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        await asked.wait()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    server.close()
    assert (process.returncode, out, err) == (130, b"", b"mdm: interrupted\n")
