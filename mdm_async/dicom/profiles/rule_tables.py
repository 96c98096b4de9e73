"""[[rules]], [[drop]] and [[kinds]] of profile files: what is said of those images of which something is so."""

import re
from typing import Final

from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES, Condition
from mdm_async.dicom.profiles.kinds import Kind
from mdm_async.dicom.profiles.precedence import ConditionalRules, Drop
from mdm_async.dicom.profiles.site import in_table, site_rules, wrong

_MOST: Final = 64
"""Tables of a kind."""
_LONGEST_REASON: Final = 64
_RULES: Final = 'write when = { Modality = "MR" } and attributes = { ProtocolName = "K" }'
_DROP: Final = 'write when = { SeriesDescription = "*dose report*" } and because = "no dose reports"'
_KIND: Final = 'write name = "worksheet" and when = { SeriesDescription = "*worksheet*" }'
_KIND_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9 _-]{0,62}")
_WHEN: Final = 'write when = { Modality = "MR", ImageType = ["*SCREEN SAVE*", "*LOCALIZER*"] }'


def conditional_rules(said: object) -> tuple[ConditionalRules, ...]:
    found = []
    for where, table in _tables("rules", said, ("when", "attributes"), _RULES):
        site = site_rules(f"{where}.attributes", table.get("attributes", {}))
        if not site:
            raise wrong(f"{where}.attributes", "has no rule", _RULES)
        found.append(ConditionalRules(condition(f"{where}.when", table.get("when")), site))
    return tuple(found)


def drops(said: object) -> tuple[Drop, ...]:
    return tuple(
        Drop(
            condition(f"{where}.when", table.get("when")), _because(f"{where}.because", table.get("because"))
        )
        for where, table in _tables("drop", said, ("when", "because"), _DROP)
    )


def kinds(said: object) -> tuple[Kind, ...]:
    found = []
    for where, table in _tables("kinds", said, ("name", "when"), _KIND):
        name, when = table.get("name"), condition(f"{where}.when", table.get("when"))
        if not isinstance(name, str) or not _KIND_NAME.fullmatch(name):
            raise wrong(f"{where}.name", "is missing or no short name", _KIND)
        if not any(pattern.strip("*") for _, patterns in when.asks for pattern in patterns):
            raise wrong(f"{where}.when", "would name every picture", _KIND)
        found.append(Kind(name, when))
    return tuple(found)


def condition(where: str, said: object) -> Condition:
    """`{ Modality = "MR", ImageType = ["*SCREEN SAVE*", "*LOCALIZER*"] }`. Raises BadRequest."""
    if not isinstance(said, dict) or not said:
        raise wrong(where, "says not for which images", _WHEN)
    tags = {keyword: tag for tag, keyword in CONDITION_ATTRIBUTES.items()}
    asks = []
    for keyword, patterns in said.items():
        if keyword not in tags:
            raise wrong(
                in_table(where, keyword), "cannot be asked for", f"write one of {', '.join(sorted(tags))}"
            )
        listed = patterns if isinstance(patterns, list) else [patterns]
        if not listed or not all(_is_pattern(one) for one in listed):
            raise wrong(
                f"{where}.{keyword}",
                "is no pattern",
                'write text, with * for anything, as "ACME*", or a list of these',
            )
        asks.append((tags[keyword], tuple(sorted(set(listed)))))
    return Condition(tuple(sorted(asks)))


def _tables(
    name: str, said: object, keys: tuple[str, ...], example: str
) -> list[tuple[str, dict[str, object]]]:
    """Each table with how it is called in the file."""
    if not isinstance(said, list):
        raise wrong(name, "is no list of tables", f"begin each with [[{name}]] and {example}")
    if len(said) > _MOST:
        raise wrong(name, f"are more than {_MOST} tables", "write fewer")
    found = []
    for at, table in enumerate(said):
        where = f"{name}[{at}]"
        if not isinstance(table, dict):
            raise wrong(where, "is no table", example)
        for key in table:
            if key not in keys:
                raise wrong(in_table(where, key), "is not known", example)
        found.append((where, table))
    return found


def _because(where: str, said: object) -> str:
    if (
        not isinstance(said, str)
        or not 0 < len(said) <= _LONGEST_REASON
        or not (said.isascii() and said.isprintable())
    ):
        raise wrong(where, "is no reason", f"write one line of at most {_LONGEST_REASON} characters in ASCII")
    return said


def _is_pattern(said: object) -> bool:
    return isinstance(said, str) and bool(said.strip()) and said.isprintable()
