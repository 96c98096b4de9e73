"""What is asked of a third-party copy, whatever face it was asked by."""

from dataclasses import dataclass
from enum import StrEnum

from mdm_async.web.copying.carried import Headers
from mdm_async.web.copying.other_side import OtherSide


class Direction(StrEnum):
    PULL = "pull"
    """From the other server."""
    PUSH = "push"
    """To it."""


@dataclass(frozen=True, slots=True)
class CopyAsk:
    """A file here, by its SURL, and a file on another server. `headers` are sent to that server (`carried`).

    `digest_required`: True refuses a file of which the other server tells no digest; False takes one of which it tells
    not even a size. What it tells is compared in any case.
    """

    direction: Direction
    surl: str
    other: OtherSide
    headers: Headers = ()
    overwrite: bool = True
    digest_required: bool | None = None
