"""Small random trees with ACLs, defaults and views, and random callers: for hypothesis, and in Postgres."""

from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mdm_async.catalog.rights import kept_acls
from mdm_async.names import ANONYMOUS, ANYONE, AUTHENTICATED, Ability, Caller, Lfn, Right, Scope, parse_rights
from mdm_async.postgres.database import Connection
from mdm_async.rules import Rule, Rules
from tests.catalog.acl_model import ALL, Line, Node
from tests.conftest import CI

LONG = settings(
    max_examples=600 if CI else 120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

PRINCIPALS = ["user:a", "user:b", "fqan:/vo", AUTHENTICATED, ANYONE]
VIEWS = ["basic", "cardio", "identified"]
_LETTERS = st.sets(st.sampled_from(ALL)).map("".join)
_SOME = st.one_of(st.just("x"), st.just("lx"), _LETTERS, _LETTERS.map(lambda rights: rights + "x"))
_NAMED = st.one_of(st.none(), st.lists(st.sampled_from([*VIEWS, "*"]), min_size=1, max_size=2, unique=True))

LINES = st.lists(
    st.builds(Line, st.sampled_from(PRINCIPALS), _SOME.map(lambda r: "".join(sorted(set(r)))), _NAMED),
    max_size=4,
)
_OWN = st.one_of(st.none(), LINES)
_VIEW = st.one_of(st.none(), st.none(), st.sampled_from(VIEWS))


@st.composite
def trees(draw: st.DrawFn) -> Node:
    root = Node("", own=draw(LINES), default=draw(_OWN), default_view=draw(_VIEW))
    directories = [root]
    for number in range(draw(st.integers(1, 7))):
        parent = draw(st.sampled_from(directories))
        is_directory = draw(st.booleans())
        node = Node(f"n{number}", parent, is_directory, own=draw(_OWN))
        if is_directory:
            node.default, node.default_view = draw(_OWN), draw(_VIEW)
            directories.append(node)
        elif draw(st.integers(0, 4)) == 0:
            node.only_view = draw(st.sampled_from(["basic", "cardio"]))
        parent.children.append(node)
    return root


_ALSO = st.sampled_from([frozenset[Ability](), frozenset({Ability.DIRECTORIES})])


@st.composite
def callers(draw: st.DrawFn, tree: Node, *, grid: bool = True) -> Caller:
    """`grid`: also those by credentials of a grid, which say what they are for."""
    if draw(st.integers(0, 4)) == 0:
        return ANONYMOUS
    own = draw(st.sampled_from(["user:a", "user:b"]))
    groups = {"fqan:/vo"} if draw(st.booleans()) else set()
    paths = [node.lfn for node in tree.all()] + ["/n", "/n0/n1/x"]
    scopes = [
        Scope(
            Lfn(draw(st.sampled_from(paths))),
            parse_rights(draw(_LETTERS)),
            draw(st.one_of(st.none(), st.frozensets(st.sampled_from([*VIEWS, "*"]), min_size=1))),
            draw(_ALSO) if grid else frozenset(),
        )
        for _ in range(draw(st.sampled_from([0, 0, 1, 2])))
    ]
    principals = frozenset({own, AUTHENTICATED, ANYONE, *groups})
    bound = None
    if grid and draw(st.integers(0, 2)) == 0:
        path = Lfn(draw(st.sampled_from([*paths, "/", "/"])))
        bound = Scope(path, parse_rights(draw(_LETTERS)) - {Right.IDENTITY}, None, draw(_ALSO))
    limited = draw(st.integers(0, 3)) == 0
    return Caller(own, principals, tuple(scopes), limited=limited, bound=bound)


async def planted(db: Connection, tree: Node, image: UUID, under: int | None = None) -> dict[str, int]:
    """The tree in the namespace, its root as the root or as what `under` names; entries' ids by LFN."""
    written = list(tree.all())
    told = {
        id(lines): rules_of(lines)
        for node in written
        for lines in (node.own, node.default)
        if lines is not None
    }
    kept = await kept_acls.intern(db, set(told.values()))

    def acl(lines: list[Line] | None) -> int | None:
        return None if lines is None else kept[told[id(lines)]]

    ids: dict[str, int] = {}
    for node in written:
        own, default = acl(node.own), acl(node.default)
        if node.parent is None:
            found = under or await db.fetchval("select id from entries where parent is null")
            await db.execute(
                "update entries set acl = $2, default_acl = $3, default_view = $4 where id = $1",
                found,
                own,
                default,
                node.default_view,
            )
        else:
            found = await db.fetchval(
                "insert into entries (parent, name, is_directory, image, acl, default_acl, default_view, only_view)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
                ids[node.parent.lfn],
                node.name,
                node.is_directory,
                None if node.is_directory else image,
                own,
                default,
                node.default_view,
                node.only_view,
            )
        ids[node.lfn] = found
    return ids


def rules_of(lines: list[Line]) -> Rules:
    """As written, not merged: what is merged may give more."""
    return tuple(
        Rule(line.principal, line.rights, tuple(line.views) if line.views is not None else None)
        for line in lines
    )
