"""Rights as a filter in SQL: what a caller may see below a directory, as a relation that queries join.

It says the same as the decision point (`acl`), of any number of entries in one statement. Directories that the
caller may not traverse, and into which no scope leads, are not looked into; the statement is as long as there are
ACLs that give the caller something, however much lies below.

    with recursive {VISIBLE} select … from visible v join entries e on e.parent = v.directory where {may_read(…)}
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.entries import COLUMNS, Entry, entry_of
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.verdicts import Verdict
from mdm_async.names import IDENTIFIED, Caller, Right, Scope, View
from mdm_async.postgres.database import Connection

VISIBLE = """
visible (directory, standard, heritage, reached, scoped) as (
    select directory, standard, heritage, reached, to_jsonb(string_to_array(scoped, ' '))
    from unnest($2::bigint[], $3::text[], $4::bigint[], $5::boolean[], $6::text[])
        as s (directory, standard, heritage, reached, scoped) where reached or scoped <> ''
    union all
    select e.id, coalesce(e.default_view, v.standard), coalesce(e.default_acl, e.acl, v.heritage), e.reached, v.scoped
    from visible v cross join lateral (
        select id, acl, default_acl, default_view,
            v.reached and coalesce($1::jsonb -> coalesce(acl, v.heritage)::text ? 'x', false) as reached
        from entries where is_directory and case when is_directory then parent end = v.directory
            and id <> all($2::bigint[]) offset 0
    ) e where e.reached or v.scoped <> '[]'
)"""
"""Directories at and below some, with what is in force for entries in them: the default view, the ACL that they
inherit, whether ACLs count (all directories above are traversed), what the caller's scopes give.

Parameters $1 to $6, `Seen.arguments`. `Seen.apart` must be left out of what is joined.
"""
_TAKEN = 6
"""Parameters; a query's own come after them."""


def given(v: str, e: str) -> str:
    """What is given of an entry `e` in a directory `v` of VISIBLE, as `acl.gives` says it: listed if it has 'l'. Of
    what is rejected nothing is."""
    return (
        f"case when {e}.rejected is null then {v}.scoped || case when {v}.reached"
        f" then coalesce($1::jsonb -> coalesce({e}.acl, {v}.heritage)::text, '[]') else '[]' end else '[]' end"
    )


def may_get_metadata(v: str, e: str) -> str:
    """Whether the metadata of an entry `e` in a directory `v` of VISIBLE may be got: those that need no view."""
    return f"(({given(v, e)}) ? 'g')"


def view_of(v: str, e: str, view: str = "null") -> str:
    """The view of a file `e` in a directory `v` of VISIBLE that is asked for; null: its default view."""
    return f"coalesce({view}, {e}.only_view, {e}.default_view, {v}.standard)"


def may_read(v: str, e: str, view: str = "null") -> str:
    """Whether a view of a file `e` in a directory `v` of VISIBLE may be read; null: its default view."""
    return f"""(
        select ({e}.only_view is null or wanted = {e}.only_view) and case
            when wanted = '{IDENTIFIED}' then given ? '@{IDENTIFIED}'
            else given ?| array['@' || wanted, '@*'] or (wanted = standard and given ? '@')
        end
        from (select coalesce({view}, standard) as wanted, standard, {given(v, e)} as given
            from (select coalesce({e}.only_view, {e}.default_view, {v}.standard) as standard) s) w
    )"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What VISIBLE is of for one caller, at and below one directory."""

    caller: Caller
    verdict: Verdict
    directories: Sequence[Place]
    """Where it begins: that directory, and those below it that scopes of the caller name."""
    apart: Sequence[Place]
    """Entries below that scopes name: more holds for them than in their directories. `acl` decides about them."""

    @property
    def arguments(self) -> tuple[object, ...]:
        """Parameters $1 to $6."""
        starts = [(one, one.entry) for one in self.directories if one.entry is not None]
        return (
            self.verdict.acls,
            [entry.id for _, entry in starts],
            [place.default_view for place, _ in starts],
            [place.heritage.id for place, _ in starts],
            [acl.reaches(self.caller, place.child("", None)) for place, _ in starts],
            [_scoped(self.caller, place) for place, _ in starts],
        )


def _scoped(caller: Caller, place: Place) -> str:
    given: set[str] = set()
    for scope in caller.scopes:
        if scope.covers(place.lfn):
            given |= acl.gives(scope.rights, scope.views, limited=caller.limited, bound=caller.bound)
    return " ".join(sorted(given))


async def below(db: Connection, caller: Caller, verdict: Verdict, place: Place) -> Seen:
    """What the caller sees below a directory that is there."""
    here = Scope(place.lfn, frozenset())
    inner = {one.path for one in caller.scopes if here.covers(one.path)} - {place.lfn}
    found = [one for one in await places.resolve(db, sorted(inner)) if one.entry is not None]
    directories = [one for one in found if one.entry is not None and one.entry.is_directory]
    if caller.bound is None or caller.bound.covers(place.lfn):
        return Seen(caller, verdict, [place, *directories], found)
    bound = await places.resolve_one(db, caller.bound.path)
    if bound.entry is None or not here.covers(bound.lfn):
        return Seen(caller, verdict, [], [])
    own = [bound, *(one for one in found if caller.bound.covers(one.lfn) and one.lfn != bound.lfn)]
    directories = [one for one in own if one.entry is not None and one.entry.is_directory]
    return Seen(caller, verdict, directories, own)


START = (0, "")
Cursor = tuple[int, str]
"""A directory's id and a name in it."""


async def files(
    db: Connection, seen: Seen, view: View | None, count: int, after: Cursor = START
) -> list[Entry]:
    """Some `count` of the files of which the caller may read this view (None: each one's default view), in the order
    of their directories' ids and of names, after one: `(entry.parent, entry.name)`."""
    apart = {one.entry.id: one for one in seen.apart if one.entry is not None}
    allowed = [id_ for id_, one in apart.items() if acl.allows(seen.caller, one, Right.READ, view)]
    rows = await db.fetch(_FILES, *seen.arguments, view, count, *after, list(apart), allowed)
    return [entry_of(row) for row in rows]


_VIEW, _COUNT, _DIRECTORY, _NAME, _APART, _ALLOWED = (f"${_TAKEN + number}" for number in range(1, 7))
_FILES = f"""
with recursive {VISIBLE}
select * from (
    -- Sorted directory by directory, until there are enough.
    (select e.* from (
        select * from visible where directory >= {_DIRECTORY}::bigint order by directory offset 0
    ) v cross join lateral (
        select {COLUMNS} from entries e where parent = v.directory and image is not null
            and name > case v.directory when {_DIRECTORY} then {_NAME}::text else '' end
            and id <> all({_APART}::bigint[]) and {may_read("v", "e", f"{_VIEW}::text")}
        order by name limit {_COUNT}::bigint
    ) e order by v.directory, e.name limit {_COUNT})
    union all
    select {COLUMNS} from entries where id = any({_ALLOWED}::bigint[]) and image is not null
        and (parent, name) > ({_DIRECTORY}, {_NAME} collate "C")
) e order by parent, name limit {_COUNT}
"""
