"""Storage shares as SRM's spaces: told, and not to be reserved."""

import aiohttp

from tests.conftest import Server
from tests.web.srm.codes import code


async def test_space_tokens_name_the_storage_shares(server: Server) -> None:
    assert (await server.srm("getSpaceTokens"))["spaceTokens"] == ["images"]
    tree = await server.srm("getSpaceTokens", userSpaceTokenDescription="images")
    assert tree["spaceTokens"] == ["images"]
    tree = await server.srm("getSpaceTokens", expect=400, userSpaceTokenDescription="tape")
    assert code(tree) == "SRM_INVALID_REQUEST"


async def test_a_space_tells_how_much_there_is(server: Server) -> None:
    await server.house.disks.look()
    tree = await server.srm("getSpaceMetaData", spaceTokens=["images", "other"])
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    images, other = tree["spaces"]
    sizes = [images[name] for name in ("totalSize", "usedSize", "unusedSize")]
    assert sizes[0] >= max(sizes)
    # To the byte they would tell the size of what others store.
    assert [size % (1 << 30) for size in sizes] == [0, 0, 0]
    assert (other["status"]["statusCode"], "totalSize" in other) == ("SRM_INVALID_REQUEST", False)


async def test_spaces_are_told_to_callers_with_a_credential_only(server: Server) -> None:
    for operation, body in (("getSpaceTokens", {}), ("getSpaceMetaData", {"spaceTokens": ["images"]})):
        async with aiohttp.ClientSession() as stranger:
            answer = await stranger.post(f"{server.url}/srm/v2/{operation}", json=body)
            assert answer.status == 401


async def test_no_space_can_be_reserved(server: Server) -> None:
    for operation in ("reserveSpace", "releaseSpace", "updateSpace", "changeSpaceForFiles"):
        assert code(await server.srm(operation, expect=501)) == "SRM_NOT_SUPPORTED"
