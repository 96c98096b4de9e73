"""Certificates of de-identification: of a file's view, or of all below a directory, as the caller may read them."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit.view_certificate import CertifiedImage, ViewCertificate
from mdm_async.catalog import installation
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.dicom.scrub import REVISION
from mdm_async.images.parts import adler
from mdm_async.images.reading import stream
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.views.report import ImageReport, Report, report
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Caller

_HASHED: Final = 1 << 30
"""Bytes of all images together that are read for their SHA-256; of more, size and ADLER32 have to do."""
_LOADED: Final = 200


@dataclass(frozen=True, slots=True, repr=False)
class Certifier:
    """Who signs."""

    workshop: Workshop
    shelf: Shelf
    verdicts: Verdicts
    private: Ed25519PrivateKey


async def certificate(certifier: Certifier, caller: Caller, surl: str) -> str:
    """The signed text; that it was issued is in the audit, with its SHA-256. Raises as `report`."""
    workshop, shelf = certifier.workshop, certifier.shelf
    database = workshop.depot.database
    found = await report(database, shelf, workshop.cipher, certifier.verdicts, caller, surl)
    served = found.served
    images, changed = await _certified(workshop, shelf, found)
    reports = [one for one in found.files if one.guid not in changed]
    async with database.acquire() as db:
        own = await installation.identity(db)
    profile = served.profile
    made = ViewCertificate(
        installation=str(own),
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        view=served.view,
        profile={
            "base": profile.base,
            "edition": profile.edition,
            "options": sorted(profile.options),
            "digest": profile.digest,
        },
        revision=REVISION,
        states=dict(Counter(one.state for one in reports)),
        withheld=dict(Counter(one.reason or "not made yet" for one in reports if one.state != "ready")),
        went=_went(reports),
        stayed=_stayed(reports),
        warnings=list(profile.warnings),
        seen=dict(Counter(warning for one in reports for warning in one.warnings)),
        images=images,
    )
    text = await workshop.cipher.run(lambda: made.signed(certifier.private))
    async with database.transaction() as db:
        details = {"images": len(images), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        await acts.record(
            db, [Act(caller, "certificate", guid=found.of.guid, view=served.view, details=details)]
        )
    return text


async def _certified(
    workshop: Workshop, shelf: Shelf, found: Report
) -> tuple[list[CertifiedImage], set[UUID]]:
    """The images whose view is ready, in the order of the files; GUIDs of those that changed meanwhile."""
    versions = {one.guid: one.version for one in found.files if one.state == "ready"}
    ready: dict[UUID, ReadyView] = {}
    wanted = [
        (one.guid, one.image) for one in found.entries if one.guid in versions and one.image is not None
    ]
    for start in range(0, len(wanted), _LOADED):
        some = wanted[start : start + _LOADED]
        async with workshop.depot.database.acquire() as db:
            views = await shelf.find_whole(db, [(image, found.served.view) for _, image in some])
        for (guid, _), view in zip(some, await shelf.load(views), strict=True):
            # What is certified is what the report is of.
            if isinstance(view, ReadyView) and view.version == versions[guid]:
                ready[guid] = view
    hashes: dict[UUID, str] = {}
    if sum(view.size for view in ready.values()) <= _HASHED:
        for guid, view in ready.items():
            hashes[guid] = await _sha256(workshop, view)
    images = [
        CertifiedImage(
            str(guid),
            view.version,
            view.size,
            adler.text(view.adler32),
            view.etag.strip('"'),
            hashes.get(guid),
        )
        for guid, view in ready.items()
    ]
    return images, versions.keys() - ready.keys()


async def _sha256(workshop: Workshop, view: ReadyView) -> str:
    digest = hashlib.sha256()
    async for piece in stream.clear(workshop.depot.blobs, view, 0, view.size):
        await workshop.cipher.run(partial(digest.update, piece))
    return digest.hexdigest()


def _went(reports: Sequence[ImageReport]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for line in (line for one in reports for line in one.touched):
        counts.setdefault(line["because"], Counter())[line["action"]] += line["count"]
    return {because: dict(letters) for because, letters in counts.items()}


def _stayed(reports: Sequence[ImageReport]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for line in (line for one in reports for line in one.stayed):
        counts[line["because"]] += line["count"]
    return dict(counts)
