"""The decision point once more, slow and obvious: every question walks the tree and looks at every rule."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mdm_async.names import Caller, Scope

ALL = "pdrwlxgsi"


@dataclass
class Line:
    principal: str
    rights: str
    views: list[str] | None


@dataclass
class Node:
    """A directory or file of the model's tree. ACLs are lists of lines; None: it says nothing."""

    name: str
    parent: "Node | None" = None
    is_directory: bool = True
    own: list[Line] | None = None
    default: list[Line] | None = None
    default_view: str | None = None
    only_view: str | None = None
    children: list["Node"] = field(default_factory=list)

    @property
    def lfn(self) -> str:
        if self.parent is None:
            return "/"
        above = self.parent.lfn
        return above + self.name if above == "/" else f"{above}/{self.name}"

    def above(self) -> "list[Node]":
        """All directories above, the nearest first."""
        return [] if self.parent is None else [self.parent, *self.parent.above()]

    def all(self) -> "Iterator[Node]":
        yield self
        for child in self.children:
            yield from child.all()

    def free(self, name: str) -> "Node":
        """What would be here under a name that is free."""
        return Node(name, self, is_directory=False)


def in_force(node: Node) -> list[Line]:
    """Its own ACL, else the nearest ancestor's default, or that one's own if it has no default apart."""
    if node.own is not None:
        return node.own
    for ancestor in node.above():
        if ancestor.default is not None:
            return ancestor.default
        if ancestor.own is not None:
            return ancestor.own
    raise AssertionError("the root has an ACL")


def default_view(node: Node) -> str:
    for one in [node, *node.above()]:
        if one is node and one.only_view is not None:
            return one.only_view
        if one.default_view is not None:
            return one.default_view
    return "basic"


def gives(rights: str, views: list[str] | None, right: str, view: str, standard: str) -> bool:
    """Whether rights on views give a right; `r` is for the views named, or for the default view."""
    if right not in rights:
        return False
    if right != "r":
        return True
    if view == "identified":
        return "i" in rights and (views is None or "identified" in views)
    if views is None:
        return view == standard
    return view in views or "*" in views


def within(path: str, lfn: str) -> bool:
    return path == "/" or [*lfn.split("/")][: len(path.split("/"))] == path.split("/")


def may(caller: Caller, node: Node, right: str, view: str | None = None) -> bool:
    standard = default_view(node)
    wanted = view if view is not None else standard
    if node.only_view is not None and (right == "i" or (right == "r" and wanted != node.only_view)):
        return False
    return _may(caller, node, right, wanted, standard, node.lfn)


def _may(caller: Caller, node: Node, right: str, view: str, standard: str, lfn: str) -> bool:
    if caller.limited and (right in ("p", "i") or (right == "r" and view == "identified")):
        return False
    if caller.bound is not None and not _bounds(caller.bound, right, view, lfn):
        return False
    for scope in caller.scopes:
        if right == "g" and _leads(scope, lfn):
            return True
        views = sorted(scope.views) if scope.views is not None else None
        if within(scope.path, lfn) and gives("".join(scope.rights), views, right, view, standard):
            return True
    for ancestor in node.above():
        if not any("x" in line.rights and line.principal in caller.principals for line in in_force(ancestor)):
            return False
    return any(
        line.principal in caller.principals and gives(line.rights, line.views, right, view, standard)
        for line in in_force(node)
    )


def _bounds(bound: Scope, right: str, view: str, lfn: str) -> bool:
    if right == "g" and _leads(bound, lfn):
        return True
    return within(bound.path, lfn) and right in bound.rights and (right, view) != ("r", "identified")


def _leads(scope: Scope, lfn: str) -> bool:
    return bool(scope.also) and within(lfn, scope.path) and scope.path != lfn


def may_create(caller: Caller, node: Node) -> bool:
    """To give a thing its name is to write to the directory; a scope must reach the name itself."""
    return _of_the_directory(caller, node, "w")


def may_see_directory(caller: Caller, node: Node) -> bool:
    return _of_the_directory(caller, node, "l")


def _of_the_directory(caller: Caller, node: Node, right: str) -> bool:
    assert node.parent is not None
    return _may(caller, node.parent, right, "", "", node.lfn)


def sees_above(caller: Caller, node: Node) -> bool:
    return any(may(caller, ancestor, "l") for ancestor in node.above())


def of_nothing(caller: Caller, node: Node) -> str:
    """Of the hidden and the missing alike: who may list no directory above is told to log in, if he has not."""
    return "Unauthenticated" if caller.is_anonymous and not sees_above(caller, node) else "NotFound"


def told(caller: Caller, node: Node, right: str, view: str | None, *, there: bool) -> str:
    """The answer to a demand: allowed, Forbidden, NotFound or Unauthenticated."""
    if may(caller, node, right, view):
        return (
            "allowed" if there or not caller.is_anonymous or sees_above(caller, node) else "Unauthenticated"
        )
    says_what_for = caller.bound is not None or any(scope.also for scope in caller.scopes)
    if there and (may(caller, node, "l") or (says_what_for and may(caller, node, "g"))):
        return "Unauthenticated" if caller.is_anonymous else "Forbidden"
    return of_nothing(caller, node)


def told_of_creating(caller: Caller, node: Node) -> str:
    if may_create(caller, node):
        return "allowed"
    if may_see_directory(caller, node):
        return "Unauthenticated" if caller.is_anonymous else "Forbidden"
    return of_nothing(caller, node)
