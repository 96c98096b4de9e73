"""Studies, series and instances that a caller may know of, by the UIDs that the views' own bytes have.

They are put together from entries: what is counted, cut and told is what the caller may see, in one statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from mdm_async.catalog.metadata.candidates import Probe, found
from mdm_async.catalog.metadata.columns import SAID, Arguments
from mdm_async.catalog.metadata.conditions import holds
from mdm_async.catalog.metadata.matches import Known
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.visible import VISIBLE, Seen, may_get_metadata, may_read, view_of
from mdm_async.dicom.indexed import Level
from mdm_async.names import Right, View
from mdm_async.postgres.database import Connection
from mdm_async.querying.conditions import Condition

_UIDS: Final = {Level.STUDY: 1, Level.SERIES: 2, Level.INSTANCE: 3}
_COLUMNS: Final = ("study", "series", "instance")


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for at one level.

    `condition` must hold of an instance for it to count. Of each of `among` it is enough that it holds of one
    instance of the study, or series. `view`: None for each entry's default view. `unseen`: the right to read the view
    is enough; else it takes the right to get the metadata too.
    """

    level: Level
    condition: Condition
    among: tuple[Condition, ...]
    view: View | None
    versions: Sequence[str]
    unseen: bool
    offset: int
    limit: int
    told: Sequence[str]
    """By keyword, what is told of each."""


@dataclass(frozen=True, slots=True)
class Row:
    """A study, series or instance, as the oldest of its entries tells it; UIDs below its level are that one's too."""

    study: str
    series: str
    instance: str
    guid: UUID
    """Of the entry."""
    view: View
    said: Mapping[str, list[Any]]
    """Of that entry's view, by keyword."""
    count_of_series: int | None
    count: int | None
    """Of its instances. Both: None where not all were looked at."""
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    entries: Sequence[tuple[int, View]]
    """Of an instance that is to be read: all that have it, each by its id and its view, the oldest first."""


@dataclass(frozen=True, slots=True)
class Rows:
    """`more`: how many come behind them; `cut`: not all that the caller may see was looked at; `identified`: where is
    looked, originals are what is shown by default, of which nothing is told here."""

    rows: Sequence[Row]
    more: int
    cut: bool
    identified: bool = False


async def of_visible(db: Connection, seen: Seen, sought: Sought, most: int) -> Rows:
    """Of the first `most` files that are visible, in the order of directories' ids and of names."""
    arguments = Arguments(list(seen.arguments))
    view = arguments.add(sought.view, "text")
    limit = arguments.add(most + 1, "bigint")
    left_out = _left_out(seen, arguments)
    page = (
        f"select * from ("
        f"  (select e.* from (select * from visible order by directory offset 0) v cross join lateral ("
        f"    select id, parent, name, guid, image, {view_of('v', 'e', view)} as view from entries e"
        f"    where parent = v.directory and image is not null and id <> all({left_out}) and {_may(sought, view)}"
        f"    order by name limit {limit}) e limit {limit})"
        f"  union all select e.id, e.parent, e.name, e.guid, e.image, k.view"
        f"  from {_known(_alone(seen, sought), arguments)}"
        f"    cross join lateral (select * from entries where id = k.id limit 1) e"
        f") e order by parent, name limit {limit}"
    )
    return await _rows(db, f"{VISIBLE}, page as materialized ({page})", sought, arguments, "page", most)


async def of_candidates(db: Connection, seen: Seen, probe: Probe, sought: Sought, most: int) -> Rows:
    """Of the first `most` instances that match and are visible, in the same order, among those that an index gives.

    What else it gives costs time, and changes nothing.
    """
    arguments = Arguments(list(seen.arguments))
    view = arguments.add(sought.view, "text")
    left_out = _left_out(seen, arguments)
    page = (
        f"select e.id, e.parent, e.name, e.guid, e.image, {view_of('v', 'e', view)} as view"
        f" from entered e join visible v on v.directory = e.parent"
        f" where e.image is not null and e.id <> all({left_out}) and {_may(sought, view)}"
        f" union all select e.id, e.parent, e.name, e.guid, e.image, k.view"
        f" from {_known(_alone(seen, sought), arguments)}"
        f"   cross join lateral (select * from entries where id = k.id limit 1) e"
        f" where e.id in (select id from found)"
    )
    # Of an array it is not thought that it has one row alone, for which all of `visible` may be gone through.
    entered = (
        "select e.* from unnest(array(select distinct id from found)) as f (id)"
        " cross join lateral (select * from entries where id = f.id limit 1) e"
    )
    relations = (
        f"{VISIBLE}, {found(probe, sought.versions, arguments)},"
        f" entered as materialized ({entered}), page as materialized ({page})"
    )
    return await _rows(db, relations, sought, arguments, "instances", most)


def _may(sought: Sought, view: str) -> str:
    may = may_read("v", "e", view)
    return may if sought.unseen else f"{may} and {may_get_metadata('v', 'e')}"


def _left_out(seen: Seen, arguments: Arguments) -> str:
    return arguments.add([one.entry.id for one in seen.apart if one.entry is not None], "bigint[]")


def _alone(seen: Seen, sought: Sought) -> list[Known]:
    """What the caller may know of the entries apart."""
    apart = {one.entry.id: (one, one.entry) for one in seen.apart if one.entry is not None}
    return [
        Known(id_, entry.image, sought.view or one.default_view, readable=True)
        for id_, (one, entry) in apart.items()
        if entry.image is not None
        and acl.allows(seen.caller, one, Right.READ, sought.view)
        and (sought.unseen or acl.allows(seen.caller, one, Right.GET_METADATA))
    ]


async def of_known(db: Connection, known: Sequence[Known], sought: Sought) -> Rows:
    """Of entries that the caller may know of."""
    arguments = Arguments()
    page = (
        f"select e.id, e.parent, e.name, e.guid, e.image, k.view"
        f" from {_known(known, arguments)} cross join lateral (select * from entries where id = k.id limit 1) e"
        f" where e.image = k.image"
    )
    return await _rows(db, f"page as materialized ({page})", sought, arguments, "page", len(known))


def _known(known: Sequence[Known], arguments: Arguments) -> str:
    columns = (
        arguments.add([one.id for one in known], "bigint[]"),
        arguments.add([one.image for one in known], "uuid[]"),
        arguments.add([one.view for one in known], "text[]"),
    )
    return f"unnest({', '.join(columns)}) as k (id, image, view)"


async def _rows(
    db: Connection, page: str, sought: Sought, arguments: Arguments, counted: str, most: int
) -> Rows:
    """`counted`: the relation of which there may be `most`."""
    said = SAID.replace("{VERSIONS}", arguments.add(list(sought.versions), "text[]"))
    keys = ", ".join(_COLUMNS[: _UIDS[sought.level]])
    ordered = ", ".join(f'f.{one} collate "C"' for one in _COLUMNS[: _UIDS[sought.level]])
    among = [holds(one, arguments) for one in sought.among]
    having = " and ".join(["true", *(f"bool_or(among_{place})" for place in range(len(among)))])
    copies = "'{}'::bigint[] as ids, '{}'::text[] as views"
    if sought.unseen:
        copies = "array_agg(id order by id) as ids, array_agg(view order by id) as views"
    marks = "".join(f", {one} as among_{place}" for place, one in enumerate(among))
    rows = await db.fetch(
        f"with recursive {page}, instances as materialized ("
        f"  select e.id, e.guid, e.view, study.attributes -> '{_STUDY}' ->> 0 as study,"
        f"    series.attributes -> '{_SERIES}' ->> 0 as series, instance.attributes -> '{_INSTANCE}' ->> 0 as instance,"
        f"    series.attributes -> 'Modality' ->> 0 as modality,"
        f"    series.attributes -> 'SOPClassUID' ->> 0 as class,"
        f"    e.image, instance.version, instance.series as of_series{marks}"
        f"  from (select *, true as readable from page) e {said}"
        f"  where instance.version is not null and instance.attributes ? '{_INSTANCE}'"
        f"    and series.attributes ? '{_SERIES}' and study.attributes ? '{_STUDY}'"
        f"    and {holds(sought.condition, arguments)}"
        f"  order by e.parent, e.name limit {arguments.add(most + 1, 'bigint')}"
        f"), groups as materialized ("
        f"  select (array_agg({_TOLD} order by id))[1] as first, count(distinct (study, series)) as count_of_series,"
        f"    count(distinct (study, series, instance)) as count,"
        f"    array_agg(distinct modality) filter (where modality is not null) as modalities,"
        f"    array_agg(distinct class) filter (where class is not null) as classes,"
        f"    {copies}"
        f"  from instances group by {keys} having {having}"
        f"), counted as ("
        f"  select (select count(*) from groups) as all_found, (select count(*) from {counted}) as looked_at"
        f"), told as ("
        f"  select f.*, count_of_series, count, modalities, classes, ids, views from groups"
        f"   cross join lateral jsonb_to_record(first) as f (id bigint, guid uuid, image uuid, view text, version text,"
        f"     of_series bigint, study text, series text, instance text)"
        f"  order by {ordered}"
        f"  offset {arguments.add(sought.offset, 'bigint')} limit {arguments.add(sought.limit, 'bigint')}"
        f") select counted.*, told.*,"
        f"  (select jsonb_object_agg(key, value) from jsonb_each("
        f"    patient.attributes || study.attributes || series.attributes || instance.attributes)"
        f"    where key = any({arguments.add(list(sought.told), 'text[]')})) as said"
        f" from counted left join (told"
        f"   cross join lateral (select attributes from view_attributes"
        f"     where image = told.image and view = told.view and version = told.version limit 1) instance"
        f"   cross join lateral (select parent, attributes from meta_sets where id = told.of_series limit 1) series"
        f"   cross join lateral (select parent, attributes from meta_sets where id = series.parent limit 1) study"
        f"   cross join lateral (select attributes from meta_sets where id = study.parent limit 1) patient) on true"
        f' order by told.study collate "C", told.series collate "C", told.instance collate "C"',
        *arguments.values,
    )
    told = [
        Row(
            row["study"],
            row["series"],
            row["instance"],
            row["guid"],
            View(row["view"]),
            row["said"] or {},
            row["count_of_series"],
            row["count"],
            tuple(row["modalities"] or ()),
            tuple(row["classes"] or ()),
            [(id_, View(view)) for id_, view in zip(row["ids"], row["views"], strict=True)],
        )
        for row in rows
        if row["id"] is not None
    ]
    more = max(0, rows[0]["all_found"] - sought.offset - len(told))
    return Rows(told, more, rows[0]["looked_at"] > most)


_TOLD: Final = (
    "jsonb_build_object('id', id, 'guid', guid, 'image', image, 'view', view, 'version', version,"
    " 'of_series', of_series, 'study', study, 'series', series, 'instance', instance)"
)
"""An instance, with no more than leads to what it says: that is read of those alone which are told."""
_STUDY, _SERIES, _INSTANCE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
