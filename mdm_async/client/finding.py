"""What queries find, as a server streams it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, Self

from mdm_async.client.one_or_many import Name, name_of
from mdm_async.client.told_errors import PASSING, Json, error_from_details
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError, Unavailable, Unreachable

_FIND: Final = "meta/v1/find"
EVERYTHING: Final = "*"
"""Among what is chosen: all that the view says."""


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that a query found. `view`: the one that it was looked at in, if any; `values`: lists, by attribute."""

    path: str
    guid: str
    view: str | None
    values: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["path"], told["guid"], told["view"], told["values"])

    def __fspath__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Column:
    """What is told of each match. `kind`: text, number, date, time, uid; `many`: it may have several values at once."""

    kind: str
    many: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some matches; `columns`: by attribute."""

    columns: Mapping[str, Column]
    matches: Sequence[Match]


def listed(attributes: str | Sequence[str]) -> list[str]:
    """One text is attributes with commas between, and never its letters."""
    if isinstance(attributes, str):
        return [name for one in attributes.split(",") if (name := one.strip())]
    return list(attributes)


async def pages(
    wire: Wire,
    query: str,
    path: Name,
    *,
    view: str | None,
    select: str | Sequence[str],
    order: str | Sequence[str],
    joins: Mapping[str, Name],
    limit: int | None,
) -> AsyncGenerator[Page, None]:
    """See `Metadata.pages`."""
    asked: Json = {
        "query": query,
        "path": name_of(path),
        "view": view,
        "select": listed(select),
        "order": listed(order),
        "joins": {alias: name_of(at) for alias, at in joins.items()},
        "limit": limit,
    }
    columns: Mapping[str, Column] | None = None
    patience = wire.patience(wire.attempts)
    while True:
        try:
            async with aclosing(wire.lines(_FIND, asked)) as lines:
                async for line in lines:
                    if "error" in line:
                        raise error_from_details(int(line["error"].get("status", 500)), line["error"], {})
                    if "end" in line:
                        return
                    if "matches" not in line:
                        if columns is None:
                            columns = {
                                name: Column(one["kind"], one["many"])
                                for name, one in line["columns"].items()
                            }
                            yield Page(columns, [])
                        continue
                    found = [Match.parse(one) for one in line["matches"]]
                    asked["after"] = line["cursor"]
                    if limit is not None:
                        asked["limit"] -= len(found)
                    patience.progress()
                    yield Page(columns or {}, found)
            raise Unreachable("the answer broke off")
        except MdmError as error:
            if asked["limit"] == 0:
                return
            passing = isinstance(error, Unavailable) or error.http in PASSING
            if not passing or (order and "after" in asked):
                raise
            await patience.after(error)
