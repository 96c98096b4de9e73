"""Verification: the trail as the database tells it, held against the seals as they were published.

Published seals are believed before the database's; where they are silent, the database's own must fit into their
chain. So whoever owns the database can hide nothing that was published.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from mdm_async.audit.chain import Chain
from mdm_async.audit.findings import Verdict
from mdm_async.audit.keys import Keys
from mdm_async.audit.pruned import ACT, DETAIL, Pruned
from mdm_async.audit.published import Published
from mdm_async.audit.rows import Row, moment
from mdm_async.audit.sealed_rows import SealedRows
from mdm_async.audit.seals import Seal, line_hash
from mdm_async.errors import BadSeal

OVERDUE: Final = 10 * 1_000_000
"""Microseconds after which a row should have been sealed."""
_SEEN: Final = 10_000


class _Beginning(NamedTuple):
    """Published seals, the first and the last, before all that the database has; `hash` is that of the last line."""

    seals: tuple[Seal, ...]
    rows: int
    hash: str


class Verifier:
    """Takes a trail in order: each seal, then the rows that bear its number, by id; unsealed rows last.

    `published` may be without an end that the database has already, and without a beginning. `after`: the seal that
    the trail goes on from; it is believed. `now`: the database's time (microseconds) when the trail was told.
    `horizon`: its last seal then, when seals may have been published since.
    """

    def __init__(
        self,
        keys: Keys,
        published: Iterable[Published] | None,
        *,
        now: int,
        after: int | None = None,
        horizon: int | None = None,
    ) -> None:
        self.verdict = Verdict()
        self._chain = Chain(keys, self.verdict, after)
        self._after, self._now, self._horizon = after or 0, now, horizon
        self._silent = published is None
        self._published = self._in_order(published or ())
        self._ahead = next(self._published, None)
        self._gone: list[Seal] = []
        self._gone_rows = 0
        self._beginning: _Beginning | None = None
        self._pruned_seals = 0
        """Published ones: they were looked at, and no row is under them any more."""
        self._is_told = False
        """The database has told a seal, or a row under one."""
        self._keys = keys
        self._group: SealedRows | None = None
        self._group_number = 0
        self._stored: tuple[str, bytes] | None = None
        self._first_at = now
        """When the first seal was made that is not published."""

    def seal(self, number: int, text: str, index: bytes) -> None:
        """A seal as the database has it, with its row index."""
        self._begin(number)
        self._stored = text, index

    def row(self, row: Row, seal: int | None) -> None:
        if row["act"] == ACT:
            self._note_pruning(row)
        if seal is None:
            self.verdict.unsealed += 1
            self.verdict.overdue += row["at"] < self._now - OVERDUE
            return
        if self._group is None or self._group_number != seal:
            self._begin(seal)
        assert self._group is not None
        self._group.take(row)

    def end(self) -> Verdict:
        """The trail has been told to its end."""
        self._close()
        self._skip_to(None)
        self._tell_gone("truncated")
        self._tell_beginning()
        if self.verdict.unpublished == self.verdict.seals and self._first_at < self._now - OVERDUE:
            self.verdict.find(
                "missing", None, None, "none of the seals is among those published: is it the right file?"
            )
        self.verdict.seals -= self._pruned_seals
        return self.verdict

    def _note_pruning(self, row: Row) -> None:
        details = row["details"]
        found = Pruned.verified(details.get(DETAIL) if isinstance(details, dict) else None, self._keys)
        if found is None:
            what = "what is said to be pruned is not signed by a key that was given"
            self.verdict.find("forged", None, moment(row["at"]), what, (row["id"],))
        elif self.verdict.pruned is None or found.seals > self.verdict.pruned.seals:
            self.verdict.pruned = found

    def _tell_beginning(self) -> None:
        """What is gone from the beginning, unless it was pruned: who prunes says so at the end."""
        pruned, gap, gone = self.verdict.pruned, self._chain.missing, self._beginning
        if gap is not None and not (pruned is not None and pruned.covers(gap.last, gap.hash)):
            self._chain.find_missing()
        if gone is None:
            return
        first, last = gone.seals[0].seal, gone.seals[-1].seal
        is_whole = first == 1
        if pruned is None or not pruned.covers(last, gone.hash):
            self._gone, self._gone_rows = list(gone.seals), gone.rows
            self._tell_gone()
            return
        self._pruned_seals = last - first + 1
        if is_whole and last == pruned.seals and gone.rows != pruned.count:
            what = f"{pruned.count} rows are said to be pruned, and {gone.rows} were under the seals that are gone"
            self.verdict.find("altered", pruned.seals, None, what)

    def _begin(self, number: int) -> None:
        self._close()
        self._skip_to(number)
        if not self._is_told and self._gone:
            self._beginning = _Beginning(tuple(self._gone), self._gone_rows, self._chain.hash or "")
            self._gone, self._gone_rows = [], 0
        self._is_told = True
        self._group, self._group_number, self._stored = SealedRows(number), number, None

    def _skip_to(self, number: int | None) -> None:
        """Published seals before this number, of which the database has nothing."""
        while self._ahead is not None and (number is None or _seal(self._ahead).seal < number):
            seal = _seal(self._ahead)
            self._chain.take(seal, self._ahead.text)
            self._gone.append(seal)
            self._gone_rows += seal.count
            del self._gone[1:-1]
            self._ahead = next(self._published, None)

    def _tell_gone(self, kind: Any = "removed") -> None:
        if self._gone:
            first, last = self._gone[0], self._gone[-1]
            one = first.seal == last.seal
            self.verdict.find(
                kind, first.seal, moment(first.at),
                (f"seal {first.seal}" if one else f"seals {first.seal} to {last.seal}, until {moment(last.at)},")
                + f" and the {self._gone_rows} rows under {'it' if one else 'them'} are gone from the database,"
                f" ids {first.first_id} to {last.last_id}",
            )  # fmt: skip
            self._gone, self._gone_rows = [], 0

    def _close(self) -> None:
        group, number = self._group, self._group_number
        if group is None:
            return
        self._group = None
        self._tell_gone()
        stored = self._stored_seal(number)
        published = None
        if self._ahead is not None and _seal(self._ahead).seal == number:
            published, self._ahead = self._ahead, next(self._published, None)
        seal, text = (_seal(published), published.text) if published is not None else stored or (None, "")
        if seal is None:
            if group.count:
                self.verdict.find(
                    "inserted", number, None,
                    f"{group.count} rows bear the number of a seal that does not exist", group.ids(),
                )  # fmt: skip
            return
        self._chain.take(seal, text)
        second = moment(seal.at)
        if published is None:
            self.verdict.unpublished += not self._silent
            self._first_at = min(self._first_at, seal.at)
        elif self._stored is None:
            self.verdict.find(
                "removed", number, second, "the seal is gone from the database, but for its rows"
            )
        elif self._stored[0] != published.text:
            self.verdict.find("forged", number, second, "the database's seal is not the one published")
        self.verdict.rows += group.count
        group.compare(seal, self._stored[1] if self._stored is not None else b"", self.verdict)

    def _stored_seal(self, number: int) -> tuple[Seal, str] | None:
        if self._stored is None:
            return None
        text = self._stored[0]
        try:
            seal = Seal.parse(text)
        except BadSeal:
            self.verdict.find("forged", number, None, "the database's seal cannot be read")
            return None
        if seal.seal != number:
            self.verdict.find(
                "reordered", number, moment(seal.at), f"the database has seal {seal.seal} in its place"
            )
            return None
        return seal, text

    def _in_order(self, published: Iterable[Published]) -> Iterator[Published]:
        """Those after `after`, each number once; what is out of order is found and left out."""
        last = self._after
        seen: dict[int, str] = {}
        for one in published:
            if one.seal is None:
                self.verdict.find(
                    "damaged", None, None, f"line {one.line} of the published seals cannot be read"
                )
                continue
            number = one.seal.seal
            if number == self._after and not seen:
                self._chain.known(one.text)
            if self._horizon is not None and number > self._horizon and one.seal.at > self._now:
                self.verdict.later += 1
            elif number > last:
                seen[number] = line_hash(one.text)
                if len(seen) > _SEEN:
                    del seen[next(iter(seen))]
                last = number
                yield one
            # Told twice is no harm: after a crash, or by two nodes into one log.
            elif number > self._after and seen.get(number) != line_hash(one.text):
                self.verdict.find(
                    "reordered", number, moment(one.seal.at),
                    f"line {one.line} of the published seals comes after seal {last}",
                )  # fmt: skip


def _seal(published: Published) -> Seal:
    assert published.seal is not None
    return published.seal
