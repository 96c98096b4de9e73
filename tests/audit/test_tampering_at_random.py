"""Whatever is done to a trail, verification finds it: each way of tampering, at any place."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mdm_async.audit import seals
from mdm_async.audit.rows import FIELDS
from mdm_async.audit.seals import Seal
from tests.audit.made import OTHER, Trail, row


@st.composite
def trails(draw: st.DrawFn) -> Trail:
    made, last = Trail(), 0
    for _ in range(draw(st.integers(1, 6))):
        count = draw(st.integers(1, 5))
        made.seal([row(last + i) for i in range(1, count + 1)])
        last += count
    return made


def change(made: Trail, draw: Any) -> None:
    _, each = draw(st.sampled_from(made.rows))
    name = draw(st.sampled_from(FIELDS))
    each[name] = 10_000 if name == "id" else {"not": "before"} if name == "details" else "changed"


def remove(made: Trail, draw: Any) -> None:
    made.rows.remove(draw(st.sampled_from(made.rows)))


def insert(made: Trail, draw: Any) -> None:
    made.rows.append((draw(st.integers(-2, 9)), row(500)))


def unseal(made: Trail, draw: Any) -> None:
    place = draw(st.integers(0, len(made.rows) - 1))
    made.rows[place] = None, made.rows[place][1]


def cut(made: Trail, draw: Any) -> None:
    first = draw(st.integers(1, len(made.seals)))
    made.seals = {number: seal for number, seal in made.seals.items() if number < first}
    made.rows = [one for one in made.rows if one[0] is not None and one[0] < first]


def drop_seal(made: Trail, draw: Any) -> None:
    number = draw(st.sampled_from(sorted(made.seals)))
    del made.seals[number]
    made.rows = [one for one in made.rows if one[0] != number or draw(st.booleans())]


def forge(made: Trail, draw: Any) -> None:
    number = draw(st.sampled_from(sorted(made.seals)))
    text, index = made.seals[number]
    made.seals[number] = seals.sign(Seal.parse(text), OTHER), index


def garble(made: Trail, draw: Any) -> None:
    number = draw(st.sampled_from(sorted(made.seals)))
    text, index = made.seals[number]
    place = draw(st.integers(0, len(text) - 1))
    made.seals[number] = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :], index


@given(trails(), st.data())
def test_a_trail_that_nobody_touched_is_intact(made: Trail, data: st.DataObject) -> None:
    # At least the first: a file with none of the seals would be the wrong one.
    least = min(1, len(made.published))
    published = made.published[: data.draw(st.integers(least, len(made.published)))]
    assert made.verdict(published=published).is_intact
    assert made.verdict(without=True).is_intact


@given(trails(), st.sampled_from([change, remove, insert, unseal, cut, drop_seal, forge, garble]), st.data())
def test_a_trail_that_somebody_touched_is_not(made: Trail, tamper: Any, data: st.DataObject) -> None:
    tamper(made, data.draw)
    assert not made.verdict().is_intact
    if tamper not in (cut, drop_seal):  # the end may be missing, and then only what was published shows it
        assert not made.verdict(without=True).is_intact
