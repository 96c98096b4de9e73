"""What a curator reads before a release: the distinct texts that are left in a view, by attribute.

Of the made views, so of what whoever gets them can read. What the profile put there itself (pseudonyms, dummies, what
is said of every de-identified image) is left out where nothing else stands in the attribute. Values are answered, and
stand in no log and no audit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, visible
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.catalog.rights.visible import START, Cursor
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.scrubbing.steps import ADDED
from mdm_async.dicom.texts import Text, texts_of
from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.reading import stream
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.surls import resolve_one
from mdm_async.images.views.pseudonyms import identified_by
from mdm_async.images.views.report import ImageReport, reports_of
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Connection

_FILES: Final = 100
"""Files on a page at the most."""
_BYTES: Final = 64 << 20
"""Heads on a page; one more is always looked at."""
_COUNTED: Final = 10_000
"""Files that are counted beforehand, to show how far it is."""
_LONGEST: Final = 1000
"""Characters of a text that are told."""
_MOST: Final = 2000
"""Distinct texts of one attribute on a page."""
_OURS: Final = frozenset("XZDUS")


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is left in one attribute of a page's files; `more` counts texts beyond the most that are told."""

    tag: int
    vr: str
    texts: dict[str, int]
    """How often each stands there."""
    more: int


@dataclass(frozen=True, slots=True)
class Page:
    """Of some files; `after` leads to the next page, None at the end."""

    digest: str
    files: int
    withheld: int
    """Files among these whose view is not ready, or which the caller may not identify: nothing is told of them."""
    total: int | None
    """Files on all pages, told on the first; None when there are too many to count."""
    attributes: list[Attribute]
    after: Cursor | None


async def survivors(
    workshop: Workshop, shelf: Shelf, verdicts: Verdicts, caller: Caller, surl: str, after: Cursor | None
) -> Page:
    """Of a file, or of some files below a directory of which the caller may read this view.

    It takes the right `i` too: on the file, or where else the image has a name, since a project's own entries give it
    to nobody. Raises BadRequest unless the SURL names a de-identified view that there is.
    """
    database = workshop.depot.database
    async with database.acquire() as db:
        await shelf.served.refresh(db)
        named, place = await resolve_one(db, caller, surl)
        view = named.view or place.default_view
        acl.demand(caller, place, Right.READ, view)
        if place.entry is None:
            raise acl.missing(caller)
        served = shelf.served.get(view)
        if served is None:
            raise BadRequest(
                "there is no de-identified view of that name",
                remedy="see mdm profile list",
            )
        files, total = await _files(db, verdicts, caller, place, place.entry, view, after)
        identifiable = await identified_by(db, caller, {one.image for one in files if one.image is not None})
        if not identifiable and after is None:
            acl.demand(caller, place, Right.IDENTITY)
    allowed = [one for one in files if one.image in identifiable]
    reports = await reports_of(database, shelf, workshop.cipher, served, allowed)
    told = {one.guid: one for one in reports if one.state == "ready"}
    found: Counter[Text] = Counter()
    size = looked_at = withheld = 0
    for entry in files:
        if size > _BYTES:
            break
        looked_at += 1
        one = told.get(entry.guid)
        if one is None or entry.image is None:
            withheld += 1
            continue
        try:
            head, tail = await _head_and_tail(
                workshop, await shelf.load_one(database, entry.image, served.view)
            )
        except MdmError:  # changed since
            withheld += 1
            continue
        size += len(head) + len(tail)
        found.update(await workshop.cipher.run(partial(_texts, head, tail, _written_by_us(one))))
    more = looked_at < len(files) or (place.entry.is_directory and len(files) == _FILES)
    last = files[looked_at - 1] if files else None
    async with database.transaction() as db:
        # Before anything is told.
        read = [one.guid for one in files[:looked_at] if one.guid in told] or [place.entry.guid]
        await acts.record(db, [Act(caller, "survivors", guid=guid, view=served.view) for guid in read])
    return Page(
        digest=served.profile.digest,
        files=looked_at,
        withheld=withheld,
        total=total,
        attributes=_by_attribute(found),
        after=(last.parent, last.name) if more and last is not None and last.parent is not None else None,
    )


async def _files(
    db: Connection,
    verdicts: Verdicts,
    caller: Caller,
    place: Place,
    entry: Entry,
    view: View,
    after: Cursor | None,
) -> tuple[Sequence[Entry], int | None]:
    """The next page's files, and on the first page how many there are."""
    if not entry.is_directory:
        return [entry], 1
    seen = await visible.below(db, caller, await verdicts.of(db, caller, place.newest_acl), place)
    total = None
    if after is None:
        count = len(await visible.files(db, seen, view, _COUNTED + 1))
        total = count if count <= _COUNTED else None
    return await visible.files(db, seen, view, _FILES, after or START), total


async def _head_and_tail(workshop: Workshop, ready: ReadyView) -> tuple[bytes, bytes]:
    found = {Kind.HEAD.value: b"", Kind.TAIL.value: b""}
    at = 0
    for part in ready.parts:
        stop = at + part.record.size
        if part.row.kind in found:
            pieces = stream.clear(workshop.depot.blobs, ready, at, stop)
            found[part.row.kind] += b"".join([bytes(piece) async for piece in pieces])
        at = stop
    return found[Kind.HEAD.value], found[Kind.TAIL.value]


def _written_by_us(report: ImageReport) -> frozenset[int]:
    """Attributes in which nothing stands but what the profile put there."""
    replaced = {line["tag"] for line in report.touched if line["action"] in _OURS}
    kept = {line["tag"] for line in (*report.touched, *report.stayed) if line["action"] not in _OURS}
    # Private attributes are counted together, so what is left of them is always told.
    return ADDED | {int(tag[1:5] + tag[6:10], 16) for tag in replaced - kept - {"private"}}


def _texts(head: bytes, tail: bytes, without: frozenset[int]) -> Counter[Text]:
    return Counter(
        text._replace(value=text.value[:_LONGEST] + "…" * (len(text.value) > _LONGEST))
        for text in texts_of(head, tail, without)
    )


def _by_attribute(found: Counter[Text]) -> list[Attribute]:
    gathered: dict[tuple[int, str], dict[str, int]] = {}
    for text in sorted(found):
        gathered.setdefault((text.tag, text.vr), {})[text.value] = found[text]
    return [
        Attribute(tag, vr, dict(list(texts.items())[:_MOST]), max(0, len(texts) - _MOST))
        for (tag, vr), texts in gathered.items()
    ]
