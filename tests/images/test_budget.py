"""Memory that requests hold."""

import asyncio

import pytest

from mdm_async.errors import TooManyRequests
from mdm_async.images import budget
from mdm_async.images.budget import Budget
from mdm_async.names import ANONYMOUS, ANYONE, Payer, network
from tests.faults.conditions import until

ALICE, BOB = Payer("user:alice", "one"), Payer("user:bob", "one")


def used(budget: Budget) -> int:
    (near,) = budget.near()
    return near.used


def test_more_than_a_caller_may_hold_is_refused_at_once_and_nobody_else_is() -> None:
    budget = Budget(1000, 0.5)
    with budget.holding(ALICE, 250):
        with pytest.raises(TooManyRequests) as refused, budget.holding(ALICE, 1):
            pass
        assert refused.value.retry_after
        with budget.holding(BOB, 100):
            assert used(budget) == 350
    assert used(budget) == 0


def test_what_grows_is_counted_as_it_grows() -> None:
    budget = Budget(1000, 0.5)
    with budget.holding(ALICE) as held:
        held.grow_to(200)
        held.grow_to(100)
        assert used(budget) == 200
        with pytest.raises(TooManyRequests):
            held.grow_to(300)
        assert used(budget) == 200
    assert used(budget) == 0


async def test_an_answer_that_has_begun_waits_for_room_and_holds_none_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = Budget(1000, 0.5)
    with shared.holding(ALICE, 100) as mine:
        with shared.holding(BOB, 220):
            waiting = asyncio.create_task(mine.hold(200, begun=True))
            await until(lambda: used(shared) == 220)
            with shared.holding(BOB, 1):
                pass  # Too little is given back.
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting
        assert used(shared) == mine.size == 200
        monkeypatch.setattr(budget, "PATIENCE", 0.01)
        with pytest.raises(TooManyRequests):
            await mine.hold(999, begun=True)
        assert used(shared) == 0
    assert used(shared) == 0


def test_anonymous_callers_are_one_with_a_worker_at_each_source() -> None:
    assert ANONYMOUS.payer.account == "any:anonymous"
    assert Payer.of("a", "a", "192.0.2.1") != Payer.of("a", "a", "192.0.2.2")


def test_room_on_a_disk_is_an_accounts_and_a_strangers_own() -> None:
    assert Payer.of("a", "a", "192.0.2.1").room == Payer.of("a", "b", "192.0.2.2").room == "a"
    assert Payer.of(ANYONE, ANYONE, "192.0.2.1").room != Payer.of(ANYONE, ANYONE, "192.0.2.2").room


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("socket", "socket"),
        ("a:b", "a:b"),
        ("", ""),
    ],
)
def test_a_network_of_ipv6_is_one_source(source: str, expected: str) -> None:
    assert network(source) == expected
