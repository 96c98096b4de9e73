"""SRM: bodies that are malformed, too large, or anything at all."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdm_async.web.srm.operations import OPERATIONS
from tests.conftest import Server
from tests.web.srm.codes import RECIPIENT, code, codes

# Malformed


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"secret-value"',
        b"1",
        b'{"surls": "secret-value"}',
        b'{"surls": []}',
        b'{"surls": [1]}',
        b'{"surls": ["/a"], "offset": "secret-value"}',
        b'{"surls": ["/a"], "offset": -1}',
        b'{"surls": ["/a"], "offset": 1e300}',
        b'{"surls": ["/a"], "offset": 9223372036854775808}',
        b'{"surls": ["/a"], "count": 10001}',
        b'{"surls": ["/secret-value\\u0000"]}',
        b'{"surls": ["\\ud800secret-value"]}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_a_malformed_body_is_refused_without_being_repeated(server: Server, body: bytes) -> None:
    answer = await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=body)
    assert answer.status == 400
    assert code(answer.tree) == "SRM_INVALID_REQUEST" or codes(answer.tree) == ["SRM_INVALID_REQUEST"]
    assert b"secret-value" not in answer.body.replace(b'"surl":"/secret-value\\u0000"', b"")


async def test_unknown_fields_are_passed_over(server: Server) -> None:
    """Grid clients send space tokens and user ids that mean nothing here."""
    await server.srm("ls", surls=["/"], authorizationID="x", storageSystemInfo=[1], spaceToken=None)


async def test_a_request_with_a_nul_is_malformed(server: Server, directory: str) -> None:
    """Postgres could not even store it."""
    bad = f"{directory}/a\0b"
    for operation in ("prepareToGet", "prepareToPut", "bringOnline"):
        tree = await server.srm(operation, expect=400, files=[{"surl": bad}])
        assert code(tree) == "SRM_INVALID_REQUEST"
    for operation in ("rm", "ls", "checkPermission", "releaseFiles"):
        await server.srm(operation, expect=400, surls=[bad])
    await server.srm("getRequestTokens", expect=400, userRequestDescription="a\0b")


TEXT = st.text(max_size=12) | st.sampled_from(
    ["/", "/a", "/@basic/a", "\0", "srm://h/a", "basic", str(uuid4())]
)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


NUMBERS = st.integers(0, 100) | st.sampled_from([10**6, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 2**70, -1])


FILE = st.fixed_dictionaries(
    {"surl": TEXT},
    optional={
        "expectedFileSize": NUMBERS,
        "size": NUMBERS,
        "sha256": st.sampled_from(["0" * 64, "F" * 64, "0" * 63, ""]),
    },
)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "surls": st.lists(TEXT, min_size=1, max_size=3),
    "surl": TEXT,
    "fromSURL": TEXT,
    "toSURL": TEXT,
    "requestToken": TEXT,
    "requestTokens": st.lists(TEXT, min_size=1, max_size=3),
    "view": st.sampled_from([None, "basic", "identified", "other", "\0"]),
    "recipient": st.sampled_from([None, None, RECIPIENT, RECIPIENT[1:], "\0"]),
    "userRequestDescription": TEXT,
    "files": st.lists(FILE, min_size=1, max_size=3),
    "transferProtocols": st.lists(TEXT | st.sampled_from(["http", "https"]), max_size=2),
    "recursive": st.booleans(),
    "overwrite": st.booleans(),
    "fullDetailedList": st.booleans(),
}


@st.composite
def bodies(draw: st.DrawFn, operation: str) -> Any:
    """Mostly of the right form, for only that gets past it."""
    if not draw(st.integers(0, 19)):
        return draw(VALUES)
    body = {}
    for field, of in OPERATIONS[operation].form.model_fields.items():
        if of.is_required() or draw(st.booleans()):
            body[field] = draw(FIELDS.get(field, NUMBERS) if draw(st.integers(0, 15)) else VALUES)
    return body


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
async def test_no_body_makes_the_server_fail(server: Server, operation: str, data: st.DataObject) -> None:
    body = data.draw(bodies(operation))
    answer = await server.call(
        "POST", f"/srm/v2/{operation}", token=server.admin_token, data=json.dumps(body).encode()
    )
    assert answer.status < 500 or answer.status == 501, answer.body
    assert "returnStatus" in answer.tree
