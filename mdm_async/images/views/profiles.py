"""The verbs on de-identification profiles: list, show, add, and apply one to a directory's files."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.rights import acl, kept_acls
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import directories_to_check
from mdm_async.catalog.work.views_to_make import lock_demands
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.plan import ORIGINAL
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.scrub import REVISION
from mdm_async.errors import BadRequest, MdmError, NotADirectory, NotFound
from mdm_async.images.changed import ChangedHere
from mdm_async.images.hooks.hooks import Hooks
from mdm_async.images.reading.served import Served, ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.several import several_at_once
from mdm_async.images.surls import resolve_one
from mdm_async.images.views.backfill import AT_ONCE
from mdm_async.images.views.originals import source_of
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import BASIC, Caller
from mdm_async.postgres.database import Connection, Database

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Description:
    """A profile in force. `source` is its TOML; `added` and `added_by` are None of what is built in."""

    profile: Profile
    source: str
    revision: int = REVISION
    added: datetime | None = None
    added_by: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a profile will do: how many images get a new head, of how many pixels are read and rewritten."""

    images: int
    heads: int
    pixels: int
    pixel_bytes: int


async def listing(database: Database, served: ServedViews, caller: Caller) -> list[Description]:
    async with database.acquire() as db:
        await acl.demand_administrator(db, caller)
        await served.refresh(db, now=True)
        stored = {one.name: one for one in await profiles.listing(db)}
    found = []
    for view in served:
        profile, one = view.profile, stored.get(view.view)
        if one is None:
            found.append(Description(profile, dump_profile(profile)))
        else:
            found.append(Description(profile, one.source, added=one.added, added_by=one.added_by))
    return found


async def show(database: Database, served: ServedViews, caller: Caller, name: str) -> Description:
    """Raises NotFound."""
    for found in await listing(database, served, caller):
        if found.profile.name == name:
            return found
    raise NotFound("there is no profile of that name", remedy="`mdm profile list` names those that are")


async def add(
    database: Database,
    shelf: Shelf,
    hooks: Hooks,
    changed: ChangedHere,
    caller: Caller,
    source: str,
) -> tuple[Profile, str | None]:
    """Put a profile into force: it, and the digest of the one that it replaces. Raises BadRequest.

    Views of the one before are not served from then on; those of the new one are pending until it is applied.
    """
    async with database.acquire() as db:
        await acl.demand_administrator(
            db, caller
        )  # whoever may not add one is told nothing of what is wrong with it
    profile = parse_profile(source)
    if profile.name == BASIC:
        raise BadRequest("the profile 'basic' is built in", remedy="choose another name")
    hooks.demand(profile.face_hook)
    await shelf.keys.make_project_key(profile.project or profile.name)
    async with database.transaction() as db:
        await lock_demands(db)
        before = await profiles.put(db, profile.name, source, profile.digest, caller.name)
        if before not in (None, profile.digest):
            await directories_to_check.add_all(db)
        details = {"profile": profile.name, "digest": profile.digest, "replaced": before}
        await acts.record(db, [Act(caller, "profile add", details=details)])
    await shelf.served.load(database)
    changed.everything()
    return profile, before


async def plan(workshop: Workshop, shelf: Shelf, caller: Caller, name: str, surl: str) -> Plan:
    """What `apply` would do. Reads every head that would be made anew."""
    database = workshop.depot.database
    async with database.acquire() as db:
        await acl.demand_administrator(db, caller)
        served, directory = await _served(shelf.served, db, name), await _directory(db, caller, surl)
        below = await profiles.directories_below(db, directory.id)
    images, heads, sizes = 0, 0, list[int]()

    async def look_at(image: UUID) -> None:
        nonlocal heads
        heads += 1
        if (size := await _pixels_to_write(workshop, shelf, served, image)) is not None:
            sizes.append(size)

    async def missing() -> AsyncIterator[UUID]:
        nonlocal images
        async for image, state in _standings(database, served, below):
            images += 1
            if state == "pending":
                yield image

    await several_at_once(missing(), look_at, AT_ONCE)
    return Plan(images, heads, len(sizes), sum(sizes))


async def _standings(
    database: Database, served: Served, directories: Sequence[int]
) -> AsyncIterator[profiles.Standing]:
    """How this view, in its version now in force, stands of each image in these directories, page by page."""
    for directory in directories:
        after: str | None = ""
        while after is not None:
            async with database.acquire() as db:
                found, after = await profiles.standings(
                    db, directory, directories, served.view, served.version, after, _BATCH
                )
            for one in found:
                yield one


async def _pixels_to_write(workshop: Workshop, shelf: Shelf, served: Served, image: UUID) -> int | None:
    """Bytes of an image's pixels if this profile needs a variant of them that is not there yet."""
    try:
        async with workshop.depot.leases() as leases:
            source = await source_of(workshop, shelf, leases, image)
            if source.head is None or source.pixels is None:
                return None
            described = await workshop.cipher.run(partial(pixel_plan.describe, source.head))
    except MdmError:
        return None  # it will be refused, or has gone
    wanted = pixel_plan.plan(*described, served.profile).after(source.facts)
    if not wanted.whole and (wanted.variant == ORIGINAL or wanted.variant in source.pixels.shared):
        return None
    return source.pixels.original.record.size


async def apply(
    database: Database,
    views: ServedViews,
    changed: ChangedHere,
    caller: Caller,
    name: str,
    surl: str,
    *,
    default: bool = False,
) -> None:
    """From now on files below this directory get this view; those that are there get it as soon as it is made.

    `default`: it is also what these files give to whoever names no view.
    """
    async with database.transaction() as db:
        await acl.demand_administrator(db, caller)
        await lock_demands(db)
        await kept_acls.lock(db)  # a move keeps the default view that it finds
        served, directory = await _served(views, db, name), await _directory(db, caller, surl)
        await profiles.enable(db, directory.id, served.view)
        await directories_to_check.add(db, directory.id)
        if default:
            await profiles.set_default(db, directory.id, served.view)
        details = {"profile": name, "digest": served.profile.digest, "default": default}
        await acts.record(db, [Act(caller, "profile apply", guid=directory.guid, details=details)])
    if default:
        changed.everything()


async def progress(
    database: Database, views: ServedViews, caller: Caller, name: str, surl: str
) -> dict[str, int]:
    """Images below a directory by the state of their view: ready, refused, quarantined, pending."""
    async with database.acquire() as db:
        await acl.demand_administrator(db, caller)
        served, directory = await _served(views, db, name), await _directory(db, caller, surl)
        below = await profiles.directories_below(db, directory.id)
    states: Counter[str] = Counter()
    async for one in _standings(database, served, below):
        states[one.state] += 1
    return dict(states)


async def _served(views: ServedViews, db: Connection, name: str) -> Served:
    await views.refresh(db, now=True)
    served = views.get(name)
    if served is None:
        raise NotFound("there is no profile of that name", remedy="add it first: mdm profile add FILE")
    return served


async def _directory(db: Connection, caller: Caller, surl: str) -> Entry:
    entry = (await resolve_one(db, caller, surl))[1].entry
    if entry is None:
        raise NotFound()
    if not entry.is_directory:
        raise NotADirectory("profiles are applied to directories")
    return entry
