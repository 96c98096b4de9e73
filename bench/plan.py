"""What a load process is to do, and what it found: passed between processes as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import orjson

from bench.images import Image


@dataclass(slots=True)
class Exchange:
    """A request, and what its answer must be."""

    label: str
    head: str
    """Request line and headers, with the empty line that ends them."""
    image: Image | None = None
    """What is uploaded. The answer must then name its ADLER32, as JSON, or else say `confirms`."""
    size: int | None = None
    """Bytes of the answer's body."""
    tail: int | None = None
    """How many of its last bytes `adler32` covers; None: all."""
    adler32: int | None = None
    parts: list[int] | None = None
    """The ADLER32 of each part of the answer, ascending; they come in any order."""
    confirms: str = ""
    """What the answer to an upload must say."""


@dataclass(slots=True)
class File:
    """A file of the server, and the ADLER32 of the last `tail` bytes of its view."""

    surl: str
    tail: int
    adler32: int


@dataclass(slots=True)
class Cycle:
    """Files to prepare in one request, to get one by one, and to release in one request."""

    files: list[File]
    read: bool = True
    """False: they are only prepared and released."""


@dataclass(slots=True)
class Plan:
    """`connections` take turns at the exchanges: each once, or round and round for `seconds`.

    With `cycles` they prepare, get and release those too, in turn. Before the clock of a timed plan starts, each is
    done once.
    """

    host: str
    port: int
    connections: int
    exchanges: list[Exchange] = field(default_factory=list)
    seconds: float | None = None
    pause: float = 0.0
    """Seconds that a connection waits before it takes the next."""
    rate: float | None = None
    """Exchanges that are due in a second, whoever is free to ask (an open loop): each is timed from when it was due,
    and not from when a connection had time for it. None: each connection asks as soon as it has its answer."""
    cycles: list[Cycle] = field(default_factory=list)
    authorization: str = field(default="", repr=False)

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        tree: dict[str, Any] = orjson.loads(text)
        exchanges = [
            Exchange(**each | {"image": Image(**each["image"]) if each["image"] else None})
            for each in tree.pop("exchanges")
        ]
        cycles = [
            Cycle([File(**file) for file in each["files"]], each["read"]) for each in tree.pop("cycles")
        ]
        return cls(exchanges=exchanges, cycles=cycles, **tree)


@dataclass(frozen=True, slots=True)
class Timing:
    """Percentiles in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    most: float


@dataclass(slots=True)
class Outcome:
    """`requests` answers with files, or to files, all checked, in `seconds`. `volume`: bytes of files, either way."""

    requests: int
    volume: int
    seconds: float
    client_cpu: float
    """CPU seconds of the load process in that time; when it comes near `seconds`, the load is what was measured."""
    wrong: list[str]
    """What answers were not as they must be."""
    whole: dict[str, Timing]
    """By label: until the last byte; of cycles until all of it is done."""
    first: dict[str, Timing]
    """By label: until the first byte."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def megabytes_per_second(self) -> float:
        return self.volume / 1e6 / self.seconds

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        tree: dict[str, Any] = orjson.loads(text)
        for name in ("whole", "first"):
            tree[name] = {label: Timing(**each) for label, each in tree[name].items()}
        return cls(**tree)
