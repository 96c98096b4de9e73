"""Reports of directories: of every file that the caller may read, and nothing of any other."""

import pytest

from mdm_async.images.views import report
from tests.conftest import Server


async def test_a_report_is_of_the_files_that_one_may_read(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does how many others there are make a difference."""
    server = own_server
    monkeypatch.setattr(report, "_FILES", 3)
    directory = await server.directory()
    await server.srm("mkdir", surl=f"{directory}/hidden")
    await server.srm("mkdir", surl=f"{directory}/shown")
    reader, token = await reader_of(server, directory)
    guids = {
        path: (await server.put(f"{directory}/{path}", ct))["guid"]
        for path in ("1", "2", "hidden/3", "hidden/4", "shown/5", "shown/6")
    }
    await rules(server, f"{directory}/hidden", "SET", "user:nobody")
    await rules(server, f"{directory}/2", "SET", "user:nobody")
    assert await reported(server, token, directory) == sorted(
        guids[path] for path in ("1", "shown/5", "shown/6")
    )
    await rules(server, f"{directory}/hidden/3", "ADD", reader)
    assert len(await reported(server, token, directory)) == 3
    await rules(server, f"{directory}/2", "ADD", reader)
    reply = await server.call("POST", "/admin/v1/report", token=token, json={"surl": directory})
    assert (reply.status, reply.tree["type"]) == (413, "urn:mdm:error:too-large")


async def reader_of(server: Server, directory: str) -> tuple[str, str]:
    """A reader by ACLs alone: principal and token."""
    name = f"reader{directory[1:]}"
    for above, rights in (("/", "x"), (directory, "rlx")):
        await rules(server, above, "ADD", f"user:{name}", rights)
    return f"user:{name}", await server.token("x", path="/none", name=name)


async def rules(server: Server, surl: str, step: str, principal: str, rights: str = "rlx") -> None:
    rule = {"principal": principal, "rights": rights}
    await server.srm("setPermission", surls=[surl], permissionType=step, rules=[rule])


async def reported(server: Server, token: str, directory: str) -> list[str]:
    reply = await server.call("POST", "/admin/v1/report", token=token, json={"surl": directory})
    assert reply.status == 200, reply.tree
    return sorted(file["guid"] for file in reply.tree["files"])
