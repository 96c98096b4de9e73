"""What views' bytes say of themselves, one row for each version of a view that is ready."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mdm_async.catalog.metadata import sets
from mdm_async.catalog.metadata.sets import chain_of
from mdm_async.dicom.attributes import Attributes
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class IndexedView:
    """A version of a view, and what its bytes say."""

    image: UUID
    view: str
    version: str
    attributes: Attributes


async def announce(db: Connection, views: Iterable[IndexedView]) -> None:
    """Before the transaction that calls `add`: what many images share is made, if nobody has."""
    # In a transaction of its own: a set that was found there must not go before what is made below it.
    async with db.transaction():
        await sets.intern(db, (one for view in views for one in chain_of(view.attributes)))


async def add(db: Connection, views: Sequence[IndexedView]) -> None:
    """Index views, in the transaction that makes their rows."""
    if views and not await _add(db, views):
        await sets.intern(db, (one for view in views for one in chain_of(view.attributes)))
        await _add(db, views)


def insertion(first: int = 1) -> str:
    """The part of a statement that indexes views of which all sets are there, or none of them: `indexed` has a row for
    each. Its parameters begin at `$first`, and `arguments` gives them.
    """
    image, view, version, digest, sop_uid, attributes, count = (f"${first + place}" for place in range(7))
    return (
        f"sets as materialized (select id, digest from meta_sets where digest = any({digest}::bytea[]) for key share),"
        " indexed as (insert into view_attributes (image, view, version, series, sop_uid, attributes)"
        " select image, view, version, id, sop_uid, attributes"
        f" from unnest({image}::uuid[], {view}::text[], {version}::text[], {digest}::bytea[], {sop_uid}::text[],"
        f"  {attributes}::jsonb[]) as v (image, view, version, digest, sop_uid, attributes) join sets using (digest)"
        f" where (select count(*) from sets) = {count} returning image)"
    )


def arguments(views: Sequence[IndexedView]) -> list[Any]:
    digests = [chain_of(view.attributes)[2].digest for view in views]
    return [
        [view.image for view in views],
        [view.view for view in views],
        [view.version for view in views],
        digests,
        [_sop_uid(view.attributes) for view in views],
        [view.attributes.instance for view in views],
        len(set(digests)),
    ]


async def _add(db: Connection, views: Sequence[IndexedView]) -> bool:
    """Whether the sets of all were there; else none of them is indexed."""
    indexed = await db.fetchval(f"with {insertion()} select count(*) from indexed", *arguments(views))
    return bool(indexed == len(views))


async def replace(db: Connection, image: UUID, views: Sequence[IndexedView]) -> None:
    """Index views of an image anew, as far as they are still there, in a transaction that has locked the image."""
    rows = await db.fetch("select name, version from views where image = $1 and state = 'ready'", image)
    there = {(row["name"], row["version"]) for row in rows}
    anew = [view for view in views if (view.view, view.version) in there]
    # Others may have come meanwhile, indexed by whoever made them.
    await db.execute(
        "delete from view_attributes a using unnest($2::text[], $3::text[]) as n (view, version)"
        " where a.image = $1 and a.view = n.view and a.version = n.version",
        image,
        [view.view for view in anew],
        [view.version for view in anew],
    )
    await add(db, anew)


def _sop_uid(attributes: Attributes) -> str | None:
    uid = attributes.instance.get("SOPInstanceUID")
    return str(uid[0]) if uid else None
