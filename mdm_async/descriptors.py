"""The process's limit of open files: raised to what a node needs, and connections kept below what it allows."""

import os
import resource
from dataclasses import dataclass
from typing import Self

_EACH = 3
"""Descriptors of a connection whose transfer runs: its own, a duplicate for sendfile, a blob."""
_OTHERS = 256
"""For logs, listeners, pipes, processes, files that are looked at for a moment."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """What the operating system gives: `connections` of the `wanted` may be open at once."""

    most: int
    wanted: int
    connections: int

    @classmethod
    def raised(cls, connections: int, transfers: int, database: int) -> Self:
        """The soft limit becomes what so many connections, transfers at once and connections to Postgres need, or as
        much of that as the hard limit allows."""
        needed = connections + (_EACH - 1) * min(transfers, connections) + database + _OTHERS
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = soft if soft >= needed else min(needed, hard)
        if most > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return cls(most, connections, cls._within(most, connections, transfers, database))

    @staticmethod
    def _within(most: int, connections: int, transfers: int, database: int) -> int:
        """As many connections as leave room for the files of their transfers, and for all else."""
        left = most - database - _OTHERS
        some = max(left // _EACH, left - (_EACH - 1) * transfers, 1)
        return min(connections, some)

    @staticmethod
    def used() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - hundreds of paths would be made to be counted
