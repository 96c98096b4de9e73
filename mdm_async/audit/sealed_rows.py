"""The rows that one seal covers, compared with what it says of them."""

from typing import Final

from mdm_async.audit import merkle, row_index
from mdm_async.audit.findings import Verdict
from mdm_async.audit.rows import Row, canonical, moment
from mdm_async.audit.seals import Seal

_KEPT: Final = 100_000
"""Rows of one seal that are kept; there are more only if somebody put them there."""


class SealedRows:
    """Takes the rows that bear a seal's number, in order of their ids."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._leaves: list[tuple[int, bytes]] = []
        self.count = 0

    def take(self, row: Row) -> None:
        self.count += 1
        if len(self._leaves) < _KEPT:
            self._leaves.append((row["id"], merkle.leaf(canonical(row))))

    def ids(self) -> list[int]:
        return [row for row, _ in self._leaves]

    def compare(self, seal: Seal, index: bytes, verdict: Verdict) -> None:
        """Find what differs; by row where the index kept beside the seal is the true one."""
        hashes = [hashed for _, hashed in self._leaves]
        if self.count == seal.count == len(hashes) and merkle.root(hashes).hex() == seal.root:
            return
        second = moment(seal.at)
        expected = row_index.decode(index, seal.rows)
        found = {row: hashed[:4] for row, hashed in self._leaves}
        if expected is not None:
            changed = [row for row in found if row in expected and found[row] != expected[row]]
            removed = [row for row in expected if row not in found]
            inserted = [row for row in found if row not in expected]
            if changed:
                verdict.find("changed", self._number, second, _rows(len(changed), "changed"), changed)
            if removed:
                verdict.find("removed", self._number, second, _rows(len(removed), "removed"), removed)
            if inserted:
                verdict.find("inserted", self._number, second, _rows(len(inserted), "inserted"), inserted)
            if changed or removed or inserted:
                return
        span = f"ids {seal.first_id} to {seal.last_id}, {moment(seal.first_at)} to {moment(seal.last_at)}"
        if self.count < seal.count:
            many = _rows(seal.count - self.count, "removed")
            verdict.find("removed", self._number, second, f"{many} of {seal.count}, {span}")
        elif self.count > seal.count:
            many = _rows(self.count - seal.count, "inserted")
            verdict.find("inserted", self._number, second, f"{many} beside {seal.count}, {span}")
        else:
            verdict.find(
                "altered", self._number, second, f"some of {seal.count} rows are not as sealed, {span}"
            )


def _rows(count: int, what: str) -> str:
    return f"{count} {'row was' if count == 1 else 'rows were'} {what}"
