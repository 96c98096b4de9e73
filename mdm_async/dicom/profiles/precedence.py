"""Which of a site's rules holds where several reach one attribute: the most specific, and of those the conditional.

More specific is an attribute by its own name, then a pattern of keywords, then one of tags, then a VR; of two patterns
of one kind the one that reaches a part of what the other does; of two conditions the one that asks for more. Two that
differ and are neither contradict each other: they are refused when the profile is checked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from mdm_async.dicom.profiles.attribute_rules import OF_SITE, Action, Rule
from mdm_async.dicom.profiles.conditions import Condition
from mdm_async.dicom.profiles.deciding import decided
from mdm_async.dicom.profiles.patterns import Kind, Pattern
from mdm_async.dicom.profiles.safe_private import PrivateKey

Of = int | PrivateKey | Pattern
SiteRule = tuple[Of, Action, str | None]
"""(attribute or pattern, action, value): a site's own rule, which beats the base and the options.

The value of D is what is written, that of C how values are made coarser (`scrubbing.generalising`).
"""


@dataclass(frozen=True, slots=True)
class ConditionalRules:
    """Rules of images of which something is so."""

    when: Condition
    site: tuple[SiteRule, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Images that get no view, and why not."""

    when: Condition
    because: str


def plain_rules(site: Iterable[SiteRule]) -> Iterator[tuple[int | PrivateKey, Rule]]:
    """Each attribute with its rule, in an order in which the last one counts. Of equals the later comes last."""
    for of, action, value in sorted(site, key=_specific):
        because = f"{OF_SITE} {of}" if isinstance(of, Pattern) else OF_SITE
        if action is Action.CLEAN and value is not None:
            because += f": {value}"
        rule = Rule(action, because, value, asked=True)
        if isinstance(of, Pattern):
            yield from ((tag, rule) for tag in decided(of, action, value))
        else:
            yield of, rule


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two rules that differ about attributes of one image, of which neither is more specific."""

    one: Of
    other: Of
    about: frozenset[int | PrivateKey]


def contradiction(site: Sequence[SiteRule], conditional: Sequence[ConditionalRules]) -> Contradiction | None:
    """One of those that there are."""
    rules = [(rule, None) for rule in site] + [
        (rule, each.when) for each in conditional for rule in each.site
    ]
    settled: dict[Kind, set[int | PrivateKey]] = {kind: set() for kind in Kind}
    for rule in site:
        for kind in Kind:
            if kind < _kind(rule[0]):
                settled[kind] |= _decided(rule)
    alike: dict[Kind | Of, list[tuple[SiteRule, Condition | None]]] = {}
    for rule, when in rules:
        kind = _kind(rule[0])
        alike.setdefault(rule[0] if kind is Kind.EXACT else kind, []).append((rule, when))
    for group in alike.values():
        for (one, when), (other, otherwise) in combinations(group, 2):
            if one[1:] == other[1:] or _is_ordered(one[0], when, other[0], otherwise):
                continue
            if about := (_decided(one) & _decided(other)) - settled[_kind(one[0])]:
                return Contradiction(one[0], other[0], about)
    return None


def _is_ordered(one: Of, when: Condition | None, other: Of, otherwise: Condition | None) -> bool:
    """Whether one is more specific, or no image is meant by both."""
    if when and otherwise and when.excludes(otherwise):
        return True
    mine, theirs = _reach(one), _reach(other)
    if mine != theirs:
        return mine < theirs or mine > theirs
    if when is None or otherwise is None:
        return when is not otherwise
    return when.is_narrower_than(otherwise) or otherwise.is_narrower_than(when)


def _specific(rule: SiteRule) -> tuple[Kind, int]:
    return _kind(rule[0]), -len(_reach(rule[0]))


def _kind(of: Of) -> Kind:
    return of.kind if isinstance(of, Pattern) else Kind.EXACT


def _reach(of: Of) -> frozenset[int | PrivateKey]:
    return of.reach if isinstance(of, Pattern) else frozenset((of,))


def _decided(rule: SiteRule) -> frozenset[int | PrivateKey]:
    of, action, value = rule
    return decided(of, action, value) if isinstance(of, Pattern) else frozenset((of,))
