"""The source of key-encryption keys (KEKs) that custodians hold: until enough of them came, the server is sealed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from mdm_async.errors import Conflict, NotFound, Sealed, Unavailable, WrongKeks
from mdm_async.keys.custody import CustodyShare, joined

_SOON = 2
"""Seconds."""

_OTHERS = (
    "give shares of the key in use; those of a new one above it (mdm keys split --after) alone, without the older "
    "(--drop-older), only once mdm keys rotate has ended that"
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Given:
    """How far the shares of one store's KEKs have come. `split` is '' while there are none."""

    store: str
    split: str
    indices: tuple[int, ...]
    threshold: int
    is_open: bool


@dataclass(slots=True, repr=False, eq=False)
class HeldByCustodians:
    """Of one store; the catalog's own is ''. As a source it gives what the last complete split gave."""

    store: str
    is_right: Callable[[list[bytes]], Awaitable[None]] | None = None
    """Raises WrongKeks when KEKs are not those of the store, before they count; Unavailable when that is not known."""
    name: str = field(init=False)
    how_to_change: str = field(
        init=False,
        default="make shares of a new key above the old one (mdm keys split --after), and unseal with those",
    )
    seconds: float = field(init=False, default=0.0)
    _shares: dict[int, CustodyShare] = field(default_factory=dict)
    _keks: list[bytes] = field(default_factory=list)
    _opened: asyncio.Event = field(default_factory=asyncio.Event)
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.name = f"the custodians of {self.store}" if self.store else "the custodians"

    def check(self) -> None:
        """Whatever they hold, it is seen when they give it."""

    async def read(self) -> list[bytes]:
        """Raises Sealed while too few shares came."""
        if not self._keks:
            raise sealed()
        return list(self._keks)

    async def opened(self) -> None:
        """Returns when enough shares have come for the first time."""
        await self._opened.wait()

    async def take(self, share: CustodyShare) -> None:
        """Once more does nothing. With the last one that it takes, the KEKs are there, and the shares are forgotten.

        Raises Conflict for one of another split than those given, and what `is_right` does. Those that give wrong KEKs
        are forgotten; while nobody can tell, they stay, and any of them may be given again.
        """
        async with self._taking:
            others = next((one.split for one in self._shares.values() if one.split != share.split), None)
            if others is not None:
                raise Conflict(
                    f"this share is of split {share.split}, and those given before are of split {others}",
                    remedy="give shares that were made together; `mdm keys unseal --forget` forgets those given",
                )
            self._shares[share.index] = share
            if len(self._shares) < share.threshold:
                return
            keks, indices = joined(list(self._shares.values())), sorted(self._shares)
            if self.is_right is not None:
                try:
                    await self.is_right(keks)
                except WrongKeks as why:
                    self.forget()
                    raise WrongKeks(why.detail, remedy=_OTHERS) from None
            self.forget()
            self._keks = keks
            self._opened.set()
            _log.warning(
                "custodians gave a key-encryption key", of=self.name, split=share.split, shares=indices
            )

    def forget(self) -> None:
        """The shares that came so far."""
        self._shares.clear()

    def given(self) -> Given:
        any_share = next(iter(self._shares.values()), None)
        split, threshold = ("", 0) if any_share is None else (any_share.split, any_share.threshold)
        return Given(self.store, split, tuple(sorted(self._shares)), threshold, bool(self._keks))


class Custodians:
    """Of all stores of a server."""

    def __init__(self, sources: Sequence[HeldByCustodians]) -> None:
        self._sources = {source.store: source for source in sources}
        self.waits: Unavailable | None = None
        """Why a server whose custodians have come does not serve yet."""

    def __bool__(self) -> bool:
        return bool(self._sources)

    async def take(self, share: CustodyShare) -> None:
        """Raises NotFound, and as that of its store."""
        if share.store not in self._sources:
            raise NotFound(
                f"custodians hold no key-encryption key of {share.store or 'the catalog itself'} here",
                remedy="set kek_custodians = true where they do",
            )
        await self._sources[share.store].take(share)

    def forget(self) -> None:
        for source in self._sources.values():
            source.forget()

    def given(self) -> list[Given]:
        return [source.given() for source in self._sources.values()]

    async def opened(self) -> None:
        for source in self._sources.values():
            await source.opened()

    def refusal(self) -> Unavailable:
        """What everybody is told by a server that does not serve yet."""
        if not all(source.given().is_open for source in self._sources.values()):
            return sealed()
        if self.waits is None:
            return Unavailable(
                "the server is unsealed, and starts", remedy="try again soon", retry_after=_SOON
            )
        return Unavailable(
            "the server is unsealed, and waits for databases that hold its keys",
            remedy="it goes on by itself when they are back; mdm keys unseal on its own machine says what is missing",
            retry_after=_SOON,
        )


def sealed() -> Sealed:
    return Sealed(remedy="its key's custodians unseal it: mdm keys unseal SHARE.age … on its own machine")
