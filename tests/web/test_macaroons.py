"""Macaroons: asked for at a path, narrowed by anybody, never more than what their maker may now."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from pymacaroons import Macaroon

from mdm_async.catalog.rights import tokens
from mdm_async.identity.authenticator import ADMIN
from mdm_async.identity.caveats import told_moment
from tests.conftest import Reply, Server
from tests.patience import PATIENCE
from tests.web.dav.test_locks import lockinfo
from tests.web.made_images import made
from tests.web.srm.codes import codes


@dataclass(frozen=True)
class Minter:
    server: Server

    async def ask(self, path: str, token: str | None = None, **asked: Any) -> Reply:
        return await self.server.call(
            "POST",
            f"/dav{path}",
            token=token or self.server.admin_token,
            json=asked,
            headers={"Content-Type": "application/macaroon-request"},
        )

    async def make(self, path: str, *caveats: str, token: str | None = None, validity: str = "PT10M") -> str:
        answer = await self.ask(path, token, caveats=list(caveats), validity=validity)
        assert answer.status == 200, answer.body
        return str(answer.tree["macaroon"])

    async def get(self, path: str, token: str | None) -> int:
        return (await self.server.call("GET", f"/dav{path}", token=token)).status

    async def gone(self, url: str) -> None:
        """Return once a transfer URL has ended."""
        async with asyncio.timeout(PATIENCE):
            while (await self.server.call("GET", url)).status != 410:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def put(self, path: str, token: str) -> int:
        return (await self.server.call("PUT", f"/dav{path}", token=token, data=made())).status

    async def ls(self, path: str, token: str, count: int | None = None) -> str:
        more = {} if count is None else {"count": count}
        (code,) = codes(await self.server.srm("ls", expect=None, token=token, surls=[path], **more))
        return code


@pytest.fixture
async def minter(server: Server) -> Minter:
    return Minter(server)


@pytest.fixture
async def place(server: Server) -> str:
    """A directory with a file `a.dcm` and a directory `below` that has one too."""
    directory = await server.directory()
    await server.srm("mkdir", surl=f"{directory}/below")
    for name in ("a.dcm", "below/b.dcm"):
        await server.put(f"{directory}/{name}", made())
    return directory


def narrowed(token: str, *caveats: str) -> str:
    one = Macaroon.deserialize(token)
    for caveat in caveats:
        one.add_first_party_caveat(caveat)
    return one.serialize()


class TestAskedFor:
    async def test_a_macaroon_says_what_bars_it(self, minter: Minter, place: str) -> None:
        token = await minter.make(place, "activity:LIST,DOWNLOAD")
        said = [caveat.caveat_id for caveat in Macaroon.deserialize(token).caveats]
        assert [one.partition(":")[0] for one in said] == ["iid", "id", "path", "activity", "before"]
        assert said[2:4] == [f"path:{place}", "activity:LIST,DOWNLOAD"]

    async def test_a_view_or_another_spelling_is_no_part_of_its_path(
        self, minter: Minter, place: str
    ) -> None:
        for asked in (f"/@basic{place}/", f"/{place}", f"/.{place}/."):
            said = [caveat.caveat_id for caveat in Macaroon.deserialize(await minter.make(asked)).caveats]
            assert f"path:{place}" in said

    async def test_one_of_a_directory_serves_its_children_in_every_face(
        self, minter: Minter, place: str
    ) -> None:
        token = await minter.make(place, "activity:LIST,DOWNLOAD")
        assert await minter.get(f"{place}/a.dcm", token) == 200
        assert await minter.get(f"/@basic{place}/below/b.dcm", token) == 200
        assert await minter.get(f"/{place}/./below//b.dcm", token) == 200
        assert await minter.ls(place, token) == "SRM_SUCCESS"
        tree = await minter.server.srm("prepareToGet", token=token, files=[{"surl": f"{place}/a.dcm"}])
        assert (await minter.server.call("GET", tree["files"][0]["transferURL"])).status == 200

    async def test_one_of_a_file_or_of_what_is_not_there_yet_serves_that_alone(
        self, minter: Minter, place: str
    ) -> None:
        token = await minter.make(f"{place}/new/c.dcm", "activity:UPLOAD")
        assert await minter.put(f"{place}/c.dcm", token) == 409  # as where the directory is not there
        tree = await minter.server.srm("mkdir", expect=None, token=token, surl=f"{place}/new/c.dcm2")
        assert tree["returnStatus"]["statusCode"] != "SRM_SUCCESS"
        assert await minter.ls(place, token, 0) == "SRM_SUCCESS"
        assert await minter.ls(place, token) == "SRM_AUTHORIZATION_FAILURE"
        assert await minter.ls(f"{place}/a.dcm", token, 0) == "SRM_INVALID_PATH"
        await minter.server.srm("mkdir", token=token, surl=f"{place}/new")
        assert await minter.put(f"{place}/new/c.dcm", token) == 201
        # To overwrite takes DELETE too.
        assert await minter.put(f"{place}/new/c.dcm", token) in (403, 409)
        both = await minter.make(f"{place}/new/c.dcm", "activity:UPLOAD,DELETE")
        assert await minter.put(f"{place}/new/c.dcm", both) in (200, 201, 204)

    async def test_none_is_made_where_the_identified_view_is_named_since_it_would_be_worth_nothing(
        self, minter: Minter, place: str
    ) -> None:
        answer = await minter.ask(f"/@identified{place}/a.dcm")
        assert answer.status == 403, answer.body
        assert "identified" in answer.tree["detail"]

    @pytest.mark.parametrize(
        "asked",
        [
            {"validity": "PT0S"}, {"validity": "30M"}, {"validity": "P"}, {"validity": "PT"}, {"validity": "-PT1M"},
            {"validity": "PT1M1H"}, {"validity": "P1Y"}, {"validity": "PT99999999999M"}, {"validity": 5},
            {"caveats": ["activity:FLY"]}, {"caveats": ["max-size:4"]}, {"caveats": ["id:me"]},
            {"caveats": ["path:../x"]}, {"caveats": ["before:2020-01-01T00:00:00Z"]}, {"caveats": "activity:LIST"},
            {"caveats": ["activity:LIST"] * 101}, {"caveats": ["home:/" + "x" * 200] * 20},
            {"caveats": ["activity:LIST"] * 40}, {"other": 1},
        ],
    )  # fmt: skip
    async def test_what_cannot_be_made_is_refused(self, minter: Minter, asked: dict[str, Any]) -> None:
        answer = await minter.ask("/", **asked)
        assert answer.status == 400, answer.body

    async def test_only_who_says_who_they_are_makes_one_and_only_by_a_macaroon_request(
        self, minter: Minter
    ) -> None:
        kind = {"Content-Type": "application/macaroon-request"}
        assert (await minter.server.call("POST", "/dav/", json={}, headers=kind)).status == 401
        answer = await minter.server.call("POST", "/dav/", token=minter.server.admin_token, json={})
        assert answer.status == 415

    async def test_it_lives_no_longer_than_was_asked_for_than_its_maker_or_than_the_longest(
        self, minter: Minter
    ) -> None:
        server = minter.server
        body = {"name": f"short-{uuid4().hex[:8]}", "rights": "r", "lifetime": 90}
        short = (await server.call("POST", "/admin/v1/tokens", token=server.admin_token, json=body)).tree[
            "token"
        ]
        for token, validity, seconds in (
            (None, "PT2M", 120),
            (short, "PT9M", 90),
            (None, "P900D", 7 * 86400),
            (None, "P1DT1H1M1.5S", 90061),
        ):
            made_one = await minter.make("/", token=token, validity=validity)
            tree = (await server.call("POST", "/admin/v1/whoami", token=made_one, json={"surl": "/"})).tree
            (before,) = [
                caveat.caveat_id.removeprefix("before:")
                for caveat in Macaroon.deserialize(made_one).caveats
                if caveat.caveat_id.startswith("before:")
            ]
            now = time.time()
            assert told_moment(now + seconds - 30) <= before <= told_moment(now + seconds + 1)
            assert tree["credential"] == "macaroon"
            assert tree["until"].rstrip("Z")[:19] <= before.rstrip("Z")

    async def test_so_many_of_one_maker_are_live_at_once(self, minter: Minter, monkeypatch: Any) -> None:
        token = await minter.server.token("r")
        limits = minter.server.house.settings.limits
        monkeypatch.setattr(
            minter.server.house, "settings",
            minter.server.house.settings.model_copy(update={"limits": limits.model_copy(update={"macaroons": 3})}),
        )  # fmt: skip
        for _ in range(3):
            await minter.make("/", token=token)
        answer = await minter.ask("/", token)
        assert answer.status == 429
        assert "Retry-After" in answer.headers
        await minter.make("/", token=await minter.server.token("r"))

    async def test_caveats_are_counted_before_they_are_read(
        self, minter: Minter, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mdm_async.identity.caveats.of", None)
        for caveats in (["ip:192.0.2.1"] * 64, ["ip:" + ",".join(["192.0.2.1"] * 400)] * 2):
            answer = await minter.ask(place, caveats=caveats)
            assert answer.status == 400
            assert "fewer" in answer.tree["remedy"]


class TestNarrowed:
    async def test_anybody_narrows_one_and_nobody_widens_it(self, minter: Minter, place: str) -> None:
        token = await minter.make(place, "activity:LIST,DOWNLOAD")
        below = narrowed(token, f"path:{place}/below")
        assert await minter.get(f"{place}/below/b.dcm", below) == 200
        assert await minter.get(f"{place}/a.dcm", below) == 404
        assert await minter.get(f"{place}/below/b.dcm", narrowed(token, "activity:LIST")) == 403
        wider = narrowed(below, f"path:{place}", "activity:LIST,DOWNLOAD,DELETE")
        assert await minter.get(f"{place}/a.dcm", wider) == 404
        answer = await minter.server.call("DELETE", f"/dav{place}/below/b.dcm", token=wider)
        assert answer.status == 403

    @pytest.mark.parametrize(
        "caveat",
        ["before:2020-01-01T00:00:00Z", "ip:192.0.2.1", "path:/elsewhere", "color:red", "activity:FLY", "id:x",
         f"iid:{UUID(int=7)}", "path:x", "before:soon", "no colon"],
    )  # fmt: skip
    async def test_a_caveat_that_fails_or_is_not_understood_denies(
        self, minter: Minter, place: str, caveat: str
    ) -> None:
        answer = await minter.server.call(
            "GET", f"/dav{place}/a.dcm", token=narrowed(await minter.make(place), caveat)
        )
        assert answer.status == 401
        assert b"macaroon" in answer.body

    async def test_the_right_address_is_admitted(self, minter: Minter, place: str) -> None:
        token = await minter.make(place, "ip:127.0.0.0/8,::1")
        assert await minter.get(f"{place}/a.dcm", token) == 200

    async def test_an_altered_one_is_none(self, minter: Minter, place: str) -> None:
        token = await minter.make(place, "activity:LIST")
        whole = Macaroon.deserialize(token)
        forged = [Macaroon.deserialize(token) for _ in range(3)]
        forged[0].caveats.pop()
        forged[1].caveats[3].caveat_id = "activity:LIST,DOWNLOAD"
        forged[2].identifier = str(uuid4())
        other = Macaroon(location="x", identifier=whole.identifier, key="guessed")
        for one in (*forged, other):
            assert await minter.get(f"{place}/a.dcm", one.serialize()) == 401
        for text in (whole.identifier, f"macaroon {whole.identifier}", token[:-4], token + token, token[4:]):
            assert await minter.get(f"{place}/a.dcm", text) == 401

    async def test_what_was_asked_for_with_more_is_hidden(self, minter: Minter, place: str) -> None:
        server, wide = minter.server, await minter.make(place, "activity:LIST,DOWNLOAD,UPLOAD,DELETE")
        got = await server.srm("prepareToGet", token=wide, files=[{"surl": f"{place}/a.dcm"}])
        narrow = narrowed(wide, f"path:{place}/below")
        assert (await server.srm("getRequestTokens", token=narrow))["requestTokens"] == []
        for operation in ("statusOfGetRequest", "abortRequest"):
            await server.srm(operation, token=narrow, expect=404, requestToken=got["requestToken"])
        locked = await server.call("LOCK", f"/dav{place}/a.dcm", token=wide, data=lockinfo())
        assert locked.status == 200, locked.body
        taken = {"Lock-Token": locked.headers["Lock-Token"]}
        for narrow, status in ((narrowed(wide, "activity:LIST"), 403), (wide, 204)):
            answer = await server.call("UNLOCK", f"/dav{place}/a.dcm", token=narrow, headers=taken)
            assert answer.status == status, answer.body

    async def test_to_stage_brings_online_what_its_maker_may_read_and_does_not_read(
        self, minter: Minter, place: str
    ) -> None:
        server, files = minter.server, [{"surl": f"{place}/a.dcm"}]
        reader, lister = [await server.token(rights, path=place) for rights in ("rlxg", "lxg")]
        for maker, code in ((reader, "SRM_SUCCESS"), (lister, "SRM_AUTHORIZATION_FAILURE")):
            token = await minter.make(place, "activity:STAGE", token=maker)
            assert codes(await server.srm("bringOnline", expect=None, token=token, files=files)) == [code]
            assert await minter.get(f"{place}/a.dcm", token) == 403
        token = await minter.make(place, "activity:LIST", token=reader)
        assert codes(await server.srm("bringOnline", expect=None, token=token, files=files)) == [
            "SRM_AUTHORIZATION_FAILURE"
        ]
        whole = await minter.make(place, "activity:STAGE")
        files = [{"surl": f"/@identified{place}/a.dcm"}]
        refused = codes(await server.srm("bringOnline", expect=None, token=whole, files=files))
        assert refused == ["SRM_AUTHORIZATION_FAILURE"]


class TestMaker:
    async def test_it_gives_no_more_than_its_maker_has(self, minter: Minter, place: str) -> None:
        reader = await minter.server.token("rlxg", f"{place}/below")
        token = await minter.make("/", "activity:LIST,DOWNLOAD,UPLOAD,DELETE", token=reader)
        assert await minter.get(f"{place}/below/b.dcm", token) == 200
        assert await minter.get(f"{place}/a.dcm", token) == 404
        assert await minter.put(f"{place}/below/c.dcm", token) == 403

    async def test_it_gives_what_acls_give_its_maker_now(self, minter: Minter, place: str) -> None:
        name = f"ada{uuid4().hex[:6]}"
        maker = await minter.server.token("", name=name)
        token = await minter.make(place, "activity:LIST,DOWNLOAD", token=maker)
        assert await minter.get(f"{place}/a.dcm", token) == 404
        root = [{"principal": f"user:{name}", "rights": "x"}]
        await minter.server.srm("setPermission", surls=["/"], permissionType="ADD", rules=root)
        try:
            for rights, status in (("rlxg", 200), ("lxg", 403), ("", 404)):
                rules = [{"principal": f"user:{name}", "rights": rights}] if rights else []
                await minter.server.srm("setPermission", surls=[place], permissionType="SET", rules=rules)
                assert await minter.get(f"{place}/a.dcm", token) == status
                assert await minter.get(f"{place}/a.dcm", maker) == status
        finally:  # Directories that other tests make on this server begin with what the root gives.
            await minter.server.srm("setPermission", surls=["/"], permissionType="REMOVE", rules=root)

    async def test_it_ends_with_the_local_token_that_made_it(self, minter: Minter, place: str) -> None:
        name = f"gone{uuid4().hex[:6]}"
        maker = await minter.server.token("rlxg", name=name)
        token = await minter.make(place, token=maker)
        line = await minter.server.srm("prepareToGet", token=token, files=[{"surl": f"{place}/a.dcm"}])
        url = line["files"][0]["transferURL"]
        assert await minter.get(f"{place}/a.dcm", token) == 200
        await minter.server.call("DELETE", f"/admin/v1/tokens/{name}", token=minter.server.admin_token)
        assert await minter.get(f"{place}/a.dcm", token) == 401
        await minter.gone(url)

    async def test_it_never_shows_identities_or_changes_rights(self, minter: Minter, place: str) -> None:
        rules = [{"principal": "user:admin", "rights": "pdrwlxgsi", "views": ["*", "identified"]}]
        await minter.server.srm("setPermission", surls=[place], permissionType="SET", rules=rules)
        token = await minter.make(place)
        assert await minter.get(f"/@identified{place}/a.dcm", minter.server.admin_token) in (200, 403)
        assert await minter.get(f"/@identified{place}/a.dcm", token) == 403
        tree = await minter.server.srm(
            "setPermission",
            expect=403,
            token=token,
            surls=[place],
            permissionType="SET",
            rules=[{"principal": "any:anonymous", "rights": "r"}],
        )
        assert codes(tree) == ["SRM_AUTHORIZATION_FAILURE"]
        for method, path, body in (
            ("GET", "/admin/v1/tokens", None),
            ("POST", "/admin/v1/tokens", {"name": "more", "rights": "r"}),
            ("GET", "/admin/v1/macaroons", None),
            ("DELETE", f"/admin/v1/macaroons/{uuid4()}", None),
            ("PUT", "/admin/v1/recipients", {"key": "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="}),
        ):
            options = {} if body is None else {"json": body}
            answer = await minter.server.call(method, path, token=token, **options)
            assert answer.status == 403, (path, answer.status, answer.body)
        assert (await minter.ask(place, token)).status == 403

    async def test_one_made_by_another_admin_token_is_none(self, minter: Minter, place: str) -> None:
        token = await minter.make(place)
        makers = minter.server.house.makers
        object.__setattr__(makers, "admin_token", "another")
        try:
            assert await minter.get(f"{place}/a.dcm", token) == 401
        finally:
            object.__setattr__(makers, "admin_token", minter.server.admin_token)
        assert await minter.get(f"{place}/a.dcm", token) == 200


class TestEnded:
    async def test_its_maker_and_administrators_see_and_end_it_and_nobody_else(
        self, minter: Minter, place: str
    ) -> None:
        server = minter.server
        maker, other = await server.token("rlxg"), await server.token("rlxg")
        answers = [(await minter.ask(place, maker, caveats=["activity:DOWNLOAD"])).tree for _ in range(2)]
        for token, seen in ((maker, True), (server.admin_token, True), (other, False)):
            told = (await server.call("GET", "/admin/v1/macaroons", token=token)).tree["macaroons"]
            assert {answers[0]["id"], answers[1]["id"]}.issubset(one["id"] for one in told) is seen
            assert answers[0]["macaroon"] not in str(told)
        path = "/admin/v1/macaroons/{}".format
        assert (await server.call("DELETE", path(answers[0]["id"]), token=other)).status == 404
        assert await minter.get(f"{place}/a.dcm", answers[0]["macaroon"]) == 200
        for token, one in ((maker, answers[0]), (server.admin_token, answers[1])):
            assert (await server.call("DELETE", path(one["id"]), token=token)).status == 204
            assert await minter.get(f"{place}/a.dcm", one["macaroon"]) == 401
            assert (await server.call("DELETE", path(one["id"]), token=token)).status == 404
        for odd in ("x", "é", uuid4().hex, f"{{{uuid4()}}}"):
            assert (await server.call("DELETE", path(odd), token=maker)).status == 404

    async def test_revoking_it_ends_the_transfers_that_it_started(self, minter: Minter, place: str) -> None:
        answer = (await minter.ask(place)).tree
        tree = await minter.server.srm(
            "prepareToGet", token=answer["macaroon"], files=[{"surl": f"{place}/a.dcm"}]
        )
        url = tree["files"][0]["transferURL"]
        assert (await minter.server.call("GET", url)).status == 200
        await minter.server.call(
            "DELETE", f"/admin/v1/macaroons/{answer['id']}", token=minter.server.admin_token
        )
        await minter.gone(url)

    async def test_none_is_made_by_a_token_while_that_is_being_revoked(
        self, minter: Minter, place: str
    ) -> None:
        name = f"t{uuid4().hex}"
        token = await minter.server.token("rlxg", name=name)
        async with minter.server.house.database.transaction() as db:
            await tokens.revoke(db, ADMIN, name)
            asked = asyncio.create_task(minter.ask(place, token))
            await asyncio.wait([asked], timeout=0.2)
        assert (await asked).status == 401

    async def test_what_it_pins_lives_no_longer_than_a_caveat_that_was_added(
        self, minter: Minter, place: str
    ) -> None:
        token = narrowed(await minter.make(place), f"before:{told_moment(time.time() + 60)}")
        files = [{"surl": f"{place}/a.dcm"}]
        tree = await minter.server.srm("prepareToGet", token=token, files=files, desiredPinLifeTime=500)
        assert tree["files"][0]["remainingPinTime"] <= 60

    async def test_making_and_ending_stand_in_the_audit_without_the_path(
        self, minter: Minter, place: str
    ) -> None:
        answer = (await minter.ask(place)).tree
        await minter.server.call(
            "DELETE", f"/admin/v1/macaroons/{answer['id']}", token=minter.server.admin_token
        )
        async with minter.server.house.database.acquire() as db:
            rows = await db.fetch(
                "select act, details from audit where details ->> 'macaroon' = $1 order by id", answer["id"]
            )
        assert [row["act"] for row in rows] == ["macaroon create", "macaroon revoke"]
        assert place not in str(rows)

    async def test_a_day_after_it_expired_its_row_goes(self, minter: Minter) -> None:
        answer = (await minter.ask("/")).tree
        house = minter.server.house
        async with house.database.acquire() as db:
            await db.execute(
                "update tokens set expires = now() - interval '25 hours' where macaroon::text = $1",
                answer["id"],
            )
        await house.sweeper._give_up()
        async with house.database.acquire() as db:
            assert not await db.fetchval(
                "select exists(select from tokens where macaroon::text = $1)", answer["id"]
            )

    async def test_a_row_that_was_given_another_maker_verifies_nothing(
        self, minter: Minter, place: str
    ) -> None:
        weak = await minter.server.token("", name=f"weak{uuid4().hex[:6]}")
        strong, answer = (await minter.ask(place)).tree, (await minter.ask(place, weak)).tree
        async with minter.server.house.database.transaction() as db:
            await db.execute(
                "update tokens w set shown = s.shown, maker = s.maker from tokens s"
                " where w.macaroon::text = $1 and s.macaroon::text = $2",
                answer["id"],
                strong["id"],
            )
        assert await minter.get(f"{place}/a.dcm", answer["macaroon"]) in (401, 503)


class TestTokenEndpoint:
    """As gfal-token asks an issuer."""

    async def ask(self, minter: Minter, **form: str) -> Reply:
        return await minter.server.call("POST", "/token", token=minter.server.admin_token, data=form)

    async def test_an_issuer_is_found_and_gives_macaroons(self, minter: Minter, place: str) -> None:
        for path in (
            "oauth-authorization-server",
            "oauth-authorization-server/dav/vo",
            "openid-configuration",
        ):
            tree = (await minter.server.call("GET", f"/.well-known/{path}")).tree
            assert tree["token_endpoint"] == f"{tree['issuer']}/token"
        answer = await self.ask(
            minter,
            grant_type="client_credentials",
            expire_in="600",
            scopes=f"LIST:/dav{place} DOWNLOAD:/dav/{place}/",
        )
        assert answer.status == 200, answer.body
        token = answer.tree["access_token"]
        said = [caveat.caveat_id for caveat in Macaroon.deserialize(token).caveats]
        assert said[2:4] == [f"path:{place}", "activity:LIST,DOWNLOAD"]
        assert await minter.get(f"{place}/a.dcm", token) == 200

    @pytest.mark.parametrize(
        "form",
        [
            {"grant_type": "client_credentials"},
            {"grant_type": "password", "scopes": "LIST:/dav/"},
            {"grant_type": "client_credentials", "scopes": "LIST:/dav/a LIST:/dav/b"},
            {"grant_type": "client_credentials", "scopes": "LIST:/srm/a"},
            {"grant_type": "client_credentials", "scopes": "LIST"},
            {"grant_type": "client_credentials", "scopes": "FLY:/dav/"},
            {"grant_type": "client_credentials", "scopes": "LIST:/dav/../etc"},
            {"grant_type": "client_credentials", "scopes": "LIST:/dav/", "expire_in": "soon"},
            {"grant_type": "client_credentials", "scopes": "LIST:/dav/", "expire_in": "0"},
            {"grant_type": "client_credentials", "scopes": "LIST:/dav/", "expire_in": "9" * 5000},
        ],
    )
    async def test_others_are_refused_as_oauth_says(self, minter: Minter, form: dict[str, str]) -> None:
        answer = await self.ask(minter, **form)
        assert answer.status == 400, answer.body
        assert answer.tree["error"] == "invalid_request"

    async def test_nobody_gets_one_without_a_credential(self, minter: Minter) -> None:
        form = {"grant_type": "client_credentials", "scopes": "LIST:/dav/"}
        assert (await minter.server.call("POST", "/token", data=form)).status == 401
        answer = await minter.server.call("POST", "/token", token=minter.server.admin_token, json=form)
        assert answer.status == 415

    async def test_no_long_form_is_read(self, minter: Minter) -> None:
        for scopes in ("%4c" * 10_000, "L:/dav/a+" * 3000):
            form = f"grant_type=client_credentials&scopes={scopes}".encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            token = minter.server.admin_token
            answer = await minter.server.call("POST", "/token", token=token, data=form, headers=headers)
            assert answer.status == 413
