"""A study larger than the quota, prepared by many workers from a real Orthanc: each byte is right, no pin is broken."""

import asyncio
from pathlib import Path
from uuid import UUID

from pydicom.uid import generate_uid

from mdm_async.catalog.grants import grants
from mdm_async.catalog.holdings import staged
from mdm_async.settings import CacheSettings
from tests.conftest import Server
from tests.interop.test_orthanc_sources import brought, data_set, image_of, registered, serving
from tests.orthanc import running_orthanc
from tests.postgres.for_tests import PostgresForTests

IMAGES, WORKERS, AT_ONCE = 200, 16, 3
PIXELS = 20_000


async def test_workers_prepare_a_study_that_is_larger_than_the_quota(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study = generate_uid()
    (tmp_path / "archive").mkdir()
    async with (
        running_orthanc(tmp_path / "archive") as orthanc,
        serving(postgres, migrated, tmp_path, orthanc.dicomweb) as server,
    ):
        sent = [image_of(study, number, pixels=PIXELS) for number in range(IMAGES)]
        stored = [data_set(await orthanc.file(await orthanc.store(one))) for one in sent]
        paths = await registered(server, "/pacs/hospital", study=study)
        assert len(paths) == IMAGES
        reader = await server.token("rilgx", views=["basic", "identified"])
        # Room for the least that so many workers hold, and little more: a third of the study.
        one = await _size(server, reader, paths[0])
        quota = IMAGES * one // 3
        assert quota > (WORKERS + 1) * AT_ONCE * one
        server.house.cache.settings = CacheSettings(quota=quota)
        got: list[bytes] = []
        broken: list[UUID] = []
        shares = [paths[worker::WORKERS] for worker in range(WORKERS)]

        async def work(mine: list[str]) -> None:
            for start in range(0, len(mine), AT_ONCE):
                some = mine[start : start + AT_ONCE]
                files = [{"surl": f"/@identified{path}"} for path in some]
                tree = await server.srm("prepareToGet", token=reader, files=files)
                lines = await brought(server, reader, tree["requestToken"], 300)
                assert {line["status"]["statusCode"] for line in lines} == {"SRM_FILE_PINNED"}
                broken.extend(await _evicted_while_pinned(server))
                got.extend([data_set(await server.get(line["transferURL"])) for line in lines])
                await server.srm("releaseFiles", token=reader, requestToken=tree["requestToken"])

        await asyncio.gather(*map(work, shares))
        assert not broken
        assert sorted(got) == sorted(stored)
        async with server.house.database.acquire() as db:
            totals = await staged.totals(db)
            assert totals.here + totals.coming <= quota
            assert totals.here == await db.fetchval("select sum(cipher_size) from parts")
        found = await server.call("GET", "/admin/v1/cache", token=server.admin_token)
        assert found.tree["misses"] >= IMAGES - 1
        assert found.tree["images"] < IMAGES / 2
        await server.house.sweeper.sweep()
        fsck = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={})
        assert fsck.tree["findings"] == []


async def _size(server: Server, reader: str, path: str) -> int:
    tree = await server.srm("prepareToGet", token=reader, files=[{"surl": path}])
    await brought(server, reader, tree["requestToken"])
    await server.srm("releaseFiles", token=reader, requestToken=tree["requestToken"])
    async with server.house.database.acquire() as db:
        totals = await staged.totals(db)
    return totals.here // totals.images


async def _evicted_while_pinned(server: Server) -> list[UUID]:
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select id from images where locality = 'NEARLINE'")
        away = [row["id"] for row in rows]
        pinned = await grants.pins_of(db, away)
    return list(pinned)
