"""What each of several processes may use: together what is set, and each as much as one request may want."""

import os
from typing import Any

import pytest

from mdm_async.errors import UnsafeSettings
from mdm_async.settings import Settings, brings, load, part_of, processes_of


def _settings(**sections: Any) -> Settings:
    return load(overrides=sections)


@pytest.mark.parametrize("count", [1, 2, 3, 16, 64])
def test_parts_are_sound_settings(count: int) -> None:
    whole = _settings()
    parts = [part_of(whole, number, count) for number in range(1, count + 1)]
    for part in parts:
        Settings.model_validate(part.model_dump())
    for section, name in [
        ("limits", "files_rate"),
        ("limits", "connections"),
        ("limits", "pieces"),
        ("transfers", "running"),
        ("limits", "anonymous_rate"),
        ("naming", "refused"),
        ("scrub", "queue"),
    ]:
        most = getattr(getattr(whole, section), name)
        together = sum(getattr(getattr(part, section), name) for part in parts)
        assert most <= together < most + 8 * count, name
    assert sum(part.database.pool for part in parts) < 16 + 4 * count


def test_what_has_no_bound_gets_none() -> None:
    whole = _settings(limits={"files_rate": 0, "anonymous_rate": 0}, naming={"refused": 0})
    part = part_of(whole, 2, 4)
    assert part.limits.files_rate == part.limits.anonymous_rate == part.naming.refused == 0


def test_auto_is_one_a_core() -> None:
    assert processes_of(_settings()) == 1
    assert processes_of(_settings(server={"processes": "3"})) == 3
    assert processes_of(_settings(server={"processes": "auto"})) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("processes", [2, "auto"])
def test_custodians_open_one_process(processes: int | str) -> None:
    assert _settings(keys={"kek_custodians": True}).server.processes == 1
    with pytest.raises(UnsafeSettings, match=r"server\.processes: custodians"):
        _settings(keys={"kek_custodians": True}, server={"processes": processes})


@pytest.mark.parametrize(
    ("most", "retrieve", "count", "each", "bring"),
    [
        (4, "C-GET", 2, [2, 2], [True, True]),
        (5, "C-GET", 2, [3, 2], [True, True]),
        (4, "C-MOVE", 2, [3, 1], [True, False]),
        (1, "C-GET", 3, [1, 1, 1], [True, False, False]),
        (2, "C-GET", 3, [1, 1, 1], [True, False, False]),
    ],
)
def test_an_archive_is_asked_no_more_at_once(
    most: int, retrieve: str, count: int, each: list[int], bring: list[bool]
) -> None:
    source = {
        "name": "hospital",
        "ae": "PACS",
        "host": "127.0.0.1",
        "port": 104,
        "retrieve": retrieve,
        "max_associations": most,
        "max_rate": 6,
    }
    whole = _settings(pacs={"port": 0, "sources": [source]})
    parts = [part_of(whole, number, count).pacs.sources[0] for number in range(1, count + 1)]
    assert [part.max_associations for part in parts] == each
    assert sum(part.max_rate for part in parts) == pytest.approx(6)
    assert [brings(whole.pacs.sources[0], number, count) for number in range(1, count + 1)] == bring
