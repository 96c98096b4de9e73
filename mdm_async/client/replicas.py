"""Replicas: where else copies of images lie, as a server knows them."""

from collections.abc import Sequence
from typing import Final

from mdm_async.client.answer import Answer
from mdm_async.client.answers import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError

BATCH: Final = 1000
"""Replicas named in one request."""
_PATH: Final = "catalog/v1/replicas"


async def listing(wire: Wire, surls: Sequence[str]) -> list[tuple[str, list[Json] | MdmError]]:
    """Of each file its `url`, `view`, `master`, `addedBy` and `at`. Where no master is, the server's own copy is it."""
    found: list[tuple[str, list[Json] | MdmError]] = []
    for start in range(0, len(surls), BATCH):
        asked = {"surls": list(surls[start : start + BATCH])}
        answer = Answer(await wire.operate("POST", f"{_PATH}/list", asked, repeat=True))
        found += [(file["surl"], error or file["replicas"]) for file, error in answer.files()]
    return found


async def add(wire: Wire, replicas: Sequence[tuple[str, str]]) -> list[tuple[str, MdmError | None]]:
    """Tell of copies by (SURL, URL), and why some could not be taken."""
    return await _change(wire, "add", replicas)


async def remove(wire: Wire, replicas: Sequence[tuple[str, str]]) -> list[tuple[str, MdmError | None]]:
    """Forget copies by (SURL, URL)."""
    return await _change(wire, "remove", replicas)


async def set_master(
    wire: Wire, replicas: Sequence[tuple[str, str | None]]
) -> list[tuple[str, MdmError | None]]:
    """Say which copy is the master, by (SURL, URL); None: the server's own."""
    return await _change(wire, "master", replicas)


async def _change(
    wire: Wire, verb: str, replicas: Sequence[tuple[str, str | None]]
) -> list[tuple[str, MdmError | None]]:
    outcomes: list[tuple[str, MdmError | None]] = []
    for start in range(0, len(replicas), BATCH):
        asked = {"replicas": [{"surl": surl, "url": url} for surl, url in replicas[start : start + BATCH]]}
        answer = Answer(await wire.operate("POST", f"{_PATH}/{verb}", asked))
        outcomes += [(file["surl"], error) for file, error in answer.files()]
    return outcomes
