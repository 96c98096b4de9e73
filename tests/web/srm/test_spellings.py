"""`/a/b`, `//a///b` and `/a/./b` are one entry, one decision and one name in the audit; answers echo what was asked."""

from collections.abc import Callable

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.srm.codes import codes

SPELLINGS: list[Callable[[str], str]] = [
    lambda path: "/" + path.replace("/", "//"),
    lambda path: path.replace("/", "/./") + "/.",
    lambda path: f"{path}/",
    lambda path: f"srm://host:8443/srm/managerv2?SFN={path}",
    lambda path: f"srm://host//srm//managerv2?SFN=/{path}",
]


async def test_a_file_is_listed_under_any_spelling_and_its_name_is_echoed(
    server: Server, file: str, directory: str
) -> None:
    for path in (file, directory):
        asked = [path, *(spelt(path) for spelt in SPELLINGS)]
        told = (await server.srm("ls", surls=asked))["files"]
        assert [one["surl"] for one in told] == asked
        assert {one["path"] for one in told} == {path}
        assert len({one["guid"] for one in told}) == 1


async def test_the_view_in_front_is_the_same_under_any_spelling(server: Server, file: str) -> None:
    asked = [f"/@identified{file}", f"//@identified{file}", f"/./@identified/{file}", f"/@identified/.{file}"]
    told = (await server.srm("ls", surls=asked))["files"]
    assert {one["view"] for one in told} == {"identified"}
    assert {one["path"] for one in told} == {file}


async def test_what_is_prepared_is_released_under_every_other_spelling(server: Server, file: str) -> None:
    spellings = [file, *(spelt(file) for spelt in SPELLINGS)]
    for prepared, released in zip(spellings, spellings[1:] + spellings[:1], strict=True):
        line = await server.prepare(prepared)
        assert line["surl"] == prepared
        for _ in range(2):
            tree = await server.srm("releaseFiles", requestToken=line["requestToken"], surls=[released])
            assert codes(tree) == ["SRM_SUCCESS"]
            assert tree["files"][0]["surl"] == released
        assert (await server.call("GET", line["transferURL"])).status == 410
        told = await server.srm("statusOfGetRequest", requestToken=line["requestToken"], surls=[released])
        assert [(one["surl"], one["status"]["statusCode"]) for one in told["files"]] == [
            (released, "SRM_RELEASED")
        ]
        line = await server.prepare(prepared)
        assert codes(await server.srm("releaseFiles", surls=[released])) == ["SRM_SUCCESS"]
        told = await server.srm("statusOfGetRequest", requestToken=line["requestToken"])
        assert [(one["surl"], one["status"]["statusCode"]) for one in told["files"]] == [
            (prepared, "SRM_RELEASED")
        ]


async def test_one_request_for_two_spellings_loses_both_by_a_third(server: Server, file: str) -> None:
    asked = [file, SPELLINGS[0](file)]
    tree = await server.srm("prepareToGet", files=[{"surl": one} for one in asked])
    token = tree["requestToken"]
    other = await server.srm(
        "extendFileLifeTime", requestToken=token, surls=[SPELLINGS[1](file)], newPinLifeTime=99
    )
    assert codes(other) == ["SRM_SUCCESS"]
    await server.srm("releaseFiles", requestToken=token, surls=[SPELLINGS[1](file)])
    told = await server.srm("statusOfGetRequest", requestToken=token)
    assert [one["surl"] for one in told["files"]] == asked
    assert codes(told) == ["SRM_RELEASED"] * 2


async def test_an_upload_is_ended_and_aborted_under_another_spelling(server: Server, directory: str) -> None:
    path, (_, abort) = f"{directory}/spelt", SPELLINGS[:2]
    (line,) = (tree := await server.srm("prepareToPut", files=[{"surl": SPELLINGS[0](path)}]))["files"]
    assert line["surl"] == SPELLINGS[0](path)
    assert (await server.call("PUT", line["transferURL"], data=made())).status in (200, 201)
    done = await server.srm("putDone", requestToken=tree["requestToken"], surls=[path])
    assert (codes(done), done["files"][0]["path"]) == (["SRM_SUCCESS"], path)
    tree = await server.srm("prepareToPut", files=[{"surl": path + "x"}])
    ended = await server.srm("abortFiles", requestToken=tree["requestToken"], surls=[abort(path + "x")])
    assert codes(ended) == ["SRM_SUCCESS"]
    told = await server.srm("statusOfPutRequest", requestToken=tree["requestToken"])
    assert codes(told) == ["SRM_ABORTED"]


async def test_a_refusal_is_the_same_under_any_spelling(server: Server, file: str, directory: str) -> None:
    token = await server.token("lxg", directory)
    for asked in (file, *(spelt(file) for spelt in SPELLINGS)):
        tree = await server.srm("prepareToGet", expect=403, token=token, files=[{"surl": asked}])
        assert codes(tree) == ["SRM_AUTHORIZATION_FAILURE"]
        assert tree["files"][0]["surl"] == asked
