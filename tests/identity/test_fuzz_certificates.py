"""Whatever the bytes: a caller, or Unauthenticated; broken files of the directories stop nobody's start."""

import functools
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mdm_async.errors import Unauthenticated
from mdm_async.identity.authorities import read_lsc
from mdm_async.identity.certificates import Trust
from mdm_async.identity.revocation_lists import RevocationList
from mdm_async.identity.shapes import Unreadable
from mdm_async.identity.signing_policy import read_signing_policy
from mdm_async.identity.x509 import read_certificate
from tests.identity.grid_pki import Grid, Identity, new_grid

MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])


@functools.cache
def grid() -> Grid:
    return new_grid(Path(tempfile.mkdtemp()))


@functools.cache
def proxy() -> Identity:
    return grid().voms_proxy(fqans=["/brainvo/study/Role=reader"])


@functools.cache
def trust() -> Trust:
    return Trust(grid().authorities, grid().vos)


@functools.cache
def revocation_list() -> bytes:
    path = grid().authority.revoke([grid().user], encoding=Encoding.DER)
    original = path.read_bytes()
    path.unlink()
    return original


def mutated(data: st.DataObject, original: bytes) -> bytes:
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        kind = data.draw(st.sampled_from(["set", "flip", "cut", "insert"]))
        if kind == "set":
            changed[at] = data.draw(st.integers(0, 255))
        elif kind == "flip":
            changed[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del changed[at : at + data.draw(st.integers(1, 40))]
        else:
            changed[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        if not changed:
            break
    return bytes(changed)


@MANY
@given(st.data())
def test_a_mutated_chain_is_a_caller_or_unauthenticated(data):
    chain = list(proxy().chain)
    which = data.draw(st.integers(0, len(chain) - 1))
    chain[which] = mutated(data, chain[which])
    try:
        found = trust().caller(chain)
    except Unauthenticated:
        return
    # OpenSSL verifies the chain's own signatures; nobody gains a group that VOMS did not sign.
    assert found.principals <= trust().caller(proxy().chain).principals | {found.name}


@MANY
@given(st.data())
def test_a_mutated_revocation_list_is_read_or_unreadable(data):
    changed = mutated(data, revocation_list())
    assume(changed != revocation_list())
    try:
        found = RevocationList(changed)
    except Unreadable:
        return
    authority = read_certificate(grid().authority.chain[0])
    assert not found.is_signed_by(authority)


def test_a_revocation_list_of_no_known_version_is_unreadable():
    changed = revocation_list().replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    assert changed != revocation_list()
    with pytest.raises(Unreadable):
        RevocationList(changed)


@MANY
@given(st.data())
def test_mutated_policies_and_lsc_files_are_read_or_unreadable(data):
    policy = grid().authority.policy("/C=XX/O=Test Grid/*", "/C=XX/?").encode()
    for reader, original in ((read_signing_policy, policy), (read_lsc, b"/C=XX/CN=a\n/C=XX/CN=b\n")):
        try:
            found = reader(mutated(data, original))
        except Unreadable:
            continue
        assert found


@pytest.mark.parametrize(
    "file", [b"", b"\xff\xfe", b"access_id_CA X509", b"cond_subjects globus '", b"/x\x00"]
)
def test_files_that_are_none_are_unreadable(file):
    for reader in (read_signing_policy, read_lsc, RevocationList):
        with pytest.raises(Unreadable):
            reader(file)
