"""What a request document may hold: each of its texts and lists has a bound, and what is beyond is refused whole."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from mdm_async.names import MOST_LEVELS
from mdm_async.web.srm.operations import OPERATIONS
from tests.conftest import Server
from tests.web.srm.codes import code


def forms(kind: type[BaseModel] = BaseModel) -> Iterator[type[BaseModel]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("mdm_async.web."):
            yield child
        yield from forms(child)


def unbounded(schema: Any, where: str) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from unbounded(one, where)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "string" and not schema.keys() & {"maxLength", "enum", "const", "format"}:
        yield f"{where}: text"
    if kind == "array" and "maxItems" not in schema:
        yield f"{where}: list"
    for key, inner in schema.items():
        if key not in ("default", "enum", "const"):
            yield from unbounded(inner, f"{where}.{key}")


def test_every_text_and_list_of_every_form_is_bounded() -> None:
    every = sorted(set(forms()), key=repr)
    assert {one.form for one in OPERATIONS.values()} <= set(every)
    assert [fault for form in every for fault in unbounded(form.model_json_schema(), form.__name__)] == []


@pytest.mark.parametrize("surl", ["/" + "a/" * 2100, "srm://h/" + "a" * 4096, "/" + "é" * 2048])
@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("ls", lambda surl: {"surls": [surl]}),
        ("prepareToGet", lambda surl: {"files": [{"surl": surl}]}),
        ("mv", lambda surl: {"fromSURL": "/a", "toSURL": surl}),
        ("mkdir", lambda surl: {"surl": surl}),
    ],
)
async def test_a_surl_beyond_4_kib_is_no_request(
    server: Server, operation: str, body: Any, surl: str
) -> None:
    tree = await server.srm(operation, expect=400, **body(surl))
    assert code(tree) == "SRM_INVALID_REQUEST"
    assert not tree.get("files")
    assert len(orjson.dumps(tree)) < 1000


async def test_a_path_has_64_levels_at_the_most(server: Server) -> None:
    directory = await server.directory()
    deepest = directory + "/a" * (MOST_LEVELS - 1)
    await server.srm("mkdir", surl=deepest, parents=True)
    await server.srm("ls", surls=[deepest, deepest + "/", f"srm://h/srm/managerv2?SFN={deepest}"])
    for path in (deepest + "/a", deepest + "/é", f"/@basic{deepest}/a"):
        tree = await server.srm("ls", surls=[path], expect=400)
        assert tree["files"][0]["status"]["type"] == "urn:mdm:error:bad-path"
    await server.srm("mkdir", surl=deepest + "/a", expect=400)
    await server.srm("rmdir", surl=directory + "/a", recursive=True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/srm/v2/ls", {"surls": ["/"] * 10_001}),
        ("/srm/v2/prepareToGet", {"files": [{"surl": "/"}] * 10_001}),
        ("/srm/v2/abortFiles", {"requestToken": "x", "surls": ["/"] * 10_001}),
        ("/srm/v2/releaseFiles", {"requestToken": "x", "surls": ["/"] * 10_001}),
        ("/srm/v2/putDone", {"requestToken": "x", "files": [{"surl": "/"}] * 10_001}),
        ("/catalog/v1/replicas/list", {"surls": ["/"] * 10_001}),
        ("/catalog/v1/replicas/add", {"replicas": [{"surl": "/"}] * 10_001}),
        ("/admin/v1/link", {"surls": ["/"] * 10_001, "target": "/", "view": "basic"}),
        ("/admin/v1/profiles/basic/release", {"surls": ["/"] * 10_001}),
        ("/admin/v1/tokens", {"name": "x", "rights": "r", "views": ["basic"] * 101}),
        ("/admin/v1/tokens", {"name": "x" * 5000, "rights": "r"}),
    ],
)
async def test_a_list_beyond_its_bound_is_refused_as_a_whole(
    server: Server, path: str, body: dict[str, Any]
) -> None:
    answer = await server.call("POST", path, token=server.admin_token, data=orjson.dumps(body))
    assert answer.status == 400, answer.body
    assert len(answer.body) < 1000


async def test_a_name_of_a_field_is_repeated_only_in_part(server: Server) -> None:
    body = orjson.dumps({"x" * 60_000: 1})
    answer = await server.call("POST", "/admin/v1/whoami", token=server.admin_token, data=body)
    assert answer.status == 400
    assert len(answer.body) < 1000
