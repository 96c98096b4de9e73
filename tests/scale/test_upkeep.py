"""Background work on a million images: nothing to do costs nothing, and what is to be done costs what it is."""

import base64
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mdm_async.blobs.local import LocalBlobs
from mdm_async.catalog import installation
from mdm_async.catalog.namespace import cut_trees, places
from mdm_async.images.upkeep.sweep import Sweeper
from mdm_async.keys.sources import GivenKeks
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.names import Lfn
from mdm_async.postgres.database import connect
from tests.scale.million import FILES, SECRETS, registration
from tests.scale.touched import Recorder

KEK = GivenKeks(base64.b64encode(bytes(32)).decode())
pytestmark = pytest.mark.timeout(600)
"""The first of them makes the catalog."""

DIRECTORIES = range(SECRETS // FILES - 20, SECRETS // FILES)
"""Of ten thousand files whose secrets are in the key store."""


@asynccontextmanager
async def _sweeper(dsn: str, recorder: Recorder, directory: Path) -> AsyncIterator[Sweeper]:
    with ThreadPoolExecutor(1) as disk:
        async with recorder.database(dsn) as database:
            async with database.acquire() as db:
                installed = await installation.identity(db)
            keys = await WrappedKeys.open(database, KEK, installed, "a node", 60)
            recorder.by_site.clear()
            yield Sweeper(database, keys, LocalBlobs(directory, disk, 0), "node")


async def test_a_sweep_with_nothing_to_do_reads_next_to_nothing(a_million: str, tmp_path: Path) -> None:
    async with connect(a_million) as db:
        await db.execute("vacuum")  # other tests may have left what Postgres would have tidied up by itself
    recorder = Recorder()
    async with _sweeper(a_million, recorder, tmp_path) as sweeper:
        await sweeper.sweep()
    assert recorder.whole.rows < 50
    assert recorder.whole.pages < 500


async def test_what_is_removed_costs_the_same_for_each_image(a_million: str, tmp_path: Path) -> None:
    recorder = Recorder()
    async with _sweeper(a_million, recorder, tmp_path) as sweeper:
        for number in DIRECTORIES:
            async with sweeper.database.transaction() as db:
                place = await places.resolve_one(db, Lfn(f"/deep/d{number}"))
                assert place.entry is not None
                await cut_trees.cut_off(db, place.entry.id)
        await sweeper.destroy()
        gone = [registration(number) for number in range(DIRECTORIES[0] * FILES, DIRECTORIES[-1] * FILES)]
        async with sweeper.database.acquire() as db:
            assert not await sweeper.keys.fetch(gone, identity=True)
            assert not await db.fetchval("select count(*) from images where doomed is not null")
            assert not await db.fetchval("select count(*) from keys_to_forget")
    count = len(DIRECTORIES) * FILES
    assert recorder.whole.rows < 60 * count, recorder.whole
