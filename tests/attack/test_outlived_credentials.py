"""Credentials that have ended, come from elsewhere, or are guessed."""

import asyncio
import os
from typing import Any

import orjson
import pytest

from tests.attack.arena import RECIPIENT, Arena, rule
from tests.attack.principals import holder
from tests.attack.yard import User, Yard
from tests.conftest import Reply
from tests.faults.conditions import until
from tests.identity.grid_pki import dn, name
from tests.web.made_images import made
from tests.web.raw import connected


async def test_a_bearer_url_dies_with_its_grantors_rights(yard: Yard) -> None:
    """Whoever has it is served: it is a bearer's. But no longer than he who asked for it would be."""
    user = await yard.user()
    await yard.set(yard.path, user.may("xr"))
    file = await yard.file("a.dcm")
    url = await user.url(file)
    assert (await yard.server.call("GET", url)).status == 200
    await yard.set(yard.path, user.may("x"))
    await until(lambda: is_gone(yard, url))


@pytest.mark.parametrize(
    "how", ["acl", "default view", "delivery", "hidden", "mv", "token", "closed above", "rm"]
)
async def test_a_bearer_url_dies_with_anything_that_took_the_right(yard: Yard, how: str) -> None:
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
    await until(lambda: is_gone(yard, url))


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
    refresh = yard.server.house.mapping.refresh
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
            await until(lambda: is_gone(yard, url))
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

    await until(is_refused)


# Browsers, which show a certificate for whatever page asks


@pytest.mark.parametrize(
    "origin",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
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
    async with arena.server.house.database.acquire() as db:
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
    assert (await yard.server.call("DELETE", down)).status == 403  # that is for uploads
    for method in ("POST", "PATCH", "PROPFIND", "TRACE", "COPY", "MOVE"):
        assert (await yard.server.call(method, down)).status in (405, 501)
    assert not (await yard.server.call("OPTIONS", down)).body
    assert (await yard.server.call("GET", down)).status == 200
