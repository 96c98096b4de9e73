"""DIR's parts on places of their own: the database, the blobs and the secrets."""

import os
from io import BytesIO

import aiohttp

from mdm_async.client.local_server import find_local
from tests.cli.conftest import Run, environment, run
from tests.faults.serving import PATIENT_SETTINGS, Caller, Serve
from tests.faults.transfers import large
from tests.postgres.for_tests import postgres_folder

__all__ = ["environment", "run"]


async def test_the_parts_of_the_directory_can_lie_apart_and_everything_finds_them(run: Run) -> None:
    """Server, restart, `mdm fsck` and `mdm ping` by the directory, `mdm config check`."""
    with postgres_folder() as folder:
        data, database, blobs, secrets = (folder / name for name in ("dir", "fast", "bulk", "safe"))
        apart = {"paths__database": str(database), "paths__blobs": str(blobs), "paths__secrets": str(secrets)}
        own = {"blobs__reserve_free": "0", "delivery__identified": "clear"}
        server = Serve(data, **(PATIENT_SETTINGS | apart | own))
        await server.start()
        try:
            token = (secrets / "admin.token").read_text().strip()
            async with aiohttp.ClientSession() as http:
                caller = Caller(http, server.url, token)
                prepared = await caller.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
                async with http.put(prepared["files"][0]["transferURL"], data=BytesIO(large())) as answer:
                    assert answer.status == 201
                await caller.srm("putDone", requestToken=prepared["requestToken"], surls=["/a.dcm"])
                assert await server.stop() == 0
                await server.start()
                assert await caller.read("/a.dcm", "basic")
            assert find_local({"MDM_DATA": str(data)}) is not None
            compared = await run("fsck", "--data", data, "--json")
            assert (compared.code, compared.json["findings"], compared.json["blobs"]) == (0, [], 1)
            (secrets / "kek").chmod(0o640)
            os.environ["MDM_PATHS__SECRETS"] = str(secrets)
            checked = await run("config", "check")
            assert "safe/kek is open to others; chmod 600" in checked.err
        finally:
            os.environ.pop("MDM_PATHS__SECRETS", None)
            await server.stop()
        left = {path.name for path in data.iterdir()}
        assert left <= {".mdm.lock", "audit", "mdm.id"}, left
        assert {path.name for path in secrets.iterdir()} == {"kek", "admin.token", "audit.key"}
        assert (database / "postgres" / "PG_VERSION").is_file()
        assert list(blobs.glob("??/*"))
