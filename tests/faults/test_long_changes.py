"""While somebody's change of rights takes long, those who may change nothing wait for nothing."""

import asyncio

import pytest

from mdm_async.catalog.rights import kept_acls
from tests.conftest import Server
from tests.patience import PATIENCE


@pytest.mark.parametrize("who", ["nobody", "somebody"])
async def test_who_may_not_change_rights_is_told_so_at_once(own_server: Server, who: str) -> None:
    """Else a few of them would hold every connection of the pool."""
    server = own_server
    folder = await server.directory()
    token = await server.token("lx", name="somebody") if who == "somebody" else None

    async def refused() -> list[int]:
        tries = (
            server.call(
                "PUT", "/admin/v1/delivery", token=token, json={"surl": folder, "identified": "sealed"}
            ),
            server.call("POST", "/srm/v2/mv", token=token, json={"fromSURL": folder, "toSURL": "/elsewhere"}),
            server.call(
                "POST", "/srm/v2/setPermission", token=token, json={"surls": [folder], "inherit": True}
            ),
        )
        return [reply.status for reply in await asyncio.gather(*tries)]

    async with server.house.database.transaction() as db:
        await kept_acls.lock(db)
        async with asyncio.timeout(PATIENCE):
            for _ in range(10):
                assert set(await refused()) == {401 if token is None else 403}
