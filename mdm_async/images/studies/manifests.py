"""What a manifest tells of a study: those of its instances, at and below some names, that the caller may see."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from mdm_async.catalog import installation
from mdm_async.catalog.metadata.studies import Row
from mdm_async.dicom.indexed import Level
from mdm_async.dicom.manifests.manifest import Instance, Manifest, Said, Series, first, uid_of
from mdm_async.errors import Conflict, NotFound, TooLarge
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.studies import searching
from mdm_async.images.studies.asked import Asked, Uids
from mdm_async.images.studies.left_out import Turn
from mdm_async.images.studies.searching import MOST_RETRIEVED
from mdm_async.names import Caller, View

OF_STUDY: Final = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "StudyID", "PatientName",
    "PatientID", "PatientBirthDate", "PatientSex",
)  # fmt: skip
OF_SERIES: Final = ("Modality", "SeriesNumber", "SeriesDescription", "SeriesDate")
_OF_INSTANCE: Final = ("SOPClassUID", "InstanceNumber", "NumberOfFrames", "Rows")
TOLD: Final = (*OF_STUDY, *OF_SERIES, *_OF_INSTANCE)
PAGE: Final = 1_000
"""Instances that are looked up at once."""
_NAMED: Final = 5
"""Studies that a refusal names, where there are several."""


async def manifest(
    desk: Desk, caller: Caller, paths: Sequence[str], view: View | None, study: str | None, turn: Turn
) -> tuple[Manifest, View, UUID]:
    """It, the view that it tells of, and the installation that has it. `study`: which, as that view shows its UID;
    `turn`: what a search waits for.

    Raises NotFound where nothing is to be seen, Conflict where several studies are or several views are shown,
    TooLarge; and as `searching.search`.
    """
    seen = _Seen()
    for path in dict.fromkeys(paths):
        asked = Asked(Level.INSTANCE, Uids(study), (), path, view, limit=PAGE, told=TOLD)
        try:
            await _look(desk, caller, asked, seen, turn)
        except NotFound as why:
            if len(paths) > 1:
                why.detail = f"name {paths.index(path) + 1} of {len(paths)}: {why.detail}"
            raise
    if not seen.instances:
        raise NotFound(
            "there is nothing here of which a manifest could tell, or nothing that this caller may see",
            remedy="it takes the rights to read the view and to get the metadata (g, r), and files that were brought "
            "from their archive at least once (mdm pacs stage)",
        )
    uid, shown = next(iter(seen.studies)), next(iter(seen.views))
    async with desk.database.acquire() as db:
        of = await installation.identity(db)
    return Manifest(uid_of(uuid4()), datetime.now(UTC), uid, seen.studies[uid], seen.series()), shown, of


@dataclass(slots=True)
class _Seen:
    """What has been looked up."""

    studies: dict[str, Said] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    """Of series."""
    instances: dict[str, tuple[str, Instance]] = field(default_factory=dict)
    """By UID, each with its series."""
    views: set[View] = field(default_factory=set)

    def add(self, row: Row) -> None:
        self.studies.setdefault(row.study, {name: row.said.get(name, ()) for name in OF_STUDY})
        self.said.setdefault(row.series, {name: row.said.get(name, ()) for name in OF_SERIES})
        self.instances[row.instance] = row.series, _instance(row)
        self.views.add(row.view)

    def demand_fit(self) -> None:
        """Raises Conflict for more than one study or view, TooLarge."""
        if len(self.studies) > 1:
            named = ", ".join(sorted(self.studies)[:_NAMED])
            raise Conflict(
                f"a manifest tells of one study, and here are several: {named}{' …' * (len(self.studies) > _NAMED)}",
                remedy="name one of them (--study)",
            )
        if len(self.views) > 1:
            named = ", ".join(sorted(self.views))
            raise Conflict(
                f"the files are shown in different views: {named}", remedy="name one of them (--view)"
            )
        if len(self.instances) > MOST_RETRIEVED:
            raise _too_many()

    def series(self) -> list[Series]:
        found: dict[str, list[Instance]] = {uid: [] for uid in sorted(self.said)}
        for series, instance in self.instances.values():
            found[series].append(instance)
        return [Series(uid, self.said[uid], sorted(some, key=_in_order)) for uid, some in found.items()]


async def _look(desk: Desk, caller: Caller, asked: Asked, seen: _Seen, turn: Turn) -> None:
    """Page by page. Raises Conflict where another page is no longer that which follows."""
    offset = 0
    total: int | None = None
    while True:
        async with turn():
            found = await searching.search(desk, caller, replace(asked, offset=offset))
        if found.identified:
            raise Conflict(
                "what is shown here by default are originals", remedy="name that view (--view identified)"
            )
        offset += len(found.rows)
        if found.cut or offset + found.more > MOST_RETRIEVED:
            raise _too_many()
        if total not in (None, offset + found.more) or (found.more and not found.rows):
            raise Conflict("files came or went meanwhile", remedy="ask again")
        total = offset + found.more
        for row in found.rows:
            seen.add(row)
        seen.demand_fit()
        if not found.more:
            return


def _too_many() -> TooLarge:
    return TooLarge(
        f"more than {MOST_RETRIEVED} instances, or too much to look through for them",
        remedy="name a folder of one study",
    )


def _instance(row: Row) -> Instance:
    frames = first(row.said, "NumberOfFrames")
    count = int(frames) if frames.isdecimal() else 0
    return Instance(
        row.instance,
        first(row.said, "SOPClassUID"),
        first(row.said, "InstanceNumber"),
        max(count, 1) if row.said.get("Rows") else 0,
    )


def _in_order(instance: Instance) -> tuple[int, str]:
    return int(instance.number) if instance.number.isdecimal() else 0, instance.uid
