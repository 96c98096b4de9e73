"""Viewers in browsers: pages of configured origins may ask with a bearer token, and no others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mdm_async.errors import UnsafeSettings
from mdm_async.settings import load
from tests.conftest import Reply, Server, running_server
from tests.postgres.for_tests import PostgresForTests

OURS, THEIRS = "https://viewer.example.org", "https://evil.example.org"


@pytest.fixture(scope="module")
async def viewed(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    folder = tmp_path_factory.mktemp("cors") / "data"
    async with running_server(folder, dsn, dicomweb={"cors_origins": [OURS]}) as server:
        yield server


async def asked(server: Server, method: str, path: str, origin: str, **headers: str) -> Reply:
    shown = {} if method == "OPTIONS" else {"token": server.admin_token}
    return await server.call(method, path, headers={"Origin": origin, **headers}, **shown)


def allowed(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("Access-Control-")}


async def test_a_page_of_a_configured_origin_may_ask(viewed: Server) -> None:
    before = await asked(
        viewed, "OPTIONS", "/dicom-web/studies", OURS, **{
            "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization",
        }
    )  # fmt: skip
    assert before.status == 204
    assert before.headers["Access-Control-Allow-Origin"] == OURS
    assert "Authorization" in before.headers["Access-Control-Allow-Headers"]
    assert before.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    reply = await asked(viewed, "GET", "/dicom-web/studies", OURS)
    assert (reply.status, reply.tree) == (200, [])
    assert reply.headers["Access-Control-Allow-Origin"] == OURS
    assert "Warning" in reply.headers["Access-Control-Expose-Headers"]
    missing = await asked(viewed, "GET", "/dicom-web/@basic/studies/1.2/series/1.3/metadata", OURS)
    assert (missing.status, missing.headers["Access-Control-Allow-Origin"]) == (404, OURS)
    assert "Access-Control-Allow-Credentials" not in allowed(reply) | allowed(before)


async def test_no_other_page_may(viewed: Server) -> None:
    for method in ("OPTIONS", "GET"):
        for origin in (THEIRS, "null", OURS + ".evil.org", OURS.upper(), "http" + OURS[5:], f"{OURS}:8443"):
            reply = await asked(
                viewed, method, "/dicom-web/studies", origin, **{"Access-Control-Request-Method": "GET"}
            )
            assert allowed(reply) == {}
            assert reply.headers["Vary"] == "Origin"


async def test_nothing_else_is_opened(viewed: Server, server: Server) -> None:
    for path in ("/srm/v2/ls", "/dav/", "/meta/v1/find", "/dicom-web", "/admin/v1/tokens"):
        for method in ("OPTIONS", "GET"):
            assert allowed(await asked(viewed, method, path, OURS)) == {}
    assert allowed(await asked(server, "GET", "/dicom-web/studies", OURS)) == {}


async def test_a_page_without_a_token_is_refused(viewed: Server) -> None:
    reply = await viewed.call("GET", "/dicom-web/studies", headers={"Origin": OURS})
    assert reply.status == 403


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "viewer.example.org", "https://a.example/", "https://a.example/x", "https://u@a.example", "ftp://a",
     "http://viewer.example.org", "https://", "https://A.example", "https://a.example:x"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(origin: str, tmp_path: Path) -> None:
    overrides: dict[str, Any] = {"data": tmp_path, "dicomweb": {"cors_origins": [origin]}}
    with pytest.raises(UnsafeSettings):
        load(overrides=overrides)


def test_origins_are_taken(tmp_path: Path) -> None:
    for origin in (OURS, "http://127.0.0.1:3000", "http://localhost:3000", "https://a.example:8443"):
        overrides: dict[str, Any] = {"data": tmp_path, "dicomweb": {"cors_origins": [origin]}}
        assert load(overrides=overrides).dicomweb.cors_origins == (origin,)
