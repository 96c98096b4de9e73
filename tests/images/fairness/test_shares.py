"""How what is bounded is divided."""

from itertools import count, takewhile

from hypothesis import given
from hypothesis import strategies as st

from mdm_async.images.fairness.shares import Shares
from mdm_async.names import Payer

ALICE, BOB = Payer("user:alice", "one"), Payer("user:bob", "one")


def taken(shares: Shares, payer: Payer) -> int:
    """How many one caller gets who takes all that they can."""
    return sum(1 for _ in takewhile(lambda _: shares.take(payer), count()))


def workers(shares: Shares, account: str, number: int) -> list[int]:
    return [taken(shares, Payer(account, str(worker))) for worker in range(number)]


def test_one_caller_may_have_a_share_of_all() -> None:
    shares = Shares(100, 0.5)
    assert sum(workers(shares, "user:alice", 20)) == 50
    assert shares.used == 50


def test_there_is_always_some_left_for_the_next() -> None:
    shares = Shares(1024, 0.5)
    got = [sum(workers(shares, f"user:{number}", 20)) for number in range(6)]
    assert got == [512, 256, 128, 64, 32, 16]


def test_one_worker_leaves_some_to_the_others_of_the_same_caller() -> None:
    shares = Shares(16, 0.5)
    assert workers(shares, "user:alice", 3) == [4, 2, 1]
    assert taken(shares, BOB) > 0


def test_what_is_given_back_can_be_taken_again() -> None:
    shares = Shares(10, 0.5)
    had = taken(shares, ALICE)
    shares.give(ALICE, had)
    assert shares.used == 0
    assert taken(shares, ALICE) == had


def test_of_a_single_one_anybody_may_have_it() -> None:
    shares = Shares(1, 0.5)
    assert shares.take(ALICE)
    assert not shares.take(BOB)


def test_a_share_of_all_divides_nothing() -> None:
    shares = Shares(10, 1.0)
    assert taken(shares, ALICE) == 10
    assert not shares.take(BOB)


def test_what_is_too_large_is_refused_and_changes_nothing() -> None:
    shares = Shares(10, 0.5)
    assert not shares.take(ALICE, 6)
    assert shares.used == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 9), st.booleans()),
        max_size=60,
    )
)
def test_no_more_is_held_than_there_is_and_nothing_is_forgotten(
    steps: list[tuple[str, str, int, bool]],
) -> None:
    shares, held = Shares(20, 0.5), list[tuple[Payer, int]]()
    for account, worker, size, gives in steps:
        if gives and held:
            shares.give(*held.pop())
        elif shares.take(Payer(account, worker), size):
            held.append((Payer(account, worker), size))
        assert shares.used == sum(size for _, size in held) <= 20
    for one in held:
        shares.give(*one)
    assert shares == Shares(20, 0.5)
