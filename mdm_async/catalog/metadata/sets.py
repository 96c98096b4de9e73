"""Sets of attributes of patients, studies and series, each kept once and named by all images that say the same."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from mdm_async.catalog.work.queue import Queue
from mdm_async.dicom.attributes import Attributes, Value, Values
from mdm_async.dicom.indexed import by_keyword
from mdm_async.postgres.database import Connection

SETS_TO_CHECK = Queue("sets of attributes to check", "sets_to_check", ("id",), ("bigint",))
NAMED_WITHIN = 3600.0
"""Seconds after which a new set goes that nothing names."""
_LEVELS = range(1, 4)


@dataclass(frozen=True, slots=True)
class AttributeSet:
    """One set; the digest covers what is above it too."""

    level: int
    parent: bytes | None
    digest: bytes
    attributes: Values


def chain_of(attributes: Attributes) -> tuple[AttributeSet, AttributeSet, AttributeSet]:
    """The sets of patient, study and series that a file belongs to."""
    patient = _set(1, None, attributes.patient)
    study = _set(2, patient.digest, attributes.study)
    return patient, study, _set(3, study.digest, attributes.series)


def _set(level: int, parent: bytes | None, values: Values) -> AttributeSet:
    said = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    return AttributeSet(
        level, parent, hashlib.sha256(bytes([level]) + (parent or b"") + said).digest(), values
    )


async def intern(db: Connection, sets: Iterable[AttributeSet]) -> dict[bytes, int]:
    """The ids of these sets by digest; what is not there is made, parents first.

    Call it in a transaction, which keeps the sets from going until it ends; best in a short one before the one that
    names them, so that two that bring images of one new series do not wait for each other to the end of theirs.
    """
    wanted = {one.digest: one for one in sets}
    found: dict[bytes, int] = {}
    while lacking := wanted.keys() - found.keys():
        found |= await _there(db, lacking)
        for level in _LEVELS:
            new = [one for one in wanted.values() if one.level == level and one.digest not in found]
            # A parent that somebody else is just making is there at the next look.
            ready = [one for one in new if one.parent is None or one.parent in found]
            if ready:
                found |= await _make(db, level, ready, found)
    return found


async def _there(db: Connection, digests: Collection[bytes]) -> dict[bytes, int]:
    rows = await db.fetch(
        "select id, digest from meta_sets where digest = any($1::bytea[]) order by id for key share",
        list(digests),
    )
    return {row["digest"]: row["id"] for row in rows}


async def _make(
    db: Connection, level: int, sets: Sequence[AttributeSet], known: dict[bytes, int]
) -> dict[bytes, int]:
    # All make them in one order, so that nobody waits for each other.
    ordered = sorted(sets, key=lambda one: one.digest)
    values = [(one.digest, *value) for one in ordered for value in values_of(one.attributes)]
    rows = await db.fetch(
        "with made as ("
        "  insert into meta_sets (level, parent, digest, attributes)"
        "  select $1, parent, digest, attributes"
        "  from unnest($2::bigint[], $3::bytea[], $4::jsonb[]) as s (parent, digest, attributes)"
        "  on conflict (digest) do nothing returning id, digest"
        "), valued as ("
        "  insert into meta_values (set, tag, text, number) select id, tag, text, number from made join"
        "  unnest($5::bytea[], $6::int[], $7::text[], $8::float8[]) as v (digest, tag, text, number) using (digest)"
        "), checked as ("
        "  insert into sets_to_check (set, due) select id, now() + make_interval(secs => $9) from made"
        ") select id, digest from made",
        level,
        [known[one.parent] if one.parent is not None else None for one in ordered],
        [one.digest for one in ordered],
        [one.attributes for one in ordered],
        *([value[place] for value in values] for place in range(4)),
        NAMED_WITHIN,
    )
    return {row["digest"]: row["id"] for row in rows}


def values_of(attributes: Values) -> Iterator[tuple[int, str | None, float | None]]:
    """Each value once, as it is found: tag, text or number."""
    for keyword, values in attributes.items():
        tag = by_keyword()[keyword].tag
        for value in dict.fromkeys(values):
            yield tag, *_as_text_or_number(value)


def _as_text_or_number(value: Value) -> tuple[str | None, float | None]:
    return (value, None) if isinstance(value, str) else (None, float(value))


async def drop_unnamed(db: Connection, sets: Collection[int]) -> None:
    """Of these sets, those that neither an image nor another set names go; call it in a transaction.

    What is above them is looked at next.
    """
    # Whoever is about to name one is waited for, and seen then by a statement of its own.
    rows = await db.fetch(
        "select id from meta_sets where id = any($1::bigint[]) order by id for update", sorted(set(sets))
    )
    await db.execute(
        "with gone as ("
        "  delete from meta_sets s where id = any($1::bigint[])"
        "  and not exists (select from view_attributes a where a.series = s.id offset 0)"
        "  and not exists (select from meta_sets below where below.parent = s.id offset 0)"
        "  returning id, parent"
        "), of_values as (delete from meta_values where set = any(array(select id from gone)))"
        " insert into sets_to_check (set) select distinct parent from gone where parent is not null",
        [row["id"] for row in rows],
    )


async def of_rows(db: Connection, rows: Sequence[int]) -> list[int]:
    """The sets that these rows of the queue are about."""
    found = await db.fetch("select set from sets_to_check where id = any($1::bigint[])", rows)
    return [row["set"] for row in found]
