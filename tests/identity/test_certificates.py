"""Certificates and proxies in, callers out; what must not be believed is refused with its reason."""

import asyncio
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mdm_async.errors import Unauthenticated, UnsafeSettings
from mdm_async.identity.certificates import Trust
from mdm_async.identity.revocation_lists import RevocationList
from mdm_async.identity.x509 import read_certificate
from mdm_async.names import ANYONE, AUTHENTICATED
from tests.identity.grid_pki import HOUR, INDEPENDENT, LIMITED, Grid, dn, key, name, new_grid

ADA = f"dn:{dn('Ada User')}"


@pytest.fixture
def grid(tmp_path) -> Grid:
    return new_grid(tmp_path)


def caller(grid, identity):
    return Trust(grid.authorities, grid.vos).caller(identity.chain)


def refusal(grid, identity) -> str:
    return refusal_of(Trust(grid.authorities, grid.vos), identity)


def refusal_of(trust, identity) -> str:
    with pytest.raises(Unauthenticated) as why:
        trust.caller(identity.chain)
    return str(why.value)


def test_a_user_is_called_by_the_name_in_the_certificate(grid):
    found = caller(grid, grid.user)
    assert found.name == ADA
    assert found.principals == {ADA, AUTHENTICATED, ANYONE}
    assert not found.limited
    assert found.until == grid.user.certificate.not_valid_after_utc.timestamp()


def test_a_proxy_stands_for_its_owner_and_ends_with_its_own_certificate(grid):
    proxy = grid.proxy_of_the_tools("-valid", "1:0")
    found = caller(grid, proxy)
    assert found.name == ADA
    assert not found.limited
    assert found.until == proxy.certificate.not_valid_after_utc.timestamp()


def test_a_proxy_of_a_proxy_stands_for_the_same_owner(grid):
    assert caller(grid, grid.proxy_of_the_tools().proxy("77").proxy("78", key_number=8)).name == ADA


@pytest.mark.parametrize("made", ["by the tools", "below", "above"])
def test_limited_anywhere_makes_the_caller_limited(grid, made):
    if made == "by the tools":
        proxy = grid.proxy_of_the_tools("-limited")
    elif made == "below":
        proxy = grid.user.proxy("1").proxy("2", policy=LIMITED)
    else:
        proxy = grid.user.proxy("1", policy=LIMITED).proxy("2")
    assert caller(grid, proxy).limited


@pytest.mark.parametrize("below", [0, 1])
def test_an_independent_proxy_stands_for_nobody(grid, below):
    proxy = grid.user.proxy("1", policy=INDEPENDENT)
    assert "independent" in refusal(grid, proxy.proxy("2") if below else proxy)


def test_a_policy_that_is_not_understood_is_refused(grid):
    assert "not understood" in refusal(grid, grid.user.proxy(policy="1.2.3.4"))


def test_a_proxy_that_may_not_sign_signs_none(grid):
    assert "may not sign" in refusal(grid, grid.user.proxy("1", path_length=0).proxy("2"))


def test_a_legacy_proxy_is_refused_with_its_reason(grid):
    assert "legacy" in refusal(grid, grid.proxy_of_the_tools("-old"))


def test_a_proxy_by_another_name_is_refused(grid):
    stranger = grid.user.proxy(subject=name("Eve User", "1"))
    assert "name" in refusal(grid, stranger)


def test_an_expired_and_a_coming_certificate_are_refused_at_each_request(grid):
    assert "expired" in refusal(grid, grid.authority.issue(name("Old"), start=-2 * HOUR, end=-HOUR))
    assert "not yet valid" in refusal(grid, grid.authority.issue(name("New"), start=HOUR))
    assert "expired" in refusal(grid, grid.user.proxy(start=-2 * HOUR, end=-HOUR))


def test_what_was_verified_is_not_believed_past_its_end(grid, monkeypatch):
    trust = Trust(grid.authorities, grid.vos)
    proxy = grid.user.proxy()
    trust.caller(proxy.chain)
    end = proxy.certificate.not_valid_after_utc.timestamp()
    monkeypatch.setattr("mdm_async.identity.certificates.time.time", lambda: end)
    with pytest.raises(Unauthenticated, match="expired"):
        trust.caller(proxy.chain)


def test_an_authority_that_is_not_in_the_directory_is_unknown(grid):
    other = grid.new_authority("Other CA", key_number=5)
    assert "trusts" in refusal(grid, other.issue(name("Ada User")))


def test_an_authority_of_the_same_name_with_another_key_is_unknown(grid):
    false = grid.new_authority("Test CA", key_number=5)
    assert "trusts" in refusal(grid, false.issue(name("Ada User")))


def test_an_authority_without_a_signing_policy_signs_nobody(grid):
    other = grid.new_authority("Other CA", key_number=5)
    other.trust()
    assert ".signing_policy" in refusal(grid, other.issue(name("Ada User")))


def test_of_two_authorities_that_sign_one_name_the_policy_decides(grid):
    other = grid.new_authority("Other CA", key_number=5)
    other.trust(dn("Bob*"))
    assert caller(grid, grid.user).name == ADA
    assert "may not sign this name" in refusal(grid, other.issue(name("Ada User")))
    assert caller(grid, other.issue(name("Bob"))).name == f"dn:{dn('Bob')}"


def test_every_authority_of_the_chain_needs_its_policy(grid):
    between = grid.authority.intermediate(name("Between CA"), 6)
    ada = between.issue(name("Ada User"))
    assert "Between CA has no signing policy" in refusal(grid, ada)
    (grid.authorities / "between.signing_policy").write_text(between.policy(dn("Ada ?ser")))
    assert caller(grid, ada).name == ADA
    grid.authority.trust(dn("Ada*"))
    assert "Test CA may not sign" in refusal(grid, ada)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_revoked_certificate_and_its_proxies_are_refused(grid, encoding):
    grid.authority.revoke([grid.user], encoding=encoding)
    assert "revoked" in refusal(grid, grid.user)
    assert "revoked" in refusal(grid, grid.user.proxy())
    assert caller(grid, grid.host).name == f"dn:{dn('localhost')}"


@pytest.mark.parametrize("older", ["r0", "r1"])
def test_of_two_revocation_lists_the_newest_counts(grid, older):
    """Sites leave old ones beside the new; the older may still be current."""
    newer = {"r0": "r1", "r1": "r0"}[older]

    def lay(extension, certificates, start):
        list_ = grid.authority.revoke(certificates, start=start)
        lists[extension] = list_.read_bytes()
        list_.unlink()

    for before, after, is_refused in (([], [grid.user], True), ([grid.user], [], False)):
        lists = {}
        lay(older, before, -2 * HOUR)
        lay(newer, after, -HOUR)
        for extension, content in lists.items():
            (grid.authority.directory / f"{grid.authority.hash}.{extension}").write_bytes(content)
        if is_refused:
            assert "revoked" in refusal(grid, grid.user)
        else:
            assert caller(grid, grid.user).name == ADA


def test_an_expired_revocation_list_refuses_whom_it_may_revoke(grid):
    grid.authority.revoke(start=-2 * HOUR, end=-HOUR)
    assert "revocation list has expired" in refusal(grid, grid.user)


def test_a_revocation_list_with_a_bad_signature_refuses(grid):
    grid.authority.revoke(signer=key(7))
    assert "bad signature" in refusal(grid, grid.user)


def test_a_revocation_list_that_cannot_be_read_refuses(grid):
    grid.authority.revoke().write_bytes(b"half a list")
    assert "cannot be read" in refusal(grid, grid.user)


@pytest.mark.parametrize("general_name", ["a3023000", "a5023000"], ids=["x400Address", "ediPartyName"])
def test_a_revocation_list_with_names_of_a_rare_kind_stops_nobody(grid, general_name):
    """It is an authority's to write, and anybody's server to read."""
    key_of = bytes.fromhex(f"3009a104{general_name}820101")
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.35"), key_of)
    grid.authority.revoke([grid.user], extension=extension)
    assert "cannot be read" in refusal(grid, grid.user)


def test_an_intermediate_authority_that_was_revoked_makes_nobody_known(grid):
    between = grid.authority.intermediate(name("Between CA"), 6)
    between.trust(dn("Ada*"))
    ada = between.issue(name("Ada User"))
    assert caller(grid, ada).name == ADA
    between.revoke([ada])
    assert "revoked" in refusal(grid, ada)
    between.revoke()
    assert caller(grid, ada).name == ADA
    grid.authority.revoke([between])
    assert "revoked" in refusal(grid, ada)


async def test_a_file_that_breaks_its_reader_does_not_end_the_watch(grid, monkeypatch):
    monkeypatch.setattr("mdm_async.identity.certificates._LOOKED_AT_EVERY", 0.01)
    trust = Trust(grid.authorities, grid.vos)
    watch = asyncio.create_task(trust.watch())
    monkeypatch.setattr(RevocationList, "__init__", lambda self, file: 1 / 0)
    broken = grid.authority.revoke()
    while trust.generation == 0:
        assert not watch.done()
        await asyncio.sleep(0.01)
    assert "cannot be read" in refusal_of(trust, grid.user)
    broken.unlink()
    while trust.generation == 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert trust.caller(grid.user.chain).name == ADA
    watch.cancel()


def test_a_revocation_list_that_ends_ends_what_was_verified(grid, monkeypatch):
    grid.authority.revoke(end=timedelta(minutes=1))
    trust = Trust(grid.authorities, grid.vos)
    trust.caller(grid.user.chain)
    later = grid.user.certificate.not_valid_before_utc.timestamp() + 2 * 3600
    monkeypatch.setattr("mdm_async.identity.certificates.time.time", lambda: later)
    with pytest.raises(Unauthenticated, match="revocation list has expired"):
        trust.caller(grid.user.chain)


@pytest.mark.parametrize("trick", ["x/CN=Ada User", "x/O=y", r"J\xC3\xB6rg", "a\nb", "x/1.2.3=y"])
def test_a_name_that_reads_as_another_is_refused(grid, trick):
    assert "distinguished name" in refusal(grid, grid.authority.issue(name(trick)))


def test_a_part_of_several_values_is_refused(grid):
    several = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.SURNAME, "b")]
    )
    assert "several values" in refusal(grid, grid.authority.issue(x509.Name([*name().rdns, several])))


def test_a_slash_alone_is_part_of_the_name(grid):
    host = grid.authority.issue(name("host/se.example.org"))
    assert caller(grid, host).name == f"dn:{dn('host/se.example.org')}"


def test_letters_beyond_ascii_are_escaped_as_openssl_does(grid):
    jorg = grid.authority.issue(name("Jörg Müller"))
    grid.authority.trust("/C=XX/O=Test Grid/CN=Jörg*")
    found = caller(grid, jorg)
    assert found.name == r"dn:/C=XX/O=Test Grid/CN=J\xC3\xB6rg M\xC3\xBCller"


def test_names_are_written_as_openssl_writes_them(grid):
    oids = [
        value
        for attribute, value in vars(NameOID).items()
        if attribute.isupper() and "COUNTRY" not in attribute
    ]
    every = x509.Name([x509.NameAttribute(oid, "v") for oid in oids])
    certificate = grid.authority.issue(every).certificate
    written = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-nameopt", "compat"],
        input=certificate.public_bytes(Encoding.PEM),
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = str(read_certificate(certificate.public_bytes(Encoding.DER)).subject)
    assert written.strip() == f"subject={found}"


def test_an_authority_that_calls_itself_is_nobody(grid):
    assert "no owner" in refusal(grid, grid.authority)


def test_a_directory_that_is_missing_is_said_at_start(tmp_path):
    with pytest.raises(UnsafeSettings, match="ca_directory"):
        Trust(tmp_path / "missing", None)
