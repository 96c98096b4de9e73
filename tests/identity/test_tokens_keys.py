"""An issuer's keys: which are taken, when they are fetched, and what happens while the issuer is away."""

import asyncio
import ssl

import pytest
import trustme
from aiohttp import web
from joserfc.jwk import ECKey

from mdm_async.errors import Unauthenticated, Unavailable
from mdm_async.identity import issuer_documents
from mdm_async.identity.key_sets import FRESH, KEPT, PAUSE, KeySet, KeysUnavailable, parse_keys
from mdm_async.identity.tokens import Issuers
from mdm_async.settings import IssuerSettings
from tests.identity.token_issuer import AUDIENCE, TokenIssuer, install_authority, rsa_key, trusted_issuer


@pytest.fixture
async def world(tmp_path):
    async with trusted_issuer(tmp_path) as world:
        yield world


class TestOverHttps:
    async def test_keys_are_fetched_once_for_all_callers(self, world):
        issuer, issuers = world
        issuer.open.clear()
        callers = [asyncio.create_task(issuers.caller(issuer.token())) for _ in range(100)]
        await issuer.was_asked.wait()
        issuer.open.set()
        assert len({caller.name for caller in await asyncio.gather(*callers)}) == 1
        assert issuer.asked == {"openid-configuration": 1, "jwks": 1}

    async def test_a_caller_who_goes_away_takes_nothing_from_the_others(self, world):
        issuer, issuers = world
        issuer.open.clear()
        first, second = (asyncio.create_task(issuers.caller(issuer.token())) for _ in range(2))
        await issuer.was_asked.wait()
        first.cancel()
        issuer.open.set()
        assert (await second).name.endswith("#ada")
        assert issuer.asked["jwks"] == 1

    async def test_a_rotated_key_is_fetched_when_it_is_first_seen(self, tmp_path):
        async with trusted_issuer(tmp_path) as (issuer, issuers):
            old = issuer.token()
            await issuers.caller(old)
            issuers._keys[issuer.url]._tried -= PAUSE
            issuer.rotate()
            await issuers.caller(issuer.token())
            await issuers.caller(old)
            assert issuer.asked["jwks"] == 2

    async def test_a_key_that_was_taken_back_serves_no_longer(self, world):
        issuer, issuers = world
        old = issuer.token()
        await issuers.caller(old)
        issuers._keys[issuer.url]._tried -= PAUSE
        issuer.rotate(keep=False)
        await issuers.caller(issuer.token())
        with pytest.raises(Unauthenticated, match="does not publish"):
            await issuers.caller(old)

    async def test_unknown_keys_cause_one_fetch_a_minute(self, world):
        issuer, issuers = world
        for number in range(20):
            with pytest.raises(Unauthenticated, match="does not publish"):
                await issuers.caller(issuer.token(header={"kid": f"unknown-{number}"}))
        assert issuer.asked["jwks"] == 1

    async def test_an_issuer_that_is_down_at_start_is_no_fault_of_the_token(self, world):
        issuer, issuers = world
        issuer.down = True
        with pytest.raises(Unavailable) as why:
            await issuers.caller(issuer.token())
        assert why.value.http == 503
        assert why.value.retry_after
        with pytest.raises(Unavailable):
            await issuers.caller(issuer.token())
        assert sum(issuer.asked.values()) == 1

    async def test_nobody_listens_there(self, tmp_path, unused_tcp_port):
        url = f"https://localhost:{unused_tcp_port}"
        async with Issuers([IssuerSettings(url=url)], [AUDIENCE], tmp_path) as issuers:
            nobody = TokenIssuer()
            nobody.url = url
            with pytest.raises(Unavailable):
                await issuers.caller(nobody.token())

    async def test_an_issuer_that_goes_down_later_is_believed_by_its_old_keys(self, world):
        issuer, issuers = world
        await issuers.caller(issuer.token())
        issuer.down = True
        keys = issuers._keys[issuer.url]
        keys._fetched -= FRESH
        keys._tried -= FRESH
        assert (await issuers.caller(issuer.token())).name.endswith("#ada")
        await keys._fetching
        assert (await issuers.caller(issuer.token())).name.endswith("#ada")
        with pytest.raises(Unavailable):
            await issuers.caller(issuer.token(header={"kid": "perhaps-a-new-one"}))

    async def test_a_slow_issuer_is_waited_for_once_and_not_for_long(self, world, monkeypatch):
        issuer, issuers = world
        monkeypatch.setattr(issuer_documents, "SECONDS", 0.1)
        issuer.open.clear()
        refused = await asyncio.gather(
            *(issuers.caller(issuer.token()) for _ in range(10)), return_exceptions=True
        )
        assert all(isinstance(one, Unavailable) for one in refused)
        assert sum(issuer.asked.values()) == 1

    async def test_closing_ends_a_fetch(self, tmp_path):
        async with trusted_issuer(tmp_path) as (issuer, issuers):
            issuer.open.clear()
            waiting = asyncio.create_task(issuers.caller(issuer.token()))
            await issuer.was_asked.wait()
            await issuers.close()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    async def test_an_issuer_below_a_path(self, tmp_path):
        async with trusted_issuer(tmp_path, path="/realms/hospital") as (issuer, issuers):
            assert (await issuers.caller(issuer.token())).name.startswith(f"sub:{issuer.url}#")

    async def test_an_authority_that_is_not_trusted(self, tmp_path):
        async with TokenIssuer().running(trustme.CA()) as issuer:
            other = install_authority(trustme.CA(), tmp_path / "authorities")
            for trusted in (other, None):
                async with Issuers([IssuerSettings(url=issuer.url)], [AUDIENCE], trusted) as issuers:
                    with pytest.raises(Unavailable):
                        await issuers.caller(issuer.token())
            assert not issuer.asked

    async def test_a_certificate_of_another_host(self, tmp_path):
        authority = trustme.CA()
        async with TokenIssuer().running(authority) as issuer:
            trusted = install_authority(authority, tmp_path / "authorities")
            issuer.url = issuer.url.replace("localhost", "127.0.0.1")
            async with Issuers([IssuerSettings(url=issuer.url)], [AUDIENCE], trusted) as issuers:
                with pytest.raises(Unavailable):
                    await issuers.caller(issuer.token())
            assert not issuer.asked

    @pytest.mark.parametrize(
        "metadata",
        [
            {"issuer": "https://evil.example"},
            {"issuer": None},
            {"jwks_uri": "http://localhost/jwks"},
            {"jwks_uri": "file:///etc/passwd"},
            {"jwks_uri": "https://user:word@localhost/jwks"},
            {"jwks_uri": 7},
            {"jwks_uri": "https://[::"},
        ],
    )
    async def test_metadata_that_leads_elsewhere(self, world, metadata):
        issuer, issuers = world
        issuer.metadata = metadata
        with pytest.raises(Unavailable):
            await issuers.caller(issuer.token())
        assert issuer.asked == {"openid-configuration": 1}

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("absolute", [True, False])
    async def test_redirects_are_not_followed(self, world, status, absolute):
        issuer, issuers = world
        to = f"{issuer.url}/moved" if absolute else "/moved"
        issuer.jwks_answer = web.Response(status=status, headers={"Location": to})
        with pytest.raises(Unavailable):
            await issuers.caller(issuer.token())
        assert issuer.asked == {"openid-configuration": 1, "jwks": 1}

    async def test_where_a_redirect_leads_there_are_keys(self, world):
        """Or else the test above could not fail."""
        issuer, issuers = world
        issuer.metadata = {"jwks_uri": f"{issuer.url}/moved"}
        await issuers.caller(issuer.token())
        assert issuer.asked == {"openid-configuration": 1, "moved": 1}

    @pytest.mark.parametrize(
        "answer",
        [
            {"body": b'{"keys":[]}' + b" " * (1 << 20)},
            {"text": "not JSON"},
            {"text": "[]"},
            {"text": '{"keys": {}}'},
            {"body": b"\x1f\x8b" + bytes(30), "headers": {"Content-Encoding": "gzip"}},
        ],
    )
    async def test_answers_that_are_no_key_set(self, world, answer):
        issuer, issuers = world
        issuer.jwks_answer = web.Response(**answer)
        with pytest.raises(Unavailable):
            await issuers.caller(issuer.token())


class Published:
    """Keys by a fetch without a network, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fetches = 0
        self.down = False
        self.names = ["a"]
        self.keys = KeySet("https://issuer.example", self.fetch, lambda: self.now)

    async def fetch(self):
        self.fetches += 1
        await asyncio.sleep(0)
        if self.down:
            raise KeysUnavailable("away")
        return parse_keys({"keys": [jwk(kid) for kid in self.names]})


KEY = ECKey.generate_key("P-256")


def jwk(kid: str) -> dict[str, object]:
    return KEY.as_dict(private=False) | {"kid": kid}


@pytest.fixture
async def published():
    published = Published()
    yield published
    await published.keys.close()


class TestWhenKeysAreFetched:
    async def test_fresh_keys_are_not_fetched_again(self, published):
        await published.keys.key("a", "ES256")
        published.now += FRESH - 1
        await published.keys.key("a", "ES256")
        assert published.fetches == 1

    async def test_older_ones_serve_while_they_are_fetched_beside(self, published):
        await published.keys.key("a", "ES256")
        published.now += FRESH
        published.names = ["b"]
        await published.keys.key("a", "ES256")
        await published.keys._fetching
        assert published.fetches == 2
        with pytest.raises(Unauthenticated):
            await published.keys.key("a", "ES256")

    async def test_a_failing_fetch_keeps_them_and_is_repeated_each_minute(self, published):
        await published.keys.key("a", "ES256")
        published.down = True
        for minutes in range(1, 4):
            published.now += FRESH
            for _ in range(3):
                await published.keys.key("a", "ES256")
                if published.keys._fetching is not None:
                    await published.keys._fetching
            assert published.fetches == 1 + minutes

    async def test_nobody_is_believed_for_ever(self, published):
        await published.keys.key("a", "ES256")
        published.down = True
        published.now += KEPT
        with pytest.raises(Unavailable):
            await published.keys.key("a", "ES256")

    async def test_an_unknown_key_is_looked_for_once_a_minute(self, published):
        await published.keys.key("a", "ES256")
        for seconds, fetches in ((1, 1), (PAUSE - 2, 1), (1, 2), (1, 2)):
            published.now += seconds
            with pytest.raises(Unauthenticated):
                await published.keys.key("b", "ES256")
            assert published.fetches == fetches

    async def test_an_unknown_key_may_be_a_new_one_when_the_issuer_does_not_answer(self, published):
        await published.keys.key("a", "ES256")
        published.down = True
        published.now += PAUSE
        with pytest.raises(Unavailable):
            await published.keys.key("b", "ES256")
        published.down, published.names = False, ["a", "b"]
        published.now += PAUSE
        await published.keys.key("b", "ES256")

    async def test_nobody_waits_for_two_fetches(self, published):
        waiting = [asyncio.create_task(published.keys.key(kid, "ES256")) for kid in "abcabc"]
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, Exception) for one in done] == [False, True, True] * 2
        assert published.fetches == 1

    async def test_an_issuer_that_was_down_at_start_is_asked_again_soon(self, published):
        published.down = True
        with pytest.raises(Unavailable):
            await published.keys.key("a", "ES256")
        published.down = False
        published.now += 5
        await published.keys.key("a", "ES256")


class TestWhichKeysAreTaken:
    def test_p256_and_strong_rsa_by_name_and_algorithm(self):
        keys = parse_keys({"keys": [jwk("a"), rsa_key(kid="a").as_dict(private=False)]})
        assert set(keys) == {("a", "ES256"), ("a", "RS256")}

    @pytest.mark.filterwarnings("ignore:Key size")
    def test_short_rsa_is_not(self):
        assert not parse_keys({"keys": [rsa_key(1024).as_dict(private=False)]})

    @pytest.mark.parametrize("curve", ["P-384", "P-521", "secp256k1"])
    def test_other_curves_are_not(self, curve):
        assert not parse_keys({"keys": [ECKey.generate_key(curve).as_dict(private=False) | {"kid": "a"}]})

    @pytest.mark.parametrize(
        "changed",
        [{"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ES384"}, {"alg": "HS256"}, {"kid": ""}, {"kid": 7},
         {"x": "AAAA"}, {"y": 7}, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA"}],
    )  # fmt: skip
    def test_keys_for_other_uses_and_broken_ones_are_not(self, changed):
        assert set(parse_keys({"keys": [jwk("a") | changed, jwk("b"), 7, None]})) == {("b", "ES256")}

    def test_a_name_that_two_keys_have_is_nobodys(self):
        assert not parse_keys({"keys": [jwk("a"), jwk("a")]})

    def test_private_keys_that_were_published_by_mistake_are_used_as_public_ones(self):
        [key] = parse_keys({"keys": [KEY.as_dict(private=True) | {"kid": "a"}]}).values()
        assert not key.is_private


def test_tls_is_verified(tmp_path):
    async def context() -> ssl.SSLContext:
        async with issuer_documents.open_session(tmp_path) as session:
            found: ssl.SSLContext = session.connector._ssl
            return found

    found = asyncio.run(context())
    assert found.verify_mode is ssl.CERT_REQUIRED
    assert found.check_hostname
