"""A transfer URL outlives the key-encryption key that its seed was wrapped under."""

import base64
import io
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import Unavailable
from mdm_async.keys import files
from mdm_async.keys.wrap import Wrapper
from mdm_async.postgres.database import connect
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests

RECIPIENT = base64.b64encode(public_key(new_private_key())).decode()


async def get(server: Server, url: str) -> bytes:
    """A transfer URL as it is on this server, which may have another port than the one that gave it."""
    return await server.get(server.url + urlsplit(url).path)


async def epochs(server: Server) -> set[int]:
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select distinct epoch from mdm_keys.image_secrets")
    return {row["epoch"] for row in rows}


async def test_the_key_is_changed_and_no_transfer_url_dies(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, ct: bytes
) -> None:
    dsn, data = await postgres.fresh_database(migrated), tmp_path / "data"
    kek = data / "secrets" / "kek"
    async with running_server(data, dsn) as server:
        await server.put("/a.dcm", ct)
        line = await server.prepare("/a.dcm", recipient=RECIPIENT)
        sealed = await server.get(line["transferURL"])
        prepared = await server.srm("prepareToPut", files=[{"surl": "/b.dcm"}])
        assert await epochs(server) == {1}

    old = kek.read_text()
    kek.write_text(files.fresh_kek() + "\n" + old)
    async with running_server(data, dsn) as server:
        assert await get(server, line["transferURL"]) == sealed
        upload = server.url + urlsplit(prepared["files"][0]["transferURL"]).path
        async with server.http.put(upload, data=io.BytesIO(ct)) as answer:
            assert answer.status == 201, await answer.text()
        await server.srm("putDone", requestToken=prepared["requestToken"], surls=["/b.dcm"])
        newer = await server.prepare("/b.dcm", recipient=RECIPIENT)
        newer_sealed = await server.get(newer["transferURL"])

        async def all_anew() -> bool:
            return await epochs(server) == {2}

        await until(all_anew)

    kek.write_text(kek.read_text().splitlines()[0])
    async with running_server(data, dsn) as server:
        assert await get(server, newer["transferURL"]) == newer_sealed
        assert await server.read("/a.dcm") == await server.read("/b.dcm")
        assert await get(server, line["transferURL"]) == sealed

    kek.write_text(old)
    with pytest.raises(Unavailable, match="key number 2"):
        async with running_server(data, dsn):
            pass


async def test_a_transfer_url_of_the_version_before_serves_the_same_bytes(
    own_server: Server, ct: bytes
) -> None:
    await own_server.put("/a.dcm", ct)
    line = await own_server.prepare("/a.dcm", recipient=RECIPIENT)
    sealed = await own_server.get(line["transferURL"])
    (kek,) = files.decode_keks((own_server.data / "secrets" / "kek").read_text(), "kek")
    async with connect(own_server.dsn) as db:
        grant = await db.fetchrow("select request, item, secret from grants where recipient is not null")
        assert grant is not None
        wrapper = Wrapper(kek, await db.fetchval("select id from installation"))
        request, item = grant["request"], grant["item"]
        seed = own_server.house.keys.unwrap_grant(grant["secret"], request, item)
        before = wrapper.wrap(seed, "grant", request.bytes, item.to_bytes(4, "big"))
        await db.execute("update grants set secret = $1 where recipient is not null", before)
    own_server.cool()
    assert await own_server.get(line["transferURL"]) == sealed
