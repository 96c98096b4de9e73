"""The chain of seals: each signed by a key that is believed, each naming the one before."""

from typing import NamedTuple

from mdm_async.audit.findings import Verdict
from mdm_async.audit.keys import Keys
from mdm_async.audit.rows import moment
from mdm_async.audit.seals import Seal, is_signed, line_hash


class Missing(NamedTuple):
    """Seals that nobody has, before one that calls the last of them by its `hash`."""

    first: int
    last: int
    before: int
    second: str
    hash: str


class Chain:
    """Takes seals in the order of their numbers, and finds what does not hold together.

    `after`: the number of the seal that the chain goes on from; None when it must begin with the first.
    """

    def __init__(self, keys: Keys, verdict: Verdict, after: int | None) -> None:
        self._keys, self._verdict = keys, verdict
        self._number = after if after is not None else 0
        self._hash: str | None = None if after else ""
        self._installation: str | None = None
        self.missing: Missing | None = None
        """Seals before the first that there is, which may have been pruned."""

    def known(self, text: str) -> None:
        """The line of the seal to go on from, not to be verified itself."""
        self._hash = line_hash(text)

    @property
    def hash(self) -> str | None:
        """By which the next seal must call the last one."""
        return self._hash

    def find_missing(self) -> None:
        """Those at the beginning were not pruned."""
        if self.missing is not None:
            gap = _numbers(self.missing.first, self.missing.last)
            what = f"{gap} before it: nobody has them any more"
            self._verdict.find("missing", self.missing.before, self.missing.second, what)

    def take(self, seal: Seal, text: str) -> None:
        number, second = seal.seal, moment(seal.at)
        if not is_signed(text, self._keys):
            known = seal.key in self._keys
            self._verdict.find(
                "forged", number, second,
                "its signature is wrong" if known else f"it is signed by a key that was not given: {seal.key}",
            )  # fmt: skip
        if self._installation not in (None, seal.installation):
            self._verdict.find("forged", number, second, "it belongs to another installation")
        if number > self._number + 1 and not self._verdict.seals:
            self.missing = Missing(self._number + 1, number - 1, number, second, seal.previous)
        elif number > self._number + 1:
            gap = _numbers(self._number + 1, number - 1)
            self._verdict.find("missing", number, second, f"{gap} before it: nobody has them any more")
        elif self._hash not in (None, seal.previous):
            self._verdict.find("reordered", number, second, "the seal before it is not the one that it names")
        self._installation = self._installation or seal.installation
        self._number, self._hash = number, line_hash(text)
        self._verdict.seals += 1
        self._verdict.last, self._verdict.until = number, second


def _numbers(first: int, last: int) -> str:
    return f"seal {first}" if first == last else f"seals {first} to {last}"
