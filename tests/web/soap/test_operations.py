"""Every operation of SRM v2.2 over SOAP: its right shape, and codes that clients know."""

from typing import Any

import pytest

from mdm_async.web.srm.soap.schema import ENUMERATIONS, OPERATIONS, TYPES
from tests.conftest import Server
from tests.web.made_images import made
from tests.web.soap.envelopes import HEADERS, PATH, call, response

NOT_OFFERED = [
    "srmReserveSpace",
    "srmStatusOfReserveSpaceRequest",
    "srmReleaseSpace",
    "srmUpdateSpace",
    "srmStatusOfUpdateSpaceRequest",
    "srmChangeSpaceForFiles",
    "srmStatusOfChangeSpaceForFilesRequest",
    "srmExtendFileLifeTime",  # It names no request here.
    "srmExtendFileLifeTimeInSpace",
    "srmPurgeFromSpace",
    "srmStatusOfLsRequest",
    "srmSuspendRequest",
    "srmResumeRequest",
]
CT = made()


async def soap(server: Server, operation: str, *, token: str | None = None, **fields: Any) -> Any:
    answer = await server.call(
        "POST",
        PATH,
        token=token or server.admin_token,
        data=call(operation, **fields),
        headers=HEADERS,
    )
    assert answer.status == 200, answer.body
    assert answer.headers["Connection"] == "close"
    return response(answer.body)


def code(tree: Any) -> str:
    return str(tree["returnStatus"]["statusCode"])


def files(*surls: str, field: str = "sourceSURL") -> Any:
    return {"requestArray": [{field: surl} for surl in surls]}


def surls(*names: str) -> Any:
    return {"urlArray": list(names)}


@pytest.fixture
async def place(server: Server) -> str:
    return await server.directory()


def least(kind: str) -> dict[str, Any]:
    """The least that a structure may hold: what it must have."""
    made_up = {"string": "x", "anyURI": "/nowhere", "int": 1, "unsignedLong": 1, "boolean": True}
    tree: dict[str, Any] = {}
    for field in TYPES[kind].values():
        if field.is_required:
            inner = least(field.type) if field.type in TYPES else made_up.get(field.type)
            tree[field.name] = inner if inner is not None else ENUMERATIONS[field.type][0]
    return tree


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_answers_in_its_shape(server: Server, operation: str) -> None:
    called = OPERATIONS[operation]
    tree = await soap(server, operation, **least(called.request_type))
    assert set(tree) <= set(TYPES[called.response_type])
    if operation == "srmPing":
        assert tree["versionInfo"] == "v2.2"
        return
    assert code(tree) in ENUMERATIONS["TStatusCode"]
    assert (code(tree) == "SRM_NOT_SUPPORTED") == (operation in NOT_OFFERED), tree


async def test_files_have_no_life_to_be_extended(server: Server) -> None:
    tree = await soap(server, "srmExtendFileLifeTime", requestToken="none", arrayOfSURLs=surls("/a"))
    assert code(tree) == "SRM_INVALID_REQUEST"
    tree = await soap(server, "srmExtendFileLifeTime", arrayOfSURLs=surls("/a"))
    assert code(tree) == "SRM_NOT_SUPPORTED"


async def test_a_file_is_put_listed_got_and_removed(server: Server, place: str) -> None:
    surl = f"{place}/a.dcm"
    tree = await soap(
        server,
        "srmPrepareToPut",
        arrayOfFileRequests=files(surl, field="targetSURL"),
        transferParameters={"arrayOfTransferProtocols": {"stringArray": ["gsiftp", "http"]}},
    )
    token = tree["requestToken"]
    tree = await soap(server, "srmStatusOfPutRequest", requestToken=token)
    status = tree["arrayOfFileStatuses"]["statusArray"]
    assert (status["SURL"], status["status"]["statusCode"]) == (surl, "SRM_SPACE_AVAILABLE")
    await server.call("PUT", status["transferURL"], data=CT)
    tree = await soap(server, "srmPutDone", requestToken=token, arrayOfSURLs=surls(surl))
    assert tree["arrayOfFileStatuses"]["statusArray"]["status"]["statusCode"] == "SRM_SUCCESS"

    tree = await soap(server, "srmLs", arrayOfSURLs=surls(f"/{surl}"), fullDetailedList=True)
    detail = tree["details"]["pathDetailArray"]
    assert (detail["path"], detail["type"], detail["fileLocality"]) == (f"/{surl}", "FILE", "ONLINE")
    assert detail["fileStorageType"] == "PERMANENT"
    assert detail["retentionPolicyInfo"] == {"retentionPolicy": "CUSTODIAL", "accessLatency": "ONLINE"}
    assert detail["arrayOfSpaceTokens"] == {"stringArray": "images"}
    assert (detail["checkSumType"], len(detail["checkSumValue"])) == ("ADLER32", 8)
    assert detail["lastModificationTime"].endswith("Z")
    assert detail["ownerPermission"]["mode"] == "RWX"
    assert detail["otherPermission"] == "NONE"

    line = await server.prepare(surl)
    tree = await soap(server, "srmStatusOfGetRequest", requestToken=line["requestToken"])
    status = tree["arrayOfFileStatuses"]["statusArray"]
    assert (status["sourceSURL"], status["status"]["statusCode"]) == (surl, "SRM_FILE_PINNED")
    assert await server.get(status["transferURL"]) == await server.read(surl)
    for also in ({}, {"arrayOfSURLs": surls(f"srm://h:1/srm/managerv2?SFN={surl}")}):
        tree = await soap(server, "srmReleaseFiles", requestToken=line["requestToken"], **also)
        assert tree["arrayOfFileStatuses"]["statusArray"]["status"]["statusCode"] == "SRM_SUCCESS"
    for _ in range(2):
        tree = await soap(server, "srmReleaseFiles", arrayOfSURLs=surls(surl))
        assert code(tree) == "SRM_SUCCESS"
    tree = await soap(server, "srmBringOnline", arrayOfFileRequests=files(surl))
    token = tree["requestToken"]
    tree = await soap(server, "srmStatusOfBringOnlineRequest", requestToken=token)
    assert tree["arrayOfFileStatuses"]["statusArray"]["status"]["statusCode"] == "SRM_SUCCESS"
    tree = await soap(server, "srmGetRequestSummary", arrayOfRequestTokens={"stringArray": [token]})
    assert tree["arrayOfRequestSummaries"]["summaryArray"]["requestType"] == "BRING_ONLINE"
    tree = await soap(server, "srmRm", arrayOfSURLs=surls(surl))
    assert tree["arrayOfFileStatuses"]["statusArray"] == {
        "surl": surl,
        "status": {"statusCode": "SRM_SUCCESS"},
    }


async def test_codes_say_what_was_wrong(server: Server, place: str) -> None:
    await server.srm("mkdir", surl=f"{place}/d")
    await server.srm("mkdir", surl=f"{place}/d/below")
    reader = await server.token("rlx", path=place)
    told = [
        (await soap(server, "srmMkdir", SURL=f"{place}/d"), "SRM_DUPLICATION_ERROR"),
        (await soap(server, "srmMkdir", SURL=f"{place}/none/d"), "SRM_INVALID_PATH"),
        (await soap(server, "srmMkdir", token=reader, SURL=f"{place}/new"), "SRM_AUTHORIZATION_FAILURE"),
        (await soap(server, "srmRmdir", SURL=f"{place}/d"), "SRM_NON_EMPTY_DIRECTORY"),
        (await soap(server, "srmMv", fromSURL=f"{place}/no", toSURL=f"{place}/n"), "SRM_INVALID_PATH"),
        (
            await soap(
                server, "srmSetPermission", SURL=f"{place}/no", permissionType="CHANGE", otherPermission="R"
            ),
            "SRM_INVALID_PATH",
        ),
        (await soap(server, "srmAbortRequest", requestToken="none"), "SRM_INVALID_REQUEST"),
    ]
    assert [code(tree) for tree, _ in told] == [wanted for _, wanted in told]
    tree = await soap(server, "srmPrepareToGet", arrayOfFileRequests=files(f"{place}/no"))
    # Clients of one file look no further.
    assert code(tree) == "SRM_INVALID_PATH"
    tree = await soap(
        server, "srmPrepareToPut", arrayOfFileRequests=files(f"{place}/d", f"{place}/x", field="targetSURL")
    )
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    tree = await soap(server, "srmLs", arrayOfSURLs=surls(f"{place}/d", f"{place}/none"))
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert [one["status"]["statusCode"] for one in tree["details"]["pathDetailArray"]] == [
        "SRM_SUCCESS",
        "SRM_INVALID_PATH",
    ]


async def test_rights_are_set_and_told_in_modes(server: Server, place: str) -> None:
    """gfal2 writes a mode as its digit."""
    await soap(server, "srmSetPermission", SURL=place, permissionType="CHANGE", otherPermission=5)
    await soap(
        server,
        "srmSetPermission",
        SURL=place,
        permissionType="ADD",
        arrayOfGroupPermissions={"groupPermissionArray": [{"groupID": "/vo/group", "mode": "RW"}]},
    )
    tree = await soap(server, "srmGetPermission", arrayOfSURLs=surls(place))
    told = tree["arrayOfPermissionReturns"]["permissionArray"]
    assert told["otherPermission"] == "RX"
    assert told["arrayOfGroupPermissions"]["groupPermissionArray"] == {
        "groupID": "fqan:/vo/group",
        "mode": "RW",
    }
    tree = await soap(server, "srmCheckPermission", arrayOfSURLs=surls(place))
    assert tree["arrayOfPermissions"]["surlPermissionArray"]["permission"] == "RWX"


async def test_a_directory_is_told_of_page_by_page(server: Server, place: str) -> None:
    for name in "abc":
        await server.srm("mkdir", surl=f"{place}/{name}")
    tree = await soap(server, "srmLs", arrayOfSURLs=surls(place), offset=1, count=1)
    detail = tree["details"]["pathDetailArray"]
    assert detail["arrayOfSubPaths"]["pathDetailArray"]["path"] == f"{place}/b"
    tree = await soap(server, "srmLs", arrayOfSURLs=surls(place), numOfLevels=0)
    assert "arrayOfSubPaths" not in tree["details"]["pathDetailArray"]


async def test_a_directory_that_one_answer_cannot_tell_says_so(
    server: Server, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or clients would take what they got for all there is."""
    for name in "abc":
        await server.srm("mkdir", surl=f"{place}/{name}")
    monkeypatch.setattr("mdm_async.web.srm.soap.names.MOST", 2)
    tree = await soap(server, "srmLs", arrayOfSURLs=surls(place))
    assert tree["details"]["pathDetailArray"]["status"]["statusCode"] == "SRM_TOO_MANY_RESULTS"
