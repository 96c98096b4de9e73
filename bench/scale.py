"""How much a run of the bench does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of the scenarios."""

    rounds: int
    """Of each of the things that are compared, interleaved."""
    seconds: float
    """Of each round."""
    connections: int
    images: int
    """Distinct CTs that are read."""
    uploads: int
    """CTs that are stored."""
    large: int
    """Mebibytes of the large multi-frame file."""
    samples: int
    """Ranges that are read of each file."""
    entries: int
    """Files in the large catalog."""
    siege: float
    """Seconds of the neighbour under each attack, and of calm between them."""
    outstanding: int
    """Requests that an attacker makes and does not release."""


FULL = Scale(
    rounds=3,
    seconds=4,
    connections=32,
    images=64,
    uploads=256,
    large=200,
    samples=1000,
    entries=1_000_000,
    siege=10,
    outstanding=10_000,
)
QUICK = Scale(
    rounds=1,
    seconds=2,
    connections=32,
    images=32,
    uploads=64,
    large=200,
    samples=200,
    entries=100_000,
    siege=5,
    outstanding=10_000,
)
TINY = Scale(
    rounds=1,
    seconds=0.2,
    connections=4,
    images=4,
    uploads=4,
    large=2,
    samples=4,
    entries=3_000,
    siege=0.5,
    outstanding=50,
)
"""For the bench's own test."""
