"""Queries at random, each answered by both ways, and by a few lines of Python over what the views say."""

import operator
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from mdm_async.images.metadata import finding, rows
from mdm_async.images.metadata.asked import Asked, Match
from mdm_async.images.metadata.naming import dicom
from mdm_async.names import AUTHENTICATED, Caller, Lfn, Right, Scope
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.conditions import Compared, Condition, Every, Known, Like, Not, OneOf, Operator, Some
from mdm_async.querying.grammar import parse
from tests.conftest import Server
from tests.web.metadata.test_find import image

SAID: Final[Mapping[str, Sequence[Any]]] = {
    "Modality": ["CT", "MR", "PT"],
    "ImageType": [["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY"], None],
    "SliceThickness": [None, 1, 1.25, "2.50", "-0", 5],
    "PixelSpacing": [None, [0.5, 0.5], [0.5, 0.75], [1, 2]],
    "KVP": [None, 80, 120, "1e2"],
    "BodyPartExamined": [None, "CHEST", "HEAD", "ABDOMEN"],
    "WindowCenter": [None, [40, 400], 50],
    "InstanceNumber": [None, 1, 2, -4],
}
TEXTS: Final = ("Modality", "ImageType", "BodyPartExamined")
NUMBERS: Final = tuple(one for one in SAID if one not in TEXTS)
_OPERATORS: Final = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.MORE: operator.gt,
    Operator.MORE_OR_EQUAL: operator.ge,
}


def holds(condition: Condition, said: Mapping[str, Sequence[Any]]) -> bool:
    def of(attribute: Attribute) -> Sequence[Any]:
        return said.get(attribute.name, ())

    match condition:
        case Every(parts):
            return all(holds(one, said) for one in parts)
        case Some(parts):
            return any(holds(one, said) for one in parts)
        case Not(inner):
            return not holds(inner, said)
        case Known(attribute):
            return bool(of(attribute))
        case OneOf(attribute, values):
            return any(one in values for one in of(attribute))
        case Like(attribute, pattern):
            form = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
            return any(re.fullmatch(form, one) for one in of(attribute))
        case Compared(attribute, Operator.UNEQUAL, to):
            others = of(to) if isinstance(to, Attribute) else [to]
            return bool(of(attribute) and others) and not set(of(attribute)) & set(others)
        case Compared(attribute, sign, to):
            others = of(to) if isinstance(to, Attribute) else [to]
            return any(_OPERATORS[sign](one, other) for one in of(attribute) for other in others)


def query(chance: random.Random, depth: int) -> str:
    kind = chance.randrange(10) if depth else 9
    if kind < 2:
        return f"({query(chance, depth - 1)} or {query(chance, depth - 1)})"
    if kind < 5:
        return f"{query(chance, depth - 1)} and {query(chance, depth - 1)}"
    if kind < 6:
        return f"not ({query(chance, depth - 1)})"
    of = chance.choice((TEXTS, NUMBERS))
    attribute, other, maybe_not = chance.choice(of), chance.choice(of), chance.choice(("", "not "))
    words = ("CT", "MR", "ORIGINAL", "AXIAL", "CHEST", "HEAD", "chest", "C", "")
    texts = [f'"{chance.choice(words)}"' for _ in range(2)]
    numbers = [str(chance.choice((0, 1, 1.25, 2.5, 5, 0.5, 80, 100, 40, -4, "-0", "1e2"))) for _ in range(2)]
    one, two = texts if of is TEXTS else numbers
    forms = [f"{sign} {than}" for sign in Operator for than in (one, other)]
    forms += [f"is {chance.choice(('known', 'unknown'))}", f"{maybe_not}in ({one}, {two})"]
    if of is TEXTS:
        forms.append(f'{maybe_not}like "{chance.choice(("C*", "*R*", "?T", "*", "H?AD", "%", "_T"))}"')
    return f"{attribute} {chance.choice(forms)}"


async def test_both_ways_find_what_the_values_say(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, top = random.Random(7), await server.directory()
    for number in range(10):
        said = {keyword: chance.choice(values) for keyword, values in SAID.items()}
        await server.put(f"{top}/{number}", image(500 + number, **said))
    caller = Caller("user:x", frozenset({"user:x", AUTHENTICATED}), (Scope(Lfn(top), frozenset(Right)),))

    async def found(text: str, *chosen: str) -> list[Match]:
        asked = Asked(text, top, chosen=chosen)
        return [one async for one in finding.find(server.house.finding, caller, asked)]

    every = {one.lfn: one.values for one in await found("Modality is known", "*")}
    assert len(every) == 10
    some = 0
    for _ in range(150):
        text = query(chance, 3)
        expected = [lfn for lfn, said in every.items() if holds(parse(text, dicom()), said)]
        some += 0 < len(expected) < len(every)
        for few in (-1, 2000):
            monkeypatch.setattr(rows, "_FEW", few)
            assert [one.lfn for one in await found(text)] == expected, text
    assert some > 50
