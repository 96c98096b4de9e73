"""How near a limit is, for those who run a server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Near:
    """A limit's setting, as `limits.held`; how much of it is used now on this node, and the most that may be."""

    setting: str
    used: int
    most: int
