"""Secrets come together from any shares that are enough; a share that is none of theirs is found out."""

import os
from collections.abc import Sequence
from itertools import combinations
from uuid import UUID, uuid4

import pytest

from mdm_async.keys.row_cipher import Held
from mdm_async.keys.splitting import Key, divide, join, shares_of

THREE = (1, 2, 3)


def secrets(count: int) -> list[Held]:
    return [
        Held(uuid4(), uuid4(), kind, os.urandom(32)) for _ in range(count) for kind in ("image", "identity")
    ]


def by_key(held: Sequence[Held]) -> dict[Key, Held]:
    return {(one.registration, one.kind): one for one in held}


def shared(held: Sequence[Held], threshold: int = 2, count: int = 3) -> dict[int, dict[Key, Held]]:
    return {index: by_key(shares) for index, shares in divide(held, threshold, count).items()}


@pytest.mark.parametrize(("threshold", "count"), [(2, 3), (3, 5), (2, 2), (5, 5)])
def test_any_shares_that_are_enough_give_all_secrets(threshold: int, count: int) -> None:
    wanted = secrets(5)
    found = shared(wanted, threshold, count)
    for chosen in combinations(found, threshold):
        some = {index: found[index] for index in chosen}
        joined = join(some, by_key(wanted), threshold)
        assert joined.secrets == by_key(wanted)
        assert not joined.wrong
        for index in found:
            assert by_key(shares_of(some, joined, index)) == found[index]


def test_secrets_of_which_shares_lie_apart_are_joined_each_from_its_own() -> None:
    wanted = secrets(3)
    found = shared(wanted)
    keys = list(by_key(wanted))
    for place, key in enumerate(keys):
        del found[THREE[place % 3]][key]
    joined = join(found, keys, 2)
    assert joined.secrets == by_key(wanted)
    for index in THREE:
        assert len(shares_of(found, joined, index)) == len(keys)
    del found[1][keys[1]]
    assert keys[1] not in join(found, keys, 2).secrets


@pytest.mark.parametrize("wrong", THREE)
def test_a_share_of_another_secret_is_found_out_and_not_used(wrong: int) -> None:
    wanted, other = secrets(2), os.urandom(40)
    found = shared(wanted)
    key = next(iter(found[wrong]))
    share = found[wrong][key]
    found[wrong][key] = Held(share.registration, share.image, share.kind, other)
    joined = join(found, by_key(wanted), 2)
    assert joined.secrets == by_key(wanted)
    # Two good ones are found first, if they come first: then nobody looks at the third.
    assert joined.wrong == ([] if wrong == 3 else [(key, wrong)])
    del found[wrong % 3 + 1]
    left = join(found, by_key(wanted), 2)
    assert left.secrets == {k: v for k, v in by_key(wanted).items() if k != key}


def test_a_share_that_claims_another_image_or_has_another_length_is_not_used() -> None:
    wanted = secrets(1)
    found = shared(wanted)
    key, other = by_key(wanted)
    share = found[1][key]
    found[1][key] = Held(share.registration, uuid4(), share.kind, share.value)
    found[2][other] = Held(*other[:1], found[2][other].image, other[1], b"short")
    joined = join(found, [key, other], 2)
    assert joined.secrets == by_key(wanted)
    assert joined.wrong == [(key, 1)]


@pytest.mark.parametrize("moved", [(uuid4(), None, None), (None, uuid4(), None), (None, None, "identity")])
def test_shares_that_all_claim_another_place_give_nothing(
    moved: tuple[UUID | None, UUID | None, str | None],
) -> None:
    registration, image, kind = moved
    (one,) = wanted = [Held(uuid4(), uuid4(), "image", os.urandom(32))]
    found = {
        index: by_key(
            [Held(registration or one.registration, image or one.image, kind or one.kind, share.value)]
        )
        for index, (share,) in divide(wanted, 2, 3).items()
    }
    assert not join(found, list(found[1]), 2).secrets
