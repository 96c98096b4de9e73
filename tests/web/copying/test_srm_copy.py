"""srmCopy: the same third-party copies, begun and asked about by request token."""

import asyncio

import aiohttp
import pytest

from mdm_async.images.fairness.strangers import Strangers
from tests.web.copying.conftest import Copying
from tests.web.copying.peers import Talk, gives
from tests.web.made_images import made
from tests.web.srm.codes import code, codes

CT = made()


async def test_a_file_is_copied_from_another_server_and_to_it(copying: Copying, place: str) -> None:
    source = copying.peer.url("/srm")
    copying.peer.on["/srm"] = gives(CT)
    files = [{"sourceSURL": source, "targetSURL": f"{place}/f"}]
    tree = await copying.server.srm("copy", files=files)
    assert (code(tree), codes(tree)) == ("SRM_SUCCESS", ["SRM_SUCCESS"])
    assert (tree["files"][0]["surl"], tree["files"][0]["targetSURL"]) == (source, f"{place}/f")
    assert await copying.original(f"{place}/f") == CT
    tree = await copying.server.srm("statusOfCopyRequest", requestToken=tree["requestToken"])
    assert (tree["files"][0]["surl"], codes(tree)) == (source, ["SRM_SUCCESS"])
    tree = await copying.server.srm("copy", files=files)
    assert codes(tree) == ["SRM_DUPLICATION_ERROR"]


async def test_each_file_has_a_status_of_its_own(copying: Copying, place: str) -> None:
    copying.peer.on["/srm"] = gives(CT)
    stranger = copying.stranger.url("/srm")
    tree = await copying.server.srm(
        "copy",
        files=[
            {"sourceSURL": copying.peer.url("/srm"), "targetSURL": f"{place}/a"},
            {"sourceSURL": stranger, "targetSURL": f"{place}/b"},
            {"sourceSURL": "gsiftp://elsewhere/c", "targetSURL": f"{place}/c"},
            {"sourceSURL": stranger, "targetSURL": stranger},
        ],
    )
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == [
        "SRM_SUCCESS",
        "SRM_AUTHORIZATION_FAILURE",
        "SRM_NOT_SUPPORTED",
        "SRM_INVALID_REQUEST",
    ]


async def test_nobody_copies_between_servers_without_a_credential(copying: Copying, place: str) -> None:
    rule = {"principal": "any:anonymous", "rights": "rlxwd"}
    for surl in ("/", place):
        await copying.server.srm("setPermission", surls=[surl], permissionType="ADD", rules=[rule])
    url = copying.peer.url("/asked-by-nobody")
    body = {"files": [{"sourceSURL": url, "targetSURL": f"{place}/f"}]}
    async with aiohttp.ClientSession() as stranger:
        answer = await stranger.post(f"{copying.server.url}/srm/v2/copy", json=body)
        assert codes(await answer.json()) == ["SRM_AUTHENTICATION_FAILURE"]
    assert copying.peer.methods("/asked-by-nobody") == []
    for surl in ("/", place):
        await copying.server.srm("setPermission", surls=[surl], permissionType="REMOVE", rules=[rule])


async def test_of_strangers_each_file_counts(
    copying: Copying, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(Strangers, "ask", lambda _self, _worker, files: counted.append(files))
    body = {"files": [{"sourceSURL": f"{place}/none", "targetSURL": f"{place}/{n}"} for n in range(3)]}
    async with aiohttp.ClientSession() as stranger:
        await stranger.post(f"{copying.server.url}/srm/v2/copy", json=body)
    assert counted == [2]  # beside the request itself


async def test_a_file_here_gets_a_second_name(copying: Copying, place: str) -> None:
    await copying.server.put(f"{place}/a.dcm", CT)
    files = [{"sourceSURL": f"{place}/a.dcm", "targetSURL": f"{place}/b.dcm"}]
    tree = await copying.server.srm("copy", files=files)
    assert codes(tree) == ["SRM_SUCCESS"]
    assert await copying.server.read(f"{place}/b.dcm") == await copying.server.read(f"{place}/a.dcm")


async def test_a_copy_that_takes_long_is_asked_about_and_aborted_by_its_token(
    copying: Copying, place: str
) -> None:
    asked = asyncio.Event()

    async def never(talk: Talk) -> None:
        asked.set()
        await talk.for_ever()

    copying.peer.on["/slow"] = never
    tree = await copying.server.srm(
        "copy", files=[{"sourceSURL": copying.peer.url("/slow"), "targetSURL": f"{place}/f"}]
    )
    token = tree["requestToken"]
    assert (code(tree), codes(tree)) == ("SRM_REQUEST_INPROGRESS", ["SRM_REQUEST_INPROGRESS"])
    await asked.wait()
    another = await copying.server.token("rlxw")
    await copying.server.srm("statusOfCopyRequest", expect=404, token=another, requestToken=token)
    await copying.server.srm("abortRequest", expect=404, token=another, requestToken=token)
    assert code(await copying.server.srm("abortRequest", requestToken=token)) == "SRM_SUCCESS"
    while codes(tree) == ["SRM_REQUEST_INPROGRESS"]:
        tree = await copying.server.srm("statusOfCopyRequest", requestToken=token)
    assert codes(tree) == ["SRM_ABORTED"]
    tree = await copying.server.srm("getRequestSummary", requestTokens=[token])
    (summary,) = tree["requestSummaries"]
    assert (summary["requestType"], summary["numOfFailedFiles"]) == ("COPY", 1)
    assert not await copying.exists(f"{place}/f")
    await copying.server.srm("statusOfCopyRequest", expect=404, requestToken="copy:none")


async def test_of_several_files_those_that_are_named_are_aborted(copying: Copying, place: str) -> None:
    copying.peer.on["/slow"] = Talk.for_ever
    url = copying.peer.url("/slow")
    files = [{"sourceSURL": url, "targetSURL": f"{place}/{name}"} for name in "ab"]
    token = (await copying.server.srm("copy", files=files))["requestToken"]
    named = [f"{place}//a", f"{place}/none"]
    tree = await copying.server.srm("abortFiles", expect=None, requestToken=token, surls=named)
    assert codes(tree) == ["SRM_SUCCESS", "SRM_INVALID_PATH"]
    stand = ["SRM_REQUEST_INPROGRESS"]
    while stand[0] == "SRM_REQUEST_INPROGRESS":
        stand = codes(await copying.server.srm("statusOfCopyRequest", requestToken=token))
    assert stand == ["SRM_ABORTED", "SRM_REQUEST_INPROGRESS"]
    await copying.server.srm("abortRequest", requestToken=token)
