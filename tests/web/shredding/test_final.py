"""A shred becomes final: after a rotation, when the old key-encryption keys are destroyed and backups have run out."""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.shredding.conftest import Shred, rows


async def test_a_shred_is_final_when_its_keys_open_in_no_backup_any_more(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    keys: dict[str, Any] = {"backups_days": 0}
    async with running_server(tmp_path / "data", dsn, keys=keys) as server:
        await server.put("/a", made(seed=571))
        await server.put("/b", made(seed=572))
        done = await Shred(server).do("/a", asAdministrator=True)
        assert done["state"] == "destroyed"
        assert "mdm keys rotate" in orjson.loads(done["receipt"])["waiting"][0]
        rotated = await server.call("POST", "/admin/v1/keys/rotate", token=server.admin_token, json={})
        assert rotated.status in (200, 202), rotated.body

        async def is_final() -> bool:
            await server.house.shredder.destroyer.destroy(UUID(done["id"]))
            return await rows(server, "shreds where final is not null") == 1

        await until(is_final)
        receipt = await _receipt(server, done["id"])
        assert (receipt["state"], receipt["waiting"]) == ("final", [])
        assert await rows(server, "audit where act = 'shred' and outcome = 'final'") == 1
        assert await server.read("/b")


async def _receipt(server: Server, id_: str) -> Any:
    answer = await server.call("GET", f"/admin/v1/shreds/{id_}", token=server.admin_token)
    return orjson.loads(answer.tree["receipt"])
