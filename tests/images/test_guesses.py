"""Guesses at who a patient is, hidden in names and texts: what is new counts, and what counts is bounded."""

import base64
import hashlib
import math
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from mdm_async.dicom.said import Said
from mdm_async.images.names.guesses import CHARACTERS, DATES, LETTERS, PER_HIT, SECONDS, Guesses

SLICES = 5000


class Account:
    def __init__(self, **options: int) -> None:
        self.now = 0.0
        self.guesses = Guesses(clock=lambda: self.now, **options)

    def let(self, *texts: str, account: str = "a", patient: str = "meier", kept: Sequence[str] = ()) -> bool:
        return not self.wait(*texts, account=account, patient=patient, kept=kept)

    def wait(
        self, *texts: str, account: str = "a", patient: str = "meier", kept: Sequence[str] = ()
    ) -> float:
        said = [Said.of(text) for text in texts]
        return self.guesses.let(account, patient, said, [Said.of(one) for one in kept]).wait


@pytest.fixture
def one() -> Account:
    return Account()


def days(first: int = 1930) -> Iterator[str]:
    day = date(first, 1, 1)
    while day < date(2026, 1, 1):
        yield day.strftime("%Y%m%d")
        day += timedelta(1)


def uids(seed: int) -> list[str]:
    pick = random.Random(seed)
    return [f"1.2.826.0.1.3680043.8.498.{pick.randrange(10**38)}.dcm" for _ in range(SLICES)]


def _evening(n: int) -> tuple[int, int, int]:
    """Minutes, seconds, nanoseconds: after seven o'clock they read like years, most often of all day."""
    return n // 84, n % 60, random.Random(n).randrange(10**9)


def _at(time: tuple[int, int, int]) -> str:
    return "{:02}:{:02}.{:09}".format(*time)


WORKLOADS = {
    "UIDs": uids(1),
    "UIDs with the time": [
        "1.3.12.2.1107.5.2.32.35424.2026112919{:02}{:02}{:09}".format(*_evening(n)) for n in range(SLICES)
    ],
    "UUIDs": [str(uuid.UUID(int=random.Random(n).getrandbits(128))) for n in range(SLICES)],
    "SHA-256": [hashlib.sha256(b"%d" % n).hexdigest() + ".dcm" for n in range(SLICES)],
    "counters": [f"t1_mprage_sag_iso_IMG{n:06}.dcm" for n in range(SLICES)],
    "modification times": [f"urn:x mtime 2026-11-29T19:{_at(_evening(n))}Z" for n in range(SLICES)],
    "scores": [repr(random.Random(n).random()) for n in range(SLICES)],
    "a worker's words": [f"running on node{n % 40}, slice {n} of 5000, quality good" for n in range(SLICES)],
}


@pytest.mark.parametrize("names", WORKLOADS.values(), ids=WORKLOADS.keys())
def test_five_thousand_slices_of_one_patient_get_names(one: Account, names: list[str]) -> None:
    for at, name in enumerate(names):
        assert one.let(f"/vo/study/{name}"), at
    # And a copy of them, elsewhere.
    for at, name in enumerate(names):
        assert one.let(f"/vo/project/other/{name}", kept=[name]), at
    assert one.let(*(f"/vo/study/{name}" for name in names))


def test_names_that_are_kept_cost_nothing_but_where_they_join_others(one: Account) -> None:
    kept = [base64.urlsafe_b64encode(hashlib.sha256(b"%d" % n).digest()).decode() for n in range(1000)]
    assert math.isinf(one.wait(*(f"/vo/a/{name}" for name in kept)))
    assert one.let(*(f"/vo/a/{name}" for name in kept), kept=kept)
    # What could be dates counts, whoever gave them.
    dates = list(days())[: DATES + 1]
    assert not one.let(*dates, kept=dates)


@pytest.mark.parametrize("each", [1, 50, DATES])
def test_a_hunt_for_a_birth_date_gets_no_further(one: Account, each: int) -> None:
    all_ = list(days())
    random.Random(1).shuffle(all_)
    tried, said = all_[: 2 * DATES], 0
    for at in range(0, len(tried), each):
        some = tried[at : at + each]
        said += len(some) if one.let("x".join(some)) else 0
    assert DATES * 0.9 < said <= DATES
    one.now = SECONDS / 4
    more = sum(one.let(day) for day in all_[2 * DATES : 4 * DATES])
    assert more == pytest.approx(DATES / 4, abs=2)


def test_nor_does_one_for_a_name_or_a_number(one: Account) -> None:
    syllables = [a + b for a in "bcdfghklmnprstwz" for b in "aeiou"]
    names = [a + b + c for a in syllables for b in syllables[:10] for c in syllables[:10]]
    assert sum(one.let(name) for name in names) <= LETTERS / 6
    one = Account()
    assert one.let("meier"), "of another kind"
    digits = random.Random(1)
    texts = ["a".join(f"{digits.randrange(10**7):07}" for _ in range(125)) for _ in range(1000)]
    assert sum(one.let(text) for text in texts) <= CHARACTERS / 1000


def test_words_put_together_anew_count_again(one: Account) -> None:
    assert one.let(*(f"{n:02}" for n in range(100)))
    assert sum(one.let(f"{day[:2]}/{day[2:4]}-{day[4:6]}.{day[6:]}") for day in days(1990)) <= DATES


def test_more_at_once_than_is_ever_let_is_not_waited_for(one: Account) -> None:
    assert math.isinf(one.wait(*list(days())[: DATES + 1]))
    assert one.let(*list(days())[:DATES])
    assert 0 < one.wait("20251231") <= SECONDS / DATES + 1
    assert one.let(*list(days())[:DATES]), "known"


def test_no_more_is_looked_at_than_is_let(one: Account) -> None:
    """It is looked at on the event loop, however much is asked at once."""
    words = random.Random(2)
    much = [Said.of("/".join(words.choice("bcdfghij") for _ in range(1000))) for _ in range(30)]
    unseen: Any = object()
    assert math.isinf(one.guesses.let("a", "meier", [*much, unseen]).wait)


@pytest.mark.parametrize("other", [{"account": "b"}, {"patient": "kim"}])
def test_each_account_and_each_patient_counts_for_itself(one: Account, other: dict[str, str]) -> None:
    assert one.let(*list(days())[:DATES])
    assert not one.let("20251231")
    assert one.let("20251231", **other)


def test_a_hit_takes_a_part_and_what_was_new_in_it_is_new_again(one: Account) -> None:
    some = Said.of("x".join(list(days())[: DATES // 2]))
    let = one.guesses.let("a", "meier", [some])
    assert one.guesses.hit("a", "meier", "some", let.new)
    left = DATES - DATES // 2 - DATES // PER_HIT
    assert one.let(*list(days())[:left])
    assert not one.let("20251231")
    assert not one.guesses.hit("a", "meier", "some", set()), "told before"
    for n in range(PER_HIT):
        one.guesses.hit("a", "meier", f"{n}", set())
    assert one.guesses.wait("a", "meier") > 0
    assert one.let(*list(days())[:left]), "known, and silent"
    assert not one.guesses.wait("a", "kim")


def test_what_is_said_on_and_on_stays_known_and_what_is_not_is_forgotten(one: Account) -> None:
    constants = [f"running on node{n}" for n in range(40)]
    assert one.let(*constants)
    assert one.let(*list(days())[:DATES])
    for _ in range(6):
        one.now += SECONDS * 0.6
        assert one.let(*constants)
        assert not one.guesses.let("a", "meier", [Said.of(text) for text in constants]).new
    one.now += 5 * SECONDS
    assert one.guesses.let("b", "meier", [Said.of("x")]).new
    assert list(one.guesses._accounts) == ["b"]
    assert one.guesses.shares.used == 1 + 1


def test_who_says_much_forgets_what_he_said_himself_and_nobody_elses() -> None:
    one = Account(most_known=4000)
    assert one.let("running on node17", account="b")
    for n in range(100):
        assert one.let(*(f"IMG{n:03}{k:03}" for k in range(100)), patient=str(n % 3))
        assert one.guesses.shares.used <= 4000
    assert not one.guesses.let("b", "meier", [Said.of("running on node17")]).new
    kept = one.guesses._accounts["a"]
    held = sum(map(len, (*kept.young.values(), *kept.old.values())))
    assert held == one.guesses.shares._accounts["a"]


def test_neither_texts_nor_identifiers_are_kept(one: Account) -> None:
    one.let("scan of meier 19731109", patient="1")
    pieces = one.guesses._accounts["a"].young["1"]
    assert all(isinstance(piece, int) for piece in pieces)
    assert 19731109 not in pieces


def test_without_a_limit_nothing_is_refused_or_remembered() -> None:
    free = Guesses(limited=False)
    assert not free.let("a", "meier", [Said.of("x".join(days()))]).wait
    free.hit("a", "meier", "some", set())
    assert not free.wait("a", "meier")
    assert not free._accounts


def test_who_speaks_of_many_patients_makes_no_debt_forgotten() -> None:
    """Neither his own nor another's: he says nothing of further patients until he has rested."""
    one = Account(most_owed=100)
    assert one.let(*list(days())[:DATES])
    assert one.let(*list(days())[:DATES], account="b")
    some = list(days(1950))[:200]
    let = [one.let(*some, patient=str(n)) for n in range(200)]
    assert let == [True] * let.count(True) + [False] * (200 - let.count(True))
    assert 20 <= let.count(True) < 50
    assert not one.let("20251231")
    assert not one.let("20251231", account="b")
    assert one.let("20251231", account="c")
    assert 0 < one.wait("20251231", patient="new") <= SECONDS
    assert one.let(*some, patient="1"), "known"
    one.guesses.hit("a", "new", "some", set())
    one.now += SECONDS / 2
    assert one.let("20251231", patient="new")
    one.now += 2 * SECONDS
    assert one.let("20251231", account="d")


def test_who_has_rested_owes_nothing_and_takes_no_room() -> None:
    one = Account(most_owed=4)
    for n in range(50):
        assert one.let("x".join(list(days())[:50]), patient=str(n))
        assert one.guesses.debts.shares.used <= 4
        one.now += SECONDS / 10
