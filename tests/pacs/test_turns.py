"""However much a peer has sent ahead, others have their turn while it is read."""

import asyncio

import pytest

from mdm_async.pacs.dimse.messages import Messages
from mdm_async.pacs.dimse.wire import Wire
from tests.pacs.devices import echo_command, p_data, store_command


class _Nowhere(asyncio.Transport):
    """Nothing is sent; only reading is tested."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass


def messages(sent: bytes) -> Messages:
    """Of a peer that has sent all of that."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    reader.feed_data(sent)
    writer = asyncio.StreamWriter(_Nowhere(), asyncio.StreamReaderProtocol(reader), reader, loop)
    return Messages(Wire(reader, writer, idle=60, pace=60, slowest=0))


async def echoes(peer: Messages) -> None:
    for _ in range(1000):
        await peer.command()


async def crumbs(peer: Messages) -> None:
    await peer.command()
    await peer.skip_data_set()


async def kept_crumbs(peer: Messages) -> None:
    await peer.command()
    async for _ in peer.data_set():
        pass


STORE = p_data(1, 3, store_command("1.2.3"))
CRUMBS = STORE + p_data(1, 0, b"x") * 1000 + p_data(1, 2, b"")


@pytest.mark.parametrize(
    ("sent", "read"),
    [(p_data(1, 3, echo_command()) * 1000, echoes), (CRUMBS, crumbs), (CRUMBS, kept_crumbs)],
    ids=["echoes", "skipped crumbs", "crumbs"],
)
async def test_others_have_their_turn(sent: bytes, read: object) -> None:
    turns, ended = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await read(messages(sent))  # type: ignore[operator]
    ended.set()
    await beside
    assert turns >= 3000 // 40
