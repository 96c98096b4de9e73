"""A file full of canaries through every route of this face, as the application's own list of routes has them: nothing
identifying comes out of a de-identified view, in bytes, in JSON, in headers, in what goes wrong, or in the log."""

from collections.abc import Iterator
from typing import Any

import pytest

from mdm_async.web.application import application
from mdm_async.web.dicomweb.asked import BASE
from tests.canary import ENCODINGS, canary
from tests.conftest import Reply, Server
from tests.web.dicomweb.conftest import uid
from tests.web.test_canaries import identifying
from tests.web.test_privacy import captured_log

ACCEPTED = (
    'multipart/related; type="application/octet-stream"',
    'multipart/related; type="application/dicom"',
    "image/png",
)
PICTURES = ("rendered", "thumbnail")
QUERIES = ("?includefield=all", "?StudyInstanceUID=1.2&fuzzymatching=true", "?PatientID=*&x=y")


def bulk_of(model: Any) -> Iterator[str]:
    """Every address in a document of metadata."""
    if isinstance(model, dict):
        if "BulkDataURI" in model:
            yield model["BulkDataURI"]
        for each in model.values():
            yield from bulk_of(each)
    elif isinstance(model, list):
        for each in model:
            yield from bulk_of(each)


def routes(server: Server) -> list[tuple[str, str]]:
    found = [
        (route.method, route.resource.canonical)
        for route in application(server.house).router.routes()
        if route.resource is not None and route.resource.canonical.startswith(BASE)
    ]
    assert len(found) > 50
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_no_canary_leaves_by_any_route(own_server: Server, encoding: str) -> None:
    server, planted = own_server, canary(78, encoding)
    with captured_log() as log:
        await server.put("/a.dcm", planted.data)
        admin = server.admin_token
        (one,) = (await server.call("GET", f"{BASE}/instances?includefield=all", token=admin)).tree
        named = {
            "study": uid(one, "0020000D"), "series": uid(one, "0020000E"), "instance": uid(one, "00080018"),
            "view": "basic", "frames": "1", "where": "7FE00010",
        }  # fmt: skip
        told: list[Reply] = []
        served = 0
        for method, path in routes(server):
            for query, accept in (
                *(("", accept) for accept in ("*/*", *ACCEPTED, "text/html")),
                *((query, "*/*") for query in QUERIES if not path.endswith(PICTURES)),
            ):
                target = path.format(**named) + query
                reply = await server.call(method, target, token=admin, headers={"Accept": accept})
                told.append(reply)
                served += reply.status == 200 and method == "GET" and not query and accept == "*/*"
        expected = [method for method, _ in routes(server)].count("GET")
        assert served == expected, "a route was not reached"
        where = f"{BASE}/studies/{named['study']}/metadata"
        bulk = list(bulk_of((await server.call("GET", where, token=admin)).tree))
        values = [await server.call("GET", address, token=admin) for address in bulk]
        assert all(reply.status == 200 for reply in values)
        told += values
        everything = b"\n".join(reply.body + str(dict(reply.headers)).encode() for reply in told)
        assert identifying(planted.survivors(everything)) == []
        assert len(everything) > 10_000
        assert planted.survivors(log.getvalue().encode()) == []
