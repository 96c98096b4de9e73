"""What de-identification did to an image: what went and what stayed, by which rule, and how often. Never a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import stored_views
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, visible
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.errors import BadRequest, TooLarge
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.parts import record
from mdm_async.images.reading.served import Served
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.surls import resolve_one
from mdm_async.keys.store import Fetched
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Database

_FILES = 10_000
"""Files in one report at the most."""
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ImageReport:
    """Of one file. `touched` and `stayed`: as `scrub.Touched`; `study`: the study's pseudonym in the view."""

    guid: UUID
    state: str
    reason: str | None
    version: str | None = None
    """Digest and revision that it was made by."""
    study: str | None = None
    pixels: str | None = None
    touched: tuple[dict[str, Any], ...] = ()
    """What was removed or changed."""
    stayed: tuple[dict[str, Any], ...] = ()
    """What was kept, by a rule or because no rule names it."""
    warnings: tuple[str, ...] = ()
    """What may still show who it is, such as a face."""


@dataclass(frozen=True, slots=True)
class Report:
    """Of one view of all files asked about, by the profile now in force."""

    served: Served
    of: Entry
    """The file or directory that was named."""
    entries: list[Entry]
    """The file, or those below the directory."""
    files: list[ImageReport]
    """Of the entries, but for those that have just gone."""


async def report(
    database: Database, shelf: Shelf, cipher: CipherPool, verdicts: Verdicts, caller: Caller, surl: str
) -> Report:
    """Of a file, or of every file below a directory that the caller may read in that view.

    Raises TooLarge when there are too many of these.
    """
    async with database.acquire() as db:
        await shelf.served.refresh(db)
        named, place = await resolve_one(db, caller, surl)
        name = named.view or place.default_view
        if named.view is None:  # else what is wrong with the default view of the hidden would be told
            _demand(caller, place, name)
        served = shelf.served.get(name)
        if served is None:
            raise BadRequest(
                "only a de-identified view has a report or a certificate", remedy="name one, as --view basic"
            )
        entry = _demand(caller, place, name)
        files = [entry]
        if entry.is_directory:
            verdict = await verdicts.of(db, caller, place.newest_acl)
            seen = await visible.below(db, caller, verdict, place)
            files = list(await visible.files(db, seen, View(name), _FILES + 1))
            if len(files) > _FILES:
                raise TooLarge(
                    f"there are more than {_FILES} files below this directory", remedy="ask for a smaller one"
                )
    return Report(served, entry, files, await reports_of(database, shelf, cipher, served, files))


async def reports_of(
    database: Database, shelf: Shelf, cipher: CipherPool, served: Served, files: Sequence[Entry]
) -> list[ImageReport]:
    """Of files of which the caller may read this view; those that have just gone are left out."""
    wanted = [(file.image, str(served.view)) for file in files if file.image is not None]
    async with database.snapshot() as db:
        found = await stored_views.holdings(db, wanted, list(served.versions))
        versions = {image: holding.view.version for (image, _), holding in found.items() if holding.view}
        sealed = await stored_views.reports(
            db, [(image, served.view, version) for image, version in versions.items()]
        )
    return await _opened(shelf, cipher, served, files, found, sealed)


def _demand(caller: Caller, place: Place, name: str) -> Entry:
    acl.demand(caller, place, Right.READ, View(name))
    if place.entry is None:
        raise acl.missing(caller)
    return place.entry


async def _opened(
    shelf: Shelf,
    cipher: CipherPool,
    served: Served,
    files: Sequence[Entry],
    found: Mapping[tuple[UUID, str], stored_views.Holding],
    sealed: Mapping[UUID, bytes],
) -> list[ImageReport]:
    registrations = {holding.registration for holding in found.values()}
    secrets = await shelf.keys.fetch(registrations, identity=False)

    def of_some(some: Sequence[Entry]) -> list[ImageReport]:
        return [
            _one(entry, holding, secrets, sealed.get(entry.image))
            for entry in some
            if entry.image is not None and (holding := found.get((entry.image, served.view))) is not None
        ]

    reports: list[ImageReport] = []
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        reports += await cipher.run(partial(of_some, some))
    return reports


def _one(entry: Entry, holding: stored_views.Holding, fetched: Fetched, sealed: bytes | None) -> ImageReport:
    view = holding.view
    if not holding.locality.is_online:
        return ImageReport(entry.guid, holding.locality.lower(), "the file's bytes are not here")
    if view is None or view.record is None:
        return ImageReport(entry.guid, view.state if view else "pending", view.reason if view else None)
    if (secrets := fetched.get(view.image)) is None:
        if holding.registration in fetched.untold:
            return ImageReport(entry.guid, "unavailable", "the image's keys cannot be read now: try again")
        return ImageReport(entry.guid, "damaged", "the image's stored secrets do not open")
    told: dict[str, Any] = {}
    if sealed is not None:
        try:
            told = orjson.loads(
                record.unseal_report(sealed, secrets.image, view.image, view.name, view.version)
            )
        except InvalidTag:
            return ImageReport(entry.guid, "damaged", "the view's stored report does not open")
    return ImageReport(
        entry.guid,
        "ready",
        None,
        view.version,
        told.get("study"),
        told.get("pixels"),
        tuple(told.get("touched", ())),
        tuple(told.get("stayed", ())),
        tuple(told.get("warnings", ())),
    )
