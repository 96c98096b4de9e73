"""Scrubbing processes that die: the job is tried once more; at worst its view is refused, and never the upload."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mdm_async.dicom import profile
from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.errors import ScrubRefused
from mdm_async.images.views.scrub_jobs import Begin
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.settings import ScrubSettings
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

MIB = 1 << 20


@pytest.fixture
async def scrubbing(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A server that scrubs everything in processes of their own."""
    dsn = await postgres.fresh_database(migrated)
    sections = {"scrub": {"in_process": 0}, "delivery": {"identified": "clear"}}
    async with running_server(tmp_path / "data", dsn, **sections) as server:
        yield server


def workers() -> list[psutil.Process]:
    """The scrubbing processes of this server."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # gone meanwhile
            if "confined.template" in " ".join(process.cmdline()) and process.ppid() != os.getpid():
                found.append(process)
    return found


def _limit_memory(server: Server, limit: int) -> None:
    """Below what settings allow, so that a head which is stored quickly is too large."""
    scrubber = server.house.workshop.scrubber
    scrubber.settings = scrubber.settings.model_copy(update={"memory": limit})


async def state(server: Server, surl: str) -> tuple[str, str]:
    tree = await server.srm("ls", surls=[surl])
    (line,) = tree["files"]
    return line["viewState"], line.get("viewReason", "")


async def test_a_head_beyond_the_limits_is_refused_and_the_next_is_scrubbed(scrubbing: Server) -> None:
    _limit_memory(scrubbing, 192 * MIB)
    heavy = made(head=60_000_000)
    await scrubbing.put("/heavy.dcm", heavy)
    held, reason = await state(scrubbing, "/heavy.dcm")
    assert held == "refused"
    assert "too large to scrub" in reason
    token = await scrubbing.token("pdrwlxgsi")
    assert await scrubbing.read("/heavy.dcm", view="identified", token=token) == heavy
    refused = await scrubbing.srm("prepareToGet", expect=409, files=[{"surl": "/heavy.dcm"}])
    assert "too large to scrub" in refused["files"][0]["status"]["explanation"]
    await scrubbing.put("/light.dcm", made())
    assert await state(scrubbing, "/light.dcm") == ("ready", "")


async def test_a_process_killed_between_jobs_refuses_nothing(scrubbing: Server) -> None:
    for turn in range(3):
        surl = f"/{turn}.dcm"
        await scrubbing.put(surl, made(seed=turn))
        assert await state(scrubbing, surl) == ("ready", "")
        assert workers()
        for process in workers():
            process.kill()
        await until(lambda: not workers())


async def test_a_process_killed_at_its_job_harms_no_upload(scrubbing: Server) -> None:
    """Some views may be refused; every upload succeeds, and so does the next view."""
    await scrubbing.put("/first.dcm", made())
    stop = asyncio.Event()

    async def kill() -> None:
        while not stop.is_set():
            for process in workers():
                process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.02)

    killing = asyncio.ensure_future(kill())
    for turn in range(4):
        await scrubbing.put(f"/{turn}.dcm", made(seed=turn, head=2 * MIB))
        held, reason = await state(scrubbing, f"/{turn}.dcm")
        assert held == "ready" or "too large to scrub" in reason
    stop.set()
    await killing
    await scrubbing.put("/last.dcm", made(seed=9))
    assert await state(scrubbing, "/last.dcm") == ("ready", "")


async def test_sigterm_to_the_processes_refuses_nothing(scrubbing: Server) -> None:
    """As `systemctl stop` sends it to the whole control group, while the server drains."""
    await scrubbing.put("/first.dcm", made())
    running = workers()
    assert running
    stop = asyncio.Event()

    async def terminate() -> None:
        while not stop.is_set():
            for process in running:
                process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.005)

    terminating = asyncio.ensure_future(terminate())
    for turn in range(4):
        await scrubbing.put(f"/{turn}.dcm", made(seed=turn, head=2 * MIB))
        assert await state(scrubbing, f"/{turn}.dcm") == ("ready", "")
    stop.set()
    await terminating
    assert all(process.is_running() for process in running)


@pytest.mark.parametrize("in_process", [0, MIB], ids=["in a process", "in a thread"])
async def test_a_mistake_of_ours_refuses_the_view_and_tells_nothing_of_the_file(
    in_process: int, ct: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    splitter = Splitter()
    head = b"".join(bytes(piece.data) for piece in splitter.feed(ct) if piece.kind is Kind.HEAD)
    no_key = Begin(profile.basic(), b"", head)
    with (
        Scrubber(ScrubSettings(in_process=in_process)) as scrubber,
        pytest.raises(ScrubRefused, match="scrubbing failed unexpectedly"),
    ):
        await scrubber.run(no_key)
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "CompressedSamples" not in said


async def test_uploads_beyond_the_queue_are_answered_429_and_can_come_again(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    """All heads are large ones here, and one may wait."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, scrub={"in_process": 0, "queue": 1}) as server:
        surls = [f"/{number}.dcm" for number in range(8)]
        prepared = await server.srm("prepareToPut", files=[{"surl": surl} for surl in surls])
        urls = [line["transferURL"] for line in prepared["files"]]
        data = [made(seed=number, head=2 * MIB) for number in range(8)]
        answers = await asyncio.gather(
            *[server.call("PUT", url, data=one) for url, one in zip(urls, data, strict=True)]
        )
        assert {answer.status for answer in answers} == {201, 429}
        late = [answer for answer in answers if answer.status == 429]
        assert all(answer.headers["Retry-After"] for answer in late)
        for url, one, answer in zip(urls, data, answers, strict=True):
            if answer.status == 429:
                assert (await server.call("PUT", url, data=one)).status == 201
