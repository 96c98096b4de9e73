"""Nobody's body, and nobody's head, takes the server's memory or its time from others.

Before: ten gzip bombs: /health/live after 18 s, another caller waited 26 s, +437 MiB; 200 halves of bodies: +4.4 GB,
held for ever; 16 MiB of `{"surl":"/a"}`: every client stood still 3.3 s, 1.0 GB resident; of names to ls: 0.5 s.
"""

import pytest

from tests.siege import attacks_bodies as attacks
from tests.siege.besieged import Besieged
from tests.siege.soak import Attack

_MIB = 1 << 20


@pytest.mark.parametrize(
    ("attack", "memory"),
    [
        (attacks.bombs, 100),
        (attacks.halves_of_nobody, 300),
        (attacks.halves_in_chunks, 300),
        (attacks.halves_of_one_who_may, 400),
        (attacks.very_many_values, 400),
        (attacks.hostile_xml, 500),
        (attacks.longest_requests, 600),
        (attacks.heads_without_end, 100),
        (attacks.names_of_nobody, 200),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
async def test_bodies_and_heads_hold_nobody_up(castle: Besieged, attack: Attack, memory: int) -> None:
    before = castle.resident
    async with castle.neighbour.served_well(stall=8):
        await attack(castle)
    assert castle.resident < before + memory * _MIB
