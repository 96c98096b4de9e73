"""Studies, series and instances that a caller may know of, by the UIDs that the views' own bytes have.

They are put together from entries: what is counted, cut and told is what the caller may see, in one statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

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
    """All that is indexed of that entry's view."""
    count_of_series: int
    count: int
    """Of its instances."""
    modalities: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """`more`: how many come behind them; `cut`: not all that the caller may see was looked at."""

    rows: Sequence[Row]
    more: int
    cut: bool


async def of_visible(db: Connection, seen: Seen, sought: Sought, most: int) -> Rows:
    """Of the first `most` files that are visible, in the order of directories' ids and of names."""
    apart = {one.entry.id: one for one in seen.apart if one.entry is not None}
    alone = [
        Known(id_, one.entry.image, sought.view or one.default_view, readable=True)
        for id_, one in apart.items()
        if one.entry is not None
        and one.entry.image is not None
        and acl.allows(seen.caller, one, Right.READ, sought.view)
        and (sought.unseen or acl.allows(seen.caller, one, Right.GET_METADATA))
    ]
    arguments = Arguments(list(seen.arguments))
    view = arguments.add(sought.view, "text")
    limit = arguments.add(most + 1, "bigint")
    left_out = arguments.add(list(apart), "bigint[]")
    may = may_read("v", "e", view)
    if not sought.unseen:
        may += f" and {may_get_metadata('v', 'e')}"
    page = (
        f"select * from ("
        f"  (select e.* from (select * from visible order by directory offset 0) v cross join lateral ("
        f"    select id, parent, name, guid, image, {view_of('v', 'e', view)} as view from entries e"
        f"    where parent = v.directory and image is not null and id <> all({left_out}) and {may}"
        f"    order by name limit {limit}) e limit {limit})"
        f"  union all select e.id, e.parent, e.name, e.guid, e.image, k.view"
        f"  from {_known(alone, arguments)} cross join lateral (select * from entries where id = k.id limit 1) e"
        f") e order by parent, name limit {limit}"
    )
    return await _rows(db, f"{VISIBLE}, page as materialized ({page})", sought, arguments, most)


async def of_known(db: Connection, known: Sequence[Known], sought: Sought) -> Rows:
    """Of entries that the caller may know of."""
    arguments = Arguments()
    page = (
        f"select e.id, e.parent, e.name, e.guid, e.image, k.view"
        f" from {_known(known, arguments)} cross join lateral (select * from entries where id = k.id limit 1) e"
        f" where e.image = k.image"
    )
    return await _rows(db, f"page as materialized ({page})", sought, arguments, len(known))


def _known(known: Sequence[Known], arguments: Arguments) -> str:
    columns = (
        arguments.add([one.id for one in known], "bigint[]"),
        arguments.add([one.image for one in known], "uuid[]"),
        arguments.add([one.view for one in known], "text[]"),
    )
    return f"unnest({', '.join(columns)}) as k (id, image, view)"


async def _rows(db: Connection, page: str, sought: Sought, arguments: Arguments, most: int) -> Rows:
    said = SAID.replace("{VERSIONS}", arguments.add(list(sought.versions), "text[]"))
    keys = ", ".join(_COLUMNS[: _UIDS[sought.level]])
    ordered = ", ".join(f'{one} collate "C"' for one in _COLUMNS[: _UIDS[sought.level]])
    among = [holds(one, arguments) for one in sought.among]
    having = " and ".join(["true", *(f"bool_or(among_{place})" for place in range(len(among)))])
    marks = "".join(f", {one} as among_{place}" for place, one in enumerate(among))
    rows = await db.fetch(
        f"with recursive {page}, instances as materialized ("
        f"  select e.id, e.guid, e.view, study.attributes -> '{_STUDY}' ->> 0 as study,"
        f"    series.attributes -> '{_SERIES}' ->> 0 as series, instance.attributes -> '{_INSTANCE}' ->> 0 as instance,"
        f"    series.attributes -> 'Modality' ->> 0 as modality,"
        f"    series.attributes -> 'SOPClassUID' ->> 0 as class,"
        f"    instance.series as of_series, instance.attributes as said{marks}"
        f"  from (select *, true as readable from page) e {said}"
        f"  where instance.version is not null and instance.attributes ? '{_INSTANCE}'"
        f"    and series.attributes ? '{_SERIES}' and study.attributes ? '{_STUDY}'"
        f"    and {holds(sought.condition, arguments)}"
        f"), found as materialized ("
        f"  select {keys}, min(id) as id, count(distinct (study, series)) as count_of_series,"
        f"    count(distinct (study, series, instance)) as count,"
        f"    array_agg(distinct modality) filter (where modality is not null) as modalities,"
        f"    array_agg(distinct class) filter (where class is not null) as classes"
        f"  from instances group by {keys} having {having}"
        f"), counted as ("
        f"  select (select count(*) from found) as all_found, (select count(*) from page) as looked_at"
        f"), told as ("
        f"  select * from found order by {ordered}"
        f"  offset {arguments.add(sought.offset, 'bigint')} limit {arguments.add(sought.limit, 'bigint')}"
        f") select counted.*, told.id, told.count_of_series, told.count, told.modalities, told.classes,"
        f"  i.study, i.series, i.instance, i.guid, i.view,"
        f"  patient.attributes || study.attributes || series.attributes || i.said as said"
        f" from counted left join (told join instances i using (id)"
        f"   cross join lateral (select parent, attributes from meta_sets where id = i.of_series limit 1) series"
        f"   cross join lateral (select parent, attributes from meta_sets where id = series.parent limit 1) study"
        f"   cross join lateral (select attributes from meta_sets where id = study.parent limit 1) patient) on true"
        f' order by i.study collate "C", i.series collate "C", i.instance collate "C"',
        *arguments.values,
    )
    found = [
        Row(
            row["study"],
            row["series"],
            row["instance"],
            row["guid"],
            View(row["view"]),
            row["said"],
            row["count_of_series"],
            row["count"],
            tuple(row["modalities"] or ()),
            tuple(row["classes"] or ()),
        )
        for row in rows
        if row["id"] is not None
    ]
    more = max(0, rows[0]["all_found"] - sought.offset - len(found))
    return Rows(found, more, rows[0]["looked_at"] > most)


_STUDY, _SERIES, _INSTANCE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
