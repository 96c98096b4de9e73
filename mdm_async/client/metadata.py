"""Metadata of images and directories, as a server keeps it: attributes of one's own, with their schemas."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client import finding
from mdm_async.client.finding import Match, Page, listed
from mdm_async.client.one_or_many import Name, Names, Outcome, name_of, names_of, settle
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

BATCH: Final = 1000
"""Entries named in one request."""
_PATH: Final = "meta/v1"
_MOST_SET: Final = 10_000
"""Values that one request sets: a server takes some more, unless they are long."""
Value = str | int | float


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of an entry. `values`: lists, by keyword, of what the bytes of `view` say, if that may be read;
    `own`: by collection and attribute."""

    guid: str
    view: str | None
    values: Mapping[str, Sequence[Value]]
    own: Mapping[str, Mapping[str, Value]]
    told: Json = field(repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["guid"], told["view"], told["values"], told["own"], told)


class Metadata:
    """`mdm.meta`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(self, paths: Names) -> dict[str, Described]:
        """What is known of each entry: what its default view says, or one that is named before its path (`/@VIEW/…`),
        and what users say."""
        surls, outcomes = names_of(paths), list[Outcome[Described]]()
        for start in range(0, len(surls), BATCH):
            asked = {"surls": surls[start : start + BATCH]}
            answer = Reply(await self._wire.operate("POST", f"{_PATH}/get", asked, repeat=True))
            outcomes += [
                Outcome(file["surl"], None if error else Described.parse(file), error)
                for file, error in answer.files()
            ]
        return settle(paths, outcomes)

    async def set(self, paths: Names, values: Mapping[str, Value | None]) -> None:
        """Give each entry these values, by `collection.attribute`; None takes one away. All of an entry's, or none."""
        surls, outcomes = names_of(paths), list[Outcome[None]]()
        batch = max(1, min(BATCH, _MOST_SET // max(1, len(values))))
        for start in range(0, len(surls), batch):
            asked = {"surls": surls[start : start + batch], "values": dict(values)}
            answer = Reply(await self._wire.operate("POST", f"{_PATH}/set", asked, repeat=True))
            outcomes += [Outcome(file["surl"], None, error) for file, error in answer.files()]
        settle(paths, outcomes)

    async def attributes(self, path: Name = "/") -> list[Json]:
        """What queries may name at a path: `name`, `kind`, whether it has `many` values; of DICOM's, with which `level`
        it is kept, and whether an `original` is found by it."""
        asked = {"path": name_of(path)}
        found = await self._wire.operate("POST", f"{_PATH}/attributes", asked, repeat=True)
        return list(found["attributes"])

    async def find(
        self,
        query: str,
        path: Name = "/",
        *,
        view: str | None = None,
        select: str | Sequence[str] = (),
        order: str | Sequence[str] = (),
        joins: Mapping[str, Name] | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Match, None]:
        """What matches a query at and below a path, as it is found.

        `select`: attributes whose values are told ("*": all that the view says), a list or a text with commas between.
        `order`: attributes, with '-' before one the largest first. `joins`: paths by alias, as {"c": "/vo/clinical"}.
        BadQuery says where a query is wrong.
        """
        found = self.pages(query, path, view=view, select=select, order=order, joins=joins, limit=limit)
        async with aclosing(found):
            async for page in found:
                for match in page.matches:
                    yield match

    async def pages(
        self,
        query: str,
        path: Name = "/",
        *,
        view: str | None = None,
        select: str | Sequence[str] = (),
        order: str | Sequence[str] = (),
        joins: Mapping[str, Name] | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Page, None]:
        """As `find`, page by page: the first is empty, and tells the columns. An answer that breaks off is gone on with
        where it did, unless it is in an order of values."""
        found = finding.pages(
            self._wire, query, path, view=view, select=select, order=order, joins=joins or {}, limit=limit
        )
        async with aclosing(found):
            async for page in found:
                yield page

    async def take(
        self,
        query: str,
        values: Mapping[str, Value | None],
        path: Name = "/",
        *,
        view: str | None = None,
        count: int = 1,
    ) -> list[Match]:
        """Up to `count` entries at or below a path that match. They get these values at once, by which they should
        match no more; nobody else is given them too. When the answer is lost, they have the values all the same."""
        asked: Json = {"query": query, "path": name_of(path), "values": dict(values), "count": count}
        if view is not None:
            asked["view"] = view
        taken = (await self._wire.operate("POST", f"{_PATH}/take", asked))["taken"]
        return [Match.parse({"values": {}, **one}) for one in taken]

    async def schemas(self, path: Name) -> list[Json]:
        """The collections in force at an entry: `name`, the directory `at` which it is, `attributes`."""
        found = await self._wire.operate(
            "POST", f"{_PATH}/schemas/show", {"surl": name_of(path)}, repeat=True
        )
        return list(found["schemas"])

    async def create_schema(self, path: Name, name: str, attributes: Sequence[Json]) -> None:
        """Make a collection at a directory: of each attribute its `name`, its `kind`, and a text's `choices`."""
        asked = {"surl": name_of(path), "name": name, "attributes": list(attributes)}
        await self._wire.operate("POST", f"{_PATH}/schemas/create", asked)

    async def change_schema(
        self, path: Name, name: str, *, add: Sequence[Json] = (), remove: Sequence[str] = ()
    ) -> None:
        """Remove attributes, with all their values, and add others."""
        asked = {"surl": name_of(path), "name": name, "add": list(add), "remove": list(remove)}
        await self._wire.operate("POST", f"{_PATH}/schemas/change", asked)

    async def drop_schema(self, path: Name, name: str) -> None:
        """Remove a collection, with all its values."""
        await self._wire.operate("POST", f"{_PATH}/schemas/drop", {"surl": name_of(path), "name": name})

    async def sequences(self, path: Name) -> list[Json]:
        """Those at a directory: `name`, the `next` number, `step`."""
        found = await self._wire.operate(
            "POST", f"{_PATH}/sequences/list", {"surl": name_of(path)}, repeat=True
        )
        return list(found["sequences"])

    async def create_sequence(self, path: Name, name: str, *, start: int = 1, step: int = 1) -> None:
        """Make a sequence at a directory."""
        asked = {"surl": name_of(path), "name": name, "start": start, "step": step}
        await self._wire.operate("POST", f"{_PATH}/sequences/create", asked)

    async def next_numbers(self, path: Name, name: str, count: int = 1) -> list[int]:
        """The next numbers of a sequence, which nobody else is given."""
        asked = {"surl": name_of(path), "name": name, "count": count}
        # Numbers whose answer is lost are given to nobody.
        found = await self._wire.operate("POST", f"{_PATH}/sequences/next", asked, repeat=True)
        return list(found["numbers"])

    async def remove_sequence(self, path: Name, name: str) -> None:
        """Remove a sequence."""
        asked = {"surl": name_of(path), "name": name}
        await self._wire.operate("POST", f"{_PATH}/sequences/remove", asked)

    async def queries(self, path: Name) -> list[Json]:
        """The queries that are saved at a directory: `name`, `query`, and `select` and `view` if they were given."""
        found = await self._wire.operate(
            "POST", f"{_PATH}/queries/list", {"surl": name_of(path)}, repeat=True
        )
        return list(found["queries"])

    async def query(self, path: Name, name: str) -> Json:
        """One of them. NotFound."""
        asked = {"surl": name_of(path), "name": name}
        return await self._wire.operate("POST", f"{_PATH}/queries/show", asked, repeat=True)

    async def save_query(
        self, path: Name, name: str, query: str, *, select: str | Sequence[str] = (), view: str | None = None
    ) -> None:
        """Save a query at a directory."""
        asked: Json = {
            "surl": name_of(path),
            "name": name,
            "query": query,
            "select": listed(select),
            "view": view,
        }
        await self._wire.operate("POST", f"{_PATH}/queries/save", asked)

    async def remove_query(self, path: Name, name: str) -> None:
        """Remove a saved query."""
        asked = {"surl": name_of(path), "name": name}
        await self._wire.operate("POST", f"{_PATH}/queries/remove", asked)
