"""Local tokens: made, listed and ended by administrators, and unknown after their end."""

import os
import time
from typing import Any

import pytest

from mdm_async.catalog.rights import tokens
from mdm_async.postgres.database import Connection
from tests.conftest import Reply, Server
from tests.faults.conditions import until
from tests.web.grown_tree import ALL


async def admin(server: Server, method: str, where: str, token: str, **body: Any) -> Reply:
    return await server.call(method, f"/admin/v1/{where}", token=token, json=body)


async def test_only_administrators_make_and_end_tokens(server: Server) -> None:
    victim = await server.token("r", name=f"victim-{os.urandom(4).hex()}")
    for rights, path in ((ALL.replace("p", ""), "/"), (ALL, await server.directory())):
        token = await server.token(rights, path=path)
        for method, where, body in (
            ("GET", "tokens", {}),
            ("POST", "tokens", {"name": f"n{os.urandom(4).hex()}", "rights": "r"}),
            ("DELETE", "tokens/victim", {}),
            ("POST", "fsck", {}),
            ("POST", "fsck", {"repair": True}),
        ):
            assert (await admin(server, method, where, token, **body)).status == 403
    await server.srm("ping", token=victim)
    assert (await admin(server, "GET", "tokens", await server.token("p"))).status == 200


async def test_an_admin_without_a_token_is_nobody(server: Server) -> None:
    for method, path in (("GET", "tokens"), ("POST", "tokens"), ("DELETE", "tokens/x"), ("POST", "fsck")):
        answer = await server.call(method, f"/admin/v1/{path}")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mdm"'


async def test_a_revoked_token_is_unknown_at_once(server: Server) -> None:
    name = f"gone-{os.urandom(4).hex()}"
    token = await server.token("l", name=name)
    await server.srm("ls", token=token, surls=["/"])
    assert (await admin(server, "DELETE", f"tokens/{name}", server.admin_token)).status == 204
    tree = await server.srm("ls", token=token, expect=401, surls=["/"])
    assert tree["returnStatus"]["statusCode"] == "SRM_AUTHENTICATION_FAILURE"
    assert (await admin(server, "DELETE", f"tokens/{name}", server.admin_token)).status == 404


async def test_an_expired_token_is_unknown(server: Server) -> None:
    name = f"old-{os.urandom(4).hex()}"
    answer = await admin(server, "POST", "tokens", server.admin_token, name=name, rights="l", lifetime=3600)
    token = answer.tree["token"]
    await server.srm("ls", token=token, surls=["/"])
    async with server.house.database.acquire() as db:
        await db.execute("update tokens set expires = now() - interval '1 s' where name = $1", name)
    await server.house.warm.feed.catch_up(time.monotonic())
    await server.srm("ls", token=token, expect=401, surls=["/"])


async def test_a_token_that_another_node_revokes_is_refused_after_the_next_look(server: Server) -> None:
    name = f"far-{os.urandom(4).hex()}"
    token = await server.token("l", name=name)
    await server.srm("ls", token=token, surls=["/"])
    async with server.house.database.acquire() as db:
        await db.execute("update tokens set revoked = now() where name = $1", name)
    await server.house.warm.feed.catch_up(time.monotonic())
    await server.srm("ls", token=token, expect=401, surls=["/"])


async def test_a_token_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"late-{os.urandom(4).hex()}"
    token = await server.token("l", name=name)

    async def revoked_meanwhile(db: Connection, text: str) -> tokens.Shown | None:
        found = await shown(db, text)
        async with server.house.database.acquire() as other:
            await other.execute("update tokens set revoked = now() where name = $1", name)
        await server.house.warm.feed.catch_up(time.monotonic())
        return found

    shown = tokens.shown
    monkeypatch.setattr(tokens, "shown", revoked_meanwhile)
    await server.srm("ls", token=token, surls=["/"])
    monkeypatch.setattr(tokens, "shown", shown)
    await server.srm("ls", token=token, expect=401, surls=["/"])


async def test_no_token_is_remembered_once_it_is_not_known_what_was_changed(server: Server) -> None:
    name = f"lost-{os.urandom(4).hex()}"
    token = await server.token("l", name=name)
    feed = server.house.warm.feed
    await feed.catch_up(time.monotonic())
    await server.srm("ls", token=token, surls=["/"])
    async with server.house.database.acquire() as db:
        await db.execute("update tokens set revoked = now() where name = $1", name)
    feed._snapshot = None  # as after a connection has broken
    await feed.catch_up(time.monotonic())
    await server.srm("ls", token=token, expect=401, surls=["/"])


async def test_a_token_that_is_shown_again_costs_no_query_and_ends_with_its_life(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await admin(
        server, "POST", "tokens", server.admin_token, name=f"s-{os.urandom(4).hex()}", rights="l", lifetime=10
    )
    token, asked = answer.tree["token"], []

    async def counted(db: Connection, text: str) -> tokens.Shown | None:
        asked.append(text)
        return await shown(db, text)

    shown = tokens.shown
    monkeypatch.setattr(tokens, "shown", counted)
    for _ in range(3):
        await server.srm("ls", token=token, surls=["/"])
    assert len(asked) <= 2  # another test's change may have come in between

    async def is_over() -> bool:
        return (await server.call("POST", "/srm/v2/ls", token=token, json={"surls": ["/"]})).status == 401

    await until(is_over)


async def test_no_local_token_takes_the_administrators_name(server: Server) -> None:
    answer = await admin(server, "POST", "tokens", server.admin_token, name="admin", rights="r")
    assert answer.status == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a"},
        {"rights": "r"},
        {"name": "", "rights": "r"},
        {"name": "a/b", "rights": "r"},
        {"name": "x" * 65, "rights": "r"},
        {"name": "a", "rights": "q"},
        {"name": "a", "rights": "r", "path": "relative"},
        {"name": "a", "rights": "r", "views": ["UPPER"]},
        {"name": "a", "rights": "r", "lifetime": 0},
        {"name": "a", "rights": "r", "lifetime": 10**30},
        {"name": "a", "rights": "r", "lifetime": 10**12},
        {"name": "a", "rights": "r", "more": 1},
    ],
)
async def test_a_malformed_token_is_refused(server: Server, body: dict[str, Any]) -> None:
    assert (await admin(server, "POST", "tokens", server.admin_token, **body)).status == 400


async def test_the_list_of_tokens_holds_no_secret(server: Server) -> None:
    name = f"listed-{os.urandom(4).hex()}"
    token = await server.token("rl", name=name, path="/", views=["basic"])
    answer = await admin(server, "GET", "tokens", server.admin_token)
    (line,) = [line for line in answer.tree["tokens"] if line["name"] == name]
    assert (line["rights"], line["path"], line["views"]) == ("lr", "/", ["basic"])
    assert token not in answer.body.decode()
    assert "hash" not in line


async def test_making_and_ending_a_token_is_audited(server: Server) -> None:
    name = f"seen-{os.urandom(4).hex()}"
    await server.token("rli", name=name)
    await admin(server, "DELETE", f"tokens/{name}", server.admin_token)
    async with server.house.database.acquire() as db:
        acts = await db.fetch("select caller, act, details from audit where details->>'token' = $1", name)
    assert [(row["caller"], row["act"]) for row in acts] == [
        ("user:admin", "token create"),
        ("user:admin", "token revoke"),
    ]
    assert acts[0]["details"]["rights"] == "ilr"
