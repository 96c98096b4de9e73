"""Requests that come at the same time share statements; rights, pins and the audit are each caller's own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.grants import requests
from mdm_async.catalog.grants.requests import Release, Released
from mdm_async.identity.authenticator import ADMIN
from mdm_async.postgres.database import Connection
from tests.conftest import Server
from tests.web.made_images import made
from tests.web.srm.codes import code, codes

MANY = 24


async def test_many_at_once_each_get_what_is_theirs(own_server: Server) -> None:
    names = [f"/{number}.dcm" for number in range(4)]
    for number, name in enumerate(names):
        await own_server.put(name, made(seed=number))
    reader = await own_server.token("r", name="reader")
    lister = await own_server.token("l", name="lister")
    asked = [(names[number % 4], (reader, lister)[number % 3 == 0]) for number in range(MANY)]
    prepared = await asyncio.gather(
        *(
            own_server.srm("prepareToGet", token=token, expect=None, files=[{"surl": name}])
            for name, token in asked
        )
    )
    pinned = []
    for (name, token), tree in zip(asked, prepared, strict=True):
        assert [line["surl"] for line in tree["files"]] == [name]
        if token == lister:
            assert codes(tree) == ["SRM_AUTHORIZATION_FAILURE"]
        else:
            assert codes(tree) == ["SRM_FILE_PINNED"]
            pinned.append(tree)
    assert len({tree["files"][0]["transferURL"] for tree in pinned}) == len(pinned)
    served = {name: await own_server.read(name) for name in names}
    for tree in pinned[:4]:
        line = tree["files"][0]
        assert await own_server.get(line["transferURL"]) == served[line["surl"]]
    # Each twice at the same time, and by somebody whose it is not.
    released = await asyncio.gather(
        *(
            own_server.srm("releaseFiles", token=token, expect=None, requestToken=tree["requestToken"])
            for tree in pinned
            for token in (reader, lister, reader)
        )
    )
    for own, foreign, again in zip(released[::3], released[1::3], released[2::3], strict=True):
        assert codes(own) == codes(again) == ["SRM_SUCCESS"]
        assert code(foreign) == "SRM_INVALID_REQUEST"
    for tree in pinned:
        assert (await own_server.call("GET", tree["files"][0]["transferURL"])).status == 410
    async with own_server.house.database.acquire() as db:
        told = await db.fetch(
            "select act, caller, count(*) from audit where act in ('prepare get', 'release') and caller like '%:reader'"
            " group by act, caller"
        )
    assert [row["count"] for row in told] == [len(pinned)] * 2


async def test_who_ends_a_request_file_by_file_holds_up_nobody(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request's files, ended by many workers at the same time, take one statement, as do those of many requests."""
    names = [f"/released-{number}.dcm" for number in range(4)]
    for number, name in enumerate(names):
        await own_server.put(name, made(seed=10 + number))
    files = [{"surl": name} for name in names]
    request = UUID((await own_server.srm("prepareToGet", files=files))["requestToken"])
    alone, rounds = requests.release, []

    async def counted(db: Connection, asked: Sequence[Release]) -> list[list[Released]]:
        rounds.append(len(asked))
        return await alone(db, asked)

    monkeypatch.setattr(requests, "release", counted)
    releases = own_server.house.rounds.releases
    workers = [replace(ADMIN, source=f"192.0.2.{number}") for number in range(5)]
    named = [names[:1], names[:2], names[2:3], None, None]
    told = await asyncio.gather(
        *(
            releases.ask([Release(worker, request, surls)])
            for worker, surls in zip(workers, named, strict=True)
        ),
        releases.ask([Release(ADMIN, uuid4())]),
        releases.ask([Release(replace(ADMIN, name="another"), request)]),
    )
    assert len(rounds) <= 2
    assert [len(found) for (found,) in told] == [4] * 5 + [0, 0]
    ended = [[item.surl for item in found if item.ended] for (found,) in told]
    assert ended == [names[:1], names[1:2], names[2:3], names[3:], [], [], []]
    async with own_server.house.database.acquire() as db:
        told_of = await db.fetch("select source from audit where act = 'release' and source like '192.0.2.%'")
    assert sorted(row["source"] for row in told_of) == [f"192.0.2.{number}" for number in range(4)]
