"""A table of matches as a Parquet file, written as they are found."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mdm_async.client.finding import Column, Match
from mdm_async.errors import Exists, NotSupported

_ROWS: Final = 10_000
"""In a group; so many lie in memory."""
_FIXED: Final = ("path", "guid", "view")


class Table:
    """An open file. Its columns are known with the first page."""

    def __init__(self, pyarrow: Any, parquet: Any, path: Path) -> None:
        self._arrow, self._parquet, self._path = pyarrow, parquet, path
        self._columns: Mapping[str, Column] = {}
        self._writer: Any = None
        self._rows: list[Match] = []
        self.count = 0

    def begin(self, columns: Mapping[str, Column]) -> None:
        arrow = self._arrow
        fields = [arrow.field(name, arrow.string()) for name in _FIXED]
        for name, column in columns.items():
            one = arrow.float64() if column.kind == "number" else arrow.string()
            fields.append(arrow.field(name, arrow.list_(one) if column.many else one))
        self._columns = columns
        self._writer = self._parquet.ParquetWriter(self._path, arrow.schema(fields))

    def add(self, matches: Sequence[Match]) -> None:
        self._rows += matches
        self.count += len(matches)
        if len(self._rows) >= _ROWS:
            self._write()

    def _write(self) -> None:
        told: dict[str, list[Any]] = {name: [getattr(one, name) for one in self._rows] for name in _FIXED}
        for name, column in self._columns.items():
            told[name] = [_cell(column, one.values.get(name)) for one in self._rows]
        self._writer.write_table(self._arrow.Table.from_pydict(told, schema=self._writer.schema))
        self._rows = []

    def end(self) -> None:
        self._write()
        self._writer.close()

    def give_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def _cell(column: Column, values: Sequence[Any] | None) -> Any:
    """Of an attribute that has one value and nevertheless has several, texts as DICOM joins them, and no number."""
    if not values or column.many:
        return values or None
    if len(values) == 1:
        return values[0]
    return None if column.kind == "number" else "\\".join(map(str, values))


@contextmanager
def table(path: Path) -> Iterator[Table]:
    """A new file, which is whole when the block ends, and gone when it does not. Raises Exists, NotSupported."""
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise NotSupported(
            "a table in a Parquet file needs the package pyarrow", remedy="pip install 'mdm_async[parquet]'"
        ) from None
    if path.exists():
        raise Exists(f"{path} is already there", remedy="give another name")
    part = path.with_name(f"{path.name}.part")
    made = Table(pyarrow, parquet, part)
    try:
        yield made
        made.end()
        part.rename(path)
    except BaseException:
        made.give_up()
        raise
