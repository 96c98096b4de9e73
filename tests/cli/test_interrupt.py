"""Ctrl-C: exit code 130, and what was pulled is not lost."""

import asyncio
import os
import signal

import orjson
import pytest

from tests.cli.conftest import command
from tests.client.fake_server import TOKEN, fake_server


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
        async with asyncio.timeout(60):
            while not part.exists() or part.stat().st_size < 1_500_000:  # noqa: ASYNC110 — a file has no event
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
        assert (process.returncode, err) == (130, b"mdm: interrupted\n")
        assert orjson.loads(out)["error"]["exit"] == 130

        fake.faults.stall_at = None
        process = await asyncio.create_subprocess_exec(
            *arguments, env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert b'"resumed":0' not in out
        assert (tmp_path / "a.dcm").read_bytes() == image
