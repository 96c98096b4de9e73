"""What the capabilities of grid tokens allow of tapes: `storage.stage` and `storage.poll`, and not more."""

from typing import Any

import pytest

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.errors import Forbidden, MdmError, NotFound
from mdm_async.identity.capabilities import scopes_of
from mdm_async.images.names.listing import NOTHING, ls
from mdm_async.images.names.localities import localities
from mdm_async.images.transfers import download
from mdm_async.images.transfers.download import Ask
from mdm_async.names import ROOT, Caller
from tests.conftest import Server
from tests.web.made_images import made


def bearer(scope: str) -> Caller:
    """Who shows a token with these capabilities, and no ACL knows."""
    return Caller("sub:https://issuer.example#ada", frozenset(), scopes_of(scope, ROOT))


@pytest.fixture
async def place(server: Server) -> str:
    path = await server.directory()
    await server.put(f"{path}/a.dcm", made(pixels=64))
    return path


async def located(server: Server, caller: Caller, path: str) -> Locality | MdmError:
    ((_, found),) = await localities(server.house.database, caller, [path])
    return found


async def listed(server: Server, caller: Caller, path: str) -> Any:
    ((_, found),) = await ls(server.house.database, server.house.shelf, caller, [path], NOTHING)
    return found


async def staged(server: Server, caller: Caller, path: str) -> MdmError | None:
    house = server.house
    _, ((_, why),) = await download.bring_online(
        house.desk, house.judge, house.shelf, house.settings.transfers, caller, Ask([path])
    )
    return why


async def test_poll_asks_where_files_are_and_nothing_else(server: Server, place: str) -> None:
    caller = bearer(f"storage.poll:{place}")
    assert await located(server, caller, f"{place}/a.dcm") is Locality.ONLINE
    assert isinstance(await located(server, caller, f"{place}/gone.dcm"), NotFound)
    assert isinstance(await located(server, caller, f"{place}x/a.dcm"), NotFound)
    assert isinstance(await listed(server, caller, f"{place}/a.dcm"), NotFound)
    assert isinstance(await staged(server, caller, f"{place}/a.dcm"), NotFound)


async def test_stage_stages_and_asks_where_files_are_and_does_not_read(server: Server, place: str) -> None:
    caller = bearer(f"storage.stage:{place}")
    assert await staged(server, caller, f"{place}/a.dcm") is None
    assert await located(server, caller, f"{place}/a.dcm") is Locality.ONLINE
    house = server.house
    prepared = await download.prepare(
        house.desk,
        house.judge,
        house.warm,
        house.rounds,
        house.settings.transfers,
        caller,
        Ask([f"{place}/a.dcm"]),
    )
    assert isinstance(prepared.files[0][1], Forbidden)
    assert isinstance(await staged(server, bearer(f"storage.stage:{place}/b"), f"{place}/a.dcm"), NotFound)
