"""What queries mean, and what is told of those that mean nothing. No answer repeats what was written in a query."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.errors import BadQuery
from mdm_async.querying.attributes import Attribute, Kind
from mdm_async.querying.conditions import (
    Compared,
    Every,
    Known,
    Like,
    Not,
    OneOf,
    Operator,
    Some,
    attributes,
)
from mdm_async.querying.grammar import MOST_CONDITIONS, MOST_LEVELS, parse
from mdm_async.querying.words import MOST_CHARACTERS, names

MODALITY = Attribute("Modality", Kind.TEXT)
THICKNESS = Attribute("SliceThickness", Kind.NUMBER)
DATE = Attribute("StudyDate", Kind.DATE)
TIME = Attribute("StudyTime", Kind.TIME)
QUALITY = Attribute("mine.quality", Kind.NUMBER)
OWNER = Attribute("mine.owner", Kind.TEXT)
KNOWN = {each.name: each for each in (MODALITY, THICKNESS, DATE, TIME, QUALITY, OWNER)}
CT = Compared(MODALITY, Operator.EQUAL, "CT")


def test_the_query_of_the_documentation_is_read() -> None:
    found = parse('Modality = "CT" and SliceThickness < 2 and mine.quality >= 3', KNOWN)
    assert found == Every(
        (
            CT,
            Compared(THICKNESS, Operator.LESS, 2.0),
            Compared(QUALITY, Operator.MORE_OR_EQUAL, 3.0),
        )
    )
    assert list(attributes(found)) == [MODALITY, THICKNESS, QUALITY]


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        ("Modality='CT'", CT),
        ('MODALITY = "CT"'.replace("MODALITY", "Modality"), CT),
        ('(( Modality = "CT" ))', CT),
        ('not Modality = "CT"', Not(CT)),
        ('NOT NOT Modality = "CT"', Not(Not(CT))),
        ('Modality != "CT"', Compared(MODALITY, Operator.UNEQUAL, "CT")),
        ('Modality <> "CT"', Compared(MODALITY, Operator.UNEQUAL, "CT")),
        ('Modality in ("CT", "MR")', OneOf(MODALITY, ("CT", "MR"))),
        ('Modality not in ("CT")', Not(OneOf(MODALITY, ("CT",)))),
        ('Modality like "C*"', Like(MODALITY, "C*")),
        ('Modality not like "C?"', Not(Like(MODALITY, "C?"))),
        ("Modality is known", Known(MODALITY)),
        ("Modality IS UNKNOWN", Not(Known(MODALITY))),
        ("SliceThickness = -1.5e-3", Compared(THICKNESS, Operator.EQUAL, -0.0015)),
        ('StudyDate >= "2026-01-31"', Compared(DATE, Operator.MORE_OR_EQUAL, "20260131")),
        ("StudyDate = 20260131", Compared(DATE, Operator.EQUAL, "20260131")),
        ('StudyDate < "2026"', Compared(DATE, Operator.LESS, "2026")),
        ('StudyTime < "14:30"', Compared(TIME, Operator.LESS, "1430")),
        ('StudyTime = "143000.25"', Compared(TIME, Operator.EQUAL, "143000.25")),
        ("mine.quality > SliceThickness", Compared(QUALITY, Operator.MORE, THICKNESS)),
        ('Modality = "a ""quoted"" word"', Compared(MODALITY, Operator.EQUAL, 'a "quoted" word')),
        ("Modality = 'it''s'", Compared(MODALITY, Operator.EQUAL, "it's")),
        ("Modality = ''", Compared(MODALITY, Operator.EQUAL, "")),
        (
            """Modality = "'; drop table entries; --" """,
            Compared(MODALITY, Operator.EQUAL, "'; drop table entries; --"),
        ),
    ],
)
def test_a_query_means_what_it_says(query: str, meaning: object) -> None:
    assert parse(query, KNOWN) == meaning


def test_and_binds_closer_than_or_and_not_closer_than_and() -> None:
    mr = Compared(MODALITY, Operator.EQUAL, "MR")
    known = Known(THICKNESS)
    assert parse('Modality="CT" or Modality="MR" and SliceThickness is known', KNOWN) == Some(
        (CT, Every((mr, known)))
    )
    assert parse('not Modality="CT" and SliceThickness is known', KNOWN) == Every((Not(CT), known))
    assert parse('(Modality="CT" or Modality="MR") and SliceThickness is known', KNOWN) == Every(
        (Some((CT, mr)), known)
    )


SECRET = "Schmidt^Hans"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "empty"),
        (f"Modality = {SECRET[:7]}", "character 12 of the query: there is no such attribute"),
        ("   ", "empty"),
        ("Modality", "operator"),
        ("Modality =", "value should stand here"),
        (f"Modality = {SECRET}", "character 19"),
        (f'Modalty = "{SECRET}"', "no such attribute"),
        (f'{SECRET[:7]} = "x"', "no such attribute"),
        (f'Modality = "{SECRET}', "quotation mark"),
        (f'SliceThickness = "{SECRET}"', "is a number"),
        ("Modality = 3", "is text"),
        (f'StudyDate = "{SECRET}"', "is a date"),
        ('StudyDate = "31.01.2026"', "is a date"),
        ("StudyTime = 1e9", "is a time"),
        ("SliceThickness = 1e999", "too large"),
        ("SliceThickness = 2mm", "blank is missing"),
        ('SliceThickness like "1*"', "no pattern"),
        ("SliceThickness = Modality", "never compared"),
        ("Modality like CT", "pattern in quotation marks"),
        ("Modality like '" + "*" * 17 + "'", "16"),
        ("Modality in ()", "value should stand here"),
        ('Modality in ("CT"', "closed"),
        ('(Modality = "CT"', "closed"),
        ('Modality = "CT")', "should have ended"),
        ('Modality = "CT" Modality = "MR"', "should have ended"),
        ('Modality not "CT"', "'in' or 'like'"),
        ("Modality is 3", "'known'"),
        ('= "CT"', "attribute should stand here"),
        ('Modality = "CT" and', "attribute should stand here"),
        ('Modality == "CT"', "value should stand here"),
        ('Modality = "CT"; drop table entries', "no word of a query"),
        ("Modality = \u201cCT\u201d", "no word of a query"),
        ('Modality = "' + "x" * 1025 + '"', "1024 characters"),
        ("x" * 257 + " = 1", "256 characters"),
        ('"CT" = Modality', "attribute should stand here"),
    ],
)
def test_what_is_no_query_is_told_so_and_where_and_not_repeated(query: str, told: str) -> None:
    with pytest.raises(BadQuery) as why:
        parse(query, KNOWN)
    said = f"{why.value.detail}; {why.value.remedy}"
    assert told in said
    assert SECRET not in said
    assert SECRET[:7] not in said


def test_a_name_that_is_nearly_right_is_told_by_the_one_that_there_is() -> None:
    with pytest.raises(BadQuery) as why:
        parse('Modalty = "CT"', KNOWN)
    assert why.value.remedy == "is it Modality?"


def test_ten_thousand_conditions_are_too_many() -> None:
    with pytest.raises(BadQuery, match="the most"):
        parse(" or ".join(["a=1"] * 10_000), {"a": Attribute("a", Kind.NUMBER)})
    with pytest.raises(BadQuery, match="conditions at the most"):
        parse(" or ".join(["a=1"] * (MOST_CONDITIONS + 1)), {"a": Attribute("a", Kind.NUMBER)})
    with pytest.raises(BadQuery, match="characters at the most"):
        parse("(" * (MOST_CHARACTERS + 1), KNOWN)
    assert parse(" or ".join(["a=1"] * MOST_CONDITIONS), {"a": Attribute("a", Kind.NUMBER)})


@pytest.mark.parametrize("opening", ["(", "not ", "( not "])
def test_what_stands_too_deep_in_itself_is_refused(opening: str) -> None:
    with pytest.raises(BadQuery, match="deep in each other"):
        parse(opening * 3_000 + 'Modality = "CT"', KNOWN)
    levels = MOST_LEVELS
    assert parse("(" * levels + 'Modality = "CT"' + ")" * levels, KNOWN) == CT


def test_the_names_in_a_query_are_told_before_it_is_understood() -> None:
    assert names('Modality = "CT" AND (c.mine.age > 3 or not x in (1))') == {"Modality", "c.mine.age", "x"}


@given(st.text(alphabet="Modality SlceThkns\"'()=<>!,.*?andornotilkewu0123456789\n\x00\u201c", max_size=80))
def test_any_text_is_a_query_or_told_what_is_wrong_with_it(query: str) -> None:
    with suppress(BadQuery):
        parse(query, KNOWN)
