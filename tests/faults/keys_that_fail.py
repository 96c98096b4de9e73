"""A key store whose calls fail when a test says so: before they are done, or after, as when the answer is lost."""

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

from mdm_async.errors import Unavailable
from mdm_async.keys.store import Forgotten, Intent, Secrets
from mdm_async.keys.wrapped import WrappedKeys


class KeysThatFail(WrappedKeys):
    """Ours, with faults: names of calls that fail."""

    _before: frozenset[str] = frozenset()
    _after: frozenset[str] = frozenset()

    def fail(self, *, before: Collection[str] = (), after: Collection[str] = ()) -> None:
        self._before, self._after = frozenset(before), frozenset(after)

    async def register(self, secrets: Mapping[UUID, Secrets]) -> None:
        await self._failing(super().register, secrets)

    async def confirm(self, registrations: Collection[UUID]) -> None:
        await self._failing(super().confirm, registrations)

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        found: list[Intent] = await self._failing(super().unconfirmed, age, count)
        return found

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        forgotten: Forgotten = await self._failing(super().forget, registrations)
        return forgotten

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        await self._failing(super().forget_lapsed, registrations, age)

    async def _failing(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if call.__name__ in self._before:
            raise Unavailable("the key store is away")
        answer = await call(*arguments)
        if call.__name__ in self._after:
            raise Unavailable("the key store is away")
        return answer
