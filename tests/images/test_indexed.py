"""What views say of themselves is indexed with them, and goes with them."""

import asyncio
import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pydicom
import pydicom.data
import pytest

from mdm_async.catalog.metadata import blind, index, matches, sets
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.catalog.work import images_to_index
from mdm_async.dicom.attributes import Attributes
from mdm_async.dicom.equality import comparable
from mdm_async.dicom.indexed import REVISION, by_keyword
from mdm_async.images.metadata import indexing
from mdm_async.images.metadata.identified import identified_values
from mdm_async.images.metadata.indexing import index_stored
from mdm_async.names import View
from mdm_async.postgres.database import Database
from tests.backfilled import backfill
from tests.conftest import Server
from tests.dicom.test_attributes import as_pydicom_reads
from tests.faults.conditions import until, waiting_for_a_lock
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
        (found,) = await matches.said(db, [(image, View(view))], [version])
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


TABLES = ("view_attributes", "meta_sets", "meta_values", "blind_values", "original_attributes")


async def dumped(server: Server) -> list[str]:
    """All that the tables of the index hold, as somebody with the database reads it."""
    async with server.house.database.acquire() as db:
        found = [
            row["said"] for one in TABLES for row in await db.fetch(f"select t::text as said from {one} t")
        ]
    return sorted(found)


async def said(server: Server) -> list[str]:
    """All of it but what is sealed, which never is the same, and the ids of sets: one that nobody names for a moment
    may go, and is made anew."""
    async with server.house.database.acquire() as db:
        found = await db.fetch(
            "select (a.image, a.view, a.version, s.digest, a.sop_uid, a.attributes)::text as said"
            " from view_attributes a join meta_sets s on s.id = a.series"
            " union all select (s.level, p.digest, s.digest, s.attributes)::text"
            " from meta_sets s left join meta_sets p on p.id = s.parent"
            " union all select (s.digest, v.tag, v.text, v.number)::text"
            " from meta_values v join meta_sets s on s.id = v.set"
            " union all select b::text from blind_values b"
        )
    return sorted(row["said"] for row in found)


async def test_no_original_value_is_in_the_index_in_the_clear(own_server: Server) -> None:
    data = (FILES / "CT_small.dcm").read_bytes()
    await own_server.put("/a.dcm", data)
    original, view = as_pydicom_reads(data), as_pydicom_reads(await own_server.read("/a.dcm"))
    there = "\n".join(await dumped(own_server))
    secret = {
        str(value)
        for keyword, values in original.items()
        for value in values
        if value not in view.get(keyword, []) and len(str(value)) > 3
    }
    assert {"CompressedSamples^CT1", "1CT1", "20040119"} <= secret
    assert not {value for value in secret if value in there}
    for value in view["PatientID"] + view["StudyInstanceUID"]:
        assert value in there


async def test_a_hostile_file_fills_no_index(own_server: Server) -> None:
    """Ten thousand values, and a megabyte of one: neither is indexed, nor cut."""
    image = pydicom.dcmread(FILES / "CT_small.dcm")
    image.ImageType = ["A"] * 10_000
    image.add_new("SeriesDescription", "UC", "x" * (1 << 20))
    written = io.BytesIO()
    image.save_as(written)
    await own_server.put("/a.dcm", written.getvalue())
    there = await dumped(own_server)
    assert len(there) < 150
    assert max(map(len, there)) < 10_000
    (said,) = (await of_original(own_server)).values()
    assert not {"ImageType", "SeriesDescription"} & said.keys()
    assert said["PatientID"] == ["1CT1"]


async def of_original(server: Server) -> dict[UUID, dict[str, list[Any]]]:
    house = server.house
    async with house.database.acquire() as db:
        (image,) = [row["id"] for row in await db.fetch("select id from images")]
    return await identified_values(house.database, house.keys, house.cipher, [image])


async def found_by(server: Server, keyword: str, value: str | float) -> int:
    """How many originals are found by a value of theirs."""
    attribute = by_keyword()[keyword]
    digest = server.house.workshop.blind.digest(attribute.tag, comparable(attribute, value))
    async with server.house.database.acquire() as db:
        return len(await blind.with_value(db, attribute.tag, digest, UUID(int=0), 10))


async def test_what_an_original_says_opens_with_its_identity_secret_and_is_found_by_a_value(
    own_server: Server,
) -> None:
    data = (FILES / "CT_small.dcm").read_bytes()
    await own_server.put("/a.dcm", data)
    (said,) = (await of_original(own_server)).values()
    assert said == as_pydicom_reads(data)
    for keyword, value in (
        ("PatientName", "compressedsamples^ct1"),
        ("PatientID", "1CT1"),
        ("StudyDate", "2004.01.19"),
        ("SeriesNumber", 1),
        ("StudyInstanceUID", said["StudyInstanceUID"][0]),
    ):
        assert await found_by(own_server, keyword, value) == 1, keyword
    assert await found_by(own_server, "PatientID", "1CT") == 0
    assert await found_by(own_server, "AccessionNumber", "1CT1") == 0


async def test_an_original_that_was_destroyed_is_not_found(own_server: Server) -> None:
    await own_server.put("/a.dcm", (FILES / "CT_small.dcm").read_bytes())
    await own_server.srm("rm", surls=["/a.dcm"])
    await own_server.house.sweeper.sweep()
    assert await found_by(own_server, "PatientID", "1CT1") == 0
    assert await dumped(own_server) == []


async def test_what_is_sealed_of_an_original_does_not_open_when_it_was_changed(own_server: Server) -> None:
    await own_server.put("/a.dcm", (FILES / "CT_small.dcm").read_bytes())
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "update original_attributes set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1)"
        )
    assert await of_original(own_server) == {}


async def all_indexed(server: Server) -> None:
    """Here, or by the server at the same time."""
    house = server.house
    await index_stored(house.workshop, house.shelf, house.node)

    async def nothing_is_left() -> bool:
        async with house.database.acquire() as db:
            return bool(
                await db.fetchval(
                    "select not exists (select from images_to_index) and indexed_after is null from installation"
                )
            )

    await until(nothing_is_left)


async def test_what_was_stored_before_there_was_an_index_is_indexed(own_server: Server) -> None:
    house = own_server.house
    files = {
        "/a.dcm": (FILES / "CT_small.dcm").read_bytes(),
        "/b.dcm": made(deflated=True),
        "/c.dcm": made(head=300_000),
    }
    for name, data in files.items():
        await own_server.put(name, data)
    before = await said(own_server)
    async with house.database.acquire() as db:
        await db.execute("delete from view_attributes")
        await db.execute("delete from original_attributes")
        await db.execute("delete from blind_values")
        await db.execute("update installation set index_revision = 0")
        await images_to_index.begin(db, REVISION)
    await all_indexed(own_server)
    assert len(await indexed(own_server)) == 3
    assert await said(own_server) == before
    async with house.database.acquire() as db:
        assert await db.fetchval("select count(*) from original_attributes") == 3


async def test_a_version_that_comes_while_an_image_is_indexed_anew_stays_indexed(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = own_server.house
    await own_server.put("/a.dcm", made())
    ((image, view, version),) = await indexed(own_server)
    of_original = indexing._of_original

    async def remade_meanwhile(*given: Any) -> Any:
        again = IndexedView(image, "basic", "x.1", Attributes(series={"Modality": ["CT"]}))
        async with house.database.acquire() as db:
            await index.announce(db, [again])
        async with house.database.transaction() as db:
            await db.execute(
                "insert into views select image, name, 'x.1', state, reason, secret, record from views"
                " where name = 'basic'"
            )
            await index.add(db, [again])
        return await of_original(*given)

    monkeypatch.setattr(indexing, "_of_original", remade_meanwhile)
    await indexing._index(house.workshop, house.shelf, image)
    assert sorted(await indexed(own_server)) == sorted([(image, view, version), (image, view, "x.1")])


async def test_an_image_that_does_not_open_keeps_no_other_from_being_indexed(own_server: Server) -> None:
    house = own_server.house
    for number in range(3):
        await own_server.put(f"/{number}.dcm", made(seed=number))
    async with house.database.acquire() as db:
        await db.execute("delete from view_attributes")
        await db.execute(
            "update views set record = set_byte(record, 40, get_byte(record, 40) # 1)"
            " where image = (select min(id::text)::uuid from images)"
        )
        await db.execute("update installation set index_revision = 0")
        await images_to_index.begin(db, REVISION)
    await all_indexed(own_server)
    assert len(await indexed(own_server)) == 2


async def test_many_images_of_one_new_series_brought_at_once_share_its_set(own_server: Server) -> None:
    await asyncio.gather(
        *(own_server.put(f"/{number}.dcm", made(seed=number, name="A^B")) for number in range(12))
    )
    async with own_server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from view_attributes") == 12
        assert await db.fetchval("select count(distinct digest) = count(*) from meta_sets")
        # Each of these files is another patient's, in the same study.
        assert await db.fetchval("select count(*) from meta_sets where level = 1") == 12


async def test_a_set_that_is_being_named_is_not_dropped(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    database = own_server.house.database
    async with database.acquire() as db:
        every = [row["id"] for row in await db.fetch("select id from meta_sets")]
        image = await db.fetchval("select image from view_attributes")
    said = Attributes(series={"Modality": ["CT"]})
    again = IndexedView(image, "basic", "x.1", said)
    async with database.acquire() as db:
        await index.announce(db, [again])
    async with database.transaction() as db:
        named = await sets.intern(db, sets.chain_of(said))
        dropping = asyncio.create_task(drop(database, [*every, *named.values()]))
        await until(lambda: waiting_for_a_lock(own_server))
        await db.execute(
            "insert into views select image, name, 'x.1', state, reason, secret, record from views where name = 'basic'"
        )
        await index.add(db, [again])
    await dropping
    assert len(await indexed(own_server)) == 2


async def test_sets_that_go_while_others_are_made_below_them_bar_nobody(own_server: Server) -> None:
    database = own_server.house.database

    async def bring() -> None:
        async with database.acquire() as db:
            for number in range(100):
                said = Attributes(patient={"PatientID": ["x"]}, study={"StudyID": [f"{number}"]})
                await index.announce(db, [IndexedView(UUID(int=0), "basic", "x.1", said)])

    async def sweep(brought: asyncio.Task[None]) -> None:
        while not brought.done():
            async with database.transaction() as db:
                every = [row["id"] for row in await db.fetch("select id from meta_sets")]
                await sets.drop_unnamed(db, every)

    brought = asyncio.create_task(bring())
    await asyncio.gather(brought, sweep(brought), sweep(brought))


async def drop(database: Database, ids: list[int]) -> None:
    async with database.transaction() as db:
        await sets.drop_unnamed(db, ids)
