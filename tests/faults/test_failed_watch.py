"""What runs beside the server: when it fails, somebody is told."""

import asyncio

import structlog.testing

from mdm_async.app import _background


async def test_a_watch_that_fails_is_told_of_and_one_that_is_stopped_is_not() -> None:
    async def watch_of_a_name(patient: str) -> None:
        raise LookupError(patient)

    with structlog.testing.capture_logs() as logged:
        async with _background() as beside:
            beside(asyncio.sleep(3600))
            beside(watch_of_a_name("Doe^John"))
            while not logged:  # noqa: ASYNC110
                await asyncio.sleep(0)
    [line] = logged
    assert line["log_level"] == "error"
    assert line["kind"] == "LookupError"
    assert "watch_of_a_name" in line["job"]
    assert "Doe" not in str(line)
