"""How far one copy is, for whoever asked for it."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """`total` and `remote` (address and port) once they are known. `begun`: what can be refused here is not."""

    bytes: int = 0
    total: int | None = None
    remote: tuple[str, int] | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
