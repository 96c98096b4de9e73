"""A request that takes long: meanwhile the peer may cancel it, answer what it is sent, or go away."""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mdm_async.pacs.dimse.answers import UNFIT, Unfit
from mdm_async.pacs.dimse.commands import C_CANCEL, N_EVENT_REPORT, RESPONSE, Command
from mdm_async.pacs.dimse.messages import Messages
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.wire import Silent

T = TypeVar("T")


class BrokenOff(Exception):
    """What has begun to be sent cannot be sent to its end: only the end of the association tells the peer so."""


@dataclass(eq=False, slots=True)
class Operation:
    """One at a time in an association (PS3.7 §D.3.3.3, which is not negotiated here)."""

    messages: Messages
    request: Command
    cancelled: bool = field(default=False, init=False)
    _awaited: tuple[int, asyncio.Future[int]] | None = field(default=None, init=False)

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to, while the peer is listened to. It is cancelled when the peer ends the association.

        Raises as `Messages.command`, and as `work`.
        """
        loop = asyncio.get_running_loop()
        working = loop.create_task(work)
        hearing: asyncio.Task[None] | None = None
        try:
            while True:
                hearing = loop.create_task(self.messages.wire.hear())
                await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
                hearing.result()
                _, command = await self.messages.command()
                self._take(command)
        finally:
            for task in (working, hearing):
                if task is not None:
                    task.cancel()
            await asyncio.gather(
                *(one for one in (working, hearing) if one is not None), return_exceptions=True
            )

    def _take(self, command: Command) -> None:
        if command.field == C_CANCEL:
            self.cancelled |= command.answered == self.request.id
        elif command.field & RESPONSE and self._awaited is not None and command.answered == self._awaited[0]:
            if command.has_data_set:
                raise Broken(AbortReason.UNEXPECTED_PARAMETER, "a data set behind an answer that has none")
            if not self._awaited[1].done():
                self._awaited[1].set_result(command.status)
        elif command.field == N_EVENT_REPORT | RESPONSE and not command.has_data_set:
            pass  # To a report that was sent before; nothing depends on it.
        else:
            raise Broken(
                AbortReason.UNEXPECTED_PARAMETER, "another request, or an answer to none, inside one"
            )

    def await_answer(self, id_: int) -> asyncio.Future[int]:
        """The status of the answer to a request of ours, from before that is sent."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._awaited = id_, future
        return future

    async def answered(self, awaited: asyncio.Future[int]) -> int:
        """Raises Silent."""
        try:
            async with asyncio.timeout(self.messages.wire.idle):
                return await awaited
        except TimeoutError:
            raise Silent from None
        finally:
            self._awaited = None


async def whole_data_set(messages: Messages, most: int, status: int = UNFIT) -> bytes:
    """That of the last command. Raises Unfit, with this status, where it has more than so many bytes."""
    whole = bytearray()
    async with aclosing(messages.data_set()) as chunks:
        async for chunk in chunks:
            whole += chunk
            if len(whole) > most:
                raise Unfit(f"the data set has more than {most >> 10} KiB", status)
    return bytes(whole)
