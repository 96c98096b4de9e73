"""Replicas: other places of copies, one of them the master, told to whoever may read what they hold."""

from typing import Any

import pytest

from mdm_async.errors import BadRequest
from mdm_async.images.names.replicas import parse_url
from tests.conftest import Reply, Server
from tests.web.made_images import made
from tests.web.own_acls import give, rule, user

A, B = "https://se.example.org/a", "srm://se.example.org:8443/srm/managerv2?SFN=/b"


async def call(server: Server, verb: str, token: str | None = None, **body: Any) -> Reply:
    token = token or server.admin_token
    return await server.call("POST", f"/catalog/v1/replicas/{verb}", token=token, json=body)


async def change(
    server: Server, verb: str, *replicas: tuple[str, str | None], token: str | None = None
) -> list[str]:
    asked = [{"surl": surl, "url": url} for surl, url in replicas]
    reply = await call(server, verb, token, replicas=asked)
    return [file["status"]["statusCode"] for file in reply.tree["files"]]


async def known(server: Server, surl: str, token: str | None = None) -> list[tuple[str, str, bool]]:
    (file,) = (await call(server, "list", token, surls=[surl])).tree["files"]
    return [(one["url"], one["view"], one["master"]) for one in file["replicas"]]


async def file_of(server: Server) -> str:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made())
    return surl


async def identifying(server: Server) -> str:
    """A token for every view."""
    return await server.token("rigs", views=["*", "identified"])


async def test_replicas_are_added_listed_and_removed_each_with_its_status(server: Server) -> None:
    surl, token = await file_of(server), await identifying(server)
    asked = [
        (surl, A),
        (f"/@identified{surl}", B),
        (surl, A),
        ("/none", A),
        (surl, "ftp://x/y"),
        ("..", A),
        (surl, None),
    ]
    assert await change(server, "add", *asked, token=token) == [
        "SRM_SUCCESS",
        "SRM_SUCCESS",
        "SRM_DUPLICATION_ERROR",
        "SRM_INVALID_PATH",
        "SRM_INVALID_REQUEST",
        "SRM_INVALID_REQUEST",
        "SRM_INVALID_REQUEST",
    ]
    assert await known(server, surl, token) == [(A, "basic", False), (B, "identified", False)]
    assert await known(server, surl) == [(A, "basic", False)]
    (line,) = (await server.srm("ls", surls=[surl]))["files"]
    assert await known(server, f"guid:{line['guid']}", token) == await known(server, surl, token)
    assert await change(server, "remove", (surl, A), (surl, A), (surl, None)) == [
        "SRM_SUCCESS",
        "SRM_INVALID_PATH",
        "SRM_INVALID_REQUEST",
    ]
    assert await known(server, surl, token) == [(B, "identified", False)]


async def test_an_entry_has_one_master_at_most(server: Server) -> None:
    surl = await file_of(server)
    await change(server, "add", (surl, A), (surl, B))
    assert await change(server, "master", (surl, A), (surl, "https://no.example.org/")) == [
        "SRM_SUCCESS",
        "SRM_INVALID_PATH",
    ]
    assert await known(server, surl) == [(A, "basic", True), (B, "basic", False)]
    assert await change(server, "master", (surl, B)) == ["SRM_SUCCESS"]
    assert await known(server, surl) == [(A, "basic", False), (B, "basic", True)]
    assert await change(server, "master", (surl, None)) == ["SRM_SUCCESS"]
    assert [master for *_, master in await known(server, surl)] == [False, False]


async def test_whose_view_one_may_not_read_is_no_replica_to_one(own_server: Server) -> None:
    await give(own_server, "/", [rule("any:authenticated", "x")])
    surl = await file_of(own_server)
    who, token = await user(own_server)
    await give(own_server, surl.rpartition("/")[0], [rule(who, "xrgs")])
    every = await identifying(own_server)
    await change(own_server, "add", (surl, A), (f"/@identified{surl}", B), token=every)
    assert await known(own_server, surl, token) == [(A, "basic", False)]
    for verb in ("remove", "master"):
        hidden, missing = [
            (await call(own_server, verb, token, replicas=[{"surl": surl, "url": url}])).tree
            for url in (B, B + "x")
        ]
        assert hidden == missing
        assert hidden["returnStatus"]["statusCode"] == "SRM_FAILURE"
    refused = await change(own_server, "add", (f"/@identified{surl}", A + "2"), token=token)
    assert refused[0] in ("SRM_AUTHORIZATION_FAILURE", "SRM_INVALID_PATH")
    assert len(await known(own_server, surl, every)) == 2


@pytest.mark.parametrize(
    ("rights", "verbs"), [("xr", ""), ("xrg", "list"), ("xrs", "add master remove"), ("xs", "")]
)
async def test_each_verb_needs_its_right(own_server: Server, rights: str, verbs: str) -> None:
    await give(own_server, "/", [rule("any:authenticated", "x")])
    surl = await file_of(own_server)
    who, token = await user(own_server)
    await change(own_server, "add", (surl, A))
    await give(own_server, surl.rpartition("/")[0], [rule(who, rights)])
    allowed = []
    for verb, url in (("add", B), ("master", A), ("remove", A)):
        if await change(own_server, verb, (surl, url), token=token) == ["SRM_SUCCESS"]:
            allowed.append(verb)
    if (await call(own_server, "list", token, surls=[surl])).status == 200:
        allowed.append("list")
    assert allowed == verbs.split()


async def test_the_hidden_has_no_replicas_for_anyone_to_find(server: Server) -> None:
    surl = await file_of(server)
    _, token = await user(server)
    for asked in ({"surls": ["?"]}, {"replicas": [{"surl": "?", "url": A}]}):
        verb = "list" if "surls" in asked else "add"
        answers = []
        for name in (surl, surl + "x"):
            body = {"surls": [name]} if verb == "list" else {"replicas": [{"surl": name, "url": A}]}
            reply = await call(server, verb, token, **body)
            answers.append((reply.status, reply.body.replace(name.encode(), b"?")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


async def test_they_go_with_their_entry_and_are_audited_without_their_urls(own_server: Server) -> None:
    surl = await file_of(own_server)
    await change(own_server, "add", (surl, A), (surl, B))
    await change(own_server, "master", (surl, A))
    await change(own_server, "remove", (surl, B))
    await own_server.srm("rm", surls=[surl])
    async with own_server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from replicas") == 0
        rows = await db.fetch(
            "select act, guid, view, details from audit where act like 'replica %' order by id"
        )
    assert [row["act"] for row in rows] == ["replica add", "replica add", "replica master", "replica remove"]
    assert all(row["guid"] is not None and row["view"] == "basic" for row in rows)
    assert "example.org" not in str([tuple(row) for row in rows])


async def test_copies_of_what_was_overwritten_are_forgotten(server: Server) -> None:
    surl = await file_of(server)
    await change(server, "add", (surl, A))
    await server.put(surl, made(seed=1), overwrite=True)
    assert await known(server, surl) == []


async def test_a_directory_has_no_replicas_and_neither_does_an_unknown_view(server: Server) -> None:
    surl = await file_of(server)
    top = surl.rpartition("/")[0]
    assert await change(server, "add", (top, A), (f"/@none{surl}", A)) == ["SRM_INVALID_REQUEST"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "srm://h/x",
        "https://h:1/x?y=z",
        "davs://h/x",
        "root://h//x",
        "gsiftp://h/x",
        "s3://bucket/x",
        "https://[::1]/x",
    ],
)
def test_places_of_the_grid_are_taken(url: str) -> None:
    assert parse_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://h/x",
        "HTTPS://h/x",
        "file:///etc/passwd",
        "javascript://h/x",
        "https:///x",
        "https://user@h/x",
        "https://user:secret@h/x",
        "https://@h/x",
        "https://h:99999/x",
        "https://[::1/x",
        "https://h/x y",
        "https://h/x\n",
        "https://h/#secret",
        "https://h/" + "x" * 2048,
    ],
)
def test_what_is_no_place_of_a_copy_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_url(url)
    assert not url or url not in str(refused.value)
    assert "secret" not in str(refused.value)
