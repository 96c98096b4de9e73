"""Credentials turned to what they are not for: shown elsewhere, twice, too late, in part, or with forged company."""

import os
import time
from typing import Any

import orjson
import pytest

from tests.attack.arena import RECIPIENT, Arena, rule
from tests.attack.yard import EVERY, User, Yard
from tests.web.raw import connected

# Where a token is looked for


@pytest.mark.parametrize(
    "shown",
    [
        {"params": {"access_token": "TOKEN"}},
        {"params": {"token": "TOKEN", "authorization": "Bearer TOKEN"}},
        {"headers": {"Cookie": "Authorization=Bearer TOKEN; token=TOKEN; access_token=TOKEN"}},
        {"headers": {"X-Authorization": "Bearer TOKEN", "Proxy-Authorization": "Bearer TOKEN"}},
        {"headers": {"X-Auth-Token": "TOKEN", "X-Forwarded-User": "admin", "Remote-User": "user:admin"}},
        {"headers": {"SSL_CLIENT_S_DN": "/CN=x", "X-SSL-Client-Verify": "SUCCESS", "X-Client-Cert": "x"}},
    ],
)
async def test_a_token_counts_in_one_header_only(arena: Arena, shown: dict[str, Any]) -> None:
    text = orjson.dumps(shown).decode().replace("TOKEN", arena.server.admin_token)
    answer = await arena.server.call("GET", "/admin/v1/tokens", **orjson.loads(text))
    assert answer.status == 401


@pytest.mark.parametrize(
    "lines",
    [
        "Authorization: Bearer ADMIN\nAuthorization: Bearer ADMIN",
        "Authorization: Bearer wrong\nAuthorization: Bearer ADMIN",
        "Authorization: Bearer ADMIN\nauthorization: Bearer wrong",
        "Authorization: Bearer wrong, Bearer ADMIN",
        "Authorization: Bearer wrong ADMIN",
        "Authorization: Basic ADMIN",
        "Authorization: bearerADMIN",
        "Authorization: Bearer\tADMIN",
        "Authorization: Bearer ADMIN\x00",
        "Authorization: Bearer wrong\n ADMIN",
        "Authorization: Bearer ADMIN\u00e9",
        "Authorization: Bearer " + "x" * 30_000,
        "Authorization: Bearer a.b.c",
        "Authorization: Bearer \udcff.\udcff.\udcff",
        "Authorization: Bearer ..",
        "Authorization : Bearer ADMIN",
    ],
)
async def test_a_mangled_authorization_is_nobodys(arena: Arena, lines: str) -> None:
    lines = lines.replace("ADMIN", arena.server.admin_token)
    async with connected(arena.server) as line:
        await line.send(f"GET /admin/v1/tokens HTTP/1.1\nHost: localhost\n{lines}")
        status, _ = await line.head()
    assert status in (400, 401, 431)


async def test_a_scope_ends_at_a_component_in_every_face(yard: Yard) -> None:
    await yard.directory("b")
    await yard.directory("bc")
    file = await yard.file("bc/a.dcm")
    subject = f"bc{os.urandom(4).hex()}"
    jwt = yard.arena.issuer.token(sub=subject, scope=f"storage.read:{yard / 'b'} storage.modify:{yard / 'b'}")
    local = await yard.user("pdrwlxgsi", yard / "b", list(EVERY))
    for user in (local, User(yard.server, subject, jwt)):
        for surl in (
            file,
            yard / "bc",
            f"{yard / 'b'}/../bc/a.dcm",
            f"{yard / 'b'}%2f..%2fbc",
            f"/@basic{file}",
        ):
            assert not await user.reads(surl)
            assert not await user.sees(surl)
            for operation in ("rm", "getPermission"):
                assert (await user.srm(operation, surls=[surl])).status in (400, 404)
            assert (await user.admin("POST", "report", surl=surl)).status in (400, 404)


async def test_capabilities_are_all_that_a_token_with_them_has(yard: Yard) -> None:
    """Neither its subject's rights, nor its groups', nor those of whoever is authenticated; not `p`, not `i`."""
    issuer, subject = yard.arena.issuer, f"s{os.urandom(4).hex()}"
    await yard.set(
        yard.path,
        rule(f"sub:{issuer.url}#{subject}", "pdrwlxgsi", *EVERY),
        rule(f"group:{issuer.url}#/vo", "pdrwlxgsi", *EVERY),
        rule("any:authenticated", "rlx"),
    )
    file = await yard.file("a.dcm")
    for scope in (
        "storage.poll:/",
        "storage.read:/elsewhere",
        "compute.read",
        "storage.none:/",
        "storage.poll:/ openid",
    ):
        token = issuer.token(sub=subject, scope=scope, **{"wlcg.groups": ["/vo"]})
        user = User(yard.server, subject, token)
        assert not await user.reads(file), scope
        assert not await user.sees(file), scope
        assert (await user.srm("rm", surls=[file])).status in (401, 404), scope
        assert (await user.admin("PUT", "recipients", key=RECIPIENT)).status in (401, 403), scope
    every = " ".join(f"storage.{verb}:/" for verb in ("read", "create", "modify", "stage", "poll"))
    user = User(yard.server, subject, issuer.token(sub=subject, scope=every))
    assert await user.reads(file)
    assert not await user.reads(file, "identified")
    assert (await user.srm("setPermission", surls=[file], inherit=True)).status == 403
    assert (await user.admin("GET", "tokens")).status == 403
    for group in ("/v", "/vo/sub", "/VO", "/vo ", "/vo/"):
        user = User(yard.server, subject, issuer.token(sub="another", **{"wlcg.groups": [group]}))
        assert not await user.reads(file, "identified"), group


# A token and what it was told


async def test_a_narrow_token_of_a_subject_does_not_reach_what_a_wide_one_asked_for(yard: Yard) -> None:
    """Capabilities are a restriction: the same `sub` is not the same caller."""
    file = await yard.file("a.dcm")
    issuer = yard.arena.issuer
    subject = f"s{os.urandom(4).hex()}"
    wide = User(yard.server, subject, issuer.token(sub=subject, scope=f"storage.read:{yard.path}"))
    narrow = User(yard.server, subject, issuer.token(sub=subject, scope="storage.read:/elsewhere"))
    prepared = (await wide.get(file)).tree
    request = prepared["requestToken"]
    for operation in ("statusOfGetRequest", "extendFileLifeTime", "releaseFiles", "abortRequest"):
        answer = await narrow.srm(operation, requestToken=request)
        assert file.encode() not in answer.body, operation
        assert answer.status == 404, operation
    assert request.encode() not in (await narrow.srm("getRequestTokens")).body
    assert (await yard.server.call("HEAD", prepared["files"][0]["transferURL"])).status == 200


async def test_what_an_ended_token_asked_for_is_not_kept_alive_by_another(yard: Yard) -> None:
    """A capability for a few seconds is not made one for a day by a token that has it not."""
    file = await yard.file("a.dcm")
    issuer = yard.arena.issuer
    subject = f"s{os.urandom(4).hex()}"
    soon = int(time.time()) - 57  # with the minute that clocks may differ by
    brief = User(
        yard.server, subject, issuer.token(sub=subject, scope=f"storage.read:{yard.path}", exp=soon + 2)
    )
    narrow = User(yard.server, subject, issuer.token(sub=subject, scope="storage.read:/elsewhere"))
    prepared = (await brief.get(file)).tree
    await narrow.srm("extendFileLifeTime", requestToken=prepared["requestToken"], newPinLifeTime=86400)
    async with yard.server.house.database.acquire() as db:
        life = await db.fetchval(
            "select extract(epoch from max(expires) - now())::float8 from grants where request = $1::text::uuid",
            prepared["requestToken"],
        )
    assert life < 60


async def test_nobodies_do_not_reach_what_another_nobody_asked_for(yard: Yard) -> None:
    """All who show no credential have one name; they are not one caller."""
    file = await yard.file("a.dcm", rule("any:anonymous", "r"))
    await yard.set(yard.path, rule("any:anonymous", "x"))
    server, body = yard.server, {"files": [{"surl": file}]}
    mine = (await server.call("POST", "/srm/v2/prepareToGet", json=body)).tree
    listed = await server.call("POST", "/srm/v2/getRequestTokens", json={})
    assert mine["requestToken"].encode() not in listed.body
    await server.call("POST", "/srm/v2/releaseFiles", json={"surls": [file]})
    assert (await server.call("GET", mine["files"][0]["transferURL"])).status == 200


async def test_a_name_given_anew_does_not_inherit_requests(yard: Yard) -> None:
    file = await yard.file("a.dcm")
    name = f"again{os.urandom(4).hex()}"
    first = User(yard.server, name, await yard.server.token("rlx", yard.path, name=name))
    prepared = (await first.get(file)).tree
    await yard.server.call("DELETE", f"/admin/v1/tokens/{name}", token=yard.server.admin_token)
    second = User(yard.server, name, await yard.server.token("x", "/elsewhere", name=name))
    answer = await second.srm("statusOfGetRequest", requestToken=prepared["requestToken"])
    assert file.encode() not in answer.body
