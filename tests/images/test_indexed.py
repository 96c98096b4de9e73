"""What views say of themselves is indexed with them, and goes with them."""

from pathlib import Path
from uuid import UUID

import pydicom.data
import pytest

from mdm_async.catalog.metadata import index
from tests.backfilled import backfill
from tests.conftest import Server
from tests.dicom.test_attributes import as_pydicom_reads
from tests.web.made_images import made

FILES = Path(pydicom.data.__file__).parent / "test_files"


async def indexed(server: Server) -> list[tuple[UUID, str, str]]:
    async with server.house.database.acquire() as db:
        return [tuple(row) for row in await db.fetch("select image, view, version from view_attributes")]


async def rows(server: Server) -> list[int]:
    """Of each table of the index."""
    async with server.house.database.acquire() as db:
        return [
            await db.fetchval(f"select count(*) from {table}")
            for table in ("view_attributes", "meta_sets", "meta_values")
        ]


@pytest.mark.parametrize("name", ["CT_small.dcm", "deflated", "MR_small_bigendian.dcm", "rtplan.dcm"])
async def test_what_is_indexed_is_what_the_views_bytes_say(own_server: Server, name: str) -> None:
    await own_server.put("/a.dcm", made(deflated=True) if name == "deflated" else (FILES / name).read_bytes())
    ((image, view, version),) = await indexed(own_server)
    async with own_server.house.database.acquire() as db:
        found = await index.values_of(db, image, view, version)
        held = await db.fetch(
            "with recursive named as (select s.* from view_attributes a join meta_sets s on s.id = a.series"
            " union all select s.* from named n join meta_sets s on s.id = n.parent)"
            " select tag, text, number from named join meta_values on set = id"
        )
    assert found == as_pydicom_reads(await own_server.read("/a.dcm"))
    assert view == "basic"
    by_text = {row["text"] for row in held} - {None}
    assert by_text >= set(found["Modality"] + found["StudyInstanceUID"] + found["PatientID"])


async def test_images_of_a_series_name_one_set_which_goes_with_the_last(own_server: Server) -> None:
    ct = (FILES / "CT_small.dcm").read_bytes()
    other = ct.replace(
        b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322", b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12399"
    )
    assert other != ct
    await own_server.put("/a.dcm", ct)
    before = await rows(own_server)
    assert before[:2] == [1, 3]
    await own_server.put("/b.dcm", other)
    assert await rows(own_server) == [2, *before[1:]]
    for left, name in ((before, "/a.dcm"), ([0, 0, 0], "/b.dcm")):
        await own_server.srm("rm", surls=[name])
        await own_server.house.sweeper.sweep()
        assert await rows(own_server) == left


async def test_a_view_that_is_made_anew_is_indexed_anew(own_server: Server) -> None:
    await own_server.put("/a.dcm", (FILES / "CT_small.dcm").read_bytes())
    first = await indexed(own_server)
    async with own_server.house.database.acquire() as db:
        await db.execute("delete from views where name = 'basic'")
    assert await indexed(own_server) == []
    assert await backfill(own_server) == 1
    assert await indexed(own_server) == first


async def test_a_view_that_is_refused_is_not_indexed(
    own_server: Server,
) -> None:
    await own_server.put("/a.dcm", (FILES / "examples_palette.dcm").read_bytes())
    assert await rows(own_server) == [0, 0, 0]
