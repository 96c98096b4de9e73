"""VOMS attribute certificates, made by the real voms-proxy-fake, against LSC files."""

import time

import pytest
from cryptography import x509
from cryptography.hazmat import asn1

from mdm_async.errors import Unauthenticated
from mdm_async.identity.attribute_certificate import ATTRIBUTE_CERTIFICATES
from mdm_async.identity.certificates import Trust
from mdm_async.identity.shapes import AttributeCertificates, read
from tests.identity.grid_pki import HOUR, VO, Authority, Grid, dn, name, new_grid, only

ATTRIBUTES = x509.ObjectIdentifier(ATTRIBUTE_CERTIFICATES)


@pytest.fixture
def grid(tmp_path) -> Grid:
    return new_grid(tmp_path)


def caller(grid, identity):
    return Trust(grid.authorities, grid.vos).caller(identity.chain)


def fqans(grid, identity) -> set[str]:
    return {one for one in caller(grid, identity).principals if one.startswith("fqan:")}


def refusal(grid, identity) -> str:
    with pytest.raises(Unauthenticated) as why:
        caller(grid, identity)
    return str(why.value)


def test_groups_and_roles_are_principals_without_what_says_null(grid):
    proxy = grid.voms_proxy(
        fqans=[
            f"/{VO}/Role=NULL/Capability=NULL",
            f"/{VO}/study/Role=reader/Capability=NULL",
            f"/{VO}/study/liver",
        ]
    )
    assert fqans(grid, proxy) == {f"fqan:/{VO}", f"fqan:/{VO}/study/Role=reader", f"fqan:/{VO}/study/liver"}
    assert caller(grid, proxy).name == f"dn:{dn('Ada User')}"


def test_a_role_does_not_make_a_member_of_its_group(grid):
    proxy = grid.voms_proxy(fqans=[f"/{VO}/study/Role=reader"])
    assert fqans(grid, proxy) == {f"fqan:/{VO}/study/Role=reader"}


def test_a_proxy_of_a_voms_proxy_has_its_groups(grid):
    assert fqans(grid, grid.voms_proxy().proxy("5", key_number=8)) == {f"fqan:/{VO}"}


def test_generic_attributes_are_passed_over(grid):
    assert fqans(grid, grid.voms_proxy("-ga", "nick=ada")) == {f"fqan:/{VO}"}


def test_the_caller_ends_with_the_attributes(grid):
    proxy = grid.voms_proxy("-vomslife", "1", "-hours", "12")
    assert caller(grid, proxy).until < time.time() + 3600 + 600


def test_a_vo_without_lsc_files_is_unknown(grid):
    assert "VO other is of a VO unknown" in refusal(grid, grid.voms_proxy(vo="other", fqans=["/other"]))


def test_attributes_of_another_vos_groups_are_refused(grid):
    assert "another VO's groups" in refusal(grid, grid.voms_proxy(fqans=[f"/{VO}", f"/{VO}x/study"]))


def test_a_changed_attribute_certificate_has_a_bad_signature(grid):
    proxy = grid.voms_proxy(fqans=[f"/{VO}/study"])
    leaf = proxy.chain[0]
    assert leaf.count(b"/study") == 1
    forged = [leaf.replace(b"/study", b"/admin"), *proxy.chain[1:]]
    with pytest.raises(Unauthenticated, match=f"VO {VO} has a bad signature"):
        Trust(grid.authorities, grid.vos).caller(forged)


@pytest.mark.parametrize(
    "lines",
    [
        (dn("other.example.org"), dn("Test CA")),
        (dn("voms.example.org"), dn("Other CA")),
        (dn("Test CA"), dn("voms.example.org")),
    ],
)
def test_a_server_that_the_lsc_files_do_not_name_is_refused(grid, lines):
    grid.lsc(*lines)
    assert "LSC" in refusal(grid, grid.voms_proxy())


def test_any_of_several_chains_of_an_lsc_file_will_do(grid):
    grid.lsc(
        dn("old.example.org"),
        dn("Test CA"),
        "------ NEXT CHAIN ------",
        dn("voms.example.org"),
        dn("Test CA"),
    )
    assert fqans(grid, grid.voms_proxy()) == {f"fqan:/{VO}"}


def test_expired_attributes_are_refused(grid):
    assert "has expired" in refusal(grid, grid.voms_proxy("-pastac", "48:00", "-vomslife", "1"))


def test_attributes_of_another_holder_are_refused(grid):
    """Eve puts what VOMS gave Ada into a proxy of her own."""
    stolen = grid.voms_proxy().certificate.extensions.get_extension_for_oid(ATTRIBUTES).value
    eve = grid.authority.issue(name("Eve User"), 4)
    assert "made for another certificate" in refusal(grid, eve.proxy(extension=stolen))


def test_attributes_for_particular_hosts_are_refused(grid):
    assert "particular hosts" in refusal(grid, grid.voms_proxy("-target", "localhost"))


def test_an_unknown_critical_extension_is_refused(grid):
    proxy = grid.voms_proxy("-target", "localhost")
    targets, unknown = bytes.fromhex("0603551d370101ff"), bytes.fromhex("0603551d7f0101ff")
    assert proxy.chain[0].count(targets) == 1
    changed = [proxy.chain[0].replace(targets, unknown), *proxy.chain[1:]]
    with pytest.raises(Unauthenticated, match="critical"):
        Trust(grid.authorities, grid.vos).caller(changed)


def test_a_server_of_an_unknown_authority_is_refused(grid):
    grid.voms = grid.new_authority("Other CA", key_number=5).issue(name("voms.example.org"), 3)
    assert "authority is unknown" in refusal(grid, grid.voms_proxy())


def test_a_server_whose_certificate_has_expired_is_refused(grid):
    grid.voms = grid.authority.issue(name("voms.example.org"), 3, start=-3 * HOUR, end=-HOUR)
    assert "expired" in refusal(grid, grid.voms_proxy())


def test_a_server_whose_certificate_was_revoked_is_refused(grid):
    grid.authority.revoke([grid.voms])
    assert "revoked" in refusal(grid, grid.voms_proxy())


def test_a_server_whose_name_its_authority_may_not_sign_is_refused(grid):
    grid.authority.trust(dn("Ada*"))
    assert "may not sign" in refusal(grid, grid.voms_proxy())


@pytest.mark.parametrize("bit", ["key_encipherment", "key_agreement", "key_cert_sign"])
def test_a_server_whose_key_is_not_for_signatures_is_refused(grid, bit):
    grid.voms = grid.authority.issue(name("voms.example.org"), 3, usage=only(bit))
    assert "may not sign attributes" in refusal(grid, grid.voms_proxy())


def test_an_authority_is_no_voms_server(grid):
    grid.voms = grid.authority.intermediate(name("voms.example.org"), 3)
    assert "may not sign attributes" in refusal(grid, grid.voms_proxy())


@pytest.mark.parametrize("critical", [False, True])
def test_an_authority_with_name_constraints_is_not_believed_as_if_it_had_none(grid, critical):
    """OpenSSL heeds them in the handshake; nobody does so here."""
    constraints = x509.NameConstraints([x509.DNSName("elsewhere.example")], None)
    between = grid.authority.intermediate(name("Between CA"), 6, extension=constraints, critical=critical)
    between.trust(dn("voms*"))
    grid.voms = between.issue(name("voms.example.org"), 3, host="voms.example.org")
    grid.lsc(dn("voms.example.org"), dn("Between CA"))
    assert "not understood" in refusal(grid, grid.voms_proxy())


def test_a_server_of_an_intermediate_authority_is_known(grid):
    between = grid.authority.intermediate(name("Between CA"), 6)
    between.trust(dn("voms*"))
    grid.voms = between.issue(name("voms.example.org"), 3)
    grid.lsc(dn("voms.example.org"), dn("Between CA"), dn("Test CA"))
    assert fqans(grid, grid.voms_proxy()) == {f"fqan:/{VO}"}


def test_more_of_them_than_anybody_needs_are_not_looked_at(grid):
    """Each costs signatures to verify, and a proxy has room for hundreds."""
    found = grid.voms_proxy().certificate.extensions.get_extension_for_oid(ATTRIBUTES).value
    [one] = read(AttributeCertificates, found.value).certificates
    many = asn1.encode_der(AttributeCertificates(certificates=[one] * 9))
    proxy = grid.user.proxy(extension=x509.UnrecognizedExtension(ATTRIBUTES, many))
    assert "more attribute certificates" in refusal(grid, proxy)


def test_a_user_is_no_authority_over_voms_servers(grid):
    false = grid.user
    grid.lsc(dn("voms.example.org"), dn("Ada User"))
    signer = Authority(false.certificate, false.key, false.issuers, grid.authorities)
    grid.voms = signer.issue(name("voms.example.org"), 3)
    assert "authority is unknown" in refusal(grid, grid.voms_proxy())
