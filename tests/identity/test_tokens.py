"""Good tokens: whom they speak for and what they allow."""

import time

import pytest

from mdm_async.errors import UnsafeSettings
from mdm_async.identity.tokens import Issuers
from mdm_async.names import ANYONE, AUTHENTICATED, Ability, Lfn, Right, Scope, parse_rights
from mdm_async.settings import IssuerSettings
from tests.identity.token_issuer import AUDIENCE, rsa_key, trusted_issuer


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    async with trusted_issuer(tmp_path_factory.mktemp("issuer"), base="/vo") as world:
        yield world


@pytest.fixture(scope="module")
def issuer(world):
    return world[0]


@pytest.fixture(scope="module")
def issuers(world):
    return world[1]


async def test_a_token_names_its_subject_and_its_end(issuer, issuers):
    claims = issuer.claims()
    caller = await issuers.caller(issuer.token(**claims))
    name = f"sub:{issuer.url}#ada"
    assert caller.name == name
    assert caller.principals == {name, AUTHENTICATED, ANYONE}
    assert caller.scopes == ()
    assert caller.until == claims["exp"]
    assert not caller.limited
    assert not caller.is_anonymous


async def test_rs256_is_as_good_as_es256(issuer, issuers, tmp_path):
    async with trusted_issuer(tmp_path) as (other, others):
        other.rotate(rsa_key())
        assert (await others.caller(other.token())).name.endswith("#ada")


async def test_groups_are_principals_and_a_child_is_not_its_parent(issuer, issuers):
    caller = await issuers.caller(issuer.token(**{"wlcg.groups": ["/biomed/liver", "/biomed/b.2"]}))
    assert f"group:{issuer.url}#/biomed/liver" in caller.principals
    assert f"group:{issuer.url}#/biomed/b.2" in caller.principals
    assert f"group:{issuer.url}#/biomed" not in caller.principals


@pytest.mark.parametrize("version", ["1.0", "1.3", "1.9", "1.99"])
async def test_minor_versions_are_taken_known_or_not(issuer, issuers, version):
    assert (await issuers.caller(issuer.token(**{"wlcg.ver": version}))).name.endswith("#ada")


@pytest.mark.parametrize(
    "audience",
    [AUDIENCE, ["https://other.example", AUDIENCE], "https://wlcg.cern.ch/jwt/v1/any"],
)
async def test_a_token_may_be_made_for_several_services_or_for_all(issuer, issuers, audience):
    assert (await issuers.caller(issuer.token(aud=audience))).name.endswith("#ada")


async def test_an_issuer_may_have_an_audience_of_its_own(issuer, tmp_path):
    async with trusted_issuer(tmp_path) as (other, others):
        own = IssuerSettings(url=other.url, audience=("client-7",))
        async with Issuers([own], [AUDIENCE], tmp_path / "authorities") as picky:
            assert (await picky.caller(other.token(aud="client-7"))).name.endswith("#ada")
            with pytest.raises(Exception, match="another service"):
                await picky.caller(other.token(aud=AUDIENCE))
        assert (await others.caller(other.token())).name.endswith("#ada")


async def test_clocks_may_differ_by_a_minute(issuer, issuers):
    now = int(time.time())
    assert await issuers.caller(issuer.token(exp=now - 45))
    assert await issuers.caller(issuer.token(nbf=now + 45, iat=now + 45))


async def test_a_token_for_a_thousand_years_is_taken(issuer, issuers):
    assert (await issuers.caller(issuer.token(exp=10**300))).until == 253_402_300_799


async def test_a_token_of_8_kib_is_taken(issuer, issuers):
    short = issuer.token(padding="")
    token = issuer.token(padding="x" * ((8192 - len(short)) * 3 // 4))
    assert len(token) in range(8180, 8193)
    assert await issuers.caller(token)


class TestPlainOidc:
    """Without wlcg.ver a token says who its bearer is, and nothing else."""

    async def test_its_subject_is_known(self, issuer, issuers):
        caller = await issuers.caller(issuer.token(**{"wlcg.ver": None, "scope": "openid profile email"}))
        assert caller.principals == {f"sub:{issuer.url}#ada", AUTHENTICATED, ANYONE}
        assert caller.scopes == ()

    async def test_groups_that_are_paths_are_groups(self, issuer, issuers):
        caller = await issuers.caller(issuer.token(**{"wlcg.ver": None, "groups": ["/staff/Röntgen 2"]}))
        assert f"group:{issuer.url}#/staff/Röntgen 2" in caller.principals

    @pytest.mark.parametrize(
        "groups", [["admins"], ["/a", 3], "/a", {"/a": 1}, ["/a//b"], ["/a/"], ["/a\n"], None]
    )
    async def test_other_groups_are_not(self, issuer, issuers, groups):
        caller = await issuers.caller(issuer.token(**{"wlcg.ver": None, "groups": groups}))
        assert caller.principals == {f"sub:{issuer.url}#ada", AUTHENTICATED, ANYONE}

    async def test_groups_of_a_wlcg_token_are_in_another_claim(self, issuer, issuers):
        caller = await issuers.caller(issuer.token(groups=["/staff"]))
        assert caller.principals == {f"sub:{issuer.url}#ada", AUTHENTICATED, ANYONE}


class TestCapabilities:
    @pytest.mark.parametrize(
        ("capability", "rights", "also"),
        [
            ("read", "rlxg", set()),
            ("create", "wlxg", {Ability.DIRECTORIES, Ability.RENAME}),
            ("modify", "wdlxgs", {Ability.DIRECTORIES}),
            ("stage", "lxg", {Ability.STAGE}),
            ("poll", "x", {Ability.POLL}),
        ],
    )
    async def test_each_gives_its_rights_below_its_path(self, issuer, issuers, capability, rights, also):
        caller = await issuers.caller(issuer.token(scope=f"openid storage.{capability}:/study/a"))
        assert caller.scopes == (Scope(Lfn("/vo/study/a"), parse_rights(rights), None, frozenset(also)),)

    @pytest.mark.parametrize("path", ["/foo//bar", "//foo/bar/", "/foo/./bar", "/foo/bar"])
    async def test_every_spelling_of_a_path_is_that_path(self, issuer, issuers, path):
        (scope,) = (await issuers.caller(issuer.token(scope=f"storage.read:{path}"))).scopes
        assert scope.path == "/vo/foo/bar"

    async def test_none_gives_identities_or_rights(self, issuer, issuers):
        every = " ".join(f"storage.{verb}:/" for verb in ("read", "create", "modify", "stage", "poll"))
        caller = await issuers.caller(issuer.token(scope=every))
        given = frozenset[Right]().union(*(scope.rights for scope in caller.scopes))
        assert not given & {Right.IDENTITY, Right.PERMISSION}
        assert {scope.path for scope in caller.scopes} == {"/vo"}

    async def test_with_any_of_them_neither_groups_nor_the_subject_count(self, issuer, issuers):
        token = issuer.token(scope="storage.read:/a", **{"wlcg.groups": ["/biomed"]})
        caller = await issuers.caller(token)
        assert caller.name == f"sub:{issuer.url}#ada"
        assert caller.principals == {ANYONE}

    @pytest.mark.parametrize(
        "scope", ["compute.create", "storage.fly:/a", "openid\tstorage.fly:/a", "openid\nstorage.fly:/a"]
    )
    async def test_those_that_mean_nothing_here_restrict_too(self, issuer, issuers, scope):
        caller = await issuers.caller(issuer.token(scope=scope, **{"wlcg.groups": ["/biomed"]}))
        assert caller.principals == {ANYONE}
        assert not any(scope.rights for scope in caller.scopes)

    async def test_a_path_ends_at_a_component(self, issuer, issuers):
        [scope] = (await issuers.caller(issuer.token(scope="storage.read:/foo/bar/"))).scopes
        assert scope.covers("/vo/foo/bar")
        assert scope.covers("/vo/foo/bar/baz")
        assert not scope.covers("/vo/foo/bargain")
        assert not scope.covers("/foo/bar")

    async def test_paths_are_escaped_by_the_issuer(self, issuer, issuers):
        [scope] = (await issuers.caller(issuer.token(scope="storage.read:/K%C3%B6ln/a%20b/50%25"))).scopes
        assert scope.path == "/vo/Köln/a b/50%"

    async def test_the_issuers_directory_is_put_before_the_root_too(self, issuer, issuers):
        [scope] = (await issuers.caller(issuer.token(scope="storage.read:/"))).scopes
        assert scope.path == "/vo"


def test_a_server_without_a_name_takes_no_tokens(issuer):
    with pytest.raises(UnsafeSettings, match="audience"):
        Issuers([IssuerSettings(url=issuer.url)], [], None)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ([IssuerSettings(url="http://issuer.example")], "https URL"),
        ([IssuerSettings(url="https://issuer.example/#a")], "https URL"),
        ([IssuerSettings(url="https://issuer.example/?a")], "https URL"),
        ([IssuerSettings(url="https://user:word@issuer.example")], "https URL"),
        ([IssuerSettings(url="https://issuer.example:wrong")], "https URL"),
        ([IssuerSettings(url="https://issuer.example", path="vo")], "not absolute"),
        ([IssuerSettings(url="https://issuer.example")] * 2, "twice"),
    ],
)
def test_settings_that_name_no_issuer_are_refused(settings, reason):
    with pytest.raises(UnsafeSettings, match=reason):
        Issuers(settings, [AUDIENCE], None)
