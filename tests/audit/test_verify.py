"""Verification finds every way in which a trail is not as it was sealed, and nothing in one that is."""

from dataclasses import replace

import pytest

from mdm_async.audit import row_index, seals
from mdm_async.audit.keys import key_id
from mdm_async.audit.rows import FIELDS
from mdm_async.audit.seals import Seal
from tests.audit.made import KEYS, OTHER, SECOND, START, found, row, trail


def test_a_trail_as_it_was_sealed_is_intact() -> None:
    verdict = trail().verdict()
    assert verdict.is_intact
    assert (verdict.rows, verdict.seals, verdict.last) == (15, 5, 5)
    assert trail().verdict(without=True).is_intact
    assert trail(0).verdict().is_intact


CHANGES = {
    "id": 77, "at": START, "caller": "user:b", "act": "write", "outcome": "refused",
    "guid": "00000000-0000-0000-0000-000000000001", "view": None, "bytes": 6, "source": None, "details": {},
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "id"])
def test_a_changed_field_is_found_with_its_row(name: str) -> None:
    made = trail()
    made.rows[4][1][name] = CHANGES[name]
    assert found(made.verdict()) == [("changed", 2, (5,))]
    assert made.verdict().findings[0].second == "2027-01-15T08:00:02Z"


def test_a_changed_id_is_one_row_less_and_one_more() -> None:
    made = trail()
    made.rows[4][1]["id"] = 77
    assert found(made.verdict()) == [("removed", 2, (5,)), ("inserted", 2, (77,))]


def test_a_removed_row_is_found() -> None:
    made = trail()
    del made.rows[4]
    assert found(made.verdict()) == [("removed", 2, (5,))]


def test_an_inserted_row_is_found() -> None:
    made = trail()
    made.rows.append((2, row(50)))
    assert found(made.verdict()) == [("inserted", 2, (50,))]


@pytest.mark.parametrize("number", [-3, 0, 9])
def test_a_row_under_a_seal_that_does_not_exist_is_found(number: int) -> None:
    made = trail()
    made.rows.append((number, row(50)))
    assert found(made.verdict()) == [("inserted", number, (50,))]


def test_a_row_moved_to_another_seal_is_found_in_both() -> None:
    made = trail()
    made.rows[4] = 3, made.rows[4][1]
    assert found(made.verdict()) == [("removed", 2, (5,)), ("inserted", 3, (5,))]


def test_a_row_taken_from_under_its_seal_is_found() -> None:
    made = trail()
    made.rows[4] = None, made.rows[4][1]
    verdict = made.verdict()
    assert found(verdict) == [("removed", 2, (5,))]
    assert (verdict.unsealed, verdict.overdue) == (1, 1)


def test_without_the_true_index_the_second_and_the_number_of_rows_are_told() -> None:
    made = trail()
    text, index = made.seals[2]
    made.seals[2] = text, index[:-1] + b"\0"
    assert made.verdict().is_intact
    made.rows[4][1]["caller"] = "user:b"
    assert found(made.verdict()) == [("altered", 2, ())]
    del made.rows[4]
    assert found(made.verdict()) == [("removed", 2, ())]
    assert "ids 4 to 6" in made.verdict().findings[0].what


def test_an_index_made_to_fit_is_not_believed() -> None:
    made = trail()
    made.rows[4][1]["caller"] = "user:b"
    _, index = seals.make(
        [each for number, each in made.rows if number == 2],
        installation="here", number=2, at=START, previous=None, private=OTHER,
    )  # fmt: skip
    made.seals[2] = made.seals[2][0], index
    assert found(made.verdict()) == [("altered", 2, ())]


def test_a_tail_cut_off_is_found_against_the_published_seals_only() -> None:
    made = trail()
    for number in (4, 5):
        del made.seals[number]
    del made.rows[9:]
    verdict = made.verdict()
    assert found(verdict) == [("truncated", 4, ())]
    assert "seals 4 to 5" in verdict.findings[0].what
    assert "6 rows" in verdict.findings[0].what
    assert made.verdict(without=True).is_intact


def test_a_trail_of_which_nothing_is_left_is_found() -> None:
    made = trail()
    made.seals.clear()
    made.rows.clear()
    assert found(made.verdict()) == [("truncated", 1, ())]


def test_a_seal_and_its_rows_removed_from_the_middle_are_found() -> None:
    made = trail()
    del made.seals[3], made.rows[6:9]
    assert found(made.verdict()) == [("removed", 3, ())]
    assert [kind for kind, *_ in found(made.verdict(without=True))] == ["missing"]


def test_a_seal_removed_without_its_rows_is_found_and_they_are_still_verified() -> None:
    made = trail()
    del made.seals[3]
    verdict = made.verdict()
    assert found(verdict) == [("removed", 3, ())]
    assert verdict.rows == 15
    assert [kind for kind, *_ in found(made.verdict(without=True))] == ["inserted", "missing"]


def test_seals_that_changed_places_are_found() -> None:
    made = trail()
    made.seals[2], made.seals[3] = made.seals[3], made.seals[2]
    assert {2, 3} <= {seal for _, seal, _ in found(made.verdict())}
    assert {2, 3} <= {seal for _, seal, _ in found(made.verdict(without=True))}


def test_a_seal_made_by_another_key_is_found() -> None:
    made = trail()
    seal = replace(Seal.parse(made.seals[5][0]), key=key_id(OTHER.public_key()))
    made.seals[5] = seals.sign(seal, OTHER), made.seals[5][1]
    assert found(made.verdict()) == [("forged", 5, ())]
    (finding,) = made.verdict(without=True).findings
    assert finding.kind == "forged"
    assert key_id(OTHER.public_key()) in finding.what


def test_a_seal_that_names_the_true_key_but_is_signed_by_another_is_found() -> None:
    made = trail()
    made.seals[5] = seals.sign(Seal.parse(made.seals[5][0]), OTHER), made.seals[5][1]
    assert found(made.verdict(without=True)) == [("forged", 5, ())]


def test_a_whole_trail_sealed_anew_by_another_key_is_found_seal_by_seal() -> None:
    made, anew = trail(), trail(0)
    anew.private = OTHER
    for number in range(5):
        anew.seal([row(3 * number + i, caller="user:nobody") for i in range(1, 4)])
    made.rows, made.seals = anew.rows, anew.seals
    assert [seal for kind, seal, _ in found(made.verdict()) if kind == "forged"] == [1, 2, 3, 4, 5]
    assert [seal for kind, seal, _ in found(made.verdict(without=True)) if kind == "forged"] == [
        1,
        2,
        3,
        4,
        5,
    ]


def test_a_seal_of_another_installation_is_found() -> None:
    made = trail(2)
    made.seal([row(7)], installation="elsewhere")
    assert found(made.verdict()) == [("forged", 3, ())]


def test_a_new_key_may_follow_the_old_one() -> None:
    made = trail(2)
    made.private = OTHER
    made.seal([row(7)])
    assert found(made.verdict()) == [("forged", 3, ())]
    KEYS[key_id(OTHER.public_key())] = OTHER.public_key()
    try:
        assert made.verdict().is_intact
    finally:
        del KEYS[key_id(OTHER.public_key())]


def test_seals_not_yet_published_hang_on_those_that_are() -> None:
    made = trail()
    verdict = made.verdict(published=made.published[:3])
    assert verdict.is_intact
    assert verdict.unpublished == 2
    # Also what a lossy log has not kept, and what is older than the file.
    assert made.verdict(published=[made.published[1], made.published[3]]).is_intact


def test_the_chain_before_the_first_published_seal_is_verified_too() -> None:
    made = trail()
    other = trail(0)
    other.seal([row(1, caller="user:nobody"), row(2), row(3)])
    made.seals[1], made.rows[:3] = other.seals[1], other.rows
    assert found(made.verdict(published=made.published[1:])) == [("reordered", 2, ())]


def test_published_lines_that_changed_places_are_found() -> None:
    made = trail()
    one, two, three, four, five = made.published
    assert {kind for kind, *_ in found(made.verdict(published=[one, three, two, four, five]))} == {
        "reordered"
    }


def test_a_published_line_told_twice_or_torn_is_none_the_worse() -> None:
    made = trail()
    one, two, three, four, five = made.published
    lines = [one, one, two, three, two, three, four[:50], four, five]
    assert made.verdict(
        published=[f"<109>1 2027-01-15T08:00:00Z host mdm - seal - {each}\n" for each in lines]
    ).is_intact


def test_a_published_line_that_cannot_be_read_is_found() -> None:
    made = trail()
    lines = [*made.published[:2], made.published[2].replace("here", "there", 1)[:-1], *made.published[3:]]
    assert found(made.verdict(published=lines)) == [("damaged", None, ())]


def test_a_restored_database_that_goes_on_shows_the_gap() -> None:
    made = trail()
    del made.seals[4], made.seals[5], made.rows[9:]
    made.seal([row(30)])
    assert found(made.verdict()) == [("removed", 4, ())]


def test_rows_that_wait_too_long_for_a_seal_are_counted() -> None:
    made = trail(1)
    made.rows += [(None, row(50, at=START)), (None, row(51, at=START + 99 * SECOND))]
    verdict = made.verdict()
    assert verdict.is_intact
    assert (verdict.unsealed, verdict.overdue) == (2, 1)


def test_verification_can_go_on_after_a_seal() -> None:
    made = trail()
    made.rows[0][1]["caller"] = "user:b"
    assert found(made.verdict()) == [("changed", 1, (1,))]
    assert made.verdict(after=2).is_intact
    assert made.verdict(after=5).is_intact
    made.published[2] = made.published[2].replace('"count":3', '"count":4')
    made.seals[3] = made.published[2], made.seals[3][1]
    assert {kind for kind, *_ in found(made.verdict(after=2))} == {"forged", "removed", "reordered"}


def test_what_was_published_after_an_export_is_not_missing_from_it() -> None:
    made = trail()
    published = list(made.published)
    for number in (4, 5):
        del made.seals[number]
    del made.rows[9:]
    now = START + 3 * SECOND
    verdict = made.verdict(published=published, horizon=3, now=now)
    assert verdict.is_intact
    assert verdict.later == 2
    assert not made.verdict(published=published, horizon=3, now=now + 10 * SECOND).is_intact


def test_a_flood_of_findings_is_counted_not_kept() -> None:
    made = trail(0)
    made.rows = [(number, row(number)) for number in range(1, 1203)]
    verdict = made.verdict()
    assert (len(verdict.findings), verdict.more) == (1000, 202)


def test_the_index_is_twelve_bytes_a_row() -> None:
    index = trail().seals[1][1]
    assert len(index) == 36
    assert list(row_index.decode(index, row_index.digest(index)) or {}) == [1, 2, 3]


def test_published_seals_that_hold_none_of_the_trails_prove_nothing() -> None:
    made = trail()
    for published in ([], ["a line about something else"]):
        assert found(made.verdict(published=published)) == [("missing", None, ())]
    assert made.verdict(published=made.published[:1]).is_intact
    # Seals of the last seconds may be on their way.
    assert made.verdict(published=[], now=START + 6 * SECOND).is_intact
    assert trail(0).verdict(published=[]).is_intact
