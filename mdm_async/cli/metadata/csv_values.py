"""A table of values for `mdm meta set`: a name a row, an attribute a column."""

import csv
from collections.abc import Hashable, Mapping
from pathlib import Path

from mdm_async.client.metadata import Metadata, Value
from mdm_async.client.one_or_many import Outcome, SomeFailed
from mdm_async.errors import (
    BadPath,
    BadRequest,
    MdmError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from mdm_async.names import parse_surl

_HEAD = "begin with a line such as: path,mine.quality,mine.note"


def rows_of(file: Path) -> dict[str, dict[str, Value | None]]:
    """The values of each name in the first column, of attributes that the first line names. An empty field sets none.
    BadRequest tells the line, and nothing that stands there."""
    found: dict[str, dict[str, Value | None]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = csv.reader(opened, strict=True)
            _, *attributes = next(lines, None) or [""]
            if not attributes or not all("." in one and "=" not in one for one in attributes):
                raise BadRequest(f"{file} does not say what its columns are", remedy=_HEAD)
            if len(set(attributes)) < len(attributes):
                raise BadRequest(f"line {lines.line_num} of {file} names a column twice")
            named = set[Hashable]()
            for row in lines:
                if not row:
                    continue
                name, *values = row
                entry = _entry(name)
                if len(values) != len(attributes) or entry in named:
                    what = (
                        "names again what was named"
                        if entry in named
                        else "has more or fewer fields than line 1"
                    )
                    raise BadRequest(f"line {lines.line_num} of {file} {what}")
                named.add(entry)
                found[name] = {one: value for one, value in zip(attributes, values, strict=True) if value}
    except (UnicodeDecodeError, csv.Error):
        raise BadRequest(f"{file} is no table of UTF-8 text with commas between", remedy=_HEAD) from None
    except OSError as why:
        raise MdmError(f"{file} cannot be read: {why.strerror}") from None
    return found


def _entry(name: str) -> Hashable:
    """The same for all ways to write the path of an entry, whatever the view."""
    try:
        surl = parse_surl(name)
    except BadPath:
        return name  # The server says what is wrong with it.
    return surl.path or surl.guid


async def set_rows(metadata: Metadata, rows: Mapping[str, Mapping[str, Value | None]]) -> dict[str, None]:
    """Those of one row's values in one request. Raises SomeFailed, of all of them in their order.

    What would meet the others, too, is raised at once, and says how many are set.
    """
    alike: dict[tuple[tuple[str, Value | None], ...], list[str]] = {}
    for name, values in rows.items():
        if values:
            alike.setdefault(tuple(values.items()), []).append(name)
    failed: dict[str, Outcome[None]] = {}
    done = 0
    for alike_values, names in alike.items():
        try:
            await metadata.set(names, dict(alike_values))
            done += len(names)
        except SomeFailed as some:
            refused = {one.name: one for one in some.outcomes if one.error is not None}
            done += len(names) - len(refused)
            failed |= refused
        except (Unauthenticated, TooManyRequests, Unavailable) as error:
            what = f"{done} of {len(rows)} rows were set; the same table may be set again"
            error.remedy = f"{error.remedy}; {what}" if error.remedy else what
            raise
        except MdmError as error:
            failed |= {name: Outcome(name, None, error) for name in names}
    if failed:
        raise SomeFailed([failed.get(name, Outcome(name, None)) for name in rows])
    return dict.fromkeys(rows)
