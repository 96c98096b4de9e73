"""The grammar of queries.

query      = every { "or" every }
every      = one { "and" one }
one        = "not" one | "(" query ")" | condition
condition  = attribute ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) ( value | attribute )
           | attribute [ "not" ] "in" "(" value { "," value } ")"
           | attribute [ "not" ] "like" text
           | attribute "is" ( "known" | "unknown" )
attribute  = name { "." name }
value      = text | number
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from mdm_async.errors import BadQuery
from mdm_async.querying import values
from mdm_async.querying.attributes import Attribute, Kind
from mdm_async.querying.conditions import (
    Compared,
    Condition,
    Every,
    Known,
    Like,
    Not,
    OneOf,
    Operator,
    Some,
    Value,
)
from mdm_async.querying.words import Kind as Of
from mdm_async.querying.words import Word, words, wrong

MOST_CONDITIONS: Final = 200
MOST_LEVELS: Final = 32
"""Of parentheses and `not` in each other."""
_OPERATORS: Final = frozenset(map(str, Operator))


def parse(query: str, known: Mapping[str, Attribute]) -> Condition:
    """What a query asks. `known`: the attributes that there are, by the names that the query has for them.

    Raises BadQuery, which says where: for what is no query, what it does not know, values of the wrong kind, and more
    than MOST_CONDITIONS.
    """
    read = words(query)
    if len(read) == 1:
        raise BadQuery("the query is empty", remedy='write as: Modality = "CT" and SliceThickness < 2')
    return _Reader(read, known).whole()


_BETWEEN: Final = "join conditions by 'and' or 'or'; write texts, dates and times in quotation marks"


def which_it_is(said: str, known: Mapping[str, Attribute]) -> str:
    """What to write instead of a name that there is not: ours, not what was typed."""
    if like := get_close_matches(said, known, 1):
        return f"is it {like[0]}?"
    if "." in said:
        return (
            "a collection is in force where it lies and below: name that by --path; see mdm meta attributes"
        )
    return "see mdm meta attributes; write texts in quotation marks"


class _Reader:
    def __init__(self, read: list[Word], known: Mapping[str, Attribute]) -> None:
        self._words, self._known = read, known
        self._at = self._level = self._conditions = 0

    @property
    def _next(self) -> Word:
        return self._words[self._at]

    def whole(self) -> Condition:
        condition = self._some()
        if self._next.kind is not Of.END:
            raise wrong(self._next.at, "the query should have ended here", _BETWEEN)
        return condition

    def _some(self) -> Condition:
        found = [self._every()]
        while self._take("or"):
            found.append(self._every())
        return found[0] if len(found) == 1 else Some(tuple(found))

    def _every(self) -> Condition:
        found: list[Condition] = []
        while True:
            one = self._one()
            found += one.of if isinstance(one, Every) else (one,)
            if not self._take("and"):
                return found[0] if len(found) == 1 else Every(tuple(found))

    def _one(self) -> Condition:
        begins = self._next
        if self._take("not"):
            self._deeper(begins)
            negated = self._one()
            self._level -= 1
            return Not(negated)
        if self._take("("):
            self._deeper(begins)
            inner = self._some()
            self._demand(")", "a parenthesis that was opened should be closed here")
            self._level -= 1
            return inner
        return self._condition()

    def _deeper(self, at: Word) -> None:
        self._level += 1
        if self._level > MOST_LEVELS:
            raise wrong(at.at, f"parentheses and 'not' stand more than {MOST_LEVELS} deep in each other")

    def _condition(self) -> Condition:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise wrong(
                self._next.at,
                f"a query has {MOST_CONDITIONS} conditions at the most",
                "ask in several; values of one attribute go into one condition: Modality in (…)",
            )
        attribute = self._attribute()
        then = self._next
        if self._take("is"):
            if self._take("known"):
                return Known(attribute)
            self._demand("unknown", "'known' or 'unknown' should stand here")
            return Not(Known(attribute))
        negated = self._take("not")
        if self._take("in"):
            made: Condition = OneOf(attribute, self._values(attribute))
        elif self._take("like"):
            made = Like(attribute, self._pattern(attribute))
        elif negated:
            raise wrong(self._next.at, "'in' or 'like' should stand here")
        elif then.kind is Of.SIGN and then.said in _OPERATORS:
            self._at += 1
            made = self._compared(attribute, Operator(then.said))
        else:
            raise wrong(then.at, "an operator should stand here", "one of = != < <= > >= in like is")
        return Not(made) if negated else made

    def _attribute(self) -> Attribute:
        word = self._next
        if word.kind is not Of.NAME:
            raise wrong(word.at, "an attribute should stand here", "as Modality, or mine.quality")
        found = self._known.get(word.said)
        if found is None:
            raise wrong(word.at, "there is no such attribute here", which_it_is(word.said, self._known))
        self._at += 1
        return found

    def _compared(self, attribute: Attribute, operator: Operator) -> Compared:
        word = self._next
        if word.kind is not Of.NAME:
            return Compared(attribute, operator, self._value(attribute))
        to = self._attribute()
        if (to.kind is Kind.NUMBER) is not (attribute.kind is Kind.NUMBER):
            raise wrong(word.at, "a number and a text are never compared")
        return Compared(attribute, operator, to)

    def _values(self, attribute: Attribute) -> tuple[Value, ...]:
        self._demand("(", "values in parentheses should stand here", 'as: Modality in ("CT", "MR")')
        found = [self._value(attribute)]
        while self._take(","):
            found.append(self._value(attribute))
        self._demand(")", "a parenthesis that was opened should be closed here")
        return tuple(found)

    def _value(self, attribute: Attribute) -> Value:
        word = self._next
        if word.kind not in (Of.TEXT, Of.NUMBER):
            raise wrong(word.at, "a value should stand here", "a number, or a text in quotation marks")
        self._at += 1
        return values.of(attribute, word)

    def _pattern(self, attribute: Attribute) -> str:
        word = self._next
        if attribute.kind is Kind.NUMBER:
            raise wrong(word.at, "a number is like no pattern", "compare it by = != < <= > >= in")
        if word.kind is not Of.TEXT:
            raise wrong(word.at, "a pattern in quotation marks should stand here", 'as: like "*chest*"')
        self._at += 1
        return values.pattern(word)

    def _take(self, said: str) -> bool:
        word = self._next
        if word.kind not in (Of.RESERVED, Of.SIGN) or word.said != said:
            return False
        self._at += 1
        return True

    def _demand(self, said: str, why: str, remedy: str = "") -> None:
        if not self._take(said):
            raise wrong(self._next.at, why, remedy)
