"""The decision point against a slow, obvious model, over random trees in Postgres."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import MdmError, NotFound
from mdm_async.names import Caller, Lfn, Right, View
from mdm_async.postgres.database import Connection, Database
from mdm_async.rules import canonical, gains_identity
from tests.catalog import acl_model as model
from tests.catalog.acl_model import ALL, Node
from tests.catalog.random_trees import LINES, LONG, VIEWS, callers, planted, rules_of, trees

QUESTIONS: list[tuple[str, str | None]] = [(right, None) for right in ALL] + [("r", view) for view in VIEWS]


def names(tree: Node) -> list[tuple[Node, bool]]:
    """Every entry, and in every directory a name that is free."""
    found = [(node, True) for node in tree.all()]
    return found + [(node.free("free"), False) for node in tree.all() if node.is_directory]


async def located(db: Connection, tree: Node, ids: dict[str, int]) -> list[tuple[Node, bool, Place]]:
    """The places of all names, which are the same by LFN and by id."""
    wanted = names(tree)
    by_name = await places.resolve(db, [Lfn(node.lfn) for node, _ in wanted])
    by_id = await places.of_entries(db, ids.values())
    for (node, there), place in zip(wanted, by_name, strict=True):
        if there:
            assert place == by_id[ids[node.lfn]], node.lfn
        else:
            assert node.parent is not None
            assert place == by_id[ids[node.parent.lfn]].child(node.name, None), node.lfn
    return [(node, there, place) for (node, there), place in zip(wanted, by_name, strict=True)]


def answer(caller: Caller, place: Place, right: str, view: str | None) -> str:
    try:
        acl.demand(caller, place, Right(right), View(view) if view is not None else None)
    except MdmError as why:
        return _checked(why, right)
    return "allowed"


def answer_to_creating(caller: Caller, place: Place) -> str:
    try:
        acl.demand_create(caller, place)
    except MdmError as why:
        return _checked(why, "w")
    return "allowed"


def _checked(why: MdmError, right: str) -> str:
    assert why.refusal is not None
    assert why.refusal.right == right
    return "NotFound" if isinstance(why, NotFound) else type(why).__name__


@LONG
@given(data=st.data())
async def test_it_decides_as_the_model_does(catalog: tuple[Database, UUID], data: st.DataObject) -> None:
    database, image = catalog
    tree = data.draw(trees())
    asking = [data.draw(callers(tree)) for _ in range(3)]
    async with database.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        try:
            found = await located(db, tree, await planted(db, tree, image))
        finally:
            await transaction.rollback()
    for caller in asking:
        for node, there, place in found:
            assert place.default_view == model.default_view(node)
            for right, view in QUESTIONS:
                about = (caller, node.lfn, right, view)
                named = View(view) if view is not None else None
                wanted = model.may(caller, node, right, view)
                assert acl.allows(caller, place, Right(right), named) is wanted, about
                assert answer(caller, place, right, view) == model.told(
                    caller, node, right, view, there=there
                ), about
            letters = [right for right in ALL if model.may(caller, node, right)]
            assert acl.rights_of(caller, place) == "".join(letters)
            if node.parent is not None:
                assert acl.may_create(caller, place) is model.may_create(caller, node), (caller, node.lfn)
                assert answer_to_creating(caller, place) == model.told_of_creating(caller, node)


@LONG
@given(data=st.data())
async def test_whoever_has_a_right_by_an_acl_is_shown_the_rule(
    catalog: tuple[Database, UUID], data: st.DataObject
) -> None:
    database, image = catalog
    tree = data.draw(trees())
    caller = replace(data.draw(callers(tree)), scopes=())
    async with database.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        try:
            found = await located(db, tree, await planted(db, tree, image))
        finally:
            await transaction.rollback()
    for node, _, place in found:
        for right, view in QUESTIONS:
            rule = acl.granting(caller, place, Right(right), View(view) if view is not None else None)
            assert (rule is not None) is model.may(caller, node, right, view)
            if rule is not None:
                assert rule in place.acl.rules
                assert rule.principal in caller.principals
                assert right in rule.rights


@LONG
@given(data=st.data())
def test_the_order_of_rules_and_their_repetition_mean_nothing(data: st.DataObject) -> None:
    rules = data.draw(acl_rules())
    shuffled = data.draw(st.permutations([*rules, *rules]))
    assert canonical(shuffled) == canonical(rules) == canonical(canonical(rules))


@LONG
@given(data=st.data())
def test_nobody_gains_the_identified_view_unnoticed(data: st.DataObject) -> None:
    """Where `gains_identity` sees nothing, whoever has it afterwards had it before."""
    before, after = canonical(data.draw(acl_rules())), canonical(data.draw(acl_rules()))
    if gains_identity(before, after):
        return
    for principal in {rule.principal for rule in after}:
        caller = Caller(principal, frozenset({principal}))
        for standard in VIEWS:
            was, now = (_alone(rules, standard) for rules in (before, after))
            for right, view in (("i", None), ("r", "identified")):
                if model.may(caller, now, right, view):
                    assert model.may(caller, was, right, view)


@st.composite
def acl_rules(draw: st.DrawFn) -> list[places.Rule]:
    return list(rules_of(draw(LINES)))


def _alone(rules: tuple[places.Rule, ...], standard: str) -> Node:
    lines = [model.Line(one.principal, one.rights, list(one.views) if one.views else None) for one in rules]
    return Node("", own=lines, default_view=standard)
