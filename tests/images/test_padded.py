"""Sizes of what identifies, as whoever sees the blob store or the catalog can read them."""

from typing import Any

import pytest

from mdm_async.crypt4gh.segment import SEGMENT, cipher_size
from mdm_async.images.reading import stream
from mdm_async.names import IDENTIFIED
from tests.conftest import Server
from tests.web.made_images import BLOB, INLINE, made

SHORT, LONG = "A^B", "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine^^Dr."


async def _sizes(server: Server) -> list[list[Any]]:
    """Of all identity parts, and of what says how large they are."""
    async with server.house.database.acquire() as db:
        parts = await db.fetch(
            "select kind, cipher_size, octet_length(inline) from parts where secret = 'identity' order by kind"
        )
        views = await db.fetch(
            "select name, octet_length(record), octet_length(report) from views order by name"
        )
    files = sorted(path.stat().st_size for path in (server.data / "blobs").glob("??/*") if path.is_file())
    return [[tuple(row) for row in parts], [tuple(row) for row in views], files]


async def _original(server: Server) -> bytes:
    """Of the one image that there is."""
    house = server.house
    async with house.database.acquire() as db:
        image = await db.fetchval("select id from images where doomed is null")
    view = await house.shelf.load_one(house.database, image, IDENTIFIED)
    return b"".join([bytes(piece) async for piece in stream.clear(house.blobs, view, 0, view.size)])


@pytest.mark.parametrize(
    "kind",
    [
        {"pixels": INLINE},
        {"pixels": BLOB},
        {"pixels": None, "head": BLOB},
        {"pixels": BLOB, "deflated": True},
    ],
    ids=str,
)
async def test_no_size_tells_how_long_a_patients_name_is(own_server: Server, kind: dict[str, Any]) -> None:
    found = []
    for name in (SHORT, LONG):
        surl = f"{await own_server.directory()}/a.dcm"
        file = made(name=name, **kind)
        await own_server.put(surl, file)
        found.append(await _sizes(own_server))
        assert await _original(own_server) == file
        assert await own_server.read(surl)
        await own_server.srm("rm", surls=[surl])
        await own_server.house.sweeper.sweep()
    assert found[0] == found[1]


async def test_an_identity_blob_has_whole_segments(own_server: Server) -> None:
    await own_server.put(f"{await own_server.directory()}/a.dcm", made(pixels=None, head=BLOB))
    async with own_server.house.database.acquire() as db:
        sizes = await db.fetch("select cipher_size from parts where secret = 'identity' and blob is not null")
    assert sizes
    assert all(size % cipher_size(SEGMENT) == 0 for (size,) in sizes)


async def test_an_announced_size_is_sealed_and_demanded(own_server: Server) -> None:
    file = made(pixels=INLINE)
    surl = f"{await own_server.directory()}/a.dcm"
    tree = await own_server.srm("prepareToPut", files=[{"surl": surl, "expectedFileSize": len(file)}])
    url = tree["files"][0]["transferURL"]
    async with own_server.house.database.acquire() as db:
        row = await db.fetchrow("select * from grants where announced is not null")
    assert row is not None
    assert str(len(file)) not in str(dict(row))
    assert len(file).to_bytes(8, "big") not in row["announced"]
    assert (await own_server.call("PUT", url, data=file + b"x")).status == 422
    assert (await own_server.call("PUT", url, data=file)).status == 201
    async with own_server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from grants where announced is not null") == 0
