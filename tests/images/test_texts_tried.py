"""Guesses at who a patient is, hidden in text: each counts once an hour, and what counts is bounded."""

import pytest

from mdm_async.images.fairness.rates import Rates
from mdm_async.images.names import texts_tried
from mdm_async.images.names.texts_tried import TextsTried

MEIER, KIM = frozenset({"meier", "12345678"}), frozenset({"kim"})
HOUR = 3600.0


class Tried:
    """A hundred characters an hour."""

    def __init__(self) -> None:
        self.now = 0.0
        self.texts = TextsTried(Rates(100 / HOUR, 100, lambda: self.now))

    def let(self, *texts: str, account: str = "a", patient: frozenset[str] = MEIER) -> bool:
        return self.texts.let(account, patient, texts)


@pytest.fixture
def tried() -> Tried:
    return Tried()


def test_a_text_counts_once_however_often_it_is_compared(tried: Tried) -> None:
    assert all(tried.let("x" * 60, "x" * 60) for _ in range(50))
    assert tried.let("y" * 40)
    assert tried.let("x" * 60, "y" * 40)
    assert not tried.let("z")


def test_nothing_is_known_of_a_text_that_was_refused(tried: Tried) -> None:
    assert tried.let("x" * 60)
    assert not tried.let("x" * 60, "y" * 41)
    assert not tried.let("y" * 41)
    assert tried.let("y" * 40)


def test_more_than_an_hour_has_is_not_let_at_once(tried: Tried) -> None:
    assert not tried.let("x" * 101)
    assert not tried.let("x" * 60, "y" * 41)
    assert tried.let("x" * 100)
    assert tried.let("x" * 100)


@pytest.mark.parametrize("other", [{"account": "b"}, {"patient": KIM}])
def test_each_caller_and_each_patient_counts_for_themselves(tried: Tried, other: dict[str, str]) -> None:
    assert tried.let("x" * 60)
    assert tried.let("x" * 60, **other)
    assert tried.let("y" * 40, **other)
    assert not tried.let("z", **other)
    assert tried.let("y" * 40)


def test_after_an_hour_without_it_a_text_counts_again(tried: Tried) -> None:
    assert tried.let("x" * 100)
    tried.now = HOUR / 2
    assert tried.let("x" * 100)
    tried.now = HOUR * 1.4
    assert tried.let("y" * 60)
    assert tried.let("x" * 100)
    tried.now = HOUR * 2.5
    assert tried.let("x" * 100)
    assert not tried.let("y" * 60)


def test_of_more_texts_than_are_remembered_the_one_compared_longest_ago_counts_again(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_tried, "_KNOWN", 2)
    assert tried.let("x" * 30)
    assert tried.let("y" * 30)
    assert tried.let("x" * 30)
    assert tried.let("z" * 30)
    assert tried.let("x" * 30)
    assert not tried.let("y" * 30)
    assert len(tried.texts._known) == 2


def test_neither_texts_nor_identifiers_are_kept(tried: Tried) -> None:
    tried.let("scan of meier")
    assert "meier" not in repr(tried.texts)


def test_without_a_limit_nothing_is_refused_or_remembered() -> None:
    free = TextsTried(Rates(0, 100))
    assert all(free.let("a", MEIER, ["x" * 1000 + str(n)]) for n in range(10))
    assert not free._known
