"""When what was shredded is final: newer key-encryption keys everywhere, the older destroyed, the backups gone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from mdm_async.catalog.work.shreds import Shred, StoreDone
from mdm_async.images.shredding.finality import finality
from mdm_async.keys.standing import Epoch, KeyStanding, StoreStanding

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SHRED = Shred(uuid4(), NOW - 100 * DAY, "user:a", "user:a", False, NOW - 100 * DAY, None, 1, NOW)
DONE = [StoreDone(name, NOW - 100 * DAY, 3) for name in ("one", "two")]


def epoch(number: int, *, in_use: bool = False, destroyed: datetime | None = None) -> Epoch:
    return Epoch(number, in_use, True, 0, False, NOW - 200 * DAY, destroyed, destroyed)


ROTATED = (epoch(4, in_use=True), epoch(3, destroyed=NOW - 40 * DAY), epoch(2, destroyed=NOW - 90 * DAY))


def stores(*, two: StoreStanding | None = None) -> KeyStanding:
    one, other = (StoreStanding(name, True, "a file", ROTATED) for name in ("one", "two"))
    return KeyStanding((one, two or other), 2)


def test_it_is_final_when_every_store_was_rotated_and_backups_have_run_out() -> None:
    assert finality(SHRED, DONE, stores(), 30).is_final
    assert finality(SHRED, DONE, stores(), 40).is_final


def test_it_is_not_while_backups_from_before_the_last_key_was_destroyed_are_kept() -> None:
    (told,) = finality(SHRED, DONE, stores(), 41).waiting
    assert told == "backups are kept until 2026-06-02T00:00:00Z"


def test_it_never_is_while_nobody_says_how_long_backups_are_kept() -> None:
    (told,) = finality(SHRED, DONE, stores(), None).waiting
    assert "keys.backups_days" in told


def test_after_so_many_rotations_that_its_keys_are_not_told_of_any_more_it_is_final() -> None:
    many = (epoch(30, in_use=True), *(epoch(number, destroyed=NOW - DAY) for number in range(29, 10, -1)))
    assert finality(SHRED, DONE, stores(two=StoreStanding("two", True, "a file", many)), 1).is_final


@pytest.mark.parametrize(
    ("epochs", "told"),
    [
        ((epoch(3, in_use=True),), "wrapped anew: mdm keys rotate"),
        ((epoch(4, in_use=True), epoch(3)), "are to be destroyed"),
        ((epoch(4, in_use=True), epoch(3, destroyed=NOW - 40 * DAY), epoch(2)), "are to be destroyed"),
        ((epoch(4, in_use=True),), "are to be destroyed"),
    ],
)
def test_one_store_that_lags_keeps_it_from_being_final(epochs: tuple[Epoch, ...], told: str) -> None:
    found = finality(SHRED, DONE, stores(two=StoreStanding("two", True, "a file", epochs)), 0)
    assert len(found.waiting) == 1
    assert told in found.waiting[0]
    assert "the key store two" in found.waiting[0]


def test_a_store_that_is_away_or_has_not_destroyed_its_keys_keeps_it_from_being_final() -> None:
    away = StoreStanding("two", False)
    assert "away" in finality(SHRED, DONE, stores(two=away), 0).waiting[0]
    begun = replace(SHRED, destroyed=None)
    (told,) = finality(begun, DONE[:1], stores(), 0).waiting
    assert told == "the key store two is to destroy its keys"
    (told,) = finality(begun, DONE[:1], stores(two=away), 0).waiting
    assert told == "the key store two is to destroy its keys: it is away"
    (told,) = finality(begun, DONE, stores(), 0).waiting
    assert "stored bytes" in told
