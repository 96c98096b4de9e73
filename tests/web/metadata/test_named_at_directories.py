"""Sequences and saved queries: made, used, removed, and by whom."""

import asyncio
from typing import Any

import pytest

from tests.conftest import Server
from tests.web.metadata.conftest import Meta


async def test_each_number_is_given_once(meta: Meta, folder: str) -> None:
    named = {"surl": folder, "name": "run"}
    assert (await meta("sequences/create", **named)).status == 201
    asked = [meta("sequences/next", **named, count=count) for count in (1, 3, 1, 10, 2) * 6]
    taken = [one.tree["numbers"] for one in await asyncio.gather(*asked)]
    assert sorted(number for some in taken for number in some) == list(range(1, 17 * 6 + 1))
    assert (await meta("sequences/list", surl=folder)).tree == {
        "sequences": [{"name": "run", "next": 17 * 6 + 1, "step": 1}]
    }
    assert (await meta("sequences/remove", **named)).status == 200
    assert (await meta("sequences/next", **named)).status == 404


async def test_a_sequence_begins_and_steps_as_it_was_made(meta: Meta, folder: str) -> None:
    down: dict[str, Any] = {"surl": folder, "name": "down"}
    await meta("sequences/create", **down, start=10, step=-5)
    assert (await meta("sequences/next", **down, count=4)).tree["numbers"] == [10, 5, 0, -5]
    last: dict[str, Any] = {"surl": folder, "name": "last"}
    await meta("sequences/create", **last, start=2**53 - 1)
    assert (await meta("sequences/next", **last)).tree["numbers"] == [2**53 - 1]
    assert (await meta("sequences/next", **last)).status == 404


@pytest.mark.parametrize(
    "more", [{"step": 0}, {"step": 10**7}, {"start": 2**54}, {"start": "1"}, {"step": 0.5}, {"name": "a b"}]
)
async def test_what_cannot_be_a_sequence_is_none(meta: Meta, folder: str, more: dict[str, Any]) -> None:
    assert (await meta("sequences/create", **{"surl": folder, "name": "run"} | more)).status == 400
    assert (await meta("sequences/list", surl=folder)).tree == {"sequences": []}


@pytest.mark.parametrize("count", [0, -1, 10_001, "1", 1.5, True])
async def test_what_is_no_number_of_numbers_takes_none(meta: Meta, folder: str, count: Any) -> None:
    named = {"surl": folder, "name": "run"}
    await meta("sequences/create", **named)
    assert (await meta("sequences/next", **named, count=count)).status == 400
    assert (await meta("sequences/list", surl=folder)).tree["sequences"][0]["next"] == 1


async def test_a_query_is_kept_told_and_removed(server: Server, meta: Meta, folder: str) -> None:
    named = {"surl": folder, "name": "thin"}
    query = 'PatientName = "MARKER^OF^A^QUERY" and SliceThickness < 2'
    assert (await meta("queries/save", **named, query=query, select=["Rows"])).status == 201
    told = (await meta("queries/show", **named)).tree
    assert (told["query"], told["select"]) == (query, ["Rows"])
    assert "view" not in told
    assert [one["name"] for one in (await meta("queries/list", surl=folder)).tree["queries"]] == ["thin"]
    assert (await meta("queries/save", **named, query=query)).status == 409
    async with server.house.database.acquire() as db:
        kept = await db.fetchval(
            "select sealed from saved_queries where name = 'thin' order by made desc limit 1"
        )
    assert b"MARKER" not in kept
    assert (await meta("queries/remove", **named)).status == 200
    assert (await meta("queries/show", **named)).status == 404


async def test_they_take_g_to_see_s_to_use_and_d_to_take_away(
    server: Server, meta: Meta, folder: str
) -> None:
    sees, uses = await server.token("xlg", folder), await server.token("xlgs", folder)
    run, kept = {"surl": folder, "name": "run"}, {"surl": folder, "name": "kept"}
    for token, status in ((sees, 403), (uses, 201)):
        assert (await meta("sequences/create", token, **run)).status == status
        assert (await meta("queries/save", token, **kept, query="Rows > 1")).status == status
    assert (await meta("sequences/next", sees, **run)).status == 403
    assert (await meta("sequences/next", uses, **run)).status == 200
    assert (await meta("queries/show", sees, **kept)).status == 200
    for verb, named in (("sequences/remove", run), ("queries/remove", kept)):
        assert (await meta(verb, uses, **named)).status == 403
        assert (await meta(verb, await server.token("xlgsd", folder), **named)).status == 200


async def test_a_directory_has_a_bounded_number_of_them(
    meta: Meta, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdm_async.images.metadata.sequences.MOST_SEQUENCES", 3)
    monkeypatch.setattr("mdm_async.images.metadata.saved_queries.MOST_QUERIES", 3)
    for verb, more in (("sequences/create", {}), ("queries/save", {"query": "Rows > 1"})):
        made = await asyncio.gather(*(meta(verb, surl=folder, name=f"c{n}", **more) for n in range(9)))
        assert sorted(one.status for one in made) == [201] * 3 + [400] * 6
