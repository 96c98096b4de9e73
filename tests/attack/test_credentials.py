"""Credentials turned to what they are not for: shown elsewhere, twice, too late, in part, or with forged company."""

import asyncio
import os
import time
from typing import Any

import orjson
import pytest

from tests.attack.arena import RECIPIENT, Arena, rule
from tests.attack.principals import holder
from tests.attack.yard import EVERY, User, Yard
from tests.conftest import Reply
from tests.faults.conditions import until
from tests.identity.grid_pki import dn, name
from tests.web.made_images import made
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
    async with yard.server.archive.database.acquire() as db:
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


async def test_a_bearer_url_dies_with_its_grantors_rights(yard: Yard) -> None:
    """Whoever has it is served: it is a bearer's. But no longer than he who asked for it would be."""
    user = await yard.user()
    await yard.set(yard.path, user.may("xr"))
    file = await yard.file("a.dcm")
    url = await user.url(file)
    assert (await yard.server.call("GET", url)).status == 200
    await yard.set(yard.path, user.may("x"))
    await until(lambda: is_gone(yard, url), within=1.0)


@pytest.mark.parametrize(
    "how", ["acl", "default view", "delivery", "hidden", "mv", "token", "closed above", "rm"]
)
async def test_a_bearer_url_dies_within_a_second_of_anything_that_took_the_right(
    yard: Yard, how: str
) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xrl"))
    await yard.directory("closed", rule("user:somebody-else", "xrl"))
    file = await yard.file("d/a.dcm")
    url = await user.url(file)
    assert (await yard.server.call("GET", url)).status == 200
    admin = yard.server.admin_token
    if how == "acl":
        await yard.set(yard / "d", user.may("xl"))
    elif how == "default view":
        toml = f'name = "v{os.urandom(4).hex()}"\n'
        added = await yard.server.call("POST", "/admin/v1/profiles", token=admin, json={"toml": toml})
        name = added.tree["name"]
        body = {"surl": yard / "d", "default": True}
        assert (
            await yard.server.call("POST", f"/admin/v1/profiles/{name}/apply", token=admin, json=body)
        ).status == 202
    elif how == "delivery":
        await yard.delivery(yard / "d", deidentified="sealed")
    elif how == "hidden":
        await yard.set(file, rule("user:somebody-else", "rl"))
    elif how == "mv":
        await yard.server.srm("mv", fromSURL=file, toSURL=yard / "closed/a.dcm")
    elif how == "token":
        await yard.server.call("DELETE", f"/admin/v1/tokens/{user.name}", token=admin)
    elif how == "closed above":
        await yard.set(yard.path, rule("user:somebody-else", "x"))
    else:
        await yard.server.srm("rm", surls=[file])
    await until(lambda: is_gone(yard, url), within=1.0)


async def is_gone(yard: Yard, url: str) -> bool:
    return (await yard.server.call("GET", url)).status == 410


# Too late: what is begun with a good credential is ended after its end


async def held_open(user: User, operation: str, body: dict[str, Any], meanwhile: Any) -> tuple[int, bytes]:
    """The answer to a request whose body comes after something has happened."""
    data = orjson.dumps(body)
    async with connected(user.server) as line:
        await line.send(
            f"POST /srm/v2/{operation} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {user.token}\n"
            f"Content-Type: application/json\nContent-Length: {len(data)}",
            data[:1],
        )
        await asyncio.sleep(0.1)  # until the server has looked at the credential, if it does that first
        await meanwhile()
        line.writer.write(data[1:])
        status, _, answer = await line.answer()
        return status, answer


@pytest.mark.parametrize("operation", ["rm", "mkdir", "prepareToGet", "setPermission"])
async def test_a_request_held_open_does_not_outlive_its_token(yard: Yard, operation: str) -> None:
    user = await yard.user("pdrwlxgs")
    file = await yard.file("a.dcm")
    bodies: dict[str, dict[str, Any]] = {
        "rm": {"surls": [file]},
        "mkdir": {"surl": yard / "late"},
        "prepareToGet": {"files": [{"surl": file}]},
        "setPermission": {"surls": [file], "permissionType": "ADD", "rules": [rule("any:anonymous", "r")]},
    }

    async def revoke() -> None:
        answer = await yard.server.call(
            "DELETE", f"/admin/v1/tokens/{user.name}", token=yard.server.admin_token
        )
        assert answer.status == 204

    status, _ = await held_open(user, operation, bodies[operation], revoke)
    assert status == 401
    assert await yard.there(file)
    assert not await yard.there(yard / "late")


async def test_a_request_held_open_does_not_outlive_its_group(yard: Yard) -> None:
    """What it is granted then must not be served for ever."""
    mapping = yard.arena.mapping
    user = await yard.user()
    await yard.set(yard.path, rule("group:local#/brief", "xr"), rule("any:authenticated", "x"))
    file = await yard.file("a.dcm")
    before = mapping.read_text()
    refresh = yard.server.archive.mapping.refresh
    try:
        mapping.write_text(before + f'brief = ["{user.principal}"]\n')
        await refresh()
        assert await user.reads(file)

        async def leave() -> None:
            mapping.write_text(before)
            await refresh()

        status, answer = await held_open(user, "prepareToGet", {"files": [{"surl": file}]}, leave)
        assert not await user.reads(file)
        if status == 200:
            url = (
                yard.server.url + "/t/" + orjson.loads(answer)["files"][0]["transferURL"].partition("/t/")[2]
            )
            await until(lambda: is_gone(yard, url), within=1.0)
        assert status != 200
    finally:
        mapping.write_text(before)
        await refresh()


async def test_a_connection_does_not_outlive_its_certificate(yard: Yard) -> None:
    """Revoked by its authority, it is nobody's at the next request, though its connection was opened before."""
    grid = yard.arena.grid
    identity = grid.authority.issue(name("Mallory"), 7)
    mallory = holder(yard.arena, "mallory", identity, dn("Mallory"))
    await yard.set(yard.path, rule(str(mallory.name), "xlr"))
    file = await yard.file("a.dcm")
    assert (await mallory.srm(yard.server, "ls", surls=[file])).status == 200
    grid.authority.revoke([identity])

    async def is_refused() -> bool:
        return (await mallory.srm(yard.server, "ls", surls=[file])).status == 401

    await until(is_refused, within=3.0)


# Browsers, which show a certificate for whatever page asks


@pytest.mark.parametrize("origin", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_another_sites_page_does_nothing_with_a_browsers_certificate(
    yard: Yard, origin: dict[str, str]
) -> None:
    """A page may POST text to any site without asking first; the browser adds the certificate, if it has one."""
    eve = yard.arena.principals["certificate"]
    await yard.set(yard.path, rule(str(eve.name), "pxlwd"))
    file = await yard.file("a.dcm")
    for operation, body in (("rm", {"surls": [file]}), ("mkdir", {"surl": yard / "made"})):
        answer = await eve.call(
            yard.server,
            "POST",
            f"/srm/v2/{operation}",
            data=orjson.dumps(body),
            headers={"Content-Type": "text/plain", **origin},
        )
        assert answer.status in (400, 403, 415), answer.body
    assert await yard.there(file)


# Where requests come from


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "203.0.113.9\r\n", "X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9;proto=https"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"Via": "1.1 x"},
        {"Host": "evil.example"},
    ],
)
async def test_nobody_but_a_listed_proxy_forwards(arena: Arena, headers: dict[str, str]) -> None:
    lines = "\n".join(f"{name}: {value.strip()}" for name, value in ({"Host": "localhost"} | headers).items())
    async with connected(arena.server) as line:
        await line.send(
            f"POST /srm/v2/ls HTTP/1.1\n{lines}\nAuthorization: Bearer {arena.server.admin_token}\nContent-Length: 0"
        )
        status, _, body = await line.answer()
    assert status == 403, body
    async with arena.server.archive.database.acquire() as db:
        assert not await db.fetchval("select exists (select from audit where source like '203.0.113%')")


# Guesses


async def test_guessed_transfer_urls_and_requests_are_all_alike(arena: Arena) -> None:
    told: set[tuple[int, bytes]] = set()
    for token in (os.urandom(32).hex()[:43], "a", "x" * 43, "%00", "..%2f..", "*", "%ff", "A" * 4000):
        reply: Reply = await arena.server.call("GET", f"/t/{token}/image.dcm")
        told.add((reply.status, orjson.dumps({k: v for k, v in reply.tree.items() if k != "requestId"})))
    assert {status for status, _ in told} <= {410, 404}
    anonymous = arena.principals["narrow"]
    answers = {
        (await anonymous.srm(arena.server, "statusOfGetRequest", requestToken=text)).status
        for text in (
            os.urandom(16).hex(),
            "x",
            "",
            "{" + os.urandom(16).hex() + "}",
            "0" * 32,
            "1\u00b2" * 16,
            "é",
        )
    }
    assert answers == {404}


async def test_a_sealed_transfer_needs_the_recipients_key_of_who_asked(yard: Yard) -> None:
    user = await yard.user("ri", views=["identified"])
    file = await yard.file("a.dcm")
    url = await user.url(file, view="identified", recipient=RECIPIENT)
    body = (await yard.server.call("GET", url)).body
    assert made()[:200] not in body
    assert b"DICM" not in body


async def test_an_upload_url_reads_nothing_and_a_download_url_writes_nothing(yard: Yard) -> None:
    user = await yard.user("rwlx")
    file = await yard.file("a.dcm")
    down = await user.url(file)
    up = (await user.srm("prepareToPut", files=[{"surl": yard / "b.dcm"}])).tree["files"][0]["transferURL"]
    assert (await yard.server.call("GET", up)).status == 410
    assert (await yard.server.call("PUT", down, data=made(seed=3))).status == 410
    for method in ("POST", "DELETE", "PATCH", "PROPFIND", "OPTIONS", "TRACE", "COPY", "MOVE"):
        assert (await yard.server.call(method, down)).status in (405, 501)
