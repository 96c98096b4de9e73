"""Key-encryption keys that custodians hold, and the shares that come."""

import itertools
import os
from dataclasses import replace

import orjson
import pytest

from mdm_async.errors import Conflict, NotFound, Sealed, Unavailable, WrongContent, WrongKeks
from mdm_async.keys.custodians import Custodians, HeldByCustodians
from mdm_async.keys.custody import CustodyShare, joined, split_among

KEKS = [os.urandom(32), os.urandom(32)]


def test_any_threshold_of_the_shares_give_the_keys_in_their_order() -> None:
    shares = split_among(KEKS, "", 3, 5)
    for some in itertools.combinations(shares, 3):
        assert joined([CustodyShare.parse(share.text()) for share in some]) == KEKS


def test_fewer_give_other_keys() -> None:
    assert joined(split_among(KEKS, "", 3, 5)[:2]) != KEKS


def test_a_share_knows_its_split_and_not_another() -> None:
    shares, others = split_among(KEKS, "one", 2, 3), split_among(KEKS, "one", 2, 3)
    assert len({share.split for share in shares}) == 1
    assert shares[0].split != others[0].split
    assert replace(shares[0], store="two").split != shares[0].split


def test_each_flipped_bit_of_a_share_is_found() -> None:
    share = split_among([bytes(32)], "", 2, 2)[1]
    for at in range(8 * len(share.value)):
        spoilt = bytearray(share.value)
        spoilt[at // 8] ^= 1 << at % 8
        with pytest.raises(WrongContent, match="is not what it was"):
            CustodyShare.parse(replace(share, value=bytes(spoilt)).text())
    with pytest.raises(WrongContent, match="is not what it was"):
        CustodyShare.parse(replace(share, index=1).text())


@pytest.mark.parametrize(
    "change",
    [
        {"mdmKeyShare": 2},
        {"store": 1},
        {"threshold": 1},
        {"threshold": 4},
        {"threshold": "many"},
        {"index": 0},
        {"index": 4},
        {"value": ""},
        {"value": "AAAA"},
        {"value": "~"},
        {"value": 7},
        {"digests": []},
        {"digests": ["00", "00", "00"]},
        {"digests": "zz"},
        {"digests": None},
    ],
)
def test_what_is_no_share_is_refused_and_nothing_of_it_is_told(change: dict[str, object]) -> None:
    text = orjson.dumps(orjson.loads(split_among(KEKS, "", 2, 3)[0].text()) | change)
    with pytest.raises(WrongContent) as refused:
        CustodyShare.parse(text)
    assert str(refused.value) == str(
        WrongContent("this is no share of a key-encryption key", remedy="`mdm keys split` makes them")
    )


@pytest.mark.parametrize("text", ["", "[]", "null", "AGE-SECRET-KEY-1", "{}", "[" * 100_000])
def test_text_that_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(WrongContent, match="no share"):
        CustodyShare.parse(text)


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (4, 3), (2, 256), (0, 0)])
def test_a_threshold_that_cannot_work_is_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot work"):
        split_among(KEKS, "", threshold, count)


async def test_keys_are_there_when_enough_shares_came_whichever() -> None:
    source = HeldByCustodians("")
    shares = split_among(KEKS, "", 3, 5)
    with pytest.raises(Sealed):
        await source.read()
    for share in (shares[4], shares[1], shares[1]):
        await source.take(share)
    assert (source.given().indices, source.given().threshold, source.given().is_open) == ((2, 5), 3, False)
    with pytest.raises(Sealed):
        await source.read()
    await source.take(shares[0])
    assert await source.read() == KEKS
    assert source.given().indices == ()
    await source.opened()


async def test_a_share_of_another_split_is_refused_and_spoils_nothing() -> None:
    source = HeldByCustodians("")
    shares, others = split_among(KEKS, "", 2, 3), split_among([os.urandom(32)], "", 2, 3)
    await source.take(shares[0])
    with pytest.raises(Conflict, match=f"split {others[1].split}.*split {shares[0].split}"):
        await source.take(others[1])
    await source.take(shares[2])
    assert await source.read() == KEKS


async def test_forgotten_shares_make_room_for_those_of_another_split() -> None:
    custodians = Custodians([source := HeldByCustodians("a")])
    await custodians.take(split_among([os.urandom(32)], "a", 2, 3)[0])
    custodians.forget()
    for share in split_among(KEKS, "a", 2, 3)[:2]:
        await custodians.take(share)
    assert await source.read() == KEKS


async def test_keys_that_are_not_those_of_the_store_do_not_count() -> None:
    async def is_right(keks: list[bytes]) -> None:
        if keks != KEKS:
            raise WrongKeks("no key given opens what is here")

    source = HeldByCustodians("", is_right)
    wrong = split_among([os.urandom(32)], "", 2, 2)
    await source.take(wrong[0])
    with pytest.raises(WrongKeks) as told:
        await source.take(wrong[1])
    assert "--drop-older" in told.value.remedy
    assert source.given().indices == ()
    with pytest.raises(Sealed):
        await source.read()
    for share in split_among(KEKS, "", 2, 2):
        await source.take(share)
    assert await source.read() == KEKS


async def test_no_custodian_comes_twice_because_the_database_was_away() -> None:
    is_away = True

    async def is_right(_keks: list[bytes]) -> None:
        if is_away:
            raise Unavailable("the catalog's database is away")

    source = HeldByCustodians("", is_right)
    shares = split_among(KEKS, "", 2, 3)
    await source.take(shares[0])
    with pytest.raises(Unavailable, match="away"):
        await source.take(shares[1])
    assert (source.given().indices, source.given().is_open) == ((1, 2), False)
    is_away = False
    await source.take(shares[1])
    assert await source.read() == KEKS
    assert source.given().indices == ()


async def test_shares_of_a_store_that_custodians_do_not_hold_are_refused() -> None:
    for held in ([], [HeldByCustodians("a")]):
        with pytest.raises(NotFound, match="the catalog itself"):
            await Custodians(held).take(split_among(KEKS, "", 2, 2)[0])


def test_nothing_that_holds_a_share_shows_it() -> None:
    share = split_among(KEKS, "", 2, 2)[0]
    assert share.value.hex()[:8] not in repr(share)
    assert repr(share.value)[2:10] not in f"{share} {HeldByCustodians('')!r}"
