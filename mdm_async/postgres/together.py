"""What many ask at the same time, asked in one statement: what it costs falls with their number.

Alone nobody waits for others. While a round runs, those who come gather for the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import asyncpg

from mdm_async.errors import MdmError
from mdm_async.postgres.turns import as_nobody

_LONG: Final = 0.05
"""Seconds after which a round is waited for no longer: something holds it up that may be of one of them alone."""
_AT_ONCE: Final = 4
"""Rounds, of which all but one take long."""

Asked = TypeVar("Asked")
Told = TypeVar("Told")


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Asked, Told]):
    asked: Sequence[Asked]
    told: "asyncio.Future[Sequence[Told]]"


class Together(Generic[Asked, Told]):
    """`answer`: of each of these things its answer, in order. How many wait is for those to bound who let them ask."""

    def __init__(self, answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Told]]]) -> None:
        self._answer = answer
        self._waiting: list[_Waiting[Asked, Told]] = []
        self._rounds: set[asyncio.Task[None]] = set()
        self._awaited: list[_Waiting[Asked, Told]] | None = None
        """Those of the round that does not take long yet."""

    async def ask(self, asked: Sequence[Asked]) -> Sequence[Told]:
        """The answers to these, which are looked for after this was asked. Raises as `answer`: an MdmError is for all
        who ask together, and whatever else it may be for the one whose things make it fail."""
        mine = _Waiting[Asked, Told](asked, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._begin()
        return await mine.told

    def _begin(self) -> None:
        if self._waiting and self._awaited is None and len(self._rounds) < _AT_ONCE:
            self._awaited = self._waiting
            self._rounds.add(as_nobody(self._round(self._awaited)))

    async def _round(self, gathered: list[_Waiting[Asked, Told]]) -> None:
        # Only now: those who have come since the last round was over are in it.
        self._waiting = []
        late = asyncio.get_running_loop().call_later(_LONG, self._go_on, gathered)
        try:
            await self._tell([one for one in gathered if not one.told.done()])
        finally:
            late.cancel()
            for one in gathered:
                one.told.cancel()
            if (ended := asyncio.current_task()) is not None:
                self._rounds.discard(ended)
            self._go_on(gathered)

    def _go_on(self, after: list[_Waiting[Asked, Told]]) -> None:
        if self._awaited is after:
            self._awaited = None
        self._begin()

    async def _tell(self, gathered: Sequence[_Waiting[Asked, Told]]) -> None:
        try:
            told = await self._answer([item for one in gathered for item in one.asked])
        except Exception as why:
            if len(gathered) == 1 or (isinstance(why, MdmError) and not _met_another_change(why)):
                for one in gathered:
                    _fail(one, why)
                return
            for one in gathered:
                await self._tell([one])
        else:
            start = 0
            for one in gathered:
                if not one.told.done():
                    one.told.set_result(told[start : start + len(one.asked)])
                start += len(one.asked)


def _met_another_change(why: MdmError) -> bool:
    return isinstance(why.__cause__, asyncpg.DeadlockDetectedError)


def _fail(one: _Waiting[Asked, Told], why: Exception) -> None:
    if not one.told.done():
        one.told.set_exception(why)
