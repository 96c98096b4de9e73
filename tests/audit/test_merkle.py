"""Merkle roots are those of RFC 6962."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.audit import merkle

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
"""Of Certificate Transparency's own tests."""


@pytest.mark.parametrize("count", ROOTS)
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    leaves = [merkle.leaf(bytes.fromhex(data)) for data in LEAVES[:count]]
    assert merkle.root(leaves).hex() == ROOTS[count]


def obvious(leaves: list[bytes]) -> bytes:
    """As RFC 6962 §2.1 says it."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + obvious(leaves[:split]) + obvious(leaves[split:])).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
def test_any_number_of_leaves_has_the_obvious_root(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == obvious(leaves)


def test_of_a_long_list_a_few_hashes_are_held() -> None:
    """A year of seals are thirty million."""
    tree = merkle.Tree()
    for count in range(1, 2000):
        tree.add(b"x" * 32)
        assert len(tree._complete) == count.bit_count()
