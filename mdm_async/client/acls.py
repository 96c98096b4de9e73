"""ACLs as a server has them, told and changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

from mdm_async.client.one_or_many import Names, Outcome, names_of, settle
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.rules import Kind, Rule, Rules

T = TypeVar("T")

BATCH: Final = 1000
"""Files named in one request."""


@dataclass(frozen=True, slots=True)
class Acl:
    """The rules in force for an entry."""

    rules: Rules
    inherited: bool
    inherited_from: str | None
    """The directory whose they are; None too where the caller may not see it."""
    default: Rules | None
    """What a directory hands down."""
    permission: str | None
    """What the principals that were asked about may do, as letters."""
    told: Json = field(repr=False, compare=False)
    """In the server's words: also by which rule each right is given."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(
            rules=_rules(told["rules"]),
            inherited=told["inherited"],
            inherited_from=told.get("inheritedFrom", {}).get("path"),
            default=_rules(told["default"]["rules"]) if "default" in told else None,
            permission=told["effective"]["permission"] if "effective" in told else None,
            told=told,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A step: what is done with these rules."""

    kind: Kind
    rules: Sequence[Rule]


@dataclass(frozen=True, slots=True)
class Changed:
    """How many ACLs were changed at and below a name, and how many left for want of rights."""

    changed: int
    left: int
    told: Json = field(repr=False, compare=False)
    """In the server's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["changed"], told["left"], told)


class Acls:
    """`mdm.acl`. Principals are such as `fqan:/vo/group`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(self, paths: Names, principals: Iterable[str] = ()) -> dict[str, Acl]:
        """The ACL of each, and with principals (all of one person) what it gives them."""
        asked = {"principals": [principals] if isinstance(principals, str) else list(principals)}
        outcomes = await self._each("getPermission", names_of(paths), asked)
        return settle(paths, [_with(outcome, Acl.parse) for outcome in outcomes])

    async def change(
        self,
        paths: Names,
        changes: Sequence[Change] = (),
        *,
        default: bool = False,
        inherit: bool = False,
        recursive: bool = False,
    ) -> dict[str, Changed]:
        """Take these steps, or with `inherit` drop the ACL.

        `default`: of what the directory hands down, not its own. `recursive`: of all below that have ACLs of their
        own, too.
        """
        steps = [
            {"permissionType": each.kind, "rules": [_told(rule) for rule in each.rules]} for each in changes
        ]
        asked: Json = {"changes": steps, "default": default, "inherit": inherit, "recursive": recursive}
        outcomes = await self._each("setPermission", names_of(paths), asked)
        return settle(paths, [_with(outcome, Changed.parse) for outcome in outcomes])

    async def _each(self, operation: str, paths: Sequence[str], asked: Json) -> list[Outcome[Json]]:
        outcomes: list[Outcome[Json]] = []
        for start in range(0, len(paths), BATCH):
            answer = await self._wire.srm(operation, {"surls": list(paths[start : start + BATCH]), **asked})
            outcomes += [Outcome(str(file["surl"]), file, error) for file, error in answer.files()]
        return outcomes


def _with(outcome: Outcome[Json], parse: Callable[[Json], T]) -> Outcome[T]:
    result = None if outcome.error is not None or outcome.result is None else parse(outcome.result)
    return Outcome(outcome.name, result, outcome.error)


def _rules(told: Sequence[Json]) -> Rules:
    return tuple(
        Rule(one["principal"], one["rights"], tuple(one["views"]) if one.get("views") else None)
        for one in told
    )


def _told(rule: Rule) -> Json:
    views = {} if rule.views is None else {"views": list(rule.views)}
    return {"principal": rule.principal, "rights": rule.rights, **views}
