"""Secret sharing: any m shares give the secret, fewer tell nothing, and another package computes the same."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pyshamir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.keys import shamir
from mdm_async.keys.shamir import Share

# Made with pyshamir 1.1.0: what it split, its shares by their indices.
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "shamir_vectors.json").read_text())


@st.composite
def schemes(draw: st.DrawFn) -> tuple[int, int]:
    """Threshold and number of shares."""
    threshold = draw(st.integers(2, 12))
    return threshold, draw(st.integers(threshold, 20))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['threshold']} of {len(v['shares'])}")
def test_shares_that_another_package_made_give_the_secret(vector: dict[str, Any]) -> None:
    shares = [Share(int(index), bytes.fromhex(value)) for index, value in vector["shares"].items()]
    secret, threshold = bytes.fromhex(vector["secret"]), vector["threshold"]
    for chosen in (shares, shares[:threshold], shares[-threshold:]):
        assert shamir.combine(chosen) == secret
        for share in shares[:10]:
            assert shamir.at(chosen, share.index) == share
    assert shamir.combine(shares[: threshold - 1]) != secret


@given(st.binary(min_size=1, max_size=48), schemes(), st.randoms())
def test_another_package_gets_the_secret_from_our_shares(
    secret: bytes, scheme: tuple[int, int], random: Any
) -> None:
    threshold, count = scheme
    shares = random.sample(shamir.split(secret, threshold, count), threshold)
    theirs = [bytearray(share.value + bytes([share.index])) for share in shares]
    assert pyshamir.combine(theirs) == secret
    assert shamir.combine(shares) == secret


@given(st.binary(max_size=3000))
def test_any_two_of_three_give_the_secret_and_the_third_share(secret: bytes) -> None:
    shares = shamir.split(secret, 2, 3)
    assert [share.index for share in shares] == [1, 2, 3]
    for pair in combinations(shares, 2):
        assert shamir.combine(pair) == secret
        assert [shamir.at(pair, index) for index in (1, 2, 3)] == shares


def test_one_share_too_few_is_of_every_secret_equally() -> None:
    """For each byte that the secret may be there is exactly one missing share that makes it so."""
    known = shamir.split(b"s", 3, 5)[:2]
    secrets = {shamir.combine([*known, Share(5, bytes([value]))]) for value in range(256)}
    assert len(secrets) == 256


def test_two_shares_of_three_that_it_takes_are_independent_in_each_byte() -> None:
    """A polynomial with one random coefficient would give 256 pairs at the most; one for all bytes, equal bytes."""
    splits = [shamir.split(bytes(64), 3, 3) for _ in range(600)]
    for one, other in combinations(range(3), 2):
        assert len({(shares[one].value[0], shares[other].value[0]) for shares in splits}) > 400
    assert all(len(set(share.value)) > 16 for shares in splits for share in shares)


def test_shares_of_one_secret_differ_each_time() -> None:
    first, second = shamir.split(bytes(32), 2, 3), shamir.split(bytes(32), 2, 3)
    assert all(a != b and a.value != bytes(32) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (1, 3), (4, 3), (2, 256), (2, 1)])
def test_a_threshold_that_cannot_work_is_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot work"):
        shamir.split(b"secret", threshold, count)


@pytest.mark.parametrize(
    "shares",
    [
        [],
        [Share(1, b"a"), Share(1, b"b")],
        [Share(0, b"a"), Share(1, b"b")],
        [Share(256, b"a"), Share(1, b"b")],
        [Share(1, b"a"), Share(2, b"bb")],
    ],
)
def test_what_cannot_be_shares_of_one_secret_is_refused(shares: list[Share]) -> None:
    with pytest.raises(ValueError, match="share"):
        shamir.combine(shares)


def test_the_share_of_index_0_is_the_secret_and_not_given() -> None:
    with pytest.raises(ValueError, match="from 1 to 255"):
        shamir.at(shamir.split(b"secret", 2, 3), 0)


def test_a_share_shows_nothing_of_itself() -> None:
    assert "secret" not in repr(Share(1, b"secret"))
