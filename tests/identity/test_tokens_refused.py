"""Bad tokens, each by its name: refused, with a reason that holds no part of them."""

import hmac
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey
from joserfc.util import urlsafe_b64encode

from mdm_async.errors import Unauthenticated
from mdm_async.identity.key_sets import parse_keys
from tests.identity.token_issuer import AUDIENCE, rsa_key, sign, trusted_issuer

NOW = int(time.time())


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    """An issuer with an RSA key and a P-256 key."""
    async with trusted_issuer(tmp_path_factory.mktemp("issuer")) as (issuer, issuers):
        rsa = rsa_key()
        issuer.rotate(rsa)
        issuer.rotate(ECKey.generate_key("P-256", parameters={"kid": "elliptic"}))
        issuer.rsa = rsa
        yield issuer, issuers


@pytest.fixture(scope="module")
def issuer(world):
    return world[0]


@pytest.fixture(scope="module")
def issuers(world):
    return world[1]


async def refusal(issuers, token: str) -> str:
    """The reason, which must not hold a part of the token."""
    with pytest.raises(Unauthenticated) as why:
        await issuers.caller(token)
    text = str(why.value)
    for part in token.split("."):
        assert len(part) < 8 or part not in text
    assert why.value.http == 401
    return text


REFUSED_AFTER_THE_SIGNATURE = {
    "expired": ({"exp": NOW - 3600}, "has expired"),
    "never expires": ({"exp": None}, "never expires"),
    "expiry is no number": ({"exp": "soon"}, "not a number"),
    "expiry is true": ({"exp": True}, "not a number"),
    "not yet valid": ({"nbf": NOW + 3600}, "not yet valid"),
    "nbf is null": ({"nbf": [None]}, "not a number"),
    "issued in the future": ({"iat": NOW + 3600}, "issued in the future"),
    "wrong audience": ({"aud": "https://other.example"}, "made for another service"),
    "audience is longer than ours": ({"aud": AUDIENCE + "/x"}, "made for another service"),
    "no audience": ({"aud": None}, "whom it is made for"),
    "empty audience": ({"aud": []}, "whom it is made for"),
    "audience of numbers": ({"aud": [AUDIENCE, 1]}, "whom it is made for"),
    "wlcg.ver 2.0": ({"wlcg.ver": "2.0"}, "not known here"),
    "wlcg.ver 0.9": ({"wlcg.ver": "0.9"}, "not known here"),
    "wlcg.ver 10.0": ({"wlcg.ver": "10.0"}, "not known here"),
    "wlcg.ver 1": ({"wlcg.ver": "1"}, "malformed wlcg.ver"),
    "wlcg.ver is a number": ({"wlcg.ver": 1.0}, "malformed wlcg.ver"),
    "capabilities without wlcg.ver": ({"wlcg.ver": None, "scope": "storage.read:/a"}, "no wlcg.ver"),
    "groups without wlcg.ver": ({"wlcg.ver": None, "wlcg.groups": ["/a"]}, "no wlcg.ver"),
    "malformed groups": ({"wlcg.groups": ["a"]}, "malformed wlcg.groups"),
    "scope is a list": ({"scope": ["storage.read:/a"]}, "not a string"),
    "storage.read without a path": ({"scope": "storage.read"}, "without a path"),
    "storage.read with an empty path": ({"scope": "storage.read:"}, "without a path"),
    "one of several without a path": ({"scope": "storage.read:/a storage.modify"}, "without a path"),
    "relative path": ({"scope": "storage.read:a"}, "bad path"),
    "path with ..": ({"scope": "storage.read:/foo/../bar"}, "bad path"),
    "path with an escaped ..": ({"scope": "storage.read:/foo/%2e%2e/bar"}, "bad path"),
    "path with an escaped slash": ({"scope": "storage.read:/foo%2Fbar"}, "bad path"),
    "path with a doubly escaped slash": ({"scope": "storage.read:/foo%252Fbar"}, "bad path"),
    "path that leads up again": ({"scope": "storage.read:/foo//../bar"}, "bad path"),
    "path that is not UTF-8": ({"scope": "storage.read:/foo%ff"}, "not UTF-8"),
    "path that is too long": ({"scope": "storage.read:/" + "a" * 256}, "bad path"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_AFTER_THE_SIGNATURE)
async def test_the_reason_names_whom_it_was_issued_to(issuer, issuers, name):
    claims, reason = REFUSED_AFTER_THE_SIGNATURE[name]
    text = await refusal(issuers, issuer.token(**claims))
    assert reason in text
    assert f"sub:{issuer.url}#ada" in text


@pytest.mark.parametrize("subject", [None, "", 7, "Zoë", "a\nb", "a" * 256])
async def test_a_subject_that_nobody_can_be(issuer, issuers, subject):
    assert "whom it was issued to" in await refusal(issuers, issuer.token(sub=subject))


async def test_wrong_issuer_is_refused_without_naming_those_that_are_trusted(issuer, issuers):
    for wrong in (
        "https://evil.example",
        issuer.url + "/",
        issuer.url.upper(),
        issuer.url.replace("https", "http"),
    ):
        text = await refusal(issuers, issuer.token(iss=wrong))
        assert "not one that this server trusts" in text
        assert issuer.url not in text


@pytest.mark.parametrize("wrong", [None, "", 7, ["https://issuer.example"]])
async def test_no_issuer(issuer, issuers, wrong):
    assert "who issued it" in await refusal(issuers, issuer.token(iss=wrong))


class TestAlgorithms:
    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
    async def test_none(self, issuer, issuers, algorithm):
        header, payload, _ = issuer.token(header={"alg": "ES256"}).split(".")
        unsigned = sign(json.dumps({"alg": algorithm, "kid": "elliptic"}), "x", issuer.key, "ES256").split(
            "."
        )[0]
        assert "not signed" in await refusal(issuers, f"{unsigned}.{payload}.{'A' * 86}")
        await refusal(issuers, f"{unsigned}.{payload}.")
        await refusal(issuers, f"{header}.{payload}.")

    async def test_hmac(self, issuer, issuers):
        token = issuer.token(key=OctKey.generate_key(256))
        assert "HMAC" in await refusal(issuers, token)

    @pytest.mark.parametrize("form", ["PEM", "DER", "modulus"])
    @pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
    async def test_the_public_key_is_no_hmac_secret(self, issuer, issuers, form, algorithm):
        """Key confusion: HMAC with what everybody knows, said to be HMAC or said to be RSA."""
        known = issuer.rsa.as_dict(private=False)["n"].encode()
        secret = known if form == "modulus" else issuer.rsa.as_bytes(encoding=form, private=False)
        header = issuer.token(header={"alg": algorithm, "kid": "rsa"}).split(".")[0]
        signed = f"{header}.{issuer.token().split('.')[1]}"
        signature = urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).decode()
        reason = await refusal(issuers, f"{signed}.{signature}")
        assert ("HMAC" if algorithm == "HS256" else "signature does not fit") in reason

    @pytest.mark.parametrize(
        "algorithm", ["RS512", "ES384", "PS256", "EdDSA", "rs256", "", 7, None, ["RS256"]]
    )
    async def test_others(self, issuer, issuers, algorithm):
        header = {} if algorithm is None else {"alg": algorithm}
        token = sign(
            json.dumps({"kid": "elliptic"} | header), json.dumps(issuer.claims()), issuer.key, "ES256"
        )
        assert "neither RS256 nor ES256" in await refusal(issuers, token)

    async def test_a_key_is_of_the_algorithm_that_the_header_says(self, issuer, issuers):
        """The RSA key's name with ES256, and the other way."""
        elliptic = issuer.token(header={"kid": "rsa"})
        rsa = issuer.token(header={"kid": "elliptic"}, key=issuer.rsa)
        for token in (elliptic, rsa):
            assert "does not publish" in await refusal(issuers, token)


class TestHeaders:
    @pytest.mark.parametrize("kid", [None, "", 7, ["elliptic"], {"elliptic": 1}, "k" * 256])
    async def test_no_kid(self, issuer, issuers, kid):
        assert "does not name the key" in await refusal(issuers, issuer.token(header={"kid": kid}))

    async def test_unknown_kid(self, issuer, issuers):
        assert "does not publish" in await refusal(issuers, issuer.token(header={"kid": "unknown"}))

    @pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c"])
    async def test_a_key_of_its_own(self, issuer, issuers, name):
        value = {"jwk": issuer.published[-1], "x5c": ["MII="]}.get(name, "https://evil.example/jwks")
        assert "a key of its own" in await refusal(issuers, issuer.token(header={name: value}))

    @pytest.mark.parametrize(
        "header", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False, "crit": ["b64"]}]
    )
    async def test_critical_extensions(self, issuer, issuers, header):
        assert "crit" in await refusal(issuers, issuer.token(header=header))

    @pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", 7])
    async def test_tokens_for_other_purposes(self, issuer, issuers, kind):
        assert "another purpose" in await refusal(issuers, issuer.token(header={"typ": kind}))

    @pytest.mark.parametrize("kind", [None, "at+jwt", "jwt", "application/at+jwt"])
    async def test_access_tokens_are_not(self, issuer, issuers, kind):
        assert await issuers.caller(issuer.token(header={"typ": kind}))

    async def test_headers_that_mean_nothing_here_are_left_alone(self, issuer, issuers):
        assert await issuers.caller(issuer.token(header={"nonce": "n" * 900, "x5t": "abc"}))


class TestShape:
    async def test_over_long(self, issuer, issuers):
        assert "longer than 8192" in await refusal(issuers, issuer.token(padding="x" * 8192))

    async def test_truncated(self, issuer, issuers):
        token = issuer.token()
        for length in range(0, len(token), 7):
            await refusal(issuers, token[:length])

    @pytest.mark.parametrize(
        "text", ["", ".", "..", "...", "a.b.c", "a.b", "é.é.é", "\x00.\x00.\x00", "a.b.c.d.e"]
    )
    async def test_what_is_no_token(self, issuers, text):
        assert "malformed" in await refusal(issuers, text)

    @pytest.mark.parametrize("payload", [
        "[]", "null", "7", '"x"', "{", "", "\ufeff{}", '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '{"a":NaN}',
        '{"a":Infinity}', '{"exp":1e999}', "[" * 3000, '{"a":' * 1200, b"\xff{}", '{"a":' + "9" * 5000 + "}",
    ])  # fmt: skip
    async def test_payloads_that_readers_may_differ_on(self, issuer, issuers, payload):
        assert "malformed" in await refusal(issuers, issuer.signed(payload))

    async def test_the_same_claim_twice(self, issuer, issuers):
        payload = json.dumps(issuer.claims())[:-1] + ', "sub": "eve"}'
        assert "malformed" in await refusal(issuers, issuer.signed(payload))

    async def test_the_same_header_twice(self, issuer, issuers):
        header = '{"alg":"ES256","kid":"elliptic","kid":"rsa"}'
        token = sign(header, json.dumps(issuer.claims()), issuer.key, "ES256")
        assert "malformed" in await refusal(issuers, token)

    async def test_one_token_has_one_spelling(self, issuer, issuers):
        header, payload, signature = issuer.token().split(".")
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        twin = signature[:-1] + last[last.index(signature[-1]) + 1]
        rest = f"{payload}.{signature}"
        spellings = [
            f"{header}.{payload}.{twin}",
            f"{header}=.{rest}",
            f" {header}.{rest}",
            f"{header}.{rest}\n",
        ]
        for text in [*spellings, f"{header}.{rest}=="]:
            await refusal(issuers, text)


class TestSignature:
    async def test_of_another_key(self, issuer, issuers):
        key = ECKey.generate_key("P-256", parameters={"kid": "elliptic"})
        text = await refusal(issuers, issuer.token(key=key))
        assert "signature does not fit" in text
        assert "ada" not in text

    async def test_of_other_claims(self, issuer, issuers):
        header, _, signature = issuer.token().split(".")
        _, payload, _ = issuer.token(sub="eve").split(".")
        assert "signature does not fit" in await refusal(issuers, f"{header}.{payload}.{signature}")

    @pytest.mark.parametrize("signature", ["A" * 86, "A" * 2, "A" * 342])
    async def test_of_zeros(self, issuer, issuers, signature):
        header, payload, _ = issuer.token().split(".")
        assert "signature does not fit" in await refusal(issuers, f"{header}.{payload}.{signature}")


def _swap(token: str, at: int, to: str) -> str:
    at %= len(token)
    return token[:at] + to + token[at + 1 :]


LETTERS = st.sampled_from("ABCxyz019-_.=+/ \x00é")
CHANGES = st.lists(st.tuples(st.integers(0, 5000), LETTERS), min_size=1, max_size=4)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=CHANGES, rsa=st.booleans())
async def test_a_changed_token_never_gives_a_caller(issuer, issuers, changes, rsa):
    token = issuer.token(key=issuer.rsa, header={"kid": "rsa"}) if rsa else issuer.token()
    changed = token
    for at, letter in changes:
        changed = _swap(changed, at, letter)
    if changed != token:
        with pytest.raises(Unauthenticated):
            await issuers.caller(changed)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = ["sub", "aud", "exp", "nbf", "iat", "scope", "wlcg.ver", "wlcg.groups", "groups", "iss"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(odd=st.dictionaries(st.sampled_from(CLAIMS), TREES, max_size=3))
async def test_whatever_an_issuer_signs_gives_a_caller_of_its_own_or_a_reason(issuer, issuers, odd):
    token = issuer.signed(json.dumps(issuer.claims() | odd))
    try:
        caller = await issuers.caller(token)
    except Unauthenticated:
        return
    assert caller.name.startswith(f"sub:{issuer.url}#")
    assert all(
        p.startswith(("any:", f"sub:{issuer.url}#", f"group:{issuer.url}#/")) for p in caller.principals
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    odd=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "cty", "x5t", "zip", "crit"]), TREES, max_size=3
    )
)
async def test_whatever_stands_in_a_header_nothing_breaks(issuer, issuers, odd):
    header = {"alg": "ES256", "kid": "elliptic"} | odd
    token = sign(json.dumps(header), json.dumps(issuer.claims()), issuer.key, "ES256")
    try:
        await issuers.caller(token)
    except Unauthenticated:
        return


@settings(max_examples=300)
@given(
    odd=st.dictionaries(
        st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "use", "alg", "key_ops"]), TREES
    )
)
def test_whatever_stands_in_a_key_set_nothing_breaks(odd):
    good = [rsa.as_dict(private=False) for rsa in _KEYS]
    for key in good:
        parse_keys({"keys": [key | odd]})


_KEYS = (rsa_key(), ECKey.generate_key("P-256", parameters={"kid": "elliptic"}))
