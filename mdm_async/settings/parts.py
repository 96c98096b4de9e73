"""What each of several processes that are a server together may use: its part of what is set for the node."""

import os
from math import ceil

from mdm_async.settings.pacs_sources import PacsSourceSettings
from mdm_async.settings.tree import Settings

_POOL, _CONTROL, _BULK, _CONNECTIONS, _QUEUE = 4, 4, 2, 8, 4
"""With fewer of these a process does not get on."""


def processes_of(settings: Settings) -> int:
    """How many serve; `auto`: one for each core that this process may use."""
    wanted = settings.server.processes
    return len(os.sched_getaffinity(0)) if wanted == "auto" else wanted


def part_of(settings: Settings, number: int, of: int) -> Settings:
    """The settings of process `number` (from 1). What one request may want it has whole."""
    if of == 1:
        return settings

    def part(whole: int, least: int = 1) -> int:
        return max(least, ceil(whole / of))

    def rate(whole: int) -> int:
        return part(whole) if whole else 0

    limits, transfers, database = settings.limits, settings.transfers, settings.database
    one_request = max(transfers.max_body, settings.scrub.max_head)
    shared_twice = limits.share * limits.share
    own_limits = limits.model_copy(
        update={
            "held": part(limits.held, _most(one_request / shared_twice, limits.held)),
            "pieces": part(limits.pieces, 4),
            "waiting": part(limits.waiting, 8),
            "files_rate": rate(limits.files_rate),
            "outstanding": part(
                limits.outstanding, _most(transfers.max_bulk / shared_twice, limits.outstanding)
            ),
            "anonymous_rate": rate(limits.anonymous_rate),
            "anonymous_outstanding": part(limits.anonymous_outstanding, 16),
            "digests": part(limits.digests, 8),
            "connections": part(limits.connections, _CONNECTIONS),
        }
    )
    own_database = database.model_copy(
        update={
            "pool": part(database.pool, min(_POOL, database.pool)),
            "waiting": part(database.waiting),
            "control_pool": part(database.control_pool, _CONTROL),
            "bulk_pool": part(database.bulk_pool, _BULK),
        }
    )
    sources = tuple(_part_of_source(source, number, of) for source in settings.pacs.sources)
    return settings.model_copy(
        update={
            "limits": own_limits,
            "database": own_database,
            "transfers": transfers.model_copy(update={"running": part(transfers.running)}),
            "scrub": settings.scrub.model_copy(update={"queue": part(settings.scrub.queue, _QUEUE)}),
            "naming": settings.naming.model_copy(update={"refused": rate(settings.naming.refused)}),
            "pacs": settings.pacs.model_copy(update={"sources": sources}),
        }
    )


def brings(source: PacsSourceSettings, number: int, of: int) -> bool:
    """Whether this process fetches images from that archive, or leaves it to the first. `source`: as it was set."""
    return number == 1 or _is_shared(source, of)


def _is_shared(source: PacsSourceSettings, of: int) -> bool:
    # What an archive is asked to move comes to the one port for it, which is the first's.
    return source.max_associations >= of and source.retrieve != "C-MOVE"


def _part_of_source(source: PacsSourceSettings, number: int, of: int) -> PacsSourceSettings:
    """Of one that is not shared the others may still ask what an administrator wants to know."""
    most, rate = source.max_associations, source.max_rate / of
    if _is_shared(source, of):
        mine = most // of + (number <= most % of)
    else:
        mine = max(1, most - (of - 1)) if number == 1 else 1
    return source.model_copy(update={"max_associations": mine, "max_rate": rate})


def _most(needed: float, given: int) -> int:
    return min(ceil(needed), given)
