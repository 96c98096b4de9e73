"""An answer in many parts that began ends as it must: whole, or broken off for everybody to see."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from mdm_async.web.dicomweb import opening
from tests.conftest import Server
from tests.web.dicomweb.conftest import Viewer, image, uid
from tests.web.dicomweb.test_retrieve import ANY_DICOM, STUDY

COUNT, BEFORE = 20, 5
_KINDS = {"": ANY_DICOM, "/metadata": "application/dicom+json"}


@pytest.fixture
async def folder(server: Server) -> str:
    """With a study of many instances."""
    folder = await server.directory()
    study = f"1.2.{int.from_bytes(folder.encode()[-6:])}"
    for number in range(COUNT):
        data = image(
            number,
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.1",
            SOPInstanceUID=f"{study}.1.{number}",
            PatientID=study,
        )
        await server.put(f"{folder}/{number}", data)
    return folder


async def told(
    monkeypatch: pytest.MonkeyPatch,
    viewer: Viewer,
    folder: str,
    end: str,
    meanwhile: Callable[[Any], Awaitable[object]],
) -> tuple[bool, int]:
    """Whether the answer was whole, and how many instances came, if this happens before the one after five is opened;
    it is told which that is."""
    (study,) = (await viewer.get(f"/studies?path={folder}")).tree
    real, count = opening.opened, 0

    async def opened(request: Any, caller: Any, row: Any) -> Any:
        nonlocal count
        count += 1
        if count == BEFORE + 1:
            await meanwhile(row)
        return await real(request, caller, row)

    monkeypatch.setattr(opening, "opened", opened)
    url = f"{viewer.server.url}{viewer.base}/studies/{uid(study, STUDY)}{end}"
    headers = {"Authorization": f"Bearer {viewer.token}", "Accept": _KINDS[end]}
    body, whole = bytearray(), False
    async with viewer.server.http.get(url, headers=headers) as answer:
        assert answer.status == 200
        try:
            async for piece in answer.content.iter_any():
                body += piece
            whole = True
        except aiohttp.ClientPayloadError:
            pass
    return whole, len(re.findall(rb'"7FE00010":|Content-Type: application/dicom;', body))


@pytest.mark.parametrize("end", _KINDS)
async def test_a_token_that_is_revoked_meanwhile_breaks_it_off(
    server: Server, folder: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Viewer(server, await server.token("rg", path=folder, name=f"of{folder[1:]}"))

    async def revoke(_: Any) -> None:
        reply = await server.call("DELETE", f"/admin/v1/tokens/of{folder[1:]}", token=server.admin_token)
        assert reply.status == 204

    whole, count = await told(monkeypatch, viewer, folder, end, revoke)
    assert not whole
    assert count <= BEFORE + 1


@pytest.mark.parametrize("end", _KINDS)
async def test_rights_that_are_lost_meanwhile_break_it_off(
    server: Server, folder: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, rights in (("/", "x"), (folder, "rgx")):
        rules = [{"principal": f"user:of{folder[1:]}", "rights": rights}]
        await server.srm("setPermission", surls=[place], permissionType="ADD", rules=rules)
    viewer = Viewer(server, await server.token("", name=f"of{folder[1:]}"))

    async def take_away(_: Any) -> None:
        none = [{"principal": "user:nobody", "rights": "rg"}]
        await server.srm("setPermission", surls=[folder], permissionType="SET", rules=none)

    whole, count = await told(monkeypatch, viewer, folder, end, take_away)
    assert (whole, count) == (False, BEFORE)


@pytest.mark.parametrize("end", _KINDS)
async def test_what_is_removed_meanwhile_is_left_out(
    server: Server, folder: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def remove(row: Any) -> None:
        await server.srm("rm", surls=[f"guid:{row.guid}"])

    whole, count = await told(monkeypatch, Viewer(server, server.admin_token), folder, end, remove)
    assert (whole, count) == (True, COUNT - 1)


@pytest.mark.parametrize("end", _KINDS)
async def test_a_server_that_ends_opens_no_more(
    server: Server, folder: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drain(_: Any) -> None:
        monkeypatch.setattr(server.house, "draining", True)

    whole, count = await told(monkeypatch, Viewer(server, server.admin_token), folder, end, drain)
    assert (whole, count) == (False, BEFORE + 1)
