"""SRM over JSON: every operation, how it succeeds and how it fails, alone and in bulk."""

from typing import Any

import pytest

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.srm.codes import code, codes

# About the server


async def test_ping_tells_the_version(server: Server) -> None:
    tree = await server.srm("ping")
    assert tree["versionInfo"] == "v2.2"
    assert {"key": "backend_type", "value": "mdm_async"} in tree["otherInfo"]


async def test_the_transfer_protocols_are_those_offered(server: Server) -> None:
    tree = await server.srm("getTransferProtocols")
    assert tree["protocolInfo"] == [{"transferProtocol": "http"}]


async def test_an_unknown_operation_is_not_supported(server: Server) -> None:
    for name in ("srmCopy", "Ls", "ls/", "%00", "__class__"):
        answer = await server.call("POST", f"/srm/v2/{name}", token=server.admin_token, json={})
        assert answer.status in (404, 501)
    tree = await server.srm("reserveSpace", expect=501)
    assert code(tree) == "SRM_NOT_SUPPORTED"


async def test_other_methods_are_not_taken(server: Server) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await server.call(method, "/srm/v2/ls", token=server.admin_token)
        assert answer.status == 405
        assert "POST" in answer.headers["Allow"]


# Names


async def test_a_directory_is_made_once(server: Server, directory: str) -> None:
    tree = await server.srm("mkdir", surl=f"{directory}/new")
    assert code(tree) == "SRM_SUCCESS"
    assert tree["guid"]
    tree = await server.srm("mkdir", expect=409, surl=f"{directory}/new")
    assert code(tree) == "SRM_DUPLICATION_ERROR"
    tree = await server.srm("mkdir", expect=404, surl=f"{directory}/no/such")
    assert code(tree) == "SRM_INVALID_PATH"
    tree = await server.srm("mkdir", expect=409, surl="/")
    assert code(tree) == "SRM_DUPLICATION_ERROR"


async def test_nothing_is_made_below_a_file(server: Server, file: str) -> None:
    tree = await server.srm("mkdir", expect=404, surl=f"{file}/below")
    assert code(tree) == "SRM_INVALID_PATH"
    tree = await server.srm("prepareToPut", expect=404, files=[{"surl": f"{file}/below"}])
    assert codes(tree) == ["SRM_INVALID_PATH"]


async def test_a_directory_is_removed_when_it_is_empty_or_with_all_below(server: Server, file: str) -> None:
    parent = file.rpartition("/")[0]
    tree = await server.srm("rmdir", expect=409, surl=parent)
    assert code(tree) == "SRM_NON_EMPTY_DIRECTORY"
    tree = await server.srm("rmdir", expect=409, surl=file)
    assert code(tree) == "SRM_INVALID_PATH"
    line = await server.prepare(file)
    assert code(await server.srm("rmdir", surl=parent, recursive=True)) == "SRM_SUCCESS"
    assert code(await server.srm("rmdir", expect=404, surl=parent)) == "SRM_INVALID_PATH"
    assert (await server.call("GET", line["transferURL"])).status == 410
    await server.srm("rmdir", expect=400, surl="/")
    await server.srm("rmdir", expect=400, surl="/", recursive=True)


async def test_files_are_removed_one_by_one(server: Server, directory: str, file: str) -> None:
    tree = await server.srm("rm", surls=[file, f"{directory}/missing", directory, "relative"])
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == ["SRM_SUCCESS", "SRM_INVALID_PATH", "SRM_INVALID_REQUEST", "SRM_INVALID_REQUEST"]
    tree = await server.srm("rm", expect=404, surls=[file])
    assert (code(tree), codes(tree)) == ("SRM_FAILURE", ["SRM_INVALID_PATH"])


async def test_moving(server: Server, directory: str, file: str) -> None:
    await server.srm("mkdir", surl=f"{directory}/sub")
    await server.srm("mv", fromSURL=file, toSURL=f"{directory}/b.dcm")
    await server.srm("mv", fromSURL=f"{directory}/b.dcm", toSURL=f"{directory}/sub")
    tree = await server.srm("ls", surls=[f"{directory}/sub/b.dcm"])
    assert tree["files"][0]["type"] == "FILE"
    for source, target, status, expected in (
        ("missing", "x", 404, "SRM_INVALID_PATH"),
        ("sub", "no/such", 404, "SRM_INVALID_PATH"),
        ("sub", "sub/below", 400, "SRM_INVALID_REQUEST"),
        ("sub/b.dcm", "sub/b.dcm", 409, "SRM_DUPLICATION_ERROR"),
    ):
        tree = await server.srm(
            "mv", expect=status, fromSURL=f"{directory}/{source}", toSURL=f"{directory}/{target}"
        )
        assert code(tree) == expected
    await server.srm("mv", expect=400, fromSURL="/", toSURL=f"{directory}/x")


@pytest.mark.parametrize(
    "form",
    ["{}", "srm://host:8446/srm/managerv2?SFN={}", "srm://host{}", "/@basic{}", "srm://h:1/srm/managerv2?SFN=/@basic{}"],
)  # fmt: skip
async def test_a_surl_may_be_written_in_several_ways(server: Server, file: str, form: str) -> None:
    surl = form.format(file)
    tree = await server.srm("ls", surls=[surl])
    assert tree["files"][0]["path"] == file
    assert tree["files"][0]["surl"] == surl
    assert (await server.prepare(surl))["surl"] == surl


@pytest.mark.parametrize(
    "surl",
    ["", "a", "srm://", "srm://host", "srm://host?SFN=/a", "https://host/a", "/a\x1bb", "/@",
     "/@Basic/a", "/@/a", "/" + "x" * 256, "/x" * 65],
)  # fmt: skip
async def test_a_malformed_surl_is_refused_without_being_repeated(server: Server, surl: str) -> None:
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": surl}])
    assert codes(tree) == ["SRM_INVALID_REQUEST"]
    explanation = tree["files"][0]["status"]["explanation"]
    assert len(surl) < 4 or surl not in explanation


async def test_names_are_compared_in_their_composed_form(server: Server, directory: str) -> None:
    await server.put(f"{directory}/e\u0301.dcm", made())
    tree = await server.srm("ls", surls=[f"{directory}/\u00e9.dcm"])
    assert tree["files"][0]["path"] == f"{directory}/\u00e9.dcm"


# Listing


async def test_a_file_is_told_with_size_and_checksum_of_its_default_view(server: Server, file: str) -> None:
    reader = await server.token("rl")
    line = await server.prepare(file, token=reader)
    (detail,) = (await server.srm("ls", surls=[file], token=reader))["files"]
    assert detail["size"] == line["fileSize"]
    assert (detail["checkSumType"], detail["checkSumValue"]) == ("ADLER32", line["checkSumValue"])
    assert (detail["fileLocality"], detail["view"], detail["viewState"]) == ("ONLINE", "basic", "ready")
    assert detail["lastModificationTime"].endswith("Z")


async def test_a_listing_comes_in_pages(server: Server, directory: str) -> None:
    names = [f"{directory}/{name}" for name in ("a", "b", "c", "d", "B")]
    for name in names:
        await server.srm("mkdir", surl=name)

    async def page(**options: Any) -> list[str]:
        (detail,) = (await server.srm("ls", surls=[directory], **options))["files"]
        return [child["path"].rpartition("/")[2] for child in detail.get("subPaths", ())]

    assert await page() == ["B", "a", "b", "c", "d"]
    assert await page(count=2) == ["B", "a"]
    assert await page(offset=2, count=2) == ["b", "c"]
    assert await page(offset=4, count=2) == ["d"]
    assert await page(offset=9) == []
    assert await page(numOfLevels=0) == []


async def test_a_listing_of_several_tells_of_each(server: Server, directory: str, file: str) -> None:
    tree = await server.srm("ls", surls=[directory, file, f"{directory}/missing", "relative"])
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == ["SRM_SUCCESS", "SRM_SUCCESS", "SRM_INVALID_PATH", "SRM_INVALID_REQUEST"]
    assert [child["path"] for child in tree["files"][0]["subPaths"]] == [file]


async def test_the_root_is_listed(server: Server, directory: str) -> None:
    (detail,) = (await server.srm("ls", surls=["/"], count=10_000))["files"]
    assert detail["path"] == "/"
    assert directory in [child["path"] for child in detail["subPaths"]]
