"""What somebody has let out of quarantine are the pixels that he saw, and no others that an archive sends later."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from mdm_async.pacs.sources import fetching
from tests.conftest import Server, running_server
from tests.pacs.sources.fake_archive import FakeArchive
from tests.pacs.sources.test_cache import image_of, names, prepared
from tests.pacs.sources.test_staging import DIRECTORY, registered
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.test_profiles import add, applied


def shot(*, other: bool = False) -> bytes:
    image = pydicom.dcmread(io.BytesIO(made(seed=1, pixels=5000)))
    image.BurnedInAnnotation = "YES"
    if other:
        image.PixelData = image.PixelData[::-1]
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


async def evicted(server: Server, lfn: str) -> None:
    await server.srm("releaseFiles", surls=[lfn])
    async with server.house.database.acquire() as db:
        await db.execute("delete from grants")
        await db.execute("update images set in_use_until = now() - interval '1 hour'")
    assert await server.house.cache.evict(await image_of(server, lfn))


async def test_other_pixels_than_were_seen_are_not_let_go_where_these_were_not_noted(
    archive: FakeArchive,
    postgres: PostgresForTests,
    migrated: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive.add(shot())
    sources = [{"name": "hospital", "dicomweb": archive.url}]
    dsn, real = await postgres.fresh_database(migrated), fetching._now

    def unnoted(*what: Any) -> Any:
        """As a release that did not note them yet."""
        return replace(real(*what), content="")

    async with running_server(tmp_path / "data", dsn, pacs={"sources": sources}) as server:
        await server.srm("mkdir", surl=DIRECTORY)
        await add(server, 'name = "careful"\nburned_in = "quarantine"\n')
        await applied(server, "careful", "/")
        await registered(server)
        (lfn,) = await names(server)
        looker = await server.token("rlxgi", views=["careful", "identified"])

        async def got() -> str:
            _, (line,) = await prepared(server, f"/@careful{lfn}", token=looker)
            return str(line["status"]["statusCode"])

        async def release() -> None:
            reply = await server.call(
                "POST", "/admin/v1/profiles/careful/release", token=looker, json={"surls": [lfn]}
            )
            assert reply.status == 200, reply.body

        monkeypatch.setattr(fetching, "_now", unnoted)
        held_back = await got()
        await release()
        assert (held_back, await got()) == ("SRM_FILE_UNAVAILABLE", "SRM_FILE_PINNED")
        monkeypatch.setattr(fetching, "_now", real)
        await evicted(server, lfn)
        archive.add(shot(other=True))
        assert await got() == held_back
        # Of what is noted it stays: these pixels were seen.
        await release()
        assert await got() == "SRM_FILE_PINNED"
        await evicted(server, lfn)
        assert await got() == "SRM_FILE_PINNED"
