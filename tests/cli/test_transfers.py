"""Many transfers at once: as many as asked for, all outcomes in order, bars that do not hide failures."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from mdm_async import errors
from mdm_async.cli.exit_codes import first_failure
from mdm_async.cli.transfer.meters import Tally, metered
from mdm_async.cli.waiting import Waiting
from mdm_async.client.local_place import place_below
from mdm_async.client.side_by_side import Job, run_all
from mdm_async.names import Lfn


def job(number, running=None, fails=False):
    async def work(on_bytes):
        if running is not None:
            running.append(number)
        await asyncio.sleep(0)
        on_bytes(10)
        if fails:
            raise errors.NotFound(f"number {number}")
        return number

    return Job(f"file {number}", 10, work)


async def jobs_of(jobs):
    for each in jobs:
        yield each


async def test_outcomes_come_in_the_order_of_the_jobs_with_the_first_error_code():
    jobs = [job(n, fails=n in (3, 5)) for n in range(20)]
    outcomes = await run_all(jobs_of(jobs), parallel=4, meter=Tally())
    assert [outcome.name for outcome in outcomes] == [f"file {n}" for n in range(20)]
    assert [outcome.result for outcome in outcomes if outcome.error is None] == [
        n for n in range(20) if n not in (3, 5)
    ]
    assert first_failure(outcome.error for outcome in outcomes) == 3


async def test_no_more_run_at_once_than_asked_for():
    running = high = 0

    async def work(on_bytes):
        nonlocal running, high
        running += 1
        high = max(high, running)
        await asyncio.sleep(0.001)
        running -= 1

    await run_all(jobs_of([Job(str(n), None, work) for n in range(30)]), parallel=3, meter=Tally())
    assert high == 3


async def test_what_is_no_ordinary_failure_stops_all():
    async def broken(on_bytes):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_all(jobs_of([Job("x", None, broken), job(1)]), parallel=2, meter=Tally())


async def test_on_a_terminal_there_are_bars_and_failures_are_still_told():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with metered("and so on", "again", console) as meter:
        jobs = [job(n, fails=n == 2) for n in (0, 1, 2, 3, 3)]
        await run_all(jobs_of(jobs), parallel=2, meter=meter)
    shown = console.file.getvalue()
    assert "5/5 files" in shown
    assert "mdm: file 2: number 2" in shown


@pytest.mark.parametrize("path", ["/other/x", "/vo/../x", "/voice/x", "/vo//x", "/"])
def test_a_server_cannot_choose_where_files_are_written(path):
    with pytest.raises(errors.WrongContent):
        place_below(Path("out"), Lfn("/vo"), Lfn(path))


def test_a_tree_keeps_its_shape():
    assert place_below(Path("out"), Lfn("/vo"), Lfn("/vo/a/b.dcm")) == Path("out/a/b.dcm")
    assert place_below(Path("out"), Lfn("/"), Lfn("/a.dcm")) == Path("out/a.dcm")
    assert place_below(Path("out"), Lfn("/vo/x.dcm"), Lfn("/vo/x.dcm")) == Path("out/x.dcm")


def test_what_files_of_archives_wait_for_is_said_once_until_it_changes(capsys, monkeypatch):
    monkeypatch.setattr("mdm_async.cli.waiting._EVERY", 0)
    waiting = Waiting()
    for why, seconds in (("away", 90), ("away", 85), ("away", None), ("full", None)):
        waiting(errors.NotOnline(why, retry_after=seconds), 5)
    assert capsys.readouterr().err == (
        "mdm: waiting, for the server says: away, in about 0:01:30\nmdm: waiting, for the server says: full\n"
    )


def test_why_a_command_waits_is_said_once_for_many_transfers(capsys):
    waiting = Waiting()
    for _ in range(8):
        waiting(errors.TooManyRequests("files are asked for too fast"), 10.4)
    assert capsys.readouterr().err == (
        "mdm: waiting, for the server says: files are asked for too fast; again in 10 s\n"
    )
