"""WLCG tokens at a server: capabilities as rights, refusals that say why, and each request of a connection alone."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.conftest import Reply, Server, running_server
from tests.identity.token_issuer import AUDIENCE, TokenIssuer, trusted_issuer
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.srm.codes import codes

BASE = "/vo"


@dataclass(frozen=True)
class Site:
    server: Server
    issuer: TokenIssuer

    def token(self, scope: str, **claims: object) -> str:
        return self.issuer.token(scope=scope, **claims)

    async def dav(self, method: str, path: str, token: str | None, **headers: str) -> Reply:
        options = {"data": made(seed=len(path))} if method == "PUT" else {}
        return await self.server.call(method, f"/dav{path}", token=token, headers=headers, **options)

    async def status(self, method: str, path: str, token: str | None, **headers: str) -> int:
        return (await self.dav(method, path, token, **headers)).status


@pytest.fixture(scope="module")
async def site(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """Files `/vo/foo/x`, `/vo/foobar` and `/other/x`; the issuer's tokens begin at `/vo`."""
    folder: Path = tmp_path_factory.mktemp("grid-tokens")
    async with trusted_issuer(folder) as (issuer, _):
        identity = {
            "ca_directory": folder / "authorities",
            "issuers": [{"url": issuer.url, "path": BASE, "audience": [AUDIENCE]}],
        }
        dsn = await postgres.fresh_database(migrated)
        async with running_server(folder / "data", dsn, identity=identity) as server:
            for directory in ("/vo", "/vo/foo", "/vo/a", "/other"):
                await server.srm("mkdir", surl=directory)
            for file in ("/vo/foo/x", "/vo/foobar", "/other/x"):
                await server.put(file, made())
            yield Site(server, issuer)


@pytest.mark.parametrize(
    ("path", "x", "foobar"),
    [
        ("/", 200, 200), ("/foo", 200, 404), ("/foo/", 200, 404), ("//foo", 200, 404), ("/./foo/.", 200, 404),
        ("/foo/x", 200, 404), ("/foo//x", 200, 404), ("/foo/x/y", 404, 404), ("/fo", 404, 404), ("/foobar", 404, 200),
    ],
)  # fmt: skip
async def test_a_path_is_all_below_it_by_component(site: Site, path: str, x: int, foobar: int) -> None:
    token = site.token(f"storage.read:{path}")
    assert await site.status("GET", "/vo/foo/x", token) == x
    assert await site.status("GET", "/vo//foo/./x", token) == x
    assert await site.status("GET", "/@basic/vo/foo/x", token) == x
    assert await site.status("GET", "/vo/foobar", token) == foobar
    assert await site.status("GET", "/other/x", token) == 404


async def test_a_capability_without_a_path_spoils_the_token(site: Site) -> None:
    for scope in ("storage.read", "storage.read:", "storage.read:/ storage.create"):
        assert await site.status("GET", "/vo/foo/x", site.token(scope)) == 401


@pytest.mark.parametrize("capability", ["create", "modify"])
async def test_to_create_looks_at_parents_and_makes_them_and_sees_nothing_else(
    site: Site, capability: str
) -> None:
    top = f"/vo/a/{capability}"
    await site.server.put(f"/vo/a/beside-{capability}", made())
    token = site.token(f"storage.{capability}:/a/{capability}/b/f")
    for seen in ("/", "/vo", "/vo/a"):
        assert await site.status("PROPFIND", seen, token, Depth="0") == 207
        assert await site.status("PROPFIND", seen, token, Depth="1") == 403
    assert await site.status("PROPFIND", top, token, Depth="0") == 404
    for hidden in (f"/vo/a/beside-{capability}", "/vo/foo", "/other"):
        assert await site.status("PROPFIND", hidden, token, Depth="0") == 404
    for barred in (f"{top}x", "/vo/a/other", f"{top}/c", "/other/c"):
        assert await site.status("MKCOL", barred, token) in (403, 404, 409)
    tree = await site.server.srm("mkdir", expect=None, token=token, surl=f"{top}/c/d", parents=True)
    assert tree["returnStatus"]["statusCode"] != "SRM_SUCCESS"
    assert await site.status("MKCOL", top, token) == 201
    assert await site.status("MKCOL", f"{top}/b", token) == 201
    assert await site.status("MKCOL", f"{top}/b", token) == 405
    assert await site.status("PUT", f"{top}/b/f", token) == 201
    assert await site.status("PUT", f"{top}/b/g", token) in (403, 404, 409)


async def test_to_create_renames_and_neither_overwrites_deletes_nor_reads(site: Site) -> None:
    token = site.token("storage.create:/a/renames")
    assert await site.status("MKCOL", "/vo/a/renames", token) == 201
    assert await site.status("PUT", "/vo/a/renames/one", token) == 201
    moved = {"fromSURL": "/vo/a/renames/one", "toSURL": "/vo/a/renames/two"}
    await site.server.srm("mv", token=token, **moved)
    assert await site.status("GET", "/vo/a/renames/two", token) == 403
    assert await site.status("DELETE", "/vo/a/renames/two", token) == 403
    assert await site.status("PUT", "/vo/a/renames/./two", token) in (403, 409)  # other bytes
    out = {"fromSURL": "/vo/a/renames/two", "toSURL": "/vo/a/elsewhere"}
    assert (await site.server.srm("mv", expect=None, token=token, **out))["returnStatus"][
        "statusCode"
    ] != "SRM_SUCCESS"
    into = {"fromSURL": "/vo/foo/x", "toSURL": "/vo/a/renames/x"}
    assert (await site.server.srm("mv", expect=None, token=token, **into))["returnStatus"][
        "statusCode"
    ] != "SRM_SUCCESS"
    modify = site.token("storage.modify:/a/renames")
    assert await site.status("GET", "/vo/a/renames/two", modify) == 403
    assert await site.status("DELETE", "/vo/a/renames/two", modify) == 204


async def test_to_stage_brings_online_and_releases_and_reads_nothing(site: Site) -> None:
    for version in ("1.0", "1.2", "1.3"):
        token = site.token("storage.stage:/foo", **{"wlcg.ver": version})
        tree = await site.server.srm("bringOnline", token=token, files=[{"surl": "/vo/foo/x"}])
        assert codes(tree) == ["SRM_SUCCESS"]
        told = await site.server.srm(
            "statusOfBringOnlineRequest", token=token, requestToken=tree["requestToken"]
        )
        assert codes(told) == ["SRM_SUCCESS"]
        await site.server.srm("releaseFiles", token=token, requestToken=tree["requestToken"])
        assert await site.status("GET", "/vo/foo/x", token) == 403
        refused = await site.server.srm(
            "prepareToGet", expect=403, token=token, files=[{"surl": "/vo/foo/x"}]
        )
        assert codes(refused) == ["SRM_AUTHORIZATION_FAILURE"]
        outside = await site.server.srm(
            "bringOnline", expect=None, token=token, files=[{"surl": "/vo/foobar"}]
        )
        assert codes(outside) == ["SRM_INVALID_PATH"]
    poll = site.token("storage.poll:/foo")
    assert codes(await site.server.srm("ls", expect=None, token=poll, surls=["/vo/foo/x"])) == [
        "SRM_INVALID_PATH"
    ]


async def test_any_capability_switches_groups_off_and_a_refusal_says_what_was_shown(site: Site) -> None:
    group = f"group:{site.issuer.url}#/writers"
    for surl, rights in (("/", "x"), ("/vo", "x"), ("/vo/foo", "rwlxg")):
        rules = [{"principal": group, "rights": rights}]
        await site.server.srm("setPermission", surls=[surl], permissionType="ADD", rules=rules)
    groups = {"wlcg.groups": ["/writers"]}
    assert await site.status("PUT", "/vo/foo/mine", site.token("openid", **groups)) == 201
    answer = await site.dav("PUT", "/vo/foo/other", site.token("storage.stage:/", **groups))
    assert answer.status == 403
    assert "right 'w'" in answer.tree["detail"]
    assert "'glx' at and below /vo" in answer.tree["remedy"]
    missing = await site.dav("GET", "/vo/foobar", site.token("storage.read:/foo"))
    assert "at and below /vo/foo" in missing.tree["remedy"]


async def test_a_macaroon_of_a_token_gives_no_more_and_ends_with_its_issuers_key(site: Site) -> None:
    asked = {"Content-Type": "application/macaroon-request"}
    token = site.token("storage.read:/foo")
    answer = await site.server.call("POST", "/dav/", token=token, json={}, headers=asked)
    macaroon = answer.tree["macaroon"]
    assert await site.status("GET", "/vo/foo/x", macaroon) == 200
    assert await site.status("GET", "/vo/foobar", macaroon) == 404
    keys = site.server.house.makers.issuers._keys[site.issuer.url]
    before, keys._keys = keys._keys, {("other", "ES256"): next(iter(keys._keys.values()))}
    try:
        assert await site.status("GET", "/vo/foo/x", macaroon) == 401
    finally:
        keys._keys = before
    assert await site.status("GET", "/vo/foo/x", macaroon) == 200


async def test_a_thousand_requests_of_one_connection_are_each_judged_alone(site: Site) -> None:
    server = site.server
    narrow, wide = site.token("storage.read:/foo/x"), site.token("storage.read:/")
    asked = {"Content-Type": "application/macaroon-request"}
    macaroon = (await server.call("POST", "/dav/vo/foobar", token=wide, json={}, headers=asked)).tree[
        "macaroon"
    ]
    line = (await server.prepare("/other/x"))["transferURL"].removeprefix(server.url)
    expired = site.token("storage.read:/", exp=1_000_000_000)
    x, foobar, other = "/dav/vo/foo/x", "/dav/vo/foobar", "/dav/other/x"
    cases: list[tuple[str | None, str, int]] = [
        (token, path, status)
        for token, statuses in (
            (narrow, (200, 404, 404)), (wide, (200, 200, 404)), (macaroon, (404, 200, 404)),
            (server.admin_token, (200, 200, 200)), (None, (401, 401, 401)), (expired, (401, 401, 401)),
            ("no-such-token", (401, 401, 401)), (narrow[:-6] + "AAAAAA", (401, 401, 401)),
        )
        for path, status in zip((x, foobar, other), statuses, strict=True)
    ] + [(None, line, 200)]  # fmt: skip
    order = random.Random(31).choices(cases, k=1000)
    ports = set()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as one:
        for token, path, status in order:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with one.head(server.url + path, headers=headers) as answer:
                assert answer.status == status, (path, token and token[:8])
                if answer.connection is not None and answer.connection.transport is not None:
                    ports.add(answer.connection.transport.get_extra_info("sockname")[1])
            await asyncio.sleep(0)
    assert len(ports) <= 2, "it was not one connection"


async def test_what_one_token_made_is_its_bearers_and_nobody_elses(site: Site) -> None:
    ada = site.token("storage.modify:/a storage.read:/a", sub="ada")
    bob = site.token("storage.modify:/a storage.read:/a", sub="bob")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as one:
        for number in range(6):
            for name, token in (("ada", ada), ("bob", bob)):
                headers = {"Authorization": f"Bearer {token}"}
                url = f"{site.server.url}/dav/vo/a/{name}-{number}"
                async with one.put(url, headers=headers, data=made()) as answer:
                    assert answer.status == 201
    async with site.server.house.database.acquire() as db:
        rows = await db.fetch(
            "select e.name, a.caller from audit a join entries e using (guid)"
            " where a.act = 'put' and (e.name like 'ada-%' or e.name like 'bob-%')"
        )
    assert len(rows) == 12
    assert all(row["caller"].endswith(f"#{row['name'][:3]}") for row in rows)


async def test_a_capability_is_told_of_no_macaroons_and_ends_those_of_which_it_is_shown_the_id(
    site: Site,
) -> None:
    asked = {"headers": {"Content-Type": "application/macaroon-request"}, "json": {}}
    wide, narrow = site.token("storage.read:/"), site.token("storage.read:/foo")
    made_ = (await site.server.call("POST", "/dav/vo/foobar", token=wide, **asked)).tree
    assert (await site.server.call("GET", "/admin/v1/macaroons", token=narrow)).status == 403
    ended = await site.server.call("DELETE", f"/admin/v1/macaroons/{made_['id']}", token=wide)
    assert ended.status == 204


@pytest.mark.parametrize("operation", ["ls", "checkPermission", "releaseFiles", "rm", "getPermission"])
async def test_where_anybody_may_look_a_token_for_elsewhere_is_told_the_same_of_hidden_and_missing(
    site: Site, operation: str
) -> None:
    """What was shown is named for both, though a name that is not there is refused by no scope."""
    server, seen = site.server, f"/seen-{operation}"
    await server.srm("mkdir", surl=seen)
    passing = [{"principal": "any:anonymous", "rights": "x"}]
    await server.srm("setPermission", surls=["/"], permissionType="ADD", rules=passing)
    for path, rights in ((seen, "xlgpd"), (f"{seen}/veiled", "x")):
        if path != seen:
            await server.put(path, made())
        rules = [{"principal": "any:anonymous", "rights": rights}]
        await server.srm("setPermission", surls=[path], permissionType="SET", rules=rules)
    guid = (await server.srm("ls", surls=[f"{seen}/veiled"]))["files"][0]["guid"]
    token = site.token("storage.read:/foo")
    for hidden, free in ((f"{seen}/veiled", f"{seen}/absent"), (f"guid:{guid}", f"guid:{uuid4()}")):
        told = []
        for surl in (hidden, free):
            answer = await server.call("POST", f"/srm/v2/{operation}", token=token, json={"surls": [surl]})
            told.append((answer.status, answer.body.replace(surl.encode(), b"NAME")))
        assert told[0] == told[1]
        assert b"at and below /vo/foo" in told[0][1]
    await server.srm("setPermission", surls=["/"], permissionType="REMOVE", rules=passing)
