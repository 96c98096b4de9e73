"""What this node ends is dead at once here, not only at the next look."""

from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import Server

Ending = Callable[[Server, str, str], Awaitable[object]]

ENDINGS: dict[str, Ending] = {
    "release": lambda server, surl, request: server.srm("releaseFiles", requestToken=request),
    "release by SURL": lambda server, surl, request: server.srm("releaseFiles", surls=[surl]),
    "abort": lambda server, surl, request: server.srm("abortRequest", requestToken=request),
    "rm": lambda server, surl, request: server.srm("rm", surls=[surl]),
    "rmdir": lambda server, surl, request: server.srm("rmdir", surl=surl.rpartition("/")[0], recursive=True),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_a_warm_transfer_url_is_dead_as_soon_as_it_was_ended(
    server: Server, ct: bytes, ending: Ending
) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, ct)
    line = await server.prepare(surl)
    assert await server.get(line["transferURL"])
    await ending(server, surl, line["requestToken"])
    async with server.http.get(line["transferURL"]) as answer:
        assert answer.status == 410


async def test_an_extended_pin_outlives_what_was_known_of_it(server: Server, ct: bytes) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, ct)
    line = await server.prepare(surl)
    (warm,) = [warm for warm in server.house.warm if str(warm.grant.surl) == surl]
    await server.srm("extendFileLifeTime", requestToken=line["requestToken"], newPinLifeTime=100)
    warm.expires = 0.0  # as it was known to be
    assert await server.get(line["transferURL"])


async def test_a_revoked_token_ends_its_warm_transfer_urls_at_once(server: Server, ct: bytes) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, ct)
    token = await server.token("rlx", name="worker-to-be-revoked")
    line = await server.prepare(surl, token=token)
    assert await server.get(line["transferURL"])
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    async with server.http.delete(
        f"{server.url}/admin/v1/tokens/worker-to-be-revoked", headers=headers
    ) as answer:
        assert answer.status == 204
    async with server.http.get(line["transferURL"]) as answer:
        assert answer.status == 410
