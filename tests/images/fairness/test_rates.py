"""How often, and how much is outstanding."""

from uuid import uuid4

import pytest

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness import rates as module
from mdm_async.images.fairness.outstanding import Outstanding
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.fairness.strangers import Strangers
from mdm_async.names import Payer

ALICE, BOB = Payer("user:alice", "one"), Payer("user:bob", "one")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def spent(rates: Rates, key: str) -> int:
    """How many are let at once."""
    done = 0
    while not rates.wait(key):
        rates.count(key)
        done += 1
    return done


def test_a_burst_and_then_so_many_a_second() -> None:
    clock = Clock()
    rates = Rates(10, 50, clock)
    assert spent(rates, "a") == 50
    assert rates.wait("a") == pytest.approx(0.1)
    assert rates.most() == 50
    clock.now += 1
    assert spent(rates, "a") == 10
    clock.now += 3600
    assert spent(rates, "a") == 50


def test_one_does_not_use_up_what_is_anothers() -> None:
    rates = Rates(10, 50, Clock())
    spent(rates, "a")
    assert spent(rates, "b") == 50


def test_more_than_a_burst_is_let_after_a_whole_rest_only() -> None:
    clock = Clock()
    rates = Rates(10, 50, clock)
    assert not rates.wait("a", 1000)
    rates.count("a", 1000)
    assert rates.wait("a") == pytest.approx(95.1)
    clock.now += 96
    assert rates.wait("a", 1000) > 0


def test_without_a_rate_there_is_none() -> None:
    rates = Rates(0, 0, Clock())
    rates.count("a", 1000)
    assert not rates.wait("a", 10**9)
    assert rates.most() == 0


def test_a_flood_of_sources_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN", 10)
    rates = Rates(10, 50, Clock())
    for number in range(100):
        rates.count(str(number))
    assert len(rates._full) == 10


def test_many_small_debts_make_no_large_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN", 16)
    rates = Rates(1, 50, Clock())
    rates.count("deep", 50)
    for number in range(100):
        rates.count(str(number))
    assert len(rates._full) <= 16
    assert rates.wait("deep")


def test_what_is_outstanding_is_bounded_until_it_ends() -> None:
    clock = Clock()
    outstanding = Outstanding(Shares(1000, 0.5), clock)
    request = uuid4()
    outstanding.begin(request, ALICE, 250, 60)
    with pytest.raises(TooManyRequests) as refused:
        outstanding.begin(uuid4(), ALICE, 1, 60)
    assert refused.value.retry_after
    outstanding.begin(uuid4(), BOB, 100, 60)
    outstanding.end(request, 50)
    outstanding.begin(uuid4(), ALICE, 25, 60)
    outstanding.end(request, 10_000)
    outstanding.end(request, 1)
    assert outstanding.used == 125
    clock.now += 61
    assert outstanding.used == 0
    assert outstanding.shares == Shares(1000, 0.5)


def test_what_was_released_early_takes_no_memory_until_its_pin_would_have_ended() -> None:
    clock = Clock()
    outstanding = Outstanding(Shares(1000, 0.5), clock)
    stays = uuid4()
    outstanding.begin(stays, ALICE, 1, 60)
    for _ in range(5000):
        request = uuid4()
        outstanding.begin(request, ALICE, 1, 86_400)
        outstanding.end(request, 1)
    assert len(outstanding._ends) < 1100
    clock.now += 61
    assert outstanding.used == 0


def test_a_pin_that_is_extended_is_outstanding_for_longer() -> None:
    clock = Clock()
    outstanding = Outstanding(Shares(1000, 0.5), clock)
    request = uuid4()
    outstanding.begin(request, ALICE, 10, 60)
    clock.now += 30
    outstanding.extend(request, 60)
    clock.now += 40
    assert outstanding.used == 10
    clock.now += 30
    assert outstanding.used == 0


def test_strangers_do_not_lock_out_who_has_shown_a_credential_at_their_address() -> None:
    strangers = Strangers(Rates(1, 2, Clock()))
    strangers.know("Bearer good")
    for number in range(3):
        strangers.count("192.0.2.1")
        strangers.count("192.0.2.1", f"Bearer guess {number}")
    for shown in ("", "Bearer bad"):
        with pytest.raises(TooManyRequests) as refused:
            strangers.demand("192.0.2.1", shown)
        assert refused.value.retry_after == 2
    strangers.demand("192.0.2.1", "Bearer good")
    strangers.demand("192.0.2.2", "")
