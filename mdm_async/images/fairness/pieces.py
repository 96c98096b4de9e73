"""A request's files, piece by piece, each when it is its turn."""

from collections.abc import Awaitable, Callable

from mdm_async.images.fairness.turns import Turns
from mdm_async.names import Payer


async def in_pieces(
    turns: Turns,
    payer: Payer,
    files: int,
    work: Callable[[range], Awaitable[None]],
    *,
    begun: bool = False,
) -> None:
    """Do this with the items 0 ≤ i < files, a range of them in each turn.

    Raises TooManyRequests before the first of them, unless other work on this request was `begun` before.
    """
    start = 0
    while start < files:
        stop = min(files, start + turns.size(payer))
        async with turns.turn(payer, stop - start, first=not (start or begun)):
            await work(range(start, stop))
        start = stop
