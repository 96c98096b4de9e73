"""The results of SRM's operations are of no one wire: a second renderer stands on them alone, with its own names."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Server
from tests.web.srm_elements import found, second_wire


@dataclass
class Wire:
    server: Server
    url: str

    async def srm(self, operation: str, *, token: str | None = None, **body: Any) -> Any:
        shown = token or self.server.admin_token
        reply = await self.server.call("POST", f"{self.url}/{operation}", token=shown, json=body)
        assert reply.status == 200
        assert reply.headers["X-Request-Id"]
        return reply.tree

    async def file(self, operation: str, **body: Any) -> dict[str, Any]:
        """The one file's elements by their names."""
        (file,) = found(await self.srm(operation, **body), "arrayOfFileStatuses", "statusArray")
        return dict(file)


@pytest.fixture
async def wire(server: Server) -> AsyncIterator[Wire]:
    async with second_wire(server.house) as url:
        yield Wire(server, url)


def code(file: dict[str, Any]) -> str:
    return str(dict(file["status"])["statusCode"])


async def test_a_file_goes_through_its_life_with_the_names_of_each_operation(wire: Wire, ct: bytes) -> None:
    directory = await wire.server.directory()
    surl = f"{directory}/a.dcm"
    made = await wire.srm("mkdir", surl=f"{directory}/below")
    assert made == ["srmMkdirResponse", [["returnStatus", [["statusCode", "SRM_SUCCESS"]]]]]

    prepared = await wire.srm("prepareToPut", files=[{"surl": surl}])
    (token,) = found(prepared, "requestToken")
    (file,) = found(prepared, "arrayOfFileStatuses", "statusArray")
    assert [name for name, _ in file] == ["SURL", "status", "remainingPinLifetime", "transferURL"]
    assert (await wire.server.call("PUT", dict(file)["transferURL"], data=ct)).status == 201
    assert code(await wire.file("statusOfPutRequest", requestToken=token)) == "SRM_SPACE_AVAILABLE"
    done = await wire.file("putDone", requestToken=token, surls=[surl])
    assert (done["surl"], code(done)) == (surl, "SRM_SUCCESS")

    prepared = await wire.srm("prepareToGet", files=[{"surl": surl}])
    (token,) = found(prepared, "requestToken")
    (file,) = found(prepared, "arrayOfFileStatuses", "statusArray")
    assert [name for name, _ in file] == [
        "sourceSURL", "status", "fileSize", "remainingPinTime", "transferURL",
    ]  # fmt: skip
    assert len(await wire.server.get(dict(file)["transferURL"])) == int(dict(file)["fileSize"])
    standing = await wire.file("statusOfGetRequest", requestToken=token)
    assert (standing["sourceSURL"], code(standing)) == (surl, "SRM_FILE_PINNED")
    extended = await wire.file("extendFileLifeTime", requestToken=token, newPinLifeTime=500)
    assert (extended["surl"], 400 <= int(extended["pinLifetime"]) <= 500) == (surl, True)
    released = await wire.file("releaseFiles", requestToken=token, surls=[surl])
    assert (released["surl"], code(released)) == (surl, "SRM_SUCCESS")
    online = await wire.file("bringOnline", files=[{"surl": surl}])
    assert (online["sourceSURL"], code(online)) == (surl, "SRM_SUCCESS")
    removed = await wire.file("rm", surls=[surl])
    assert (removed["surl"], code(removed)) == (surl, "SRM_SUCCESS")


async def test_ls_names_paths_and_what_is_below_them(wire: Wire, ct: bytes) -> None:
    directory = await wire.server.directory()
    await wire.server.put(f"{directory}/a.dcm", ct)
    listed = await wire.srm("ls", surls=[directory, f"{directory}/missing"])
    told, missing = (dict(file) for file in found(listed, "details", "pathDetailArray"))
    assert (told["path"], told["type"]) == (directory, "DIRECTORY")
    (child,) = found(["", told["arrayOfSubPaths"]], "pathDetailArray")
    file = dict(child)
    assert (file["path"], file["type"], file["fileLocality"]) == (f"{directory}/a.dcm", "FILE", "ONLINE")
    assert (file["checkSumType"], len(file["checkSumValue"]), int(file["size"]) > 0) == ("ADLER32", 8, True)
    assert (missing["path"], code(missing)) == (f"{directory}/missing", "SRM_INVALID_PATH")


@pytest.mark.parametrize(
    ("operation", "name", "body"),
    [
        ("prepareToGet", "sourceSURL", {"files": [{"surl": "/no/such"}]}),
        ("bringOnline", "sourceSURL", {"files": [{"surl": "/no/such"}]}),
        ("prepareToPut", "SURL", {"files": [{"surl": "/no/such"}]}),
        ("rm", "surl", {"surls": ["/no/such"]}),
        ("releaseFiles", "surl", {"surls": ["/no/such"]}),
        ("checkPermission", "surl", {"surls": ["/no/such"]}),
    ],
)
async def test_a_file_that_failed_has_the_operations_name_too(
    wire: Wire, operation: str, name: str, body: dict[str, Any]
) -> None:
    file = await wire.file(operation, **body)
    assert (file[name], code(file)) == ("/no/such", "SRM_INVALID_PATH")


async def test_a_request_that_fails_as_a_whole_is_a_status_alone(wire: Wire) -> None:
    failed = await wire.srm("statusOfGetRequest", requestToken="none")
    (status,) = found(failed, "returnStatus")
    assert dict(status)["statusCode"] == "SRM_INVALID_REQUEST"
    refused = await wire.srm("ls", token="unknown", surls=["/"])
    (status,) = found(refused, "returnStatus")
    assert dict(status)["statusCode"] == "SRM_AUTHENTICATION_FAILURE"


async def test_what_is_about_the_server_is_told_too(wire: Wire) -> None:
    pong = await wire.srm("ping")
    assert found(pong, "versionInfo") == ["v2.2"]
    assert found(pong, "otherInfo", "extraInfoArray", "value")[0] == "mdm_async"
    assert found(await wire.srm("getTransferProtocols"), "protocolInfo", "protocolArray", "transferProtocol")
