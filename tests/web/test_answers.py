"""What every answer tells beside its face's own words: the problem type, the request's id, when to come again."""

from typing import Any

from mdm_async import errors
from tests.conftest import Server


async def test_a_problem_tells_its_type(server: Server) -> None:
    for method, path, token, kind in (
        ("GET", "/nowhere", None, errors.NotFound),
        ("DELETE", "/health/live", None, errors.MethodNotAllowed),
        ("GET", "/t/unknown/image.dcm", None, errors.Gone),
        ("GET", "/admin/v1/tokens", "wrong", errors.Unauthenticated),
        ("POST", "/admin/v1/report", server.admin_token, errors.BadRequest),
    ):
        answer = await server.call(method, path, token=token, data=b"{" if method == "POST" else None)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.status, answer.tree["type"]) == (kind.http, kind.urn)


async def test_what_shares_a_status_code_is_told_apart_by_type(server: Server, ct: bytes) -> None:
    directory = await server.directory()
    await server.put(f"{directory}/a.dcm", ct)
    asked: list[tuple[str, type[errors.MdmError], dict[str, Any]]] = [
        ("ls", errors.NotFound, {"surls": [f"{directory}/missing"]}),
        ("ls", errors.BadPath, {"surls": ["relative"]}),
        ("prepareToGet", errors.IsADirectory, {"files": [{"surl": directory}]}),
    ]
    for operation, kind, body in asked:
        tree = await server.srm(operation, expect=kind.http, **body)
        assert [file["status"]["type"] for file in tree["files"]] == [kind.urn]
    tree = await server.srm("rmdir", expect=409, surl=f"{directory}/a.dcm")
    assert tree["returnStatus"]["type"] == errors.NotADirectory.urn
    both = await server.srm("ls", surls=[directory, f"{directory}/missing"])
    assert [file["status"].get("type") for file in both["files"]] == [None, errors.NotFound.urn]


async def test_a_request_that_fails_as_a_whole_tells_its_type(server: Server) -> None:
    tree = await server.srm("abortRequest", expect=404, requestToken="none")
    assert tree["returnStatus"]["type"] == errors.UnknownRequest.urn
    tree = await server.srm("getRequestSummary", requestTokens=["none"])
    assert tree["requestSummaries"][0]["status"]["type"] == errors.UnknownRequest.urn
