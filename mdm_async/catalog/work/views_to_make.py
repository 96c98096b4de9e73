"""Views to make: an image and the name of a view that it lacks in the version now in force.

Rows come in the transaction by which an image comes to lack a view. What one transaction cannot reach, because it is
too much, comes by way of the directories to check.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.holdings.profiles import IS_ONLINE
from mdm_async.catalog.holdings.stored_views import PINNED
from mdm_async.catalog.work.queue import Queue
from mdm_async.postgres.database import Connection

VIEWS_TO_MAKE = Queue("views to make", "views_to_make", ("image", "view"), ("uuid", "text"))

InForce = Sequence[tuple[str, str]]
"""The name of each view and the version in which it is made now."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What a row of the queue stands for today."""

    made: bool
    """The version in force is there, or a newer revision's."""
    older: bool
    """There are older versions too, which go once nobody reads the image, and which no cohort keeps."""
    gone: bool
    """The image is destroyed, or about to be, or its bytes are not here."""


async def share_demands(db: Connection) -> None:
    """Let nobody change which views files get until this transaction ends. First in one that gives an image a name."""
    await db.execute("select pg_advisory_xact_lock_shared(hashtext('mdm views'))")


async def lock_demands(db: Connection) -> None:
    """Wait for all that gives images names, and keep it waiting. First in a transaction that changes which views
    files get, so that whatever is checked after it has everything before it.
    """
    await db.execute("select pg_advisory_xact_lock(hashtext('mdm views'))")


_REVISION = "split_part({}, '.', 2)::int"
# Row by row, by index: so written they are never joined with all that is stored.
_MADE = (
    "exists (select from views v where v.image = w.image and v.name = w.view"
    f" and (v.version = w.version or {_REVISION.format('v.version')} > {_REVISION.format('w.version')}) offset 0)"
)
_THERE = f"exists (select from images i where i.id = w.image and i.doomed is null and {IS_ONLINE} offset 0)"
LACKS = f"not {_MADE} and {_THERE}"
"""Of an image and a view in a version `w`: it has neither that version nor one of a newer revision."""
AGAIN = (
    "on conflict (image, view) do update"
    " set since = now(), due = excluded.due, attempts = 0, failure = null, taken_by = null"
)
"""Whoever works on the row meanwhile may do so for a version that is not in force any more."""


async def add(db: Connection, wanted: Iterable[tuple[UUID, str]], *, wait: float = 0) -> None:
    """Views that are to be made of these images, not before so many seconds."""
    rows = sorted(set(wanted))
    await db.execute(
        "insert into views_to_make (image, view, due)"
        " select image, view, now() + make_interval(secs => $3) from unnest($1::uuid[], $2::text[]) as w (image, view)"
        f" {AGAIN}",
        [image for image, _ in rows],
        [view for _, view in rows],
        wait,
    )


async def add_lacking(
    db: Connection, images: Sequence[UUID], views: Sequence[str], in_force: InForce
) -> None:
    """What of these views images lack that have just been given a name, in a transaction that shares the demands.

    A node that runs an older revision than another leaves what it made to be made anew.
    """
    wanted = [(name, version) for name, version in in_force if name in views]
    await db.execute(_ADD_LACKING.format(""), images, *_names_and_versions(wanted))


def _names_and_versions(views: InForce) -> tuple[list[str], list[str]]:
    return [name for name, _ in views], [version for _, version in views]


_ADD_LACKING: Final = (
    "insert into views_to_make (image, view) select distinct w.image, w.view"
    " from (select image, view, version from unnest($1::uuid[]) as i (image)"
    "  cross join unnest($2::text[], $3::text[]) as u (view, version)) w"
    f" where ({LACKS} or {_THERE} and {_REVISION.format('w.version')} <"
    f" (select {_REVISION.format('basic')} from installation where basic <> '')) {{0}} order by 1, 2 {AGAIN}"
)


async def add_lacking_at(db: Connection, image: UUID, directory: int, in_force: InForce) -> dict[str, str]:
    """As `add_lacking`, of one image and the views that files in a directory get. Gives what `profiles.digests` does:
    who finds that `in_force` was not does it again.
    """
    enabled = f"and w.view = any({profiles.ENABLED.format('$4::bigint')}::text[])"
    found: dict[str, str] = await db.fetchval(
        f"with lacking as ({_ADD_LACKING.format(enabled)}) select {profiles.DIGESTS}",
        [image],
        *_names_and_versions(in_force),
        directory,
    )
    return found


async def lack(db: Connection, image: UUID, view: str, version: str, floor: int) -> Lack:
    """`floor`: as of `images.drop_superseded`."""
    row = await db.fetchrow(
        f"select {_MADE} as made,"
        " exists (select from views v where v.image = w.image and v.name = w.view and v.version <> w.version"
        f"  and {_REVISION.format('v.version')} <= {_REVISION.format('w.version')}"
        f"  and ({_REVISION.format('v.version')} < $4 or not {PINNED})) as older,"
        f" not {_THERE} as gone"
        " from (select $1::uuid as image, $2::text as view, $3::text as version) w",
        image,
        view,
        version,
        floor,
    )
    assert row is not None
    return Lack(*row.values())


async def left_to_newer_nodes(db: Connection, basic: str) -> bool:
    """Whether a node of a newer revision than this one's has been started, and none of this one's since."""
    return bool(
        await db.fetchval(
            f"select {_REVISION.format('basic')} > {_REVISION.format('$1')} from installation where basic <> ''",
            basic,
        )
    )
